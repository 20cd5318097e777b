"""The figures of a version: what gateways counted in a time window."""

import json

import pytest

from imageclassifier_operator.observe.types import Counters, GatewayReport, VersionReport
from imageclassifier_operator.rollout import figures


def report(start_id: str, **figures: Counters) -> GatewayReport:
    versions = {int(v[1:]): VersionReport(ready=True, counters=c) for v, c in figures.items()}
    return GatewayReport(start_id, 1, versions)


def test_a_window_counts_from_its_beginning_and_over_all_gateways():
    since = figures.baseline([report("a", v2=Counters(100, 50, {"+Inf": 100}))])
    now = [report("a", v2=Counters(130, 53, {"+Inf": 130})), report("b", v2=Counters(10, 2, {"+Inf": 10}))]
    seen = figures.window(2, json.loads(json.dumps(since)), now)
    assert (seen.requests, seen.errors) == (40, 5)


def test_a_gateway_that_has_gone_takes_its_figures_along():
    since = figures.baseline([report("a", v2=Counters(100)), report("b", v2=Counters(100))])
    assert figures.window(2, since, [report("a", v2=Counters(110))]).requests == 10


def window(**buckets: int) -> figures.Window:
    total = max(buckets.values())
    return figures.Window(
        total, 0, {**{float(k[1:]) / 1000: v for k, v in buckets.items()}, float("inf"): total}
    )


@pytest.mark.parametrize(
    ("buckets", "p99"),
    [
        ({"_200": 0, "_300": 100}, 299.0),
        ({"_200": 98, "_300": 100}, 250.0),
        ({"_200": 100, "_300": 100}, 198.0),
    ],
)
def test_the_99th_percentile_is_interpolated_within_its_bucket(buckets: dict[str, int], p99: float) -> None:
    assert window(**buckets).p99_milliseconds == pytest.approx(p99)


def test_beyond_the_last_bound_the_99th_percentile_is_at_least_that_bound() -> None:
    slow = figures.Window(10, 0, {300.0: 5, float("inf"): 10})
    assert slow.p99_milliseconds == 300_000
    assert figures.Window(0, 0, {}).p99_milliseconds is None


def test_the_figures_of_a_restarted_gateway_count_from_zero() -> None:
    before = figures.baseline(
        [GatewayReport("old", 1, {2: VersionReport(True, Counters(100, 7, {"+Inf": 100}))})]
    )
    now = [GatewayReport("new", 1, {2: VersionReport(True, Counters(30, 1, {"+Inf": 30}))})]
    counted = figures.window(2, before, now)
    assert (counted.requests, counted.errors) == (30, 1)
