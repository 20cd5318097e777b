"""The entries of the Secret with the API keys: what is valid, and what a mistake is called."""

from __future__ import annotations

import hashlib

import pytest

from imageclassifier_gateway.access.entry import EntryError, RateLimit, parse_entry
from imageclassifier_gateway.access.key_folder import Keys
from key_secret import entry

HASH = "sha256=" + "ab" * 32


@pytest.mark.parametrize(
    ("text", "limit"),
    [
        (HASH, None),
        (f"{HASH} rate=10 burst=20", RateLimit(10, 20)),
        (f"{HASH}\n  rate=0.5\n", RateLimit(0.5, 1)),
        (f"rate=2.5 {HASH.replace('ab', 'AB')}", RateLimit(2.5, 3)),
    ],
)
def test_an_entry_has_the_hash_of_a_key_and_may_have_a_rate_and_a_burst(
    text: str, limit: RateLimit | None
) -> None:
    client = parse_entry("shop", text)
    assert (client.name, client.hashes, client.limit) == ("shop", (bytes.fromhex("ab" * 32),), limit)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "has 0 keys; it must have 1 to 8"),
        ("rate=5", "has 0 keys"),
        (" ".join(f"sha256={index:064x}" for index in range(9)), "has 9 keys"),
        ("s3cret", "a word that is not sha256=, rate= or burst="),
        (f"{HASH} speed=5", "a word that is not sha256=, rate= or burst="),
        ("sha256=s3cret", "a sha256 that is not 64 hexadecimal digits"),
        (f"{HASH}0", "a sha256 that is not 64 hexadecimal digits"),
        (f"sha256={hashlib.sha256(b'').hexdigest()}", "the SHA-256 of an empty key"),
        (f"{HASH} rate=0", "an invalid rate"),
        (f"{HASH} rate=-1", "an invalid rate"),
        (f"{HASH} rate=nan", "an invalid rate"),
        (f"{HASH} rate=1e9", "an invalid rate"),
        (f"{HASH} rate=5 burst=0", "an invalid burst"),
        (f"{HASH} rate=5 burst=1.5", "an invalid burst"),
        (f"{HASH} rate=5 rate=6", "must have one rate and at most one burst"),
        (f"{HASH} burst=6", "must have one rate and at most one burst"),
        (f"{HASH} rate=1{' ' * 4_096}00", "longer than 4,096 bytes"),
    ],
)
def test_an_invalid_entry_is_named_and_its_mistake_but_not_its_value(text: str, complaint: str) -> None:
    with pytest.raises(EntryError) as raised:
        parse_entry("shop", text)
    assert "The entry 'shop'" in str(raised.value)
    assert complaint in str(raised.value)
    assert "s3cret" not in str(raised.value)


def test_an_invalid_entry_gives_nobody_access_and_leaves_the_others_alone() -> None:
    keys = Keys.of([("app", entry("key-of-app")), ("shop", "key-of-shop")])
    assert (found := keys.find(b"key-of-app")) is not None
    assert found.name == "app"
    assert keys.find(b"key-of-shop") is None
    assert keys.names == {"app"}
    assert "The entry 'shop'" in str(keys.error)


def test_two_entries_with_the_same_key_are_an_error_because_the_name_would_be_a_guess() -> None:
    keys = Keys.of([("app", entry("same")), ("shop", entry("same"))])
    assert keys.error == "The entry 'shop' has a key of the entry 'app'. Remove one."


def test_without_an_entry_there_is_no_valid_key() -> None:
    keys = Keys.of([])
    assert keys.error == "There are no API keys. Add an entry to the Secret for each client."
    assert keys.find(b"") is None
