"""The figures of a version: what gateways counted in a time window."""

import json

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
