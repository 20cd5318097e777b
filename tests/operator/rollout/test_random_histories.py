"""The whole rollout under random histories of specs, pods, verifications, gateways, time and failures."""

import copy
import dataclasses
import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from imageclassifier_operator import api
from imageclassifier_operator.api import (
    ImageSource,
    Limits,
    ModelVersion,
    RolloutSettings,
    ServingSettings,
    Shadow,
    Step,
    Sticky,
    names,
)
from imageclassifier_operator.api.reasons import Reason
from imageclassifier_operator.observe.types import (
    Counters,
    GatewayReport,
    GatewaySnapshot,
    Problem,
    ShadowReport,
    Snapshot,
    Verdict,
    VersionReport,
    VersionSnapshot,
)
from imageclassifier_operator.reconcile.memory import Memory
from imageclassifier_operator.rollout import Goal, decide, goal_of, routing, unusable_candidate
from imageclassifier_operator.rollout.decision import TakenTransition
from imageclassifier_operator.rollout.figures import Window
from imageclassifier_operator.rollout.guards import pods as pod_guards
from imageclassifier_operator.rollout.recovery import recover
from imageclassifier_operator.rollout.reference import Reference
from imageclassifier_operator.rollout.state import Phase, State
from imageclassifier_operator.runtime.clock import SteadyClock

VERSIONS = (1, 2, 3)
STRATEGIES = {
    "at once": RolloutSettings(keep_previous_seconds=60, progress_deadline_seconds=100),
    "in steps": RolloutSettings(
        keep_previous_seconds=60,
        progress_deadline_seconds=100,
        steps=(Step(10, 30), Step(50, 30)),
        min_requests=10,
    ),
    "in steps, on without a verdict": RolloutSettings(
        keep_previous_seconds=60,
        progress_deadline_seconds=100,
        steps=(Step(10, 30), Step(50, 30)),
        on_inconclusive="Continue",
    ),
    "in the shadow": RolloutSettings(
        keep_previous_seconds=0,
        progress_deadline_seconds=100,
        shadow=Shadow(50, 0.9, 10),
        limits=Limits(0.05, 100),
        min_requests=10,
    ),
    "in steps, sticky": RolloutSettings(
        keep_previous_seconds=60,
        progress_deadline_seconds=100,
        steps=(Step(5, 30), Step(40, 30)),
        sticky=Sticky("header", "X-User"),
        min_requests=10,
    ),
    "paused": RolloutSettings(
        paused=True, progress_deadline_seconds=100, steps=(Step(20, 5),), min_requests=0
    ),
}
BROKEN = Problem(Reason.OUT_OF_MEMORY, "the container used too much", fatal=True)
HANGS = Problem(Reason.NOT_ANSWERING, "the container fails its readiness probe")
OF_THE_CLUSTER = (Reason.POD_EVICTED, Reason.NODE_LOST, Reason.UNSCHEDULABLE)


def served(version: int, memory: str = "1Gi") -> ModelVersion:
    serving = ServingSettings(resources={"requests": {"memory": memory}})
    return ModelVersion(version, "pizza", ImageSource(f"pizza:{version}"), serving, None, "tf")


def deployed(made: ModelVersion, *, ready: bool, has_served: bool = False) -> dict[str, Any]:
    """The Deployment of a version, whose pods no node has disturbed yet.

    `replicas` is the number in its spec, and `pods` how many of them run.
    """
    return {
        "served": made,
        "replicas": 2,
        "pods": 2,
        "ready": ready,
        "problem": None,
        "disrupted_at": None,
        "has_served": has_served,
    }


