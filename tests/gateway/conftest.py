"""Fixtures of the gateway's tests; the parts are in support/."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, sync_playwright

from fake_model import FakeModel
from gateway_process import GatewayProcess
from gateway_testbed import routing
from laptop import apt
from laptop.progress import step


@pytest.fixture
def make_model() -> Iterator[Callable[..., FakeModel]]:
    """Starts model servers, and stops them after the test."""
    models: list[FakeModel] = []

    def make(**attributes: Any) -> FakeModel:
        models.append(FakeModel(**attributes).start())
        return models[-1]

    yield make
    for model in models:
        model.stop()


@pytest.fixture
def model(make_model: Callable[..., FakeModel]) -> FakeModel:
    return make_model()


@pytest.fixture
def make_gateway(tmp_path: Path) -> Iterator[Callable[..., GatewayProcess]]:
    """Makes gateway processes that are not started yet, and which end with the test."""
    processes: list[GatewayProcess] = []

    def make(**settings: str) -> GatewayProcess:
        directory = tmp_path / f"gateway-{len(processes)}"
        directory.mkdir()
        processes.append(GatewayProcess(directory, **settings))
        return processes[-1]

    yield make
    for process in processes:
        process.stop()


@pytest.fixture(scope="module")
def shared_gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GatewayProcess]:
    """A ready gateway with a model, for tests that leave both as they are."""
    model = FakeModel().start()
    gateway = GatewayProcess(tmp_path_factory.mktemp("gateway"))
    try:
        yield gateway.start_ready(routing(model))
    finally:
        gateway.stop()
        model.stop()


@pytest.fixture(scope="session")
def chromium() -> str:
    """Debian's Chromium; root installs it where it is missing."""
    if shutil.which("chromium") is None:
        with step("Install Chromium, for tests of the page") as current:
            apt.install(["chromium"], current, "install Chromium")
    path = shutil.which("chromium")
    assert path, "The package chromium is installed, but no program chromium is in PATH."
    return path


@pytest.fixture(scope="module")
def browser(chromium: str) -> Iterator[Browser]:
    """A browser for one file of tests: Playwright keeps an event loop running in this thread, and
    `asyncio.run` in the tests of the next file would fail."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"], timeout=180_000)
        yield browser
        browser.close()
