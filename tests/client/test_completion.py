"""Completion of a command line, as kubectl and the scripts of shells ask for it."""

from pathlib import Path
from typing import Any

import pytest
from terminal import Terminal

from imageclassifier_client.cli import parser
from imageclassifier_client.commands.completion import SCRIPTS
from imageclassifier_client.completion import complete


def candidates(*words: str) -> list[str]:
    return complete(parser("imageclassifier"), words)


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("sta",), ["status", ":4"]),
        (("pr",), ["predict", "promote", ":4"]),
        (("sing", ""), [":4"]),
        (("rollback", "pizza", "--t"), ["--to", ":4"]),
        (("status", "pizza", "-o", ""), ["text", "json", ":4"]),
        (("logs", "pizza", "--component", "g"), ["gateway", ":4"]),
        (("predict", "pizza", "dinner"), [":0"]),
        (("predict", "pizza", "dinner.jpg", "-n", "food", "lun"), [":0"]),
        (("batch", "pizza", "--pictures", "photo"), [":4"]),
        (("why", "pizza", ""), [":4"]),
        (("status", "--kubeconfig", "con"), [":0"]),
        (("completion", "z"), ["zsh", ":4"]),
    ],
)
def test_the_candidates_of_a_command_line(words: tuple[str, ...], expected: list[str]) -> None:
    assert candidates(*words) == expected


def test_without_a_cluster_there_are_no_names(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KUBECTL", "/nowhere/kubectl")
    assert candidates("why", "") == [":4"]


@pytest.mark.apiserver
def test_names_namespaces_and_contexts_come_from_the_cluster(
    client: Any, apiserver: Any, namespace: str
) -> None:
    body = {
        "apiVersion": "imageclassifier.dev/v1alpha1",
        "kind": "ImageClassifier",
        "metadata": {"name": "pizza"},
        "spec": {"model": {"version": 1, "source": {"image": {"reference": "pizza:{version}"}}}},
    }
    apiserver.request(
        "POST", f"/apis/imageclassifier.dev/v1alpha1/namespaces/{namespace}/imageclassifiers", body
    )
    assert client("__complete", "why", "-n", namespace, "p").out == "pizza\n:4\n"
    assert namespace in client("__complete", "why", "-n", "test-").out.splitlines()
    assert client("__complete", "why", "--context", "").out == "test\n:4\n"


BASH = ("bash", "--norc", "--noprofile", "-i")
PROGRAM = """\
#!/bin/sh
# Completes `why -n food pi`, and else says how it was called.
if [ "$1" != __complete ]; then echo "called with: $*."
elif [ "$*" = "__complete why -n food pi" ]; then echo pizza; echo :4
else echo :4
fi
"""


def test_bash_completes_a_name_when_the_user_presses_tab(tmp_path: Path) -> None:
    program, script = tmp_path / "imageclassifier", tmp_path / "script"
    program.write_text(PROGRAM)
    program.chmod(0o755)
    script.write_text(SCRIPTS["bash"])
    environment = {"PATH": f"{tmp_path}:/usr/bin:/bin", "HOME": str(tmp_path), "TERM": "dumb"}
    with Terminal(BASH, environment) as terminal:
        terminal.type(f"source {script}; echo load''ed\r")
        terminal.wait_for("loaded")
        terminal.type("imageclassifier why -n food pi\t")
        terminal.wait_for("pizza")
        terminal.type("\r")
        terminal.wait_for("called with: why -n food pizza.")


def test_the_script_of_bash_offers_files_where_the_program_does(tmp_path: Path) -> None:
    program = tmp_path / "imageclassifier"
    program.write_text("#!/bin/sh\necho :0\n")
    program.chmod(0o755)
    (tmp_path / "dinner.jpg").touch()
    with Terminal(BASH, {"PATH": f"{tmp_path}:/usr/bin:/bin", "HOME": str(tmp_path)}) as terminal:
        (tmp_path / "script").write_text(SCRIPTS["bash"])
        terminal.type(f"cd {tmp_path}; source script; echo load''ed\r")
        terminal.wait_for("loaded")
        terminal.type("imageclassifier predict pizza din\t")
        terminal.wait_for("dinner.jpg")