@dataclasses.dataclass
class Gateway:
    """A gateway process that reads the routing file after the kubelet's delay."""

    start_id: str
    file: dict | None = None
    cut_off: set[int] = dataclasses.field(default_factory=set)
    counters: dict[int, tuple[int, int, int]] = dataclasses.field(default_factory=dict)
    compared: int = 0
    agreed: int = 0

    def report(self, ready_versions: set[int]) -> GatewayReport:
        entries = self.file["versions"] if self.file else []
        shadow = (self.file or {}).get("shadow")
        return GatewayReport(
            start_id=self.start_id,
            revision=self.file["revision"] if self.file else 0,
            versions={
                entry["version"]: VersionReport(
                    ready=entry["version"] in ready_versions - self.cut_off,
                    counters=self.figures(entry["version"]),
                )
                for entry in entries
            },
            shadow=None if shadow is None else ShadowReport(shadow["version"], self.compared, self.agreed),
        )

    def figures(self, version: int) -> Counters:
        good, bad, slow = self.counters.get(version, (0, 0, 0))
        total = good + bad + slow
        return Counters(total, bad, {"0.05": good, "0.5": good + bad + slow, "+Inf": total})


class Rollouts(RuleBasedStateMachine):
    """The operator in a simulated cluster that changes at random."""

    @initialize(
        strategy=st.sampled_from(sorted(STRATEGIES)),
        version=st.sampled_from(VERSIONS),
        leftovers=st.dictionaries(st.sampled_from(VERSIONS), st.tuples(st.booleans(), st.booleans())),
    )
    def install(self, strategy, version, leftovers):
        """Installs a classifier, also when children of an earlier one exist."""
        self.seconds, self.skew = 0.0, 1_000_000.0
        self.start_process()
        self.rollout = STRATEGIES[strategy]
        self.wanted = served(version)
        self.tried = ""
        self.promote = ""
        self.stopped = False
        self.deployments = {
            number: deployed(served(number), ready=ready, has_served=has_served)
            for number, (ready, has_served) in leftovers.items()
        }
        self.verdicts: dict[tuple[int, str], Verdict] = {}
        self.gateways = [Gateway("g0"), Gateway("g1")]
        self.config_map: dict | None = None
        self.held_back: dict[int, bool] | None = None
        self.status: dict = {}
        self.memory: State | None = None
        self.acknowledged_since: tuple[int, float] | None = None
        self.phase_began, self.unavailable_began = 0.0, None
        self.started_gateways = 2
        self.state = State()
        self.rolled_back: set[int] = set()
        self.replicas = self.pods = 2
        self.reconcile()

    # -- the operator -----------------------------------------------------------------------------------

    def start_process(self):
        """Another process, which remembers nothing, and whose node's clock has its own error `skew`."""
        self.clock = SteadyClock(lambda: self.seconds + self.skew, lambda: self.seconds)
        self.now = self.clock()
        self.hints = Memory("uid", started=self.now)

    def goal(self, state: State) -> Goal:
        wanted = self.wanted
        for kept in (state.serving, state.candidate):
            if kept is not None and kept.input_hash == wanted.input_hash:
                wanted = kept
        return Goal(
            wanted=wanted,
            attempt=f"{wanted.input_hash}{self.tried}{STRATEGY_NAMES[id(self.rollout)]}",
            rollout=self.rollout,
            replicas=self.replicas,
            promote=self.promote,
            request_timeout_seconds=10,
            stopped=self.stopped,
        )

    def observed(self, state: State) -> Snapshot:
        ready = {v for v, d in self.deployments.items() if d["ready"] and not self.stopped}
        running = () if self.stopped else self.gateways
        gateways = tuple(GatewaySnapshot(g.start_id, True, g.report(ready)) for g in running)
        if (
            state.serving is not None
            and gateways
            and all(g.report.revision == state.revision for g in gateways)
        ):
            if self.acknowledged_since is None or self.acknowledged_since[0] != state.revision:
                self.acknowledged_since = (state.revision, self.now)
        else:
            self.acknowledged_since = None
        candidate = state.candidate
        if self.held_back is not None:
            there = {v for v in self.deployments if not self.stopped}
            ready = {v for v in there if self.held_back.get(v, False)}
        seen = Snapshot(
            versions={
                version: VersionSnapshot(
                    input_hash=d["served"].input_hash,
                    complete=version in ready and self.has_all_pods(state, version),
                    ready_pods=d["pods"] if version in ready else 0,
                    problem=d["problem"],
                    unresponsive=d["problem"] == HANGS,
                    disrupted_at=d["disrupted_at"],
                )
                for version, d in self.deployments.items()
            },
            gateways=gateways,
            gateways_complete=True,
            observed_seconds=self.now - self.hints.started,
            acknowledged_seconds=None
            if self.acknowledged_since is None
            else self.now - self.acknowledged_since[1],
            verdict=None if candidate is None else self.verdicts.get((candidate.version, state.attempt)),
        )
        unusable = self.hints.unusable_seconds(unusable_candidate(state, seen), self.now)
        return replace(seen, unusable_seconds=unusable)

    def has_all_pods(self, state: State, version: int) -> bool:
        """As the operator compares a Deployment with its manifest."""
        there = self.deployments[version]
        wanted = state.replicas(self.replicas) if version in state.kept else there["replicas"]
        return there["pods"] == there["replicas"] == wanted

    def reconcile(self):
        """One reconciliation: recover, decide, write."""
        self.now = self.clock()
        state = recover(self.config_map, self.memory, self.status, self.as_deployments(), self.now)
        seen = self.observed(state)
        decision = decide(self.goal(state), state, seen, self.now)
        self.check_shares(state, decision.state, seen)
        self.check_replicas(state, decision.state)
        for taken in decision.taken:
            if taken.cause is not None:
                self.rolled_back.add(taken.version)
                self.check_nodes_are_not_to_blame(taken, state)
                self.check_deadline(taken)
                again = decision.state.candidate
                assert again is None or again.version != taken.version, "retried as soon as it failed"
                if taken.cause.reason is Reason.OUT_OF_MEMORY:
                    failing = decision.state.failed[-1].attempt
                    made = self.deployments[taken.version]["served"].input_hash
                    assert failing.startswith(made), "blamed for what pods with other inputs did"
            elif taken.name in ("TookOver", "FirstVersionServes"):
                self.rolled_back.discard(taken.version)
        self.check_fallback(decision.state, seen)
        again = decide(self.goal(decision.state), decision.state, self.observed(decision.state), self.now)
        assert again.state == decision.state or again.taken, "a second pass changes what the first one left"
        self.note_times(self.state, decision.state)
        self.state = decision.state
        for version, made in self.state.kept.items():
            old = self.deployments.get(version)
            changed = old is not None and old["served"].input_hash != made.input_hash
            in_use = self.state.serving is not None and version != self.state.serving.version
            if changed and in_use and not decision.delete_others:
                continue  # its pods stay as they are while a gateway may still send them requests
            if changed and in_use:
                self.check_nobody_sends_to(version)
            if old is None or changed:
                # In place: pods of the serving version are replaced without a gap; others start again.
                goes_on = old is not None and self.state.serving is not None
                ready = bool(goes_on and old["ready"] and version == self.state.serving.version)
                self.deployments[version] = deployed(made, ready=ready)
            if self.state.serving is not None and self.state.serving.version == version:
                self.deployments[version]["has_served"] = True
            self.scale(version, self.state.replicas(self.replicas))
        if decision.delete_others:
            for version in set(self.deployments) - set(self.state.kept):
                self.check_nobody_sends_to(version)
                del self.deployments[version]
        document = routing.routing_file("pizza", "default", self.state)
        if document is not None:
            text = routing.to_text(document)
            data = {names.ROUTING_FILE: text, names.STATE_FILE: routing.sealed(self.state, text)}
            if self.config_map is None or self.config_map["data"] != data:
                self.config_map = {"data": data}
                self.wrote = True
        self.memory = self.state
        self.status = {
            "servingVersion": None if self.state.serving is None else self.state.serving.version,
            "failedVersions": [
                {
                    "version": f.version,
                    "attempt": f.attempt,
                    "reason": f.reason,
                    "message": f.message,
                    "time": "2026-01-01T00:00:00+00:00",
                }
                for f in self.state.failed
            ],
        }

    def scale(self, version: int, replicas: int):
        """Surplus pods end at once; missing ones start by `pods_become_ready`."""
        there = self.deployments[version]
        there.update(replicas=replicas, pods=min(there["pods"], replicas))

    def note_times(self, before: State, after: State):
        """When the phase, or a time without ready pods, began by no clock that could be wrong."""
        if (before.phase, before.attempt, before.candidate) != (after.phase, after.attempt, after.candidate):
            self.phase_began = self.seconds
        if after.unavailable_since is None:
            self.unavailable_began = None
        elif self.unavailable_began is None:
            self.unavailable_began = self.seconds

    def as_deployments(self):
        return [
            {
                "metadata": {
                    "annotations": {
                        names.ANNOTATION_SERVED_VERSION: json.dumps(d["served"].to_json()),
                        **({names.ANNOTATION_HAS_SERVED: "true"} if d["has_served"] else {}),
                    }
                },
                "status": {"availableReplicas": 2 if d["ready"] else 0},
            }
            for d in self.deployments.values()
        ]

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

    # -- what must hold ---------------------------------------------------------------------------------

    @invariant()
    def shares_sum_to_100(self):
        shares = routing.shares(self.state)
        assert not shares or sum(shares.values()) == 100
        assert all(0 <= percent <= 100 for percent in shares.values())

    @invariant()
    def every_listed_version_keeps_its_pods(self):
        assert set(routing.shares(self.state)) <= set(self.state.kept) <= set(self.deployments)

    @invariant()
    def a_failed_version_gets_no_share(self):
        state = self.state
        if state.candidate is not None:
            assert not state.has_failed(state.attempt)

    def check_shares(self, before: State, after: State, seen: Snapshot):
        """The weight of a version increases only while its pods are ready."""
        had, has = routing.shares(before), routing.shares(after)
        for version, percent in has.items():
            if before.serving is not None and percent > had.get(version, 0):
                returned = before.serving.version == version  # the weight returns to its earlier value
                assert seen.ready_pods(version) > 0 or returned, (
                    f"{percent}% for {version}, which is not ready"
                )
        if routing.without_revision(routing.routing_file("", "", before)) != routing.without_revision(
            routing.routing_file("", "", after)
        ):
            assert after.revision > before.revision

    def check_replicas(self, before: State, after: State):
        """No version loses pods from the first share to the end of Retire, whatever an autoscaler wants."""
        pods = after.replicas(self.replicas)
        if before.keeps_replicas and after.keeps_replicas and self.memory is not None:
            assert pods >= self.pods, f"{before.phase} -> {after.phase}: {self.pods} -> {pods} pods"
        if after.phase in (Phase.STABLE, Phase.LOAD):
            assert pods == self.replicas
        self.pods = pods

    def check_fallback(self, after: State, seen: Snapshot):
        """The fallback is the previous version if that is ready and never failed; otherwise there is none."""
        judged = after.phase is Phase.SETTLE and after.attempt and after.previous is not None
        warm = judged and pod_guards.is_warm(seen, after.previous)
        assert after.fallback == (after.previous.version if warm else None)
        if after.fallback is not None:
            assert seen.ready_pods(after.fallback) > 0
            assert routing.shares(after)[after.fallback] == 0
            assert after.fallback not in self.rolled_back

    def check_nodes_are_not_to_blame(self, taken: TakenTransition, before: State):
        """No version fails while its pods wait for a node, or within the deadline after one took them."""
        assert taken.cause.reason not in OF_THE_CLUSTER
        pods = self.deployments[taken.version]
        if taken.cause.reason in (Reason.CANDIDATE_UNAVAILABLE, Reason.PROGRESS_DEADLINE_EXCEEDED):
            unusable = self.hints.unusable_seconds(taken.version, self.now) >= 100
            taken_at = pods["disrupted_at"]
            is_recent = taken_at is not None and self.now - taken_at < 100
            assert not is_recent or unusable, f"{taken.message} {taken_at} {self.now}"

    def check_deadline(self, taken: TakenTransition):
        """At least 90 % of a deadline has passed in real time, whatever the clocks of the nodes do."""
        if "within 100 s" in taken.message:
            assert self.seconds - self.phase_began >= 90, taken.message
        if taken.cause.reason is Reason.CANDIDATE_UNAVAILABLE or "fails its readiness" in taken.message:
            since = self.phase_began if self.unavailable_began is None else self.unavailable_began
            assert self.seconds - since >= 9, taken.message

    def check_nobody_sends_to(self, version: int):
        for gateway in self.gateways:
            if gateway.file is not None and self.state.serving is not None:
                shares = {entry["version"]: entry["percent"] for entry in gateway.file["versions"]}
                assert not shares.get(version), (
                    f"version {version} is removed under {gateway.start_id}'s requests"
                )

    def teardown(self):
        """With ready pods and responsive gateways, the rollout becomes stable and then writes nothing."""
        if not hasattr(self, "state"):
            return
        self.stopped, self.held_back = False, None
        for _ in range(60):
            for version in self.deployments:
                self.start_pods(version, problem=None)
            for gateway in self.gateways:
                if self.rollout.paused:
                    gateway.cut_off.clear()  # a paused rollout has no deadline
                if self.config_map is not None:
                    gateway.file = json.loads(self.config_map["data"][names.ROUTING_FILE])
            if self.state.phase is Phase.VERIFY:
                key = (self.state.candidate.version, self.state.attempt)
                if not self.verdicts.get(key, Verdict(True, Reason.READY, "", False)).conclusive:
                    self.verdicts.pop(key, None)
                self.verdicts.setdefault(key, Verdict(True, Reason.READY, ""))
            self.promote = f"at {self.now}"
            for gateway in self.gateways:
                for version in VERSIONS:
                    good, bad, slow = gateway.counters.get(version, (0, 0, 0))
                    gateway.counters[version] = (good + 200, bad, slow)
                gateway.compared += 100
                gateway.agreed += 100
            self.seconds += 15
            self.wrote = False
            self.reconcile()
        assert self.state.phase in (Phase.STABLE, Phase.PENDING), self.state.phase
        assert not self.wrote
        assert self.state.fallback is None
        serving = self.state.serving
        failed = self.state.has_failed(self.goal(self.state).attempt)
        assert failed or (serving is not None and serving.version == self.wanted.version)
        if serving is not None:
            assert routing.shares(self.state) == {serving.version: 100}
            assert set(self.deployments) == {serving.version}


