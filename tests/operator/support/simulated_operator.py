"""The operator in a simulated cluster: one reconciliation after the other, on objects in memory."""

import json
from dataclasses import replace

from hypothesis import strategies as st
from hypothesis.stateful import initialize

from imageclassifier_operator.api import (
    names,
)
from imageclassifier_operator.api.reasons import Reason
from imageclassifier_operator.observe.types import (
    GatewaySnapshot,
    Snapshot,
    Verdict,
    VersionSnapshot,
)
from imageclassifier_operator.reconcile.memory import Memory
from imageclassifier_operator.rollout import Goal, decide, routing, unusable_candidate
from imageclassifier_operator.rollout.recovery import recover
from imageclassifier_operator.rollout.state import State
from imageclassifier_operator.runtime.clock import SteadyClock
from rollout_invariants import RolloutInvariants
from simulated_cluster import HANGS, STRATEGIES, STRATEGY_NAMES, VERSIONS, Gateway, deployed, served


class SimulatedOperator(RolloutInvariants):
    """Reconciles with the real `recover` and `decide`, and keeps what they write in memory."""

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
