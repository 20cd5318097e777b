"""What the page of another site can do with a gateway through the browser of somebody who opens it."""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient
from playwright.sync_api import Browser, Page
from private_address import private_address

from fake_model import FakeModel
from gateway_process import GatewayProcess
from gateway_testbed import eventually, picture, routing, write_atomically
from imageclassifier_gateway.api.app import create_app
from imageclassifier_gateway.config import Settings
from imageclassifier_gateway.gateway import build_gateway
from imageclassifier_gateway.http.origins import is_foreign

APP = "https://app.example.org"


@dataclass
class Site:
    """A web server of somebody else: a page, and a picture. `asked` are the pictures that were
    requested."""

    address: str
    port: int = 0
    asked: list[str] = field(default_factory=list)

    @property
    def origin(self) -> str:
        return f"http://localhost:{self.port}"

    @property
    def picture(self) -> str:
        return f"http://{self.address}:{self.port}/picture.jpg"


@pytest.fixture
def site() -> Iterator[Site]:
    site = Site(private_address())

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if self.path.endswith(".jpg"):
                site.asked.append(self.path)
            body = (
                picture("red") if self.path.endswith(".jpg") else b"<!doctype html><title>Elsewhere</title>"
            )
            self.send_response(200)
            self.send_header("Content-Type", "image/jpeg" if self.path.endswith(".jpg") else "text/html")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("", 0), Handler)
    site.port = server.server_port
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield site
    server.shutdown()


MakeClient = Callable[..., FlaskClient]


@pytest.fixture
def make_client(tmp_path: Path, model: FakeModel) -> Iterator[MakeClient]:
    """Creates clients of a gateway with these settings."""
    gateways = []

    def make(**settings: Any) -> FlaskClient:
        file = tmp_path / "routing.json"
        write_atomically(file, routing(model))
        gateway = build_gateway(Settings(routing_file=file, url_allow_private_networks=True, **settings))
        gateways.append(gateway)
        gateway.start()
        eventually(lambda: gateway.unready_reason() is None, "the gateway is ready")
        return create_app(gateway).test_client()

    yield make
    for gateway in gateways:
        gateway.stop()


@pytest.mark.parametrize(
    ("headers", "foreign"),
    [
        ({}, False),
        ({"Sec-Fetch-Site": "same-origin", "Origin": "https://proxy.example"}, False),
        ({"Sec-Fetch-Site": "none"}, False),
        ({"Sec-Fetch-Site": "cross-site"}, True),
        ({"Sec-Fetch-Site": "same-site", "Origin": "https://blog.example"}, True),
        ({"Sec-Fetch-Site": "something-new"}, True),
        ({"Origin": "http://gw.example"}, False),
        ({"Origin": "http://gw.example:80"}, False),
        ({"Origin": "https://GW.example"}, False),
        ({"Origin": "http://gw.example:8080"}, True),
        ({"Origin": "http://gw.example.evil"}, True),
        ({"Origin": "null"}, True),
        ({"Origin": ""}, True),
        ({"Origin": "http://["}, True),
        ({"Origin": "null", "Host": ""}, True),
    ],
)
def test_a_request_of_a_page_is_foreign_unless_the_gateway_serves_that_page(
    headers: dict[str, str], foreign: bool
) -> None:
    assert is_foreign({"Host": "gw.example", **headers}.get) is foreign


@pytest.mark.parametrize("body", ["url", "urls"])
@pytest.mark.parametrize("site_of_request", ["cross-site", "same-site"])
def test_a_url_of_a_foreign_page_is_refused_before_it_is_fetched(
    make_client: MakeClient, site: Site, body: str, site_of_request: str
) -> None:
    document = {"url": site.picture} if body == "url" else {"urls": [site.picture]}
    headers = {"Sec-Fetch-Site": site_of_request, "Origin": "https://evil.example"}
    answer = make_client().post("/predict", json=document, headers=headers)
    assert answer.status_code == 403
    problem = answer.get_json(force=True)
    assert problem["type"].endswith(":cross-site-url")
    assert "https://evil.example" in problem["detail"]
    assert "spec.gateway.cors.allowedOrigins" in problem["detail"]
    assert site.asked == []


def test_a_picture_of_a_foreign_page_is_classified(make_client: MakeClient) -> None:
    headers = {"Sec-Fetch-Site": "cross-site", "Origin": "https://evil.example"}
    assert make_client().post("/predict", data=picture(), headers=headers).status_code == 200


@pytest.mark.parametrize("allowed", [(APP,), ("*",), ("https://other.example", APP)])
def test_a_url_of_a_page_that_the_owner_allows_is_fetched(
    make_client: MakeClient, site: Site, allowed: tuple[str, ...]
) -> None:
    client = make_client(cors_allowed_origins=allowed)
    headers = {"Sec-Fetch-Site": "cross-site", "Origin": APP}
    answer = client.post("/predict", json={"url": site.picture}, headers=headers)
    assert answer.get_json()["label"] == "pizza"
    assert answer.headers["Access-Control-Allow-Origin"] == ("*" if allowed == ("*",) else APP)
    assert "X-Request-ID" in answer.headers["Access-Control-Expose-Headers"]