STRATEGY_NAMES = {id(rollout): name for name, rollout in STRATEGIES.items()}

TestRollouts = Rollouts.TestCase
TestRollouts.settings = settings(
    max_examples=60,
    stateful_step_count=40,
    deadline=None,
    report_multiple_bugs=False,
    suppress_health_check=list(HealthCheck),
)


def test_the_state_survives_its_json():
    state = replace(
        State(revision=3, phase=Phase.SHIFT, since=12.5, serving=served(1), candidate=served(2)),
        attempt="a",
        percent=10,
        baseline={"g": {"2": {"requests": 1}}},
        reference=Reference(Window(30, 1, {0.1: 20, float("inf"): 30}), Window(900, 2, {float("inf"): 900})),
    )
    assert State.from_json(json.loads(json.dumps(state.to_json()))) == state


def test_a_step_promoted_by_hand_does_not_wait_for_the_clock_that_stands_still_while_paused() -> None:
    rollouts = Rollouts()
    rollouts.install(strategy="paused", version=1, leftovers={1: (False, False), 2: (True, True)})
    rollouts.teardown()
    assert routing.shares(rollouts.state) == {1: 100}


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


def test_a_version_whose_only_pod_misses_a_probe_is_not_rolled_back() -> None:
    rollouts = settling(Rollouts())
    rollouts.deployments[2].update(ready=False)
    for _ in range(9):
        rollouts.time_passes(1)
    assert rollouts.state.serving == served(2)
    rollouts.deployments[2].update(ready=True)
    rollouts.time_passes(200)
    assert (rollouts.state.serving, rollouts.state.failed) == (served(2), ())


