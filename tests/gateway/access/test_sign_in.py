"""Accounts in front of a gateway with API keys: examples/sign-in.yaml with a real oauth2-proxy."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import requests
from free_ports import free_port
from playwright.sync_api import Browser, Page, expect

from bare_apiserver import ControlPlane
from fake_model import FakeModel
from gateway_process import GatewayProcess, request
from gateway_testbed import picture, routing
from key_secret import KeySecret, entry
from sign_in import (
    CLIENT_SECRET,
    PASSWORD,
    USER,
    documented,
    example,
    oauth2_proxy,
    oidc_provider,
    replaced,
)

LARGEST_BYTES = 20 * 1024 * 1024
"""The default of spec.gateway.maxImageBytes."""

expect.set_options(timeout=60_000)  # not how fast it is, but whether


@dataclass(frozen=True)
class Gateway:
    """A gateway with the clients `sign-in`, which is the proxy, and `app`.

    `folder`: the files of the proxy's Secret.
    """

    process: GatewayProcess
    folder: Path


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    folder = tmp_path_factory.mktemp("sign-in")
    (folder / "key").write_text("key-of-sign-in")
    (folder / "client-secret").write_text(CLIENT_SECRET)
    secret = KeySecret(folder / "keys", **{"sign-in": entry("key-of-sign-in"), "app": entry("key-of-app")})
    model = FakeModel().start()
    process = GatewayProcess(folder, GATEWAY_API_KEYS_DIRECTORY=str(secret.folder))
    yield Gateway(process.start_ready(routing(model)), folder)
    process.stop()
    model.stop()


def addresses(gateway: Gateway, port: int) -> dict[str, str]:
    """What this machine has in place of the names and paths of the example."""
    return {
        "0.0.0.0:4180": f"127.0.0.1:{port}",
        "http://pizza-gateway:80": f"http://127.0.0.1:{gateway.process.port}",
        "/etc/sign-in": str(gateway.folder),
    }


@dataclass(frozen=True)
class ForServiceAccounts:
    """The proxy of the example, with an API server that signs the tokens."""

    url: str
    apiserver: ControlPlane

    def token(self, audience: str) -> str:
        """A token of a ServiceAccount, as `kubectl create token default` makes it."""
        return self.apiserver.kubectl("create", "token", "default", f"--audience={audience}").strip()

    def predict(self, body: bytes, **headers: str) -> requests.Response:
        return requests.post(f"{self.url}/predict", body, headers=headers, timeout=60)


@pytest.fixture(scope="module")
def accounts(gateway: Gateway, apiserver: ControlPlane) -> Iterator[ForServiceAccounts]:
    binding = ["clusterrolebinding", "issuer-discovery"]
    apiserver.kubectl(
        *("create", *binding, "--clusterrole=system:service-account-issuer-discovery"),
        "--group=system:unauthenticated",
    )
    configuration, arguments = example()
    port = free_port()
    local = addresses(gateway, port) | {
        "https://kubernetes.default.svc.cluster.local": apiserver.url,
        "/etc/cluster/ca.crt": str(apiserver.certificate),
    }
    with oauth2_proxy(gateway.folder, port, replaced(configuration, local), arguments) as url:
        yield ForServiceAccounts(url, apiserver)
    apiserver.kubectl("delete", *binding)


@pytest.mark.apiserver
def test_a_service_account_gets_a_prediction_under_the_key_of_the_proxy(
    accounts: ForServiceAccounts, gateway: Gateway
) -> None:
    answer = accounts.predict(picture(), Authorization=f"Bearer {accounts.token('pizza')}")
    assert (answer.status_code, answer.json()["prediction"]) == (200, "It's a pizza!")
    assert gateway.process.access_line(answer.headers["x-request-id"])["key"] == "sign-in"


@pytest.mark.apiserver
@pytest.mark.parametrize("header", ["X-API-Key", "x_api_key"])
def test_a_key_that_a_client_sends_is_replaced(
    accounts: ForServiceAccounts, gateway: Gateway, header: str
) -> None:
    authorization = f"Bearer {accounts.token('pizza')}"
    answer = accounts.predict(picture(), **{"Authorization": authorization, header: "key-of-app"})
    assert answer.status_code == 200
    assert gateway.process.access_line(answer.headers["x-request-id"])["key"] == "sign-in"


@pytest.mark.apiserver
def test_a_client_without_a_valid_token_does_not_reach_the_gateway(
    accounts: ForServiceAccounts, gateway: Gateway
) -> None:
    for headers, status in (
        ({}, 401),
        ({"X-API-Key": "key-of-app"}, 401),
        ({"Authorization": "Bearer key-of-app"}, 403),
        ({"Authorization": f"Bearer {accounts.token('salad')}"}, 403),
    ):
        answer = accounts.predict(picture(), **headers)
        assert (answer.status_code, "x-request-id" in answer.headers) == (status, False), headers
    assert request(gateway.process.port, "POST", "/predict", picture()).status == 401


@pytest.mark.apiserver
def test_a_picture_of_the_largest_size_passes_and_a_larger_one_is_refused_by_the_gateway(
    accounts: ForServiceAccounts,
) -> None:
    authorization = f"Bearer {accounts.token('pizza')}"
    largest = picture().ljust(LARGEST_BYTES, b"\0")
    assert accounts.predict(largest, Authorization=authorization).status_code == 200
    refused = accounts.predict(largest + b"\0", Authorization=authorization)
    assert refused.status_code == 413
    assert refused.headers["content-type"] == "application/problem+json"


@pytest.fixture(scope="module")
def people(gateway: Gateway) -> Iterator[str]:
    """The URL of the proxy as docs/api-keys.md configures it for people."""
    configuration, _ = example()
    configuration["providers"] = documented("providers")
    port, provider_port = free_port(), free_port()
    url = f"http://127.0.0.1:{port}"
    with oidc_provider(gateway.folder, provider_port, f"{url}/oauth2/callback") as issuer:
        local = addresses(gateway, port) | {"https://login.example.org": issuer}
        arguments = replaced(
            documented("args"), {"https://pizza.example.org": url, "=example.org": "=zitadel.ch"}
        )
        with oauth2_proxy(gateway.folder, port, replaced(configuration, local), arguments):
            yield url


def test_a_browser_without_a_session_is_sent_to_the_provider_and_a_program_gets_401(people: str) -> None:
    sent = requests.get(people, allow_redirects=False, timeout=60)
    assert sent.status_code == 302
    assert "/auth?" in sent.headers["location"]
    program = requests.post(
        f"{people}/predict", picture(), headers={"Accept": "application/json"}, timeout=60
    )
    assert program.status_code == 401
    assert "x-request-id" not in program.headers


@pytest.mark.browser
def test_a_person_signs_in_and_gets_a_prediction_without_an_api_key(
    people: str, gateway: Gateway, browser: Browser
) -> None:
    context = browser.new_context()
    try:
        page = context.new_page()
        sign_in(page, people)
        choose(page, "pizza.jpg")
        expect(page.get_by_role("heading", name="It's a pizza!")).to_be_visible()
        expect(page.locator("#api-key")).to_be_hidden()
        assert 'key_requests_total{key="sign-in",outcome="accepted"}' in gateway.process.metrics()

        context.clear_cookies()  # the session ends
        choose(page, "another.jpg")
        expect(page.get_by_role("heading", name="Not signed in")).to_be_visible()
        page.reload()
        expect(page.locator("[name=username]")).to_be_visible()
    finally:
        context.close()


def sign_in(page: Page, url: str) -> None:
    page.goto(url)
    page.locator("[name=username]").fill(USER)
    page.locator("[name=password]").fill(PASSWORD)
    page.keyboard.press("Enter")
    page.wait_for_url(f"{url}/")


def choose(page: Page, name: str) -> None:
    chosen: Any = {"name": name, "mimeType": "image/jpeg", "buffer": picture()}
    page.locator("#files").set_input_files([chosen])