@pytest.mark.parametrize(
    ("content_type", "headers", "read"),
    [
        ("application/json", {}, True),
        ("application/vnd.example+json", {}, True),
        ("application/x-www-form-urlencoded", {}, True),  # curl --data
        (None, {}, True),
        ("text/plain", {}, False),
        ("image/jpeg", {}, False),
        ("application/x-www-form-urlencoded", {"Origin": "http://localhost"}, False),
        (None, {"Origin": "http://localhost"}, False),
        (None, {"Sec-Fetch-Site": "same-origin"}, False),
    ],
)
def test_json_is_read_only_under_a_type_that_no_form_of_a_page_can_have(
    make_client: MakeClient, content_type: str | None, headers: dict[str, str], read: bool
) -> None:
    body = json.dumps({"image": base64.b64encode(picture("red")).decode()})
    answer = make_client().post("/predict", data=body, content_type=content_type, headers=headers)
    assert answer.status_code == (200 if read else 400)
    assert read or "Content-Type: application/json" in answer.get_json(force=True)["detail"]


def preflight(client: FlaskClient, origin: str) -> Any:
    headers = {
        "Origin": origin,
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "content-type,x-user",
    }
    return client.options("/predict", headers=headers)


def test_without_allowed_origins_no_page_elsewhere_may_read_an_answer(make_client: MakeClient) -> None:
    client = make_client()
    for answer in (preflight(client, APP), client.get("/openapi.json", headers={"Origin": APP})):
        assert not [name for name, _ in answer.headers if name.startswith("Access-Control")]


def test_a_preflight_allows_the_origins_that_the_owner_names_and_no_other(make_client: MakeClient) -> None:
    client = make_client(cors_allowed_origins=(APP,))
    allowed = preflight(client, APP)
    assert allowed.status_code == 204
    assert allowed.headers["Access-Control-Allow-Origin"] == APP
    assert "POST" in allowed.headers["Access-Control-Allow-Methods"]
    assert allowed.headers["Access-Control-Allow-Headers"] == "content-type,x-user"
    assert int(allowed.headers["Access-Control-Max-Age"]) > 0
    for origin in ("https://evil.example", "null", APP + ".evil.example"):
        refused = preflight(client, origin)
        assert "Access-Control-Allow-Origin" not in refused.headers
        assert "Origin" in refused.headers["Vary"]  # a cache must not give it to other pages


def test_a_page_that_is_allowed_can_read_a_problem(make_client: MakeClient) -> None:
    client = make_client(cors_allowed_origins=(APP,))
    answer = client.post("/predict", data=b"nonsense", headers={"Origin": APP})
    assert answer.status_code == 415
    assert answer.headers["Access-Control-Allow-Origin"] == APP


def test_a_preflight_does_not_hide_that_other_methods_are_not_allowed(make_client: MakeClient) -> None:
    client = make_client(cors_allowed_origins=(APP,))
    assert client.options("/predict").headers["Allow"]
    assert client.put("/predict").status_code == 405


@pytest.fixture
def page(browser: Browser, site: Site) -> Iterator[Page]:
    """A page of another site in a real browser."""
    page = browser.new_context().new_page()
    page.goto(f"{site.origin}/page.html")
    yield page
    page.context.close()


SEND_BLINDLY = """async ([gateway, url]) => {
    const json = JSON.stringify({url});
    const form = new FormData();
    form.append("url", url);
    for (const body of [json, new Blob([json]), new URLSearchParams({url}), form,
                        new Blob([json], {type: "application/x-www-form-urlencoded"})])
        await fetch(gateway + "/predict", {method: "POST", mode: "no-cors", body}).catch(() => null);
    const element = document.createElement("form");
    element.method = "POST";
    element.action = gateway + "/predict";
    element.enctype = "text/plain";
    const field = document.createElement("input");
    field.name = '{"url": "' + url + '", "x';
    field.value = '": 1}';
    element.append(field);
    document.body.append(element);
    element.submit();
}"""


@pytest.mark.browser
def test_a_page_of_another_site_cannot_make_the_gateway_fetch(
    page: Page, site: Site, make_gateway: Callable[..., GatewayProcess], model: FakeModel
) -> None:
    gateway = make_gateway(GATEWAY_URL_ALLOW_PRIVATE_NETWORKS="true").start_ready(routing(model))
    with page.expect_navigation():
        page.evaluate(SEND_BLINDLY, [f"http://127.0.0.1:{gateway.port}", site.picture])

    def answered() -> list[int]:
        return [line["status"] for line in gateway.log_lines() if line.get("route") == "/predict"]

    eventually(lambda: len(answered()) == 6, "all six requests are logged")
    assert all(400 <= status < 500 for status in answered())
    assert site.asked == []


READ = """async ([gateway, url]) => {
    const headers = {"Content-Type": "application/json", "X-Request-ID": "from-the-page"};
    const answer = await fetch(gateway + "/predict", {method: "POST", headers, body: JSON.stringify({url})});
    return [answer.status, (await answer.json()).label, answer.headers.get("X-Request-ID")];
}"""


@pytest.mark.browser
def test_a_page_of_an_allowed_origin_uses_the_gateway_with_urls(
    page: Page, site: Site, make_gateway: Callable[..., GatewayProcess], model: FakeModel
) -> None:
    gateway = make_gateway(
        GATEWAY_URL_ALLOW_PRIVATE_NETWORKS="true", GATEWAY_CORS_ALLOWED_ORIGINS=site.origin
    ).start_ready(routing(model))
    answer = page.evaluate(READ, [f"http://127.0.0.1:{gateway.port}", site.picture])
    assert answer == [200, "pizza", "from-the-page"]
    assert site.asked == ["/picture.jpg"]