def test_a_version_without_a_ready_pod_for_long_is_rolled_back() -> None:
    rollouts = settling(Rollouts())
    rollouts.deployments[2].update(ready=False)
    rollouts.time_passes(0.2)
    rollouts.time_passes(200)
    assert (rollouts.state.serving, rollouts.state.failed[0].reason) == (served(1), "CandidateUnavailable")


def test_a_previous_version_that_is_not_ready_is_not_a_fallback() -> None:
    rollouts = settling(Rollouts())
    rollouts.deployments[1].update(ready=False)
    rollouts.time_passes(1)
    assert (rollouts.state.serving, rollouts.state.fallback) == (served(2), None)
    rollouts.deployments[1].update(ready=True)
    rollouts.time_passes(1)
    assert rollouts.state.fallback == 1


def test_a_manual_return_to_the_previous_version_leaves_no_fallback() -> None:
    rollouts = settling(Rollouts())
    assert rollouts.state.fallback == 1
    rollouts.the_spec_changes(version=1, memory="1Gi")
    assert (rollouts.state.serving, rollouts.state.fallback) == (served(1), None)


def late(phase: Phase, **seen: object) -> list[str]:
    """The transition of this phase long after its deadline."""
    one, two = served(1), served(2)
    state = State(phase=phase, serving=one, candidate=two, attempt="a", since=0.0)
    observed = Snapshot(
        versions={1: VersionSnapshot(one.input_hash, complete=True, ready_pods=1)},
        gateways=(GatewaySnapshot("g", ready=True),),
        acknowledged_seconds=1.0,
        **seen,
    )
    goal = Goal(wanted=two, attempt="a", rollout=STRATEGIES["at once"])
    return [each.name for each in decide(goal, state, observed, now=1_000.0).taken]


