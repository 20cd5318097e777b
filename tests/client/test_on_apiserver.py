"""The client on a real API server without the operator: errors, lists, rights and predictions."""

import json
from typing import Any

import pytest

from client_program import Client
from operator_process import CLASSIFIERS

pytestmark = pytest.mark.apiserver


@pytest.fixture
def pizza(apiserver: Any, namespace: str, client: Client) -> str:
    """The namespace of a classifier that no operator has seen."""
    body = {
        "apiVersion": "imageclassifier.dev/v1alpha1",
        "kind": "ImageClassifier",
        "metadata": {"name": "pizza"},
        "spec": {"model": {"version": 1, "source": {"image": {"reference": "pizza:{version}"}}}},
    }
    apiserver.request("POST", CLASSIFIERS.format(namespace), body)
    return namespace


def test_commands_that_would_have_no_effect_are_refused_and_write_nothing(
    client: Client, pizza: str, apiserver: Any
) -> None:
    before = apiserver.request("GET", f"{CLASSIFIERS.format(pizza)}/pizza")
    for command, error in (
        (("promote", "pizza"), "No version is being rolled out"),
        (("retry", "pizza"), "Version 1, which the spec asks for, has not failed"),
        (("resume", "pizza"), "spec.rollout.paused is false already"),
        (("rollback", "pizza"), "Name the version with --to N"),
        (("rollback", "pizza", "--to", "1"), "The spec asks for version 1 already"),
    ):
        result = client(*command, "-n", pizza)
        assert result.code == 1
        [line] = result.err.splitlines()
        assert error in line
    assert apiserver.request("GET", f"{CLASSIFIERS.format(pizza)}/pizza") == before


def test_a_wrong_name_lists_those_that_exist(client: Client, pizza: str) -> None:
    result = client("why", "salad", "-n", pizza)
    assert result.code == 1
    assert result.err == f"error: There is no ImageClassifier salad in namespace {pizza}, only pizza.\n"


def test_an_empty_namespace_says_where_to_look(client: Client, namespace: str) -> None:
    result = client("status", "pizza", "-n", namespace)
    assert "and no other. Choose the namespace with --namespace" in result.err
    assert client("status", "-n", namespace).err == f"There is no ImageClassifier in namespace {namespace}.\n"


def test_the_list_shows_all_namespaces(client: Client, pizza: str) -> None:
    rows = [row.split() for row in client("status", "-A").out.splitlines()]
    assert rows[0] == ["NAMESPACE", "NAME", "WANTED", "TRAFFIC", "STATE"]
    assert [pizza, "pizza", "v1", "none"] in [row[:4] for row in rows]


def test_a_user_without_rights_gets_the_sentence_of_the_api_server(
    apiserver: Any, client: Client, pizza: str
) -> None:
    kubeconfig = apiserver.kubeconfig_of_service_account(pizza, "default")
    result = client("status", "pizza", "--kubeconfig", str(kubeconfig))
    assert result.code == 1
    [line] = result.err.splitlines()
    assert 'cannot get resource "imageclassifiers"' in line
    assert "Ask an administrator for the role view or edit" in line


def test_a_user_who_may_not_read_pods_sees_the_rest(apiserver: Any, client: Client, pizza: str) -> None:
    rules = ("--verb=get,list", "--resource=imageclassifiers.imageclassifier.dev", "-n", pizza)
    apiserver.kubectl("create", "role", "reader", *rules)
    apiserver.kubectl(
        "create", "rolebinding", "reader", "--role=reader", f"--serviceaccount={pizza}:default", "-n", pizza
    )
    kubeconfig = apiserver.kubeconfig_of_service_account(pizza, "default")
    result = client("status", "pizza", "--kubeconfig", str(kubeconfig))
    assert result.code == 0, result.err
    assert "The pods are not shown: pods is forbidden" in result.text


def test_an_unknown_context_and_a_missing_kubeconfig_are_one_line(client: Client, tmp_path: Any) -> None:
    result = client("status", "--context", "moon")
    assert result.code == 1
    assert "moon" in result.err
    assert len(result.err.splitlines()) == 1
    result = client("status", "--kubeconfig", str(tmp_path / "none"))
    assert result.code == 1
    assert len(result.err.splitlines()) == 1


def test_an_api_server_that_does_not_answer_is_named(apiserver: Any, client: Client, tmp_path: Any) -> None:
    kubeconfig = tmp_path / "config"
    kubeconfig.write_text(apiserver.kubeconfig.read_text().replace(apiserver.url, "https://127.0.0.1:9"))
    result = client("status", "--kubeconfig", str(kubeconfig))
    assert result.code == 1
    [line] = result.err.splitlines()
    assert line.startswith("error: The API server https://127.0.0.1:9 does not answer: ")
    assert "connection refused" in line


def test_a_user_who_is_not_known_is_asked_to_sign_in(apiserver: Any, client: Client, tmp_path: Any) -> None:
    config = json.loads(apiserver.kubeconfig.read_text())
    config["users"][0]["user"]["token"] = "wrong"
    kubeconfig = tmp_path / "config"
    kubeconfig.write_text(json.dumps(config))
    result = client("status", "--kubeconfig", str(kubeconfig))
    assert "The cluster does not accept your credentials (context test). Sign in again" in result.err


def test_a_gateway_that_does_not_answer_is_one_line(client: Client, pizza: str, tmp_path: Any) -> None:
    (tmp_path / "dinner.jpg").write_bytes(b"picture")
    result = client("predict", "pizza", str(tmp_path / "dinner.jpg"), "-n", pizza)
    assert result.code == 1
    [line] = result.err.splitlines()
    assert "The gateway of pizza does not answer: services" in line
