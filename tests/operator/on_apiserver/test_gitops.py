"""What GitOps tools make of an ImageClassifier of a real API server while its versions are rolled out."""

import pytest

from install_checkers import gitops
from operator_process import REFUSED, Bench

pytestmark = pytest.mark.apiserver


def outcome(bench: Bench) -> tuple[str, str]:
    """The status that kstatus computes, for Flux and Helm, and the health in Argo CD."""
    [found] = gitops([bench.classifier()])
    return found["kstatus"], found["health"]["status"]


def wait_outcome(bench: Bench, kstatus: str, health: str) -> None:
    bench.wait(lambda: outcome(bench) == (kstatus, health), f"{kstatus} and {health}")


def test_flux_and_argo_cd_wait_for_a_rollout_and_see_how_it_ends(bench: Bench) -> None:
    bench.create(1, rollout={"keepPreviousSeconds": 0}, gateway={"timeoutSeconds": 1})
    assert outcome(bench) == ("InProgress", "Progressing")
    bench.verify(1)
    bench.wait_ready(1)
    assert outcome(bench) == ("Current", "Healthy")
    bench.bump(2)
    assert outcome(bench) == ("InProgress", "Progressing")
    bench.verify(2, REFUSED)
    wait_outcome(bench, "Failed", "Degraded")
    bench.bump(1)
    wait_outcome(bench, "Current", "Healthy")
    bench.patch({"spec": {"stopped": True}})
    wait_outcome(bench, "InProgress", "Suspended")