def test_the_deadline_does_not_count_while_children_cannot_be_written() -> None:
    blocked = Problem(Reason.CONFLICT, "Service pizza-serving-v2 belongs to nobody")
    assert late(Phase.LOAD) == ["CandidateFailed", "RolloutFinished"]
    assert late(Phase.VERIFY) == ["CandidateRefused", "RolloutFinished"]
    assert late(Phase.LOAD, blocked=blocked) == late(Phase.VERIFY, blocked=blocked) == []


def test_a_verification_that_exceeds_its_deadline_fails_with_its_cause() -> None:
    problem = Problem(Reason.QUOTA_EXCEEDED, "Job j: pods are refused")
    one, two = served(1), served(2)
    state = State(phase=Phase.VERIFY, serving=one, candidate=two, attempt="a", since=0.0)
    goal = Goal(wanted=two, attempt="a", rollout=STRATEGIES["at once"])
    [failed] = decide(goal, state, Snapshot(verification_problem=problem), now=1_000.0).state.failed
    assert failed.reason == "QuotaExceeded"
    assert "Job j: pods are refused" in failed.message


def test_a_spec_refused_during_a_rollout_sets_the_weight_of_the_candidate_to_zero() -> None:
    """The user returns to version 1 but leaves the image of the candidate in the spec."""
    body = {
        "metadata": {"name": "pizza", "namespace": "food", "uid": "u", "generation": 3},
        "spec": {"model": {"name": "pizza", "version": 1, "source": {"image": {"reference": "pizza:2"}}}},
    }
    one, two = served(1), served(2)
    state = State(phase=Phase.SHIFT, serving=one, candidate=two, percent=30, attempt="a")
    goal = goal_of(api.parse(body), "tf", state)
    assert goal.refused is not None
    seen = Snapshot(gateways=(GatewaySnapshot("g", ready=True),), acknowledged_seconds=1.0)
    decision = decide(goal, state, seen, now=1_000.0)
    assert decision.taken[0].name == "RolloutAbandoned"
    assert routing.shares(decision.state) == {1: 100}


