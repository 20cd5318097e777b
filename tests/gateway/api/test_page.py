"""The page in a real browser: every way to give a picture, on a screen and on a phone, by mouse and by
keyboard."""

from __future__ import annotations

import base64
import io
import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Browser, Page, Route, expect

from fake_model import CONTRACT, FakeModel
from gateway_process import GatewayProcess
from gateway_process import request as http_request
from gateway_testbed import picture, routing
from key_secret import KeySecret, entry

pytestmark = pytest.mark.browser

SMALL_IMAGE_BYTES = 1024 * 1024

expect.set_options(timeout=60_000)  # not how fast it is, but whether


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GatewayProcess]:
    model = FakeModel().start()
    process = GatewayProcess(tmp_path_factory.mktemp("gateway"))
    yield process.start_ready(routing(model))
    process.stop()
    model.stop()


@pytest.fixture
def small(make_gateway: Callable[..., GatewayProcess], model: FakeModel) -> GatewayProcess:
    """A gateway that takes small pictures only, and two of them in one request."""
    return make_gateway(GATEWAY_MAX_IMAGE_BYTES=str(SMALL_IMAGE_BYTES)).start_ready(routing(model))


@pytest.fixture
def open_page(browser: Browser, gateway: GatewayProcess, request: pytest.FixtureRequest) -> Iterator[Any]:
    """Opens the page; at the end nothing may have been refused, logged as an error, or asked of another
    host."""
    pages: list[tuple[Page, list[str]]] = []

    def open_it(at: GatewayProcess = gateway, **context: Any) -> Page:
        page = browser.new_context(**context).new_page()
        complaints: list[str] = []
        page.on(
            "console", lambda message: complaints.append(message.text) if message.type == "error" else None
        )
        page.on("pageerror", lambda error: complaints.append(str(error)))
        origin = f"http://127.0.0.1:{at.port}"
        page.on(
            "request",
            lambda asked: (
                None if asked.url.startswith((origin, "blob:", "data:")) else complaints.append(asked.url)
            ),
        )
        page.goto(origin)
        pages.append((page, complaints))
        return page

    yield open_it
    folder = Path(os.environ.get("SCREENSHOTS", "")) if os.environ.get("SCREENSHOTS") else None
    for index, (page, complaints) in enumerate(pages):
        if folder is not None:
            page.screenshot(path=folder / f"{request.node.name}-{index}.png", full_page=True)
        page.context.close()
        # A refused picture is answered with 4xx, which Chromium logs as an error of the network.
        assert [each for each in complaints if "Failed to load resource" not in each] == []


def file(colour: str, name: str) -> Any:
    return {"name": name, "mimeType": "image/jpeg", "buffer": picture(colour, size=(640, 480))}


def choosing(page: Page) -> Page:
    """A page whose file dialogs get a picture as soon as they open."""
    page.on("filechooser", lambda chooser: chooser.set_files([file("red", "margherita.jpg")]))
    # Chromium hands its dialogs over from some moment after the line above; a full turn is after it.
    page.reload()
    return page


def test_a_chosen_picture_is_answered_with_its_classes_version_and_time(open_page: Any) -> None:
    page = choosing(open_page())
    page.get_by_role("button", name="Choose pictures").click()
    card = page.get_by_role("article")
    expect(card.get_by_role("heading")).to_have_text("It's a pizza!")
    expect(card.get_by_role("listitem")).to_have_count(2)
    expect(card.get_by_role("listitem").first).to_contain_text("pizza")
    expect(card.get_by_role("listitem").first).to_contain_text("%")
    expect(card).to_contain_text("pizza-model, version 1")
    expect(card).to_contain_text("ms")
    expect(card.get_by_role("img")).to_be_visible()


def test_several_pictures_become_a_grid_in_which_a_bad_one_has_its_own_error(open_page: Any) -> None:
    page = open_page()
    files = [file("red", f"pizza-{i}.jpg") for i in range(10)]
    files += [{"name": "notes.txt", "mimeType": "text/plain", "buffer": b"hello"}, file("blue", "sea.jpg")]
    page.locator("#files").set_input_files(files)
    expect(page.get_by_role("article")).to_have_count(12)
    expect(page.get_by_text("It's a pizza!")).to_have_count(10)
    expect(page.get_by_role("article").nth(10)).to_contain_text("not a picture")
    expect(page.get_by_role("article").nth(11).get_by_role("heading")).to_have_text("Not a pizza.")


