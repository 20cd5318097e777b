"""Completion of a command line, as kubectl and the scripts of shells ask for it."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from terminal import Terminal

from imageclassifier_client.cli import parser
from imageclassifier_client.commands.completion import SCRIPTS
from imageclassifier_client.completion import complete
from shells import interactive


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


PROGRAM = """\
#!/bin/sh
# Completes `why -n food pi` and the files of `predict pizza`, and else says how it was called.
if [ "$1" != __complete ]; then echo "called with: $*."
elif [ "$*" = "__complete why -n food pi" ]; then echo pizza; echo :4
elif [ "$2" = predict ]; then echo :0
else echo :4
fi
"""


@pytest.fixture(params=SCRIPTS)
def shell(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Terminal]:
    """A shell that has loaded our script, in a folder with the file dinner.jpg and the program above."""
    program, script = tmp_path / "imageclassifier", tmp_path / "script"
    program.write_text(PROGRAM)
    program.chmod(0o755)
    script.write_text(SCRIPTS[request.param])
    (tmp_path / "dinner.jpg").touch()
    command, environment = interactive(request.param, tmp_path / "home")
    with Terminal(command, {**environment, "PATH": f"{tmp_path}:/usr/bin:/bin", "TERM": "dumb"}) as terminal:
        terminal.type(f"cd {tmp_path}; source script; echo load''ed\r")
        terminal.wait_for("loaded")
        yield terminal


@pytest.mark.parametrize(
    ("typed", "called"),
    [
        ("why -n food pi\t", "why -n food pizza"),
        ("predict pizza din\t", "predict pizza dinner.jpg"),
        ("why pizza din\t", "why pizza din"),
    ],
    ids=["a name", "a file where the program takes one", "no file elsewhere"],
)
def test_a_shell_completes_when_the_user_presses_tab(shell: Terminal, typed: str, called: str) -> None:
    shell.type(f"imageclassifier {typed}")
    shell.type("\r")
    shell.wait_for(f"called with: {called}.")