def with_a_share(rollouts: Rollouts) -> Rollouts:
    """Version 2 gets 10 percent; version 1 serves the rest."""
    rollouts.install(strategy="in steps", version=1, leftovers={1: (True, True)})
    version_2_gets_requests(rollouts)
    assert rollouts.state.percent == 10
    return rollouts


@pytest.mark.parametrize("begin", [with_a_share, settling])
@pytest.mark.parametrize("meanwhile", [None, *OF_THE_CLUSTER])
def test_a_version_whose_only_node_is_drained_continues_its_rollout_step(
    begin: Callable[[Rollouts], Rollouts], meanwhile: Reason | None
) -> None:
    rollouts = begin(Rollouts())
    rollouts.time_passes(20)
    before = rollouts.state
    problem = None if meanwhile is None else Problem(meanwhile, "there is no node")
    rollouts.deployments[2].update(ready=False, problem=problem, disrupted_at=rollouts.now)
    rollouts.reconcile()
    for _ in range(9):
        rollouts.time_passes(10)
    if meanwhile is not None:
        rollouts.time_passes(10_000)
    rollouts.deployments[2].update(ready=True, problem=None)
    rollouts.time_passes(1)
    after = rollouts.state
    assert (after.phase, after.percent, after.failed) == (before.phase, before.percent, ())