def half_map(pixels: Any) -> Any:
    """Maps whose right half speaks for `pizza`, and whose left half speaks against it."""
    right = np.array([-1.0, 1.0], np.float32)
    return np.tile(np.stack([-right, right], axis=-1)[None, None], (len(pixels), 4, 1, 1)).reshape(
        -1, 4, 2, 2
    )


def test_the_switch_shows_where_the_model_looked_and_the_picture_again(
    open_page: Any, make_gateway: Callable[..., GatewayProcess], make_model: Callable[..., FakeModel]
) -> None:
    model = make_model(version=1, contract={**CONTRACT, "explain": {}}, maps=half_map)
    page = open_page(make_gateway().start_ready(routing(model)))
    page.locator("#files").set_input_files([file("red", "a.jpg"), file("red", "b.jpg")])
    card = page.get_by_role("article").first
    expect(card.get_by_role("img")).to_have_attribute("src", re.compile("^blob:"))
    page.get_by_label("Show where the model looked").check()
    expect(page.locator("article img[src^='data:image/png']")).to_have_count(2)
    expect(page.get_by_text("It's a pizza!")).to_have_count(2)
    expect(page.get_by_text("speaks for the prediction")).to_be_visible()
    page.get_by_label("Show where the model looked").uncheck()
    expect(page.locator("article img[src^='blob:']")).to_have_count(2)
    expect(page.get_by_text("speaks for the prediction")).to_be_hidden()


def test_a_model_without_heat_maps_still_answers_and_the_switch_says_so(open_page: Any) -> None:
    page = open_page()
    page.get_by_label("Show where the model looked").check()
    page.locator("#files").set_input_files([file("red", "a.jpg"), file("blue", "b.jpg")])
    expect(page.get_by_role("article").get_by_role("heading")).to_have_text(["It's a pizza!", "Not a pizza."])
    expect(page.get_by_text("This model does not say where it looked.")).to_be_visible()
    expect(page.get_by_label("Show where the model looked")).to_be_disabled()


def test_the_legend_goes_with_the_heat_maps(
    open_page: Any, make_gateway: Callable[..., GatewayProcess], make_model: Callable[..., FakeModel]
) -> None:
    model = make_model(version=1, contract={**CONTRACT, "explain": {}}, maps=half_map)
    page = open_page(make_gateway().start_ready(routing(model)))
    page.get_by_label("Show where the model looked").check()
    page.locator("#files").set_input_files([file("red", "a.jpg")])
    expect(page.get_by_text("speaks for the prediction")).to_be_visible()
    deliver_text(page, "drop", "http://10.0.0.1/lunch.jpg")
    expect(page.get_by_role("article")).to_contain_text("The URL is not allowed")
    expect(page.get_by_text("speaks for the prediction")).to_be_hidden()


def test_pictures_share_requests_once_the_model_is_known_to_have_no_heat_maps(open_page: Any) -> None:
    page = open_page()
    sent: list[str] = []
    page.on("request", lambda asked: sent.append(asked.url) if "/predict" in asked.url else None)
    page.get_by_label("Show where the model looked").check()
    page.locator("#files").set_input_files([file("red", f"{index}.jpg") for index in range(10)])
    expect(page.get_by_text("It's a pizza!")).to_have_count(10)
    # One picture with and without a heat map, then eight and one.
    assert ["explain" in url for url in sent] == [True, False, False, False]


def test_pictures_that_were_replaced_are_sent_no_more(open_page: Any) -> None:
    page = open_page()
    routes: list[Route] = []

    def hold_the_first(route: Route) -> None:
        routes.append(route)
        if len(routes) > 1:
            route.continue_()

    page.route("**/predict", hold_the_first)
    with page.expect_request("**/predict"):
        page.locator("#files").set_input_files([file("red", f"{index}.jpg") for index in range(20)])
    deliver(page, "drop", "blue")
    expect(page.get_by_role("heading", name="Not a pizza.")).to_be_visible()
    with page.expect_response("**/predict"):
        routes[0].continue_()
    page.wait_for_timeout(300)
    assert len(routes) == 2
    expect(page.get_by_role("article")).to_have_count(1)


