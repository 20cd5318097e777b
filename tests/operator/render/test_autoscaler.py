"""The autoscalers: whom they scale, and when they may remove pods."""

from typing import Any

from imageclassifier_operator.render.autoscaler import autoscalers
from imageclassifier_operator.render.gateway import gateway_disruption_budgets
from rendered import classifier

MODEL = {"model": {"version": 3, "source": {"image": {"reference": "pizza-model:{version}"}}}}
SCALING = {"minReplicas": 2, "maxReplicas": 9, "targetCPUUtilizationPercentage": 60}


def rendered(*, may_shrink: bool = True, **spec: Any) -> dict[str, dict[str, Any]]:
    found = autoscalers(classifier({**MODEL, **spec}), may_shrink=may_shrink)
    return {each["metadata"]["name"]: each["spec"] for each in found}


def test_without_autoscaling_there_is_no_autoscaler() -> None:
    assert rendered() == {}


def test_model_servers_are_scaled_through_the_imageclassifier_and_gateways_through_their_deployment() -> None:
    found = rendered(autoscaling=SCALING, gateway={"autoscaling": SCALING})
    targets = {name: (spec["scaleTargetRef"]["kind"], spec["minReplicas"]) for name, spec in found.items()}
    assert targets == {"pizza": ("ImageClassifier", 2), "pizza-gateway": ("Deployment", 2)}


def test_model_servers_are_not_removed_while_versions_share_the_traffic() -> None:
    found = rendered(may_shrink=False, autoscaling=SCALING, gateway={"autoscaling": SCALING})
    assert found["pizza"]["behavior"] == {"scaleDown": {"selectPolicy": "Disabled"}}
    assert "behavior" not in found["pizza-gateway"]
    assert "behavior" not in rendered(autoscaling=SCALING)["pizza"]


def test_gateways_that_an_autoscaler_may_add_have_a_disruption_budget() -> None:
    alone = {"replicas": 1}
    assert not gateway_disruption_budgets(classifier({**MODEL, "gateway": alone}))
    assert gateway_disruption_budgets(classifier({**MODEL, "gateway": {**alone, "autoscaling": SCALING}}))
