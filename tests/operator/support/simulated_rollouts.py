"""Everything that can happen to a rollout: users, pods, gateways, requests, time, and accidents."""

import copy
import json
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule

from imageclassifier_operator.api import (
    names,
)
from imageclassifier_operator.api.reasons import Reason
from imageclassifier_operator.observe.types import (
    Problem,
    Verdict,
)
from imageclassifier_operator.rollout import decide, routing
from imageclassifier_operator.rollout.recovery import recover
from imageclassifier_operator.rollout.state import Phase
from simulated_cluster import (
    BROKEN,
    HANGS,
    OF_THE_CLUSTER,
    STRATEGIES,
    VERSIONS,
    Gateway,
    served,
)
from simulated_operator import SimulatedOperator


class Rollouts(SimulatedOperator):
    """The operator in a simulated cluster that changes at random."""

    # -- the world --------------------------------------------------------------------------------------

    @rule()
    def all_goes_well_for_a_while(self):
        """Without this rule, random histories hardly ever reach the later phases."""
        self.held_back = None
        for version in self.state.kept:
            self.start_pods(version, broken=False)
        self.reconcile()
        if self.state.phase is Phase.VERIFY:
            key = (self.state.candidate.version, self.state.attempt)
            self.verdicts.setdefault(key, Verdict(True, Reason.READY, ""))
        for which in (*range(len(self.gateways)), *range(len(self.gateways))):
            self.gateways[which].cut_off.clear()
            self.a_gateway_reads_the_file(which)

    @rule(version=st.sampled_from(VERSIONS), memory=st.sampled_from(["1Gi", "1Gi", "2Gi"]))
    def the_spec_changes(self, version, memory):
        self.wanted = served(version, memory)
        self.reconcile()

    @rule(strategy=st.sampled_from(sorted(STRATEGIES)))
    def the_strategy_changes(self, strategy):
        self.rollout = STRATEGIES[strategy]
        self.reconcile()

    @precondition(lambda self: not self.stopped)
    @rule()
    def the_user_stops_it(self):
        before, self.stopped = self.state, True
        for deployment in self.deployments.values():
            deployment.update(ready=False)
        # All gateways have ended when the operator sees none: what they had read is gone with them.
        for which in range(len(self.gateways)):
            self.replace_gateway(which)
        self.reconcile()
        assert self.state.phase is Phase.STOPPED
        assert (self.state.serving, self.state.failed) == (before.serving, before.failed)
        assert set(self.state.kept) == ({self.state.serving.version} if self.state.serving else set())

    @precondition(lambda self: self.stopped)
    @rule()
    def the_user_starts_it(self):
        before, self.stopped = self.state, False
        self.reconcile()
        assert self.state.phase is not Phase.STOPPED
        assert self.state.serving == before.serving

    @rule(value=st.sampled_from("abc"))
    def the_user_promotes(self, value):
        self.promote = value
        self.reconcile()

    @rule(value=st.sampled_from("abc"))
    def the_user_asks_for_another_try(self, value):
        self.tried = value
        self.reconcile()

    @precondition(lambda self: self.deployments)
    @rule(data=st.data())
    def pods_become_ready(self, data):
        self.start_pods(data.draw(st.sampled_from(sorted(self.deployments))), problem=None)
        self.reconcile()

    def start_pods(self, version: int, **how: Any):
        """All pods that the Deployment wants run and are ready."""
        there = self.deployments[version]
        there.update(ready=True, pods=there["replicas"], **how)

    @precondition(lambda self: self.deployments)
    @rule(data=st.data(), problem=st.sampled_from([None, BROKEN, HANGS]))
    def pods_go_away(self, data, problem):
        version = data.draw(st.sampled_from(sorted(self.deployments)))
        self.deployments[version].update(ready=False, problem=problem)
        self.reconcile()

    @precondition(lambda self: self.deployments)
    @rule(data=st.data(), meanwhile=st.sampled_from([None, *OF_THE_CLUSTER]))
    def a_node_takes_the_pods(self, data, meanwhile):
        """A drain, an eviction or a lost node. The new pods start at once or wait for a node."""
        version = data.draw(st.sampled_from(sorted(self.deployments)))
        problem = None if meanwhile is None else Problem(meanwhile, "there is no node")
        self.deployments[version].update(ready=False, problem=problem, disrupted_at=self.now)
        self.reconcile()

    @precondition(lambda self: self.state.previous is not None)
    @rule(also_the_new_one=st.booleans())
    def the_version_kept_warm_goes_away(self, also_the_new_one):
        self.deployments[self.state.previous.version].update(ready=False)
        if also_the_new_one:
            self.deployments[self.state.serving.version].update(ready=False)
        self.reconcile()

    @precondition(lambda self: self.state.phase is Phase.VERIFY)
    @rule(passed=st.booleans(), conclusive=st.sampled_from([True, True, False]))
    def the_verification_ends(self, passed, conclusive):
        key = (self.state.candidate.version, self.state.attempt)
        self.verdicts.setdefault(
            key, Verdict(passed, Reason.ACCEPTANCE_FAILED, "the salad is no pizza", conclusive)
        )
        self.reconcile()

    @rule(which=st.integers(0, 1))
    def a_gateway_reads_the_file(self, which):
        if self.config_map is not None:
            text = self.config_map["data"][names.ROUTING_FILE]
            self.gateways[which % len(self.gateways)].file = json.loads(text)
        self.reconcile()

    @rule(which=st.integers(0, 1), version=st.sampled_from(VERSIONS))
    def a_gateway_cannot_reach_a_version(self, which, version):
        self.gateways[which % len(self.gateways)].cut_off ^= {version}
        self.reconcile()

    @rule(which=st.integers(0, 1))
    def a_gateway_is_replaced(self, which):
        self.replace_gateway(which)
        self.reconcile()

    def replace_gateway(self, which: int):
        self.gateways[which % len(self.gateways)] = self.new_gateway()

    def new_gateway(self) -> Gateway:
        self.started_gateways += 1
        return Gateway(f"g{self.started_gateways}")

    @rule(good=st.integers(0, 100), bad=st.sampled_from([0, 0, 20]), slow=st.sampled_from([0, 0, 50]))
    def requests_come_in(self, good, bad, slow):
        """`bad` and `slow` requests go to the version that is being analysed."""
        for gateway in self.gateways:
            for entry in gateway.file["versions"] if gateway.file else []:
                if entry["percent"]:
                    old = gateway.counters.get(entry["version"], (0, 0, 0))
                    under_analysis = entry["version"] == self.wanted.version
                    new = (good, bad if under_analysis else 0, slow if under_analysis else 0)
                    gateway.counters[entry["version"]] = tuple(a + b for a, b in zip(old, new, strict=True))
            if gateway.file and "shadow" in gateway.file:
                gateway.compared += good
                gateway.agreed += good - (good // 2 if bad else 0)
        self.reconcile()

    @rule(replicas=st.integers(1, 5))
    def an_autoscaler_scales_the_model_servers(self, replicas):
        self.replicas = replicas
        self.reconcile()

    @precondition(lambda self: self.deployments)
    @rule(data=st.data(), replicas=st.integers(1, 5))
    def an_autoscaler_scales_one_version_past_the_operator(self, data, replicas):
        """It targets the Deployment, though the ImageClassifier is what is scaled."""
        version = data.draw(st.sampled_from(sorted(self.deployments)))
        self.scale(version, replicas)
        if data.draw(st.booleans()):
            self.start_pods(version)
        self.reconcile()
        kept, there = self.state.kept.get(version), self.deployments.get(version)
        if kept is not None and kept.input_hash == there["served"].input_hash:
            assert there["replicas"] == self.state.replicas(self.replicas)

    @rule(number=st.integers(1, 4))
    def an_autoscaler_scales_the_gateways(self, number):
        self.gateways = self.gateways[:number]
        while len(self.gateways) < number:
            self.gateways.append(self.new_gateway())
        self.reconcile()

    @rule(seconds=st.sampled_from([0.2, 5, 40, 200]))
    def time_passes(self, seconds):
        self.seconds += seconds
        self.reconcile()

    @rule(seconds=st.sampled_from([-4_000, -300, -30, 30, 300, 4_000]))
    def the_clock_of_the_node_jumps(self, seconds):
        self.skew += seconds
        self.reconcile()

    # -- accidents --------------------------------------------------------------------------------------

    @rule()
    def the_operator_restarts(self):
        self.memory = None
        self.acknowledged_since = None
        self.start_process()
        self.reconcile()

    @rule(seconds=st.sampled_from([-300, -5, 5, 300]))
    def a_leader_takes_over_whose_clock_differs(self, seconds):
        self.skew += seconds
        self.the_operator_restarts()

    @rule()
    def the_watch_of_pods_is_held_back(self):
        """The operator continues with its last snapshot, while the gateways reach the actual pods."""
        self.held_back = {version: made["ready"] for version, made in self.deployments.items()}
        self.reconcile()

    @precondition(lambda self: self.held_back is not None)
    @rule()
    def the_watch_of_pods_goes_on(self):
        self.held_back = None
        self.reconcile()

    @rule(seconds=st.sampled_from([0.2, 5, 40]), acts_first=st.booleans())
    def another_leader_takes_over_while_a_write_of_the_old_one_is_under_way(self, seconds, acts_first):
        """A write of an old leader succeeds only if the ConfigMap is still the one that it read."""
        basis = copy.deepcopy(self.config_map)
        state = recover(self.config_map, self.memory, self.status, self.as_deployments(), self.now)
        late = decide(self.goal(state), state, self.observed(state), self.now).state
        self.memory, self.acknowledged_since = None, None
        self.seconds += seconds
        self.start_process()
        if acts_first:
            self.reconcile()
        before, document = self.written_revision(), routing.routing_file("pizza", "default", late)
        if document is not None and basis is not None and self.config_map == basis:
            text = routing.to_text(document)
            sealed = routing.sealed(late, text)
            self.config_map = {"data": {names.ROUTING_FILE: text, names.STATE_FILE: sealed}}
        assert self.written_revision() >= before, "an older routing came back"
        self.reconcile()
        assert self.written_revision() >= before, "an older routing came back"

    def written_revision(self) -> int:
        if self.config_map is None:
            return 0
        return int(json.loads(self.config_map["data"][names.ROUTING_FILE])["revision"])

    @rule(restarts=st.booleans())
    def the_config_map_is_deleted(self, restarts):
        self.config_map = None
        self.memory = None if restarts else self.memory
        self.reconcile()

    @precondition(lambda self: self.config_map is not None)
    @rule(percent=st.integers(0, 100), restarts=st.booleans())
    def the_config_map_is_edited_by_hand(self, percent, restarts):
        document = json.loads(self.config_map["data"][names.ROUTING_FILE])
        document["versions"] = [{**entry, "percent": percent} for entry in document["versions"]]
        self.config_map["data"][names.ROUTING_FILE] = json.dumps(document)
        self.memory = None if restarts else self.memory
        self.reconcile()

    @rule(also_the_config_map=st.booleans())
    def the_status_is_lost(self, also_the_config_map):
        self.status = {}
        if also_the_config_map:
            self.config_map, self.memory = None, None
            self.rolled_back = set()  # the state that records it is lost
        self.reconcile()


def version_2_gets_requests(rollouts: Rollouts) -> None:
    """Version 2 passes its verification, and both gateways have read who gets how many requests."""
    rollouts.the_spec_changes(version=2, memory="1Gi")
    rollouts.deployments[2].update(ready=True)
    rollouts.reconcile()
    rollouts.the_verification_ends(passed=True, conclusive=True)
    for _ in range(2):
        rollouts.a_gateway_reads_the_file(0)
        rollouts.a_gateway_reads_the_file(1)


def settling(rollouts: Rollouts) -> Rollouts:
    """Version 2 serves all requests; version 1 is still warm."""
    rollouts.install(strategy="at once", version=1, leftovers={1: (True, True)})
    version_2_gets_requests(rollouts)
    assert rollouts.state.phase is Phase.SETTLE
    return rollouts


def with_a_share(rollouts: Rollouts) -> Rollouts:
    """Version 2 gets 10 percent; version 1 serves the rest."""
    rollouts.install(strategy="in steps", version=1, leftovers={1: (True, True)})
    version_2_gets_requests(rollouts)
    assert rollouts.state.percent == 10
    return rollouts


def without_pods(rollouts: Rollouts) -> Rollouts:
    """Version 2 loads, but its pods do not become ready."""
    rollouts.install(strategy="at once", version=1, leftovers={1: (True, True)})
    rollouts.the_spec_changes(version=2, memory="1Gi")
    assert rollouts.state.phase is Phase.LOAD
    return rollouts


def hanging(rollouts: Rollouts) -> Rollouts:
    """Version 2 serves, and its pods have just stopped to answer."""
    settling(rollouts).deployments[2].update(ready=False, problem=HANGS)
    rollouts.reconcile()
    return rollouts