def test_a_stop_in_a_step_ends_the_candidate_with_the_gateways() -> None:
    rollouts = with_a_share(Rollouts())
    rollouts.the_user_stops_it()
    assert set(rollouts.deployments) == {1}


def test_the_time_without_pods_is_not_part_of_a_step() -> None:
    rollouts = with_a_share(Rollouts())
    rollouts.time_passes(20)
    rollouts.requests_come_in(good=1000, bad=0, slow=0)
    rollouts.deployments[2].update(ready=False, disrupted_at=rollouts.now)
    rollouts.reconcile()
    rollouts.time_passes(60)
    rollouts.deployments[2].update(ready=True)
    rollouts.time_passes(1)
    assert rollouts.state.percent == 10
    rollouts.time_passes(10)
    assert rollouts.state.percent == 50


def test_pods_that_run_and_do_not_answer_have_ten_seconds_after_a_disruption_too() -> None:
    rollouts = with_a_share(Rollouts())
    rollouts.deployments[2].update(ready=False, problem=HANGS, disrupted_at=rollouts.now - 1_000)
    for _ in range(12):
        rollouts.time_passes(1)
    assert [failed.reason for failed in rollouts.state.failed] == ["NotAnswering"]


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


@pytest.mark.parametrize("begin", [without_pods, hanging])
@pytest.mark.parametrize("seconds", [-4_000, -300, 300, 4_000])
@pytest.mark.parametrize(
    "accident", [Rollouts.the_clock_of_the_node_jumps, Rollouts.a_leader_takes_over_whose_clock_differs]
)
def test_a_wrong_clock_neither_shortens_nor_prolongs_a_deadline(
    begin: Callable[[Rollouts], Rollouts], seconds: int, accident: Callable[[Rollouts, int], None]
) -> None:
    rollouts = begin(Rollouts())
    accident(rollouts, seconds)
    rollouts.time_passes(5)
    assert rollouts.state.failed == ()
    rollouts.time_passes(120)
    assert [failed.version for failed in rollouts.state.failed] == [2]


@pytest.mark.parametrize("seconds", [-4_000, -300])
def test_the_previous_version_is_not_kept_longer_by_a_leader_whose_clock_is_behind(seconds: int) -> None:
    rollouts = settling(Rollouts())
    rollouts.a_leader_takes_over_whose_clock_differs(seconds)
    rollouts.time_passes(70)
    assert rollouts.state.previous is None


@pytest.mark.parametrize("phase", [Phase.LOAD, Phase.VERIFY])
def test_the_deadline_starts_again_when_a_node_takes_the_candidates_pods(phase: Phase) -> None:
    one, two = served(1), served(2)
    goal = Goal(wanted=two, attempt="a", rollout=STRATEGIES["at once"])
    state = State(phase=phase, serving=one, candidate=two, attempt="a", since=0.0)

    def names_at(now: float, **of_the_pods: Any) -> list[str]:
        candidate = VersionSnapshot(two.input_hash, complete=False, ready_pods=0, **of_the_pods)
        serving = VersionSnapshot(one.input_hash, complete=True, ready_pods=1)
        seen = Snapshot(versions={1: serving, 2: candidate}, acknowledged_seconds=1.0)
        return [each.name for each in decide(goal, state, seen, now).taken]

    failure = {Phase.LOAD: "CandidateFailed", Phase.VERIFY: "CandidateRefused"}[phase]
    assert names_at(101)[:1] == [failure]
    assert names_at(101, disrupted_at=50.0) == []
    assert names_at(151, disrupted_at=50.0)[:1] == [failure]
    no_node = Problem(Reason.UNSCHEDULABLE, "0/2 nodes are available")
    assert names_at(1_000, disrupted_at=50.0, problem=no_node) == []
    assert names_at(101, problem=no_node)[:1] == [failure]
