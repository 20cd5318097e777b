"""The gateways' latest reports on the serving version: when they count, and when gateways are probed."""

from collections.abc import Mapping
from typing import Any

import pytest

from imageclassifier_operator.observe.gateway_health import (
    FAILURE_SECONDS,
    SILENCE_SECONDS,
    GatewayHealth,
    Probe,
)
from imageclassifier_operator.observe.gateway_intervals import (
    DETECTION_SECONDS,
    PROBE_SECONDS,
    RETRY_SECONDS,
)
from imageclassifier_operator.observe.types import AccessReport, GatewayReport, VersionReport

WELL = GatewayReport("s", 4, {1: VersionReport(ready=True)})
LOST = GatewayReport("s", 4, {1: VersionReport(ready=False, error="no contract")})
NO_ANSWER: Mapping[str, GatewayReport] = {}


def pods(*uids: str) -> list[dict[str, Any]]:
    return [{"metadata": {"uid": uid}} for uid in uids]


def probe(health: GatewayHealth, now: float, reports: Mapping[str, GatewayReport]) -> None:
    health.record(Probe(1, frozenset({"gateway"}), reports, now))


@pytest.fixture
def health() -> GatewayHealth:
    """Of one gateway and one model server, probed once."""
    health = GatewayHealth()
    health.observe_pods(pods("gateway", "server"), 0.0)
    probe(health, 0.0, {"gateway": WELL})
    return health


def last_report(health: GatewayHealth, now: float) -> tuple[bool, str | None] | None:
    report = health.report_on("gateway", 1, now)
    return None if report is None else (report.ready, report.error)


def test_a_healthy_gateway_is_probed_at_the_longest_interval(health: GatewayHealth) -> None:
    assert health.next_probe_at == PROBE_SECONDS
    health.record(Probe(1, frozenset({"gateway"}), {"gateway": WELL}, 30.0), jitter=0.8)
    assert health.next_probe_at == 30.0 + 0.8 * PROBE_SECONDS


@pytest.mark.parametrize("ready", [("gateway", "server", "another"), ("gateway",), ("new", "server")])
def test_after_a_change_of_pods_the_probe_follows_the_gateways_detection(
    health: GatewayHealth, ready: tuple[str, ...]
) -> None:
    health.observe_pods(pods("gateway", "server"), 10.0)
    assert health.next_probe_at == PROBE_SECONDS
    health.observe_pods(pods(*ready), 20.0)
    assert health.next_probe_at == 20.0 + DETECTION_SECONDS
    health.observe_pods(pods(*ready), 22.0)
    assert health.next_probe_at == 20.0 + DETECTION_SECONDS


def test_an_error_counts_when_it_lasts_until_it_is_gone(health: GatewayHealth) -> None:
    probe(health, 10.0, {"gateway": LOST})
    assert last_report(health, 10.0) is None
    assert health.next_probe_at == 10.0 + RETRY_SECONDS
    probe(health, 13.0, {"gateway": LOST})
    assert last_report(health, 13.0) == (False, "no contract")
    probe(health, 16.0, {"gateway": WELL})
    assert last_report(health, 16.0) == (True, None)


def test_the_longer_an_error_lasts_the_less_often_gateways_are_probed(health: GatewayHealth) -> None:
    waits = []
    for now in (10.0, 20.0, 50.0, 1000.0):
        probe(health, now, {"gateway": LOST})
        waits.append(health.next_probe_at - now)
    assert waits == [RETRY_SECONDS, RETRY_SECONDS, 10.0, PROBE_SECONDS]


def test_a_broken_connection_between_pods_at_rest_counts_within_a_minute() -> None:
    """The slowest case: the version breaks just after a probe, and the gateway detects it at its timeout."""
    assert PROBE_SECONDS + RETRY_SECONDS + DETECTION_SECONDS < 60
    assert PROBE_SECONDS + SILENCE_SECONDS + SILENCE_SECONDS / 4 + RETRY_SECONDS < 60


def test_the_first_report_of_an_error_counts_at_once_if_the_status_reports_it_already() -> None:
    """Otherwise a change of leaders would make the version available for a moment."""
    health = GatewayHealth(known_failure=True)
    probe(health, 10.0, {"gateway": LOST})
    assert last_report(health, 10.0) == (False, "no contract")
    health = GatewayHealth()
    probe(health, 10.0, {"gateway": LOST})
    assert last_report(health, 10.0) is None


def test_a_gateway_that_does_not_answer_keeps_its_report_until_it_is_silent(health: GatewayHealth) -> None:
    found_before = health.findings(1, 0.0)
    now = 10.0
    while now - 10.0 < SILENCE_SECONDS:
        probe(health, now, NO_ANSWER)
        assert not health.is_silent("gateway", now)
        assert health.findings(1, now) == found_before
        now = health.next_probe_at
    probe(health, now, NO_ANSWER)
    assert health.is_silent("gateway", now)
    assert health.findings(1, now) != found_before
    probe(health, now + 3, {"gateway": WELL})
    assert not health.is_silent("gateway", now + 3)
    assert health.findings(1, now + 3) == found_before


def test_a_gateway_that_was_not_asked_is_not_silent(health: GatewayHealth) -> None:
    health.record(Probe(1, frozenset(), NO_ANSWER, 10.0))
    assert not health.is_silent("gateway", 1000.0)


def test_a_report_on_another_version_or_of_a_deleted_pod_does_not_count(health: GatewayHealth) -> None:
    assert health.report_on("gateway", 2, 0.0) is None
    health.forget_other_pods({"another"})
    assert last_report(health, 0.0) is None


def test_a_gateway_without_routing_cannot_use_the_version(health: GatewayHealth) -> None:
    for now in (10.0, 10.0 + FAILURE_SECONDS):
        probe(health, now, {"gateway": GatewayReport("s", 0, routing_error="schema 2 is not known")})
    assert last_report(health, 13.0) == (False, "schema 2 is not known")


def test_a_report_on_the_api_keys_counts_at_once_and_until_the_next_one(health: GatewayHealth) -> None:
    found_before = health.findings(1, 0.0)
    broken = AccessReport(needs_key=True, error="The entry 'shop' has 0 keys.")
    probe(health, 10.0, {"gateway": GatewayReport("s", 4, WELL.versions, access=broken)})
    assert health.access["gateway"] == broken
    assert health.findings(1, 10.0) != found_before
    probe(health, 20.0, NO_ANSWER)
    assert health.access["gateway"] == broken
    probe(health, 30.0, {"gateway": WELL})
    assert health.findings(1, 30.0) == found_before
