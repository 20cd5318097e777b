"""What must hold in each simulated rollout, whatever happens in the cluster."""

import json

from hypothesis.stateful import RuleBasedStateMachine, invariant

from imageclassifier_operator.api import (
    names,
)
from imageclassifier_operator.api.reasons import Reason
from imageclassifier_operator.observe.types import (
    Snapshot,
    Verdict,
)
from imageclassifier_operator.rollout import routing
from imageclassifier_operator.rollout.decision import TakenTransition
from imageclassifier_operator.rollout.guards import pods as pod_guards
from imageclassifier_operator.rollout.state import Phase, State
from simulated_cluster import OF_THE_CLUSTER, VERSIONS


class RolloutInvariants(RuleBasedStateMachine):
    """The invariants that hypothesis checks, and the checks that a simulated reconciliation calls."""

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
