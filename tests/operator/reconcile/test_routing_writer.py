"""The routing writer detects a concurrent write of the routing ConfigMap."""

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest

from imageclassifier_operator import api, render
from imageclassifier_operator.api.kinds import CONFIG_MAPS, WATCHED, Kind
from imageclassifier_operator.api.reasons import Reason
from imageclassifier_operator.observe.objects import Objects
from imageclassifier_operator.reconcile.memory import Memory
from imageclassifier_operator.reconcile.request import ValidRequest
from imageclassifier_operator.reconcile.routing_writer import OutdatedStateError, RoutingWriter
from imageclassifier_operator.rollout import goal_of
from imageclassifier_operator.rollout.state import Phase, State
from imageclassifier_operator.runtime.api_error import ApiError
from imageclassifier_operator.runtime.cache import Cache
from imageclassifier_operator.runtime.work_queue import Key

Json = dict[str, Any]

KEY = Key("food", "pizza")
BODY: Json = {
    "metadata": {"name": "pizza", "namespace": "food", "uid": "u", "generation": 1},
    "spec": {"model": {"version": 1, "source": {"image": {"reference": "pizza:{version}"}}}},
}
IC = api.parse(BODY)
STATE = State(revision=7, phase=Phase.STABLE, serving=goal_of(IC, "tf", State()).wanted)


def config_map(version: str, uid: str = "c", owner: str = "u") -> Json:
    manifest = render.routing_config_map(IC, "{}", "{}")
    metadata = {**manifest["metadata"], "uid": uid, "resourceVersion": version}
    metadata["ownerReferences"] = [{**metadata["ownerReferences"][0], "uid": owner}]
    return {**manifest, "metadata": metadata}


class StoredConfigMap:
    """An API server with `live` as the routing ConfigMap; it refuses a write onto anything else."""

    def __init__(self, live: Json | None) -> None:
        self.live = live

    async def read(self, *_: Any) -> Json | None:
        return self.live

    async def create(self, _: Kind, __: str, manifest: Json) -> Json:
        assert self.live is None
        return self._stored(manifest)

    async def apply(self, _: Kind, manifest: Json, basis: Mapping[str, Any]) -> Json:
        if self.live is None or basis["metadata"] != self.live["metadata"]:
            raise ApiError(409, "Conflict", "the object has been modified")
        return self._stored(manifest)

    def _stored(self, manifest: Json) -> Json:
        metadata = {**manifest["metadata"], "uid": "c", "resourceVersion": "99"}
        self.live = {**manifest, "metadata": metadata}
        return self.live


def write(read_from: Json | None, live: Json | None) -> tuple[Any, Json | None]:
    """Write STATE, which was read from one ConfigMap, while another is stored.

    Returns what prevents the write, and the cached ConfigMap.
    """
    indices: dict[str, Any] = {kind.plural: {} for kind in WATCHED}
    if read_from is not None:
        indices[CONFIG_MAPS.plural][KEY] = [read_from]
    cache = Cache(indices)
    objects, installation = Objects([], [], []), render.Installation("gateway", "default")
    request = ValidRequest(KEY, BODY, objects, Memory("u"), 5.0, read_from, IC, {}, installation)
    writer = RoutingWriter(cache, StoredConfigMap(live), lambda: 5.0)  # type: ignore[arg-type]
    try:
        problem: Any = asyncio.run(writer.write_routing(request, STATE))
    except OutdatedStateError as error:
        problem = error
    return problem, cache.get(CONFIG_MAPS, KEY, "pizza-routing")  # type: ignore[return-value]


@pytest.mark.parametrize("stored", [None, config_map("10")])
def test_a_state_is_written_onto_the_config_map_from_which_it_was_read(stored: Json | None) -> None:
    problem, cached = write(read_from=stored, live=stored)
    assert problem is None
    assert cached is not None
    assert cached["metadata"]["resourceVersion"] == "99"


@pytest.mark.parametrize("read_from", [None, config_map("10"), config_map("10", uid="an older one")])
def test_a_state_that_was_read_from_an_older_config_map_is_not_written(read_from: Json | None) -> None:
    problem, cached = write(read_from, live=config_map("20"))
    assert isinstance(problem, OutdatedStateError)
    assert cached == config_map("20"), "the next reconciliation reads the newer one"


def test_a_state_whose_config_map_is_gone_is_not_written_until_it_was_read_again() -> None:
    problem, cached = write(read_from=config_map("10"), live=None)
    assert isinstance(problem, OutdatedStateError)
    assert cached is None


@pytest.mark.parametrize("is_known", [False, True])
def test_a_config_map_of_another_owner_is_a_conflict(is_known: bool) -> None:
    live = config_map("20", owner="another")
    problem, _ = write(read_from=live if is_known else None, live=live)
    assert problem.reason is Reason.CONFLICT
