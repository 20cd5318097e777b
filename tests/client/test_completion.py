"""Completion of a command line, as kubectl and the scripts of shells ask for it."""

import subprocess
from pathlib import Path
from typing import Any

import pytest

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


def test_the_script_of_bash_completes(tmp_path: Path) -> None:
    program = tmp_path / "imageclassifier"
    program.write_text('#!/bin/sh\necho "$*"\necho other\necho :4\n')
    program.chmod(0o755)
    script = f"""
        {SCRIPTS["bash"]}
        COMP_WORDS=(imageclassifier why -n food ""); COMP_CWORD=4
        _imageclassifier
        printf '%s\\n' "${{COMPREPLY[@]}}"
    """
    result = subprocess.run(
        ["bash", "-c", script], env={"PATH": f"{tmp_path}:/usr/bin:/bin"}, capture_output=True, text=True
    )
    assert [line.rstrip() for line in result.stdout.splitlines()] == ["__complete why -n food", "other"], (
        result.stderr
    )
