"""Hints between reconciliations: which gateways have acknowledged, and when to annotate pods again."""

from imageclassifier_operator.observe.gateway_health import Probe
from imageclassifier_operator.observe.types import GatewayReport
from imageclassifier_operator.reconcile.memory import Memory


def pod(uid: str) -> dict:
    return {"metadata": {"uid": uid}}


def probe(reports: dict[str, GatewayReport]) -> Probe:
    return Probe(1, frozenset(reports), reports, 0.0)


def test_acknowledgement_counts_from_the_last_ready_gateway():
    memory = Memory("u")
    memory.record_probe(probe({"a": GatewayReport("s", 3), "b": GatewayReport("t", 2)}))
    assert memory.acknowledged_seconds(3, [pod("a"), pod("b")], 10.0) is None
    memory.record_probe(probe({"b": GatewayReport("t", 3)}))
    assert memory.acknowledged_seconds(3, [pod("a"), pod("b")], 10.0) == 0
    assert memory.acknowledged_seconds(3, [pod("a"), pod("b")], 14.0) == 4
    assert memory.acknowledged_seconds(3, [], 15.0) is None


def test_a_gateway_is_annotated_again_only_after_a_while_and_never_after_its_acknowledgement():
    memory = Memory("u")
    assert memory.needs_annotation(pod("a"), 3, 10.0)
    memory.annotation_retries.record("a", 3, 10.0)
    assert not memory.needs_annotation(pod("a"), 3, 10.3)
    assert memory.needs_annotation(pod("a"), 3, 10.5)
    assert memory.needs_annotation(pod("a"), 4, 10.1)
    memory.record_probe(probe({"a": GatewayReport("s", 3)}))
    assert not memory.needs_annotation(pod("a"), 3, 99.0)