def noise(name: str) -> Any:
    """A picture of 1 MB: random pixels, which no format compresses."""
    buffer = io.BytesIO()
    pixels = np.random.default_rng(1).integers(0, 255, (560, 560, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(buffer, "PNG")
    return {"name": name, "mimeType": "image/png", "buffer": buffer.getvalue()}


def test_pictures_that_are_too_many_for_one_request_take_several(
    open_page: Any, small: GatewayProcess
) -> None:
    page = open_page(small)
    files = [noise(f"{index}.png") for index in range(8)]
    assert len(files[0]["buffer"]) < SMALL_IMAGE_BYTES
    page.locator("#files").set_input_files(files)
    expect(page.get_by_role("article").get_by_role("listitem")).to_have_count(16)
    # A picture that is too large by itself is refused; the others are classified.
    large = {**files[0], "buffer": files[0]["buffer"] + bytes(2 * SMALL_IMAGE_BYTES)}
    page.locator("#files").set_input_files([files[0], large, files[1]])
    expect(page.get_by_role("article").get_by_role("listitem")).to_have_count(4)
    expect(page.get_by_role("article").nth(1)).to_contain_text("too large")


def test_previews_are_released_when_their_cards_are_removed(open_page: Any) -> None:
    page = open_page()
    page.evaluate(
        """() => {
            window.kept = new Set();
            const {createObjectURL, revokeObjectURL} = URL;
            URL.createObjectURL = (file) => {
                const url = createObjectURL.call(URL, file);
                window.kept.add(url);
                return url;
            };
            URL.revokeObjectURL = (url) => { window.kept.delete(url); revokeObjectURL.call(URL, url); };
        }"""
    )
    page.locator("#files").set_input_files([file("red", "a.jpg"), file("red", "b.jpg")])
    expect(page.get_by_role("article").get_by_role("listitem")).to_have_count(4)
    assert page.evaluate("window.kept.size") == 2
    deliver(page, "drop", "red")
    expect(page.get_by_role("article").get_by_role("listitem")).to_have_count(2)
    assert page.evaluate("window.kept.size") == 1
    page.get_by_label("or enter the URL of a picture").fill("http://10.0.0.1/")
    page.get_by_role("button", name="Classify").click()
    expect(page.get_by_role("article")).to_contain_text("The URL is not allowed")
    assert page.evaluate("window.kept.size") == 0


#: Dispatches a drop or a paste with what `fill` puts into the transfer, as the browser would.
_DISPATCH = """(event, fill) => {
    const transfer = new DataTransfer();
    fill(transfer);
    const init = {bubbles: true, cancelable: true};
    const made = event === "drop"
        ? new DragEvent("drop", {...init, dataTransfer: transfer})
        : new ClipboardEvent("paste", {...init, clipboardData: transfer});
    document.body.dispatchEvent(made);
}"""


def deliver(page: Page, event: str, colour: str) -> None:
    """Drops or pastes a picture."""
    page.evaluate(
        f"""([event, data]) => ({_DISPATCH})(event, (transfer) => {{
            const bytes = Uint8Array.from(atob(data), (c) => c.charCodeAt(0));
            transfer.items.add(new File([bytes], "photo.jpg", {{type: "image/jpeg"}}));
        }})""",
        [event, base64.b64encode(picture(colour)).decode()],
    )


def deliver_text(page: Page, event: str, text: str) -> None:
    """Drops or pastes text, such as the link of a picture on another page."""
    page.evaluate(
        f"([event, text]) => ({_DISPATCH})(event, (transfer) => transfer.setData('text/plain', text))",
        [event, text],
    )


@pytest.mark.parametrize("event", ["drop", "paste"])
def test_a_dropped_or_pasted_picture_is_answered(open_page: Any, event: str) -> None:
    page = open_page()
    deliver(page, event, "red")
    expect(page.get_by_role("heading", name="It's a pizza!")).to_be_visible()


def test_a_url_is_sent_and_a_refusal_is_a_readable_sentence(open_page: Any) -> None:
    page = open_page()
    page.get_by_label("or enter the URL of a picture").fill("http://169.254.169.254/latest")
    page.get_by_role("button", name="Classify").click()
    expect(page.get_by_role("article")).to_contain_text("The URL is not allowed")


@pytest.mark.parametrize("event", ["drop", "paste"])
def test_a_dropped_or_pasted_link_is_sent_as_a_url(open_page: Any, event: str) -> None:
    page = open_page()
    deliver_text(page, event, "http://10.0.0.1/lunch.jpg")
    expect(page.get_by_role("article")).to_contain_text("The URL is not allowed")
    expect(page.locator("#url")).to_have_value("http://10.0.0.1/lunch.jpg")


@pytest.mark.parametrize("event", ["drop", "paste"])
def test_other_text_that_is_dropped_or_pasted_sends_nothing(open_page: Any, event: str) -> None:
    page = open_page()
    deliver_text(page, event, "javascript:alert(1)")
    expect(page.get_by_role("article")).to_have_count(0)


def test_classifying_without_a_url_asks_for_one_where_it_is_missing(open_page: Any) -> None:
    page = open_page()
    page.get_by_role("button", name="Classify").click()
    field = page.get_by_label("or enter the URL of a picture")
    expect(field).to_be_focused()
    assert field.evaluate("field => field.validationMessage") == "Enter the URL of a picture first."
    expect(page.get_by_role("article")).to_have_count(0)
    field.fill("http://10.0.0.1/")
    field.press("Enter")
    expect(page.get_by_role("article")).to_contain_text("The URL is not allowed")
    assert field.evaluate("field => field.validationMessage") == ""


def test_everything_works_by_keyboard_alone(open_page: Any) -> None:
    page = choosing(open_page())
    reached = []
    for _ in range(6):
        page.keyboard.press("Tab")
        reached.append(page.evaluate("document.activeElement.id || document.activeElement.tagName"))
    assert reached == ["choose", "photograph", "url", "send-url", "explain", "A"]
    page.locator("#choose").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="It's a pizza!")).to_be_visible()
    page.locator("#url").focus()
    page.keyboard.type("http://10.0.0.1/")
    page.keyboard.press("Enter")
    expect(page.get_by_role("article")).to_contain_text("The URL is not allowed")


