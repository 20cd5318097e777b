"""The command line of the client: its help, and wrong arguments."""

import subprocess
import sys
from pathlib import Path

import pytest

from client_program import Client
from imageclassifier_client.cluster import classifiers
from imageclassifier_client.report import pods
from imageclassifier_operator.api import names
from imageclassifier_operator.rollout import PROMOTE_ANNOTATION, RETRY_ANNOTATION

COMMANDS = (
    "status",
    "why",
    "predict",
    "promote",
    "retry",
    "pause",
    "resume",
    "rollback",
    "history",
    "logs",
    "open",
)


def client(*arguments: str, **environment: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "imageclassifier_client", *arguments],
        env={"PATH": "/nowhere", "HOME": "/nowhere", **environment},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch, capsys: object, tmp_path: Path) -> Client:
    return Client(tmp_path / "kubectl", tmp_path / "config", monkeypatch, capsys)


def test_help_lists_each_command_the_variables_and_the_exit_codes(here: Client) -> None:
    result = here("--help")
    assert result.code == 0
    for word in (*COMMANDS, "KUBECONFIG", "KUBECTL", "IMAGECLASSIFIER_API_KEY", "exit codes"):
        assert word in result.out


@pytest.mark.parametrize("command", COMMANDS)
def test_help_of_each_command_has_an_example(here: Client, command: str) -> None:
    result = here(command, "--help")
    assert result.code == 0
    assert f"kubectl imageclassifier {command}" in result.out
    assert "--namespace" in result.out


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("sing",),
        ("status", "--verbose"),
        ("promote",),
        ("status", "pizza", "-o", "yaml"),
        ("rollback", "pizza", "--to", "0"),
        ("rollback", "pizza", "--to", "v2"),
        ("predict", "pizza"),
        ("why", "pizza", "--name", "x"),
    ],
)
def test_a_wrong_argument_is_one_line_with_exit_code_2(here: Client, arguments: tuple[str, ...]) -> None:
    result = here(*arguments)
    assert (result.code, result.out) == (2, "")
    [line] = result.err.splitlines()
    assert "--help`" in line


@pytest.mark.parametrize("arguments", [("status", "--watch"), ("status", "-A", "pizza")])
def test_arguments_that_contradict_each_other_are_refused(here: Client, arguments: tuple[str, ...]) -> None:
    result = here(*arguments)
    assert (result.code, result.out) == (1, "")
    assert len(result.err.splitlines()) == 1


def test_a_missing_kubectl_is_one_line_that_says_what_to_do() -> None:
    result = client("status")
    assert (result.returncode, result.stdout) == (1, "")
    [line] = result.stderr.splitlines()
    assert "kubectl cannot be run: No such file or directory. Install kubectl, or set KUBECTL" in line


def test_the_client_uses_the_names_of_the_operator() -> None:
    assert (classifiers.GROUP, classifiers.VERSION, classifiers.PLURAL) == (
        names.GROUP,
        names.VERSION,
        names.PLURAL,
    )
    assert classifiers.PROMOTE_ANNOTATION == PROMOTE_ANNOTATION
    assert classifiers.RETRY_ANNOTATION == RETRY_ANNOTATION
    assert (pods.LABEL_COMPONENT, pods.LABEL_VERSION) == (names.LABEL_COMPONENT, names.LABEL_MODEL_VERSION)
    selected = classifiers.pod_selection("pizza")["labelSelector"].split(",")
    assert {f"{names.LABEL_NAME}={names.APP}", f"{names.LABEL_INSTANCE}=pizza"} == set(selected)
