"""The gateway reads the routing file that the operator writes, and the operator reads its report."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imageclassifier_gateway.contract import parse_contract
from imageclassifier_gateway.versions.routing import parse_routing
from imageclassifier_operator.api import ImageSource, ModelVersion, ServingSettings, Sticky, parse
from imageclassifier_operator.rollout import routing
from imageclassifier_operator.rollout.state import Phase, State

LEGACY = {
    "model": {"version": 1, "source": {"image": {"reference": "legacy:{version}"}}},
    "classes": [
        {"name": "not_pizza", "message": "Not a pizza."},
        {"name": "pizza", "message": "It's a pizza!"},
    ],
    "input": {
        "height": 224,
        "width": 224,
        "tensor": "input_1",
        "dtype": "float32",
        "rescaling": {"scale": "0.0078", "offset": -1},
    },
    "output": {"tensor": "dense", "activation": "sigmoid", "threshold": "40%"},
}


def served(version: int, contract: dict[str, Any] | None = None) -> ModelVersion:
    return ModelVersion(version, "pizza", ImageSource(f"pizza:{version}"), ServingSettings(), contract, "tf")


states = st.one_of(
    st.builds(
        State,
        revision=st.integers(1, 10**9),
        phase=st.sampled_from([Phase.LOAD, Phase.VERIFY, Phase.SHIFT]),
        serving=st.just(served(1)),
        candidate=st.just(served(2)),
        percent=st.integers(0, 99),
        shadow_percent=st.integers(0, 100),
    ),
    st.builds(
        State,
        revision=st.integers(1, 10**9),
        phase=st.sampled_from([Phase.SETTLE, Phase.RETIRE, Phase.STABLE]),
        serving=st.just(served(2)),
        previous=st.sampled_from([None, served(1)]),
    ),
    st.builds(
        State,
        revision=st.integers(1, 10**9),
        phase=st.just(Phase.SETTLE),
        serving=st.just(served(2)),
        previous=st.just(served(1)),
        fallback=st.sampled_from([None, 1]),
    ),
)
stickies = st.sampled_from([None, Sticky("header", "X-User"), Sticky("cookie", "session")])


@given(state=states, sticky=stickies)
def test_every_routing_file_is_read_as_it_was_meant(state: State, sticky: Sticky | None) -> None:
    document = routing.routing_file("pizza", "default", replace(state, sticky=sticky))
    assert document is not None
    read = parse_routing(routing.to_text(document))
    assert {route.version: route.percent for route in read.routes} == routing.shares(state)
    assert state.serving is not None
    assert (read.revision, read.serving, read.model) == (state.revision, state.serving.version, "pizza")
    assert all(route.target.startswith("dns:///pizza-serving-v") for route in read.routes)
    assert read.fallback == state.fallback
    if read.shadow is not None:
        assert state.candidate is not None
        assert (read.shadow.version, read.shadow.percent) == (state.candidate.version, state.shadow_percent)
    told = None if read.sticky is None else (read.sticky.header, read.sticky.cookie)
    assert (
        told
        == {None: None, "header": ("X-User", None), "cookie": (None, "session")}[
            None if sticky is None else sticky.kind
        ]
    )


def test_the_contract_of_a_model_that_does_not_describe_itself_is_read() -> None:
    body = {"metadata": {"name": "pizza", "namespace": "default", "uid": "u"}, "spec": LEGACY}
    state = State(revision=1, phase=Phase.STABLE, serving=parse(body).candidate("tf"))
    document = routing.routing_file("pizza", "default", state)
    assert document is not None
    (route,) = parse_routing(routing.to_text(document)).routes
    assert route.contract is not None
    contract = parse_contract(route.contract)
    assert [entry.name for entry in contract.classes] == ["not_pizza", "pizza"]
    assert contract.threshold == pytest.approx(0.4)
