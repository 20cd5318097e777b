"""Which requests an API key opens, and how often."""

from __future__ import annotations

from pathlib import Path

import pytest

from imageclassifier_gateway.access.api_keys import OPEN_PATHS, ApiKeys
from imageclassifier_gateway.access.key_folder import KeyFolder
from imageclassifier_gateway.problems import Problem
from imageclassifier_gateway.stats import Stats
from key_secret import KeySecret, entry

SHOP = ("X-API-Key", "s")


class Door:
    """API keys in a folder, with a clock that stands still."""

    def __init__(self, folder: Path, **entries: str) -> None:
        self.secret = KeySecret(folder, **entries)
        self.folder = KeyFolder(self.secret.folder)
        self.folder.look()
        self.now = 100.0
        self.stats = Stats()
        self._keys = ApiKeys(self.folder, self.stats, lambda: self.now)

    def ask(self, *headers: tuple[str, str], method: str = "POST", path: str = "/predict") -> str:
        """Whose request it is; the cause if it is refused."""

        def values(name: bytes) -> list[bytes]:
            return [value.encode() for key, value in headers if key.lower().encode() == name]

        try:
            return self._keys.check(method, path, values)
        except Problem as problem:
            self.problem = problem
            return problem.cause

    def change(self, **entries: str) -> None:
        self.secret.write(**entries)
        self.folder.look()


@pytest.fixture
def door(tmp_path: Path) -> Door:
    return Door(tmp_path / "keys", shop=entry("s", "rate=2 burst=3"), app=entry("a"))


@pytest.mark.parametrize(
    ("headers", "answer"),
    [
        ([], "key-missing"),
        ([("Authorization", "Basic c2hvcDpz")], "key-missing"),
        ([("X-API-Key", "  ")], "key-missing"),
        ([("X-API-Key", "S")], "key-refused"),
        ([("X-API-Key", "s" * 8000)], "key-refused"),
        ([("Authorization", "Bearer wrong")], "key-refused"),
        ([SHOP], "shop"),
        ([("x-api-key", " s ")], "shop"),
        ([("Authorization", "bearer   s")], "shop"),
        ([("Authorization", "Basic c2hvcDpz"), SHOP], "shop"),
        ([("Authorization", "Bearer of-the-proxy"), SHOP], "shop"),
        ([SHOP, ("X-API-Key", "a")], "bad-request"),
        ([("Authorization", "Bearer s"), ("Authorization", "Bearer a")], "bad-request"),
    ],
)
def test_a_key_is_read_from_either_header(door: Door, headers: list[tuple[str, str]], answer: str) -> None:
    assert door.ask(*headers) == answer


def test_every_path_but_the_open_ones_needs_a_key_however_it_is_written(door: Door) -> None:
    closed = [
        "/predict",
        "/%70redict",
        "//predict",
        "/v1/models/m:predict",
        "/v2",
        "/v2/models/m/infer",
        "/x",
    ]
    closed += [f"{path}/" for path in OPEN_PATHS if path != "/"]
    assert [door.ask(path=path) for path in closed] == ["key-missing"] * len(closed)
    assert [door.ask(method="GET", path=path) for path in OPEN_PATHS] == [""] * len(OPEN_PATHS)


def test_a_preflight_request_of_a_browser_needs_no_key(door: Door) -> None:
    assert door.ask(method="OPTIONS") == ""


def test_a_client_gets_its_burst_at_once_and_then_its_rate(door: Door) -> None:
    assert [door.ask(SHOP) for _ in range(4)] == ["shop", "shop", "shop", "rate-limited"]
    assert door.problem.headers["Retry-After"] == "1"
    assert "'shop' allows 2 requests per second and 3 at once" in door.problem.detail
    door.now += 0.5
    assert [door.ask(SHOP) for _ in range(2)] == ["shop", "rate-limited"]
    door.now += 3600
    assert [door.ask(SHOP) for _ in range(4)] == ["shop", "shop", "shop", "rate-limited"]


def test_a_client_at_its_limit_takes_nothing_from_another(door: Door) -> None:
    for _ in range(5):
        door.ask(SHOP)
    assert [door.ask(("X-API-Key", "a")) for _ in range(1000)] == ["app"] * 1000


def test_a_request_without_a_valid_key_costs_no_client_a_token(door: Door) -> None:
    for _ in range(100):
        door.ask()
        door.ask(("X-API-Key", "guess"))
    assert [door.ask(SHOP) for _ in range(3)] == ["shop"] * 3


def test_retry_after_is_rounded_up_so_that_the_retry_succeeds(tmp_path: Path) -> None:
    door = Door(tmp_path / "keys", slow=entry("k", "rate=0.3"))
    door.ask(("X-API-Key", "k"))
    assert door.ask(("X-API-Key", "k")) == "rate-limited"
    door.now += int(door.problem.headers["Retry-After"])
    assert door.ask(("X-API-Key", "k")) == "slow"


def test_an_edit_of_the_secret_refills_only_a_client_whose_limit_changes(door: Door) -> None:
    assert [door.ask(SHOP) for _ in range(4)][-1] == "rate-limited"
    door.change(shop=entry("s", "rate=2 burst=3"), new=entry("n"))
    assert door.ask(SHOP) == "rate-limited"
    door.change(shop=entry("s", "rate=2 burst=4"))
    assert [door.ask(SHOP) for _ in range(5)] == ["shop"] * 4 + ["rate-limited"]


def test_the_metrics_have_the_names_of_clients_until_they_are_removed(door: Door) -> None:
    for _ in range(4):
        door.ask(SHOP)
    metrics = door.stats.exposition().decode()
    assert 'key_requests_total{key="shop",outcome="accepted"} 3.0' in metrics
    assert 'key_requests_total{key="shop",outcome="limited"} 1.0' in metrics
    door.change(app=entry("a"))
    assert door.ask(SHOP) == "key-refused"
    assert "shop" not in door.stats.exposition().decode()
