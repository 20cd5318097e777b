"""One entry of the Secret with the API keys: the name, the keys and the limit of one client. Pure.

An entry is one line, `sha256=<64 hexadecimal digits> rate=10 burst=20`. Its name in the Secret is the name of
the client. Only the SHA-256 of a key is stored. That is enough for random keys: nobody can guess 128 random
bits.
"""

from __future__ import annotations

import hashlib
import math
import re
from dataclasses import dataclass

#: The rule of Kubernetes for the names of a Secret's entries.
_NAME = re.compile(r"[-._a-zA-Z0-9]{1,253}\Z")
_SHA256 = re.compile(r"[0-9a-fA-F]{64}\Z")
_NUMBER = re.compile(r"[0-9]{1,9}(\.[0-9]{1,9})?\Z")
_WORDS = ("sha256", "rate", "burst")
#: A client has several keys while it changes from one to the next.
_MAX_KEYS = 8
MAX_ENTRY_BYTES = 4096
_OF_AN_EMPTY_KEY = hashlib.sha256(b"").digest()
_FORM = "Write sha256=HASH, and if the client has a limit, rate=REQUESTS_PER_SECOND and burst=REQUESTS."


class EntryError(ValueError):
    """An entry is invalid. The message names it, but not its value, which may contain a key by mistake."""


@dataclass(frozen=True)
class RateLimit:
    """How often a client may send requests: on average `rate` each second, and `burst` at once."""

    rate: float
    burst: int


@dataclass(frozen=True)
class Client:
    """A client with its keys, as the SHA-256 of each. Without a limit it may send any number of requests."""

    name: str
    hashes: tuple[bytes, ...]
    limit: RateLimit | None = None


def parse_entry(name: str, text: str) -> Client:
    """Parse one entry. Raises EntryError.

    >>> parse_entry("shop", "sha256=" + "ab" * 32 + " rate=0.5").limit
    RateLimit(rate=0.5, burst=1)
    """
    if not _NAME.match(name):
        raise EntryError(f"The entry {name[:60]!r} has an invalid name. Use letters, digits, -, _ and dots.")
    if len(text) > MAX_ENTRY_BYTES:
        raise EntryError(f"The entry '{name}' is longer than {MAX_ENTRY_BYTES:,} bytes. {_FORM}")
    found: dict[str, list[str]] = {word: [] for word in _WORDS}
    for word in text.split():
        key, equals, value = word.partition("=")
        if not equals or key not in found:
            raise EntryError(f"The entry '{name}' has a word that is not sha256=, rate= or burst=. {_FORM}")
        found[key].append(value)
    hashes = tuple(_hash(name, value) for value in found["sha256"])
    if not 1 <= len(hashes) <= _MAX_KEYS:
        raise EntryError(f"The entry '{name}' has {len(hashes)} keys; it must have 1 to {_MAX_KEYS}. {_FORM}")
    return Client(name, hashes, _limit(name, found["rate"], found["burst"]))


def _hash(name: str, value: str) -> bytes:
    if not _SHA256.match(value):
        raise EntryError(
            f"The entry '{name}' has a sha256 that is not 64 hexadecimal digits. Write the SHA-256 of the "
            "key, not the key."
        )
    digest = bytes.fromhex(value)
    if digest == _OF_AN_EMPTY_KEY:
        raise EntryError(f"The entry '{name}' has the SHA-256 of an empty key. Hash the key again.")
    return digest


def _limit(name: str, rates: list[str], bursts: list[str]) -> RateLimit | None:
    if len(rates) > 1 or len(bursts) > 1 or (bursts and not rates):
        raise EntryError(f"The entry '{name}' must have one rate and at most one burst, or none. {_FORM}")
    if not rates:
        return None
    rate = float(rates[0]) if _NUMBER.match(rates[0]) else 0.0
    if rate < 0.001:
        raise EntryError(
            f"The entry '{name}' has an invalid rate. Write the requests per second as a number of at least "
            "0.001, such as 10 or 0.5."
        )
    burst = bursts[0] if bursts else str(max(1, math.ceil(rate)))
    if not burst.isdecimal() or not burst.isascii() or len(burst) > 9 or int(burst) < 1:
        raise EntryError(
            f"The entry '{name}' has an invalid burst. Write a whole number of requests, at least 1."
        )
    return RateLimit(rate, int(burst))
