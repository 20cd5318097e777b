"""On the real cluster: after a code change only the code layer is loaded, and the image runs."""

import time
import uuid
from pathlib import PurePosixPath

import pytest

from images import build, docker, load_into_nodes, recipes
from images.packages import lock_text
from images.recipes import Program
from images.trees import File
from laptop.cluster_state import LAPTOP

pytestmark = pytest.mark.cluster

KUBECTL = ("kubectl", "--kubeconfig=/etc/kubernetes/admin.conf")


@pytest.fixture(scope="module")
def gateway() -> Program:
    return next(program for program in recipes.PROGRAMS if program.name == "gateway")


@pytest.fixture(scope="module")
def node(installed: object, gateway: Program) -> str:
    """A node that has the gateway image of the current sources."""
    names = load_into_nodes.of_cluster(LAPTOP.name)
    load_into_nodes.load(names, build.build_program(gateway, build.build_base()), ())
    return names[0]


def test_a_changed_line_carries_our_code_without_its_dependencies_and_runs(
    gateway: Program, node: str
) -> None:
    marker = f"m{uuid.uuid4().hex}"
    changed = File(PurePosixPath(f"app/src/{marker}.py"), b"print('changed')\n")
    base = build.build_base()
    below = recipes.dependencies_reference(gateway, base, lock_text(gateway))
    wanted = recipes.code(gateway, below, (*build.package_files(gateway), changed))
    alias = f"imageclassifier/gateway:{marker}"
    pod = f"changed-{marker[:8]}"
    try:
        docker.build(wanted)
        carried_bytes = load_into_nodes.load([node], wanted.reference, [alias])
        code_bytes = sum(len(file.content) for file in wanted.files)
        # The sources, what Python compiles from them, and the tar archive around each file.
        assert 0 < carried_bytes < 4 * code_bytes < 4_000_000
        assert load_into_nodes.load([node], wanted.reference, [alias]) == 0
        run = (
            "run",
            pod,
            f"--image={alias}",
            "--image-pull-policy=Never",
            "--restart=Never",
            "--command",
            "--",
        )
        docker.run("exec", node, *KUBECTL, *run, "python", "-m", marker)
        done = ("wait", f"pod/{pod}", "--for=jsonpath={.status.phase}=Succeeded", "--timeout=120s")
        docker.run("exec", node, *KUBECTL, *done)
        assert docker.run("exec", node, *KUBECTL, "logs", pod) == "changed\n"
    finally:
        docker.run("exec", node, *KUBECTL, "delete", "pod", pod, "--ignore-not-found", "--wait=false")
        for name in (wanted.reference, alias):
            docker.run("exec", node, "ctr", "--namespace=k8s.io", "images", "rm", f"docker.io/{name}")
        docker.run("rmi", wanted.reference)


def test_a_missing_base_image_gives_a_one_sentence_error(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("BASE_IMAGE", f"localhost:1/absent:{time.time_ns()}")
    with pytest.raises(SystemExit):
        build.main(["gateway"])
    assert "absent" in capsys.readouterr().err
