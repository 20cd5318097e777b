"""The table of attacks: the name of each, and its program. Pure."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

from attackers import families

_ATTACKERS = str(Path(__file__).with_name("attackers.py"))

#: Of slowhttptest: name, the option of its mode, and what else that mode needs.
_SLOW_HTTP = (
    ("slow headers", "-H", ("-i", "5")),
    ("slow body", "-B", ("-i", "5", "-s", "100000")),
    ("slow read", "-X", ("-k", "3", "-w", "10", "-y", "20", "-n", "5", "-z", "32")),
    ("ranges", "-R", ("-a", "1", "-b", "3000")),
)
#: What the hostile server of the tests does with a URL: its path there, and what that is.
_URLS = {
    "drip-body": "a body that drips",
    "drip-headers": "headers that drip",
    "redirect": "redirects in a circle",
    "endless-chunks": "a body without end",
    "one-byte-chunks": "chunks of one byte",
    "picture": "a decompression bomb",
}


@dataclass(frozen=True)
class Target:
    """The gateway under attack, and an address of this machine that it may fetch from."""

    host: str
    port: int
    own_address: str
    seconds: int


@dataclass(frozen=True)
class Attack:
    """One row: `arguments` are a command whose placeholders a target fills in."""

    name: str
    arguments: tuple[str, ...]

    def command(self, target: Target) -> list[str]:
        return [argument.format(target=target) for argument in self.arguments]


def _ours(name: str, kind: str, connections: int, *more: str) -> Attack:
    command = (sys.executable, _ATTACKERS, kind, "{target.host}", "{target.port}", str(connections), *more)
    return Attack(name, command)


def _slowhttptest(name: str, mode: str, more: tuple[str, ...]) -> Attack:
    path = "predict" if mode == "-B" else "openapi.json"
    return Attack(
        f"slowhttptest: {name}",
        ("slowhttptest", mode, "-c", "2000", "-r", "500", "-l", "{target.seconds}", "-v", "0", *more,
         "-u", f"http://{{target.host}}:{{target.port}}/{path}"),
    )  # fmt: skip


def slow_clients() -> list[Attack]:
    """The four modes of slowhttptest."""
    return [_slowhttptest(*mode) for mode in _SLOW_HTTP]


def slow_clients_of_ours(connections: int) -> list[Attack]:
    """The two worst of these modes without slowhttptest, which is not installed everywhere."""
    return [
        _ours(f"{connections:,} clients with {what}", f"slow-{what}", connections)
        for what in ("headers", "body")
    ]


def idle_connections(count: int) -> list[Attack]:
    return [_ours(f"{count:,} silent connections", "idle", count)]


def costly_bodies(connections: int) -> list[Attack]:
    """One attack for each family of bodies."""
    return [_ours(f"costly bodies: {family}", "bodies", connections, family) for family in families()]


def hostile_urls(connections: int) -> list[Attack]:
    """One attack for each thing that a hostile server does."""
    return [
        _ours(f"URLs of {what}", "urls", connections, path, "{target.own_address}")
        for path, what in _URLS.items()
    ]


def all_attacks() -> list[Attack]:
    """All attacks of `make attack`."""
    return [*slow_clients(), *idle_connections(5_000), *costly_bodies(4), *hostile_urls(64)]