@pytest.mark.parametrize("size", [(270, 600), (60, 2000), (600, 600), (2000, 60)])
def test_the_prediction_is_in_view_for_every_picture_shape(open_page: Any, size: tuple[int, int]) -> None:
    page = open_page(viewport={"width": 375, "height": 740})
    data = picture("red", size=size)
    page.locator("#files").set_input_files([{"name": "a.jpg", "mimeType": "image/jpeg", "buffer": data}])
    heading = page.get_by_role("article").get_by_role("heading")
    expect(heading).to_have_text("It's a pizza!")
    box = page.get_by_role("article").get_by_role("img").bounding_box()
    assert box["width"] / box["height"] == pytest.approx(4 / 3, rel=0.01)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [320, 390, 1280])
def test_it_fits_a_phone_and_a_screen_in_light_and_dark(open_page: Any, width: int, scheme: str) -> None:
    page = open_page(viewport={"width": width, "height": 800}, color_scheme=scheme)
    page.locator("#files").set_input_files(
        [file("red", "a-very-long-file-name-" * 5 + ".jpg"), file("blue", "b.jpg")]
    )
    expect(page.get_by_role("article").get_by_role("listitem")).to_have_count(4)
    assert page.evaluate("document.documentElement.scrollWidth") <= width, "the page scrolls sideways"
    ground = page.evaluate("getComputedStyle(document.documentElement).backgroundColor")
    red = int(ground.removeprefix("rgb(").split(",")[0])
    assert (red < 128) == (scheme == "dark")


