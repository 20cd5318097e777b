"""The commands that decide on rollouts, on a real API server with the operator and fake pods."""

import json
import os
import shlex
import sys

import pytest
from terminal import Terminal

from client_program import Client
from operator_process import REFUSED, Bench

pytestmark = pytest.mark.apiserver


def test_a_rollout_is_paused_promoted_and_rolled_back(bench: Bench, client: Client) -> None:
    def run(command: str, *arguments: str) -> str:
        result = client(command, "pizza", *arguments, "-n", bench.namespace)
        assert result.code == 0, result.err
        return result.text

    bench.create(1)
    bench.verify(1)
    bench.wait_ready(1)
    assert "The next rollout waits for `promote`" in run("pause")
    bench.bump(2)
    bench.verify(2)
    bench.wait(lambda: bench.condition("Progressing").get("reason") == "Paused", "the rollout to pause")
    assert f"`kubectl imageclassifier promote pizza --namespace {bench.namespace}`" in run("why")
    tree = run("status")
    assert "version 1 serving 100 % of the traffic" in tree
    assert "version 2 candidate no traffic" in tree
    assert all(pod["metadata"]["name"] in tree for pod in (*bench.pods("serving"), *bench.pods("gateway")))
    run("promote")
    bench.wait_ready(2)
    assert "To return to version 1" in run("why")
    rows = [row.split()[:2] for row in client("history", "pizza", "-n", bench.namespace).out.splitlines()[1:]]
    assert rows == [["2", "Promoted"], ["1", "Promoted"]]
    assert "Version 1 is still loaded, and gets all traffic again." in run("rollback")
    bench.wait_ready(1)
    run("resume")
    assert not bench.classifier()["spec"]["rollout"]["paused"]
    document = json.loads(client("status", "pizza", "-n", bench.namespace, "-o", "json").out)
    assert (document["ready"], document["servingVersion"]) == (True, 1)
    assert [pod["ready"] for pod in document["gateways"]] == [True, True]


def test_a_failed_version_is_retried_and_then_rolled_back(bench: Bench, client: Client) -> None:
    where = ("-n", bench.namespace)
    bench.create(1)
    bench.verify(1)
    bench.wait_ready(1)
    bench.bump(2)
    bench.verify(2, REFUSED)
    bench.wait(lambda: bench.status().get("failedVersions"), "the refusal in the status")
    why = client("why", "pizza", *where).text
    assert "pizza is not ready: AcceptanceFailed. Version 2 failed: the salad is no pizza" in why
    assert client("retry", "pizza", *where).code == 0
    bench.wait(lambda: bench.status().get("candidateVersion") == 2, "the second attempt")
    assert "Version 1 keeps the traffic" in client("rollback", "pizza", *where).text
    assert bench.classifier()["spec"]["model"]["version"] == 1


@pytest.mark.parametrize("on_a_terminal", [True, False])
def test_the_live_view_shows_each_change_until_it_is_interrupted(
    bench: Bench, client: Client, on_a_terminal: bool
) -> None:
    bench.create(1)
    bench.verify(1)
    bench.wait_ready(1)
    watch = [sys.executable, "-m", "imageclassifier_client", "status", "pizza", "--watch"]
    command = [*watch, "--namespace", bench.namespace]
    if not on_a_terminal:
        command = ["sh", "-c", f"{shlex.join(command)} | cat"]
    with Terminal(command, {**os.environ, "TERM": "xterm", "COLUMNS": "80"}) as terminal:
        terminal.wait_for("version 1   serving")
        bench.bump(2)
        terminal.wait_for("version 2   candidate")
        bench.verify(2)
        terminal.wait_for("version 2   serving")
        terminal.type("\x03")
        code = terminal.process.wait(60)
    if on_a_terminal:
        assert code == 130
