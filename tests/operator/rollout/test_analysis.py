"""The analysis of a version's figures in a window."""

import json

import pytest

from imageclassifier_operator.api import Limits
from imageclassifier_operator.api.reasons import Reason
from imageclassifier_operator.observe.types import Counters, GatewayReport, VersionReport
from imageclassifier_operator.rollout import analysis


def report(start_id: str, **figures: Counters) -> GatewayReport:
    versions = {int(v[1:]): VersionReport(ready=True, counters=c) for v, c in figures.items()}
    return GatewayReport(start_id, 1, versions)


def test_a_window_counts_from_its_beginning_and_over_all_gateways():
    since = analysis.baseline([report("a", v2=Counters(100, 50, {"+Inf": 100}))])
    now = [report("a", v2=Counters(130, 53, {"+Inf": 130})), report("b", v2=Counters(10, 2, {"+Inf": 10}))]
    seen = analysis.window(2, json.loads(json.dumps(since)), now)
    assert (seen.requests, seen.errors) == (40, 5)


def test_a_gateway_that_ended_takes_its_counts_with_it():
    since = analysis.baseline([report("a", v2=Counters(100)), report("b", v2=Counters(100))])
    assert analysis.window(2, since, [report("a", v2=Counters(110))]).requests == 10


def window(requests: int, errors: int = 0, slow: int = 0) -> analysis.Window:
    return analysis.Window(requests, errors, {0.1: requests - slow, 1.0: requests, float("inf"): requests})


@pytest.mark.parametrize(
    ("judged", "against", "reason"),
    [
        (window(100, errors=0), window(100), None),
        (window(100, errors=2), window(100), Reason.TOO_MANY_ERRORS),
        (window(100, errors=1), window(100), None),  # as many as the limit allows
        (window(100, errors=10), window(100, errors=10), None),  # the serving version fails alike
        (window(100, errors=12), window(100, errors=10), Reason.TOO_MANY_ERRORS),
        (window(9, errors=9), window(100), None),  # too few to say
        (window(100, slow=2), window(100), Reason.TOO_SLOW),
        (window(100, slow=1), window(100), None),
        (window(100, slow=2), window(100, slow=50), None),  # the serving version is as slow
        (window(100, errors=2), None, Reason.TOO_MANY_ERRORS),
    ],
)
def test_a_version_is_compared_with_the_serving_one_in_the_same_window(judged, against, reason):
    complaint = analysis.limit_violation(2, judged, against, Limits(0.01, 500), min_requests=10)
    assert (complaint.reason if complaint else None) is reason