def test_the_page_asks_for_an_api_key_once_and_keeps_it_for_its_tab(
    open_page: Any, make_gateway: Callable[..., GatewayProcess], model: FakeModel, tmp_path: Path
) -> None:
    secret = KeySecret(tmp_path / "keys", app=entry("key-of-app"))
    gateway = make_gateway(GATEWAY_API_KEYS_DIRECTORY=str(secret.folder)).start_ready(routing(model))
    page = open_page(gateway)
    field = page.locator("#api-key")
    expect(field).to_be_hidden()
    deliver(page, "drop", "red")
    expect(page.get_by_label("This classifier needs an API key")).to_be_focused()
    page.keyboard.type("clé")
    page.keyboard.press("Enter")
    assert "letters, digits and signs" in field.evaluate("field => field.validationMessage")
    field.fill("wrong")
    page.get_by_role("button", name="Continue").click()
    expect(page.get_by_label("The API key is not valid. Enter another one")).to_be_focused()
    page.keyboard.type("key-of-app")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="It's a pizza!")).to_be_visible()
    expect(field).to_be_hidden()
    page.reload()
    page.locator("#files").set_input_files([file("blue", "sea.jpg"), file("red", "pizza.jpg")])
    expect(page.get_by_role("article").get_by_role("listitem")).to_have_count(4)
    assert page.evaluate("localStorage.length") == 0, "a key outlives its tab"


def test_pictures_that_are_chosen_while_the_page_asks_replace_those_that_wait(
    open_page: Any, make_gateway: Callable[..., GatewayProcess], model: FakeModel, tmp_path: Path
) -> None:
    secret = KeySecret(tmp_path / "keys", app=entry("key-of-app"))
    gateway = make_gateway(GATEWAY_API_KEYS_DIRECTORY=str(secret.folder)).start_ready(routing(model))
    page = open_page(gateway)
    deliver(page, "drop", "blue")
    deliver(page, "drop", "red")
    page.get_by_label("This classifier needs an API key").fill("key-of-app")
    page.get_by_role("button", name="Continue").click()
    expect(page.get_by_role("heading", name="It's a pizza!")).to_be_visible()
    assert 'key_requests_total{key="app",outcome="accepted"} 1.0' in gateway.metrics()


def test_an_unreachable_gateway_is_reported(open_page: Any) -> None:
    page = open_page()
    page.context.route("**/predict", lambda route: route.abort())
    deliver(page, "drop", "red")
    expect(page.get_by_role("article")).to_contain_text("The page cannot reach the server")


@pytest.mark.parametrize(
    "answer",
    [
        {"status": 502, "content_type": "text/html", "body": "<html>Bad Gateway</html>"},
        {"status": 502, "content_type": "application/json", "body": '{"message": "no upstream"}'},
        {"status": 200, "content_type": "text/html", "body": "<html>Sign in</html>"},
    ],
    ids=["page", "other JSON", "sign-in"],
)
def test_a_proxy_error_is_distinguished_from_an_unreachable_gateway(
    open_page: Any, answer: dict[str, Any]
) -> None:
    page = open_page()
    page.context.route("**/predict", lambda route: route.fulfill(**answer))
    deliver(page, "drop", "red")
    expect(page.get_by_role("article").get_by_role("heading")).to_have_text("No response")
    expect(page.get_by_role("article")).to_contain_text(f"A proxy sent status {answer['status']}")


def test_a_class_name_with_markup_stays_text(open_page: Any) -> None:
    page = open_page()
    evil = '<img src=x onerror="document.title=1">'
    answer = {
        "prediction": evil, "label": evil, "probability": 1, "probabilities": {evil: 1},
        "model": {"name": evil, "version": 1}, "request_id": "x", "timings_ms": {"total": 1},
    }  # fmt: skip
    page.context.route("**/predict", lambda route: route.fulfill(json=answer))
    deliver(page, "drop", "red")
    expect(page.get_by_role("heading", name="<img")).to_be_visible()
    assert page.title() == "What is in the picture?"


def test_the_policy_forbids_everything_from_elsewhere(gateway: GatewayProcess) -> None:
    for path in ("/", "/page.js", "/page.css", "/openapi.json"):
        answer = http_request(gateway.port, "GET", path)
        assert answer.status == 200
        policy = answer.headers["content-security-policy"]
        assert policy.startswith("default-src 'none'")
        assert "unsafe" not in policy
        assert "http" not in policy
        assert answer.headers["x-content-type-options"] == "nosniff"
