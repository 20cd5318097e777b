"""The URLs and redirects that are refused before any connection, in every notation of an address."""

from __future__ import annotations

import ipaddress
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fetching_world import MAX_BYTES, PUBLIC, PUBLIC_IPV6, World
from imageclassifier_gateway.fetching.allowed_addresses import Address
from imageclassifier_gateway.fetching.fetcher import Fetcher
from imageclassifier_gateway.fetching.urls import FetchError, parse_url
from imageclassifier_gateway.limits.deadline import Deadline

# URLs of forbidden addresses. The fetcher must open no connection for any name or notation of them.
REFUSED = [
    # Loopback and link-local addresses.
    "http://127.0.0.1/",
    "http://127.0.0.1:9697/metrics",
    "http://127.255.255.254/",
    "http://0.0.0.0/",
    "http://0.1.2.3/",
    "http://[::1]/",
    "http://[::]/",
    "http://[0:0:0:0:0:0:0:1]:9697/rollout",
    "http://[fe80::1]/",
    "http://[fe80::1%25eth0]/",
    "http://[fec0::1]/",
    "http://[2606:4700::1%251]/",
    "http://[2606:4700::1%eth0]/",
    "http://[2606:4700::1%é]/",
    # Private networks, and the networks of pods and Services.
    "http://10.0.0.1/",
    "http://10.96.0.1:443/api/v1/secrets",
    "https://10.96.0.1/",
    "http://172.16.0.1/",
    "http://172.31.255.255/",
    "http://192.168.1.1/",
    "http://100.64.0.1/",
    "http://[fc00::1]/",
    "http://[fd12:3456:789a::1]/",
    # Metadata services of clouds, which hand out credentials.
    "http://169.254.169.254/latest/meta-data/",
    "http://169.254.170.2/v2/credentials",
    "http://[fd00:ec2::254]/latest/meta-data/",
    "http://100.100.100.200/latest/meta-data/",
    "http://168.63.129.16/metadata",
    "http://192.0.0.192/opc/v2/",
    # Addresses that no host can have.
    "http://224.0.0.1/",
    "http://239.255.255.250:1900/",
    "http://255.255.255.255/",
    "http://240.0.0.1/",
    "http://192.0.2.1/",
    "http://198.18.0.1/",
    "http://[ff02::1]/",
    "http://[2001:db8::1]/",
    # IPv4 addresses inside IPv6 ones.
    "http://[::ffff:127.0.0.1]/",
    "http://[::ffff:169.254.169.254]/",
    "http://[::ffff:a9fe:a9fe]/",
    "http://[::127.0.0.1]/",
    "http://[64:ff9b::169.254.169.254]/",
    "http://[64:ff9b::7f00:1]/",
    "http://[64:ff9b:1::a9fe:a9fe]/",
    "http://[2002:7f00:1::]/",
    "http://[2002:a9fe:a9fe::1]/",
    "http://[2001:0:7f00:1::]/",
    "http://[::ffff:0:127.0.0.1]/",
    # Other notations of the same addresses.
    "http://2130706433/",
    "http://0x7f000001/",
    "http://0x7f.0x0.0x0.0x1/",
    "http://0177.0.0.1/",
    "http://017700000001/",
    "http://127.1/",
    "http://127.0.1/",
    "http://127.0.0.1./",
    "http://00127.0.0.1/",
    "http://1.2.3.4.5/",
    "http://169.254.43518/",
    "http://１２７.０.０.１/",
    "http://127。0。0。1/",
    "http://①②⑦.⓪.⓪.①/",
    "http://%31%32%37.0.0.1/",
    "http://[127.0.0.1]/",
    # URLs in which two parsers find different hosts.
    "http://pictures.example@127.0.0.1/",
    "http://127.0.0.1@pictures.example/",
    "http://user:pass@pictures.example/",
    "http://pictures.example\\@127.0.0.1/",
    "http://127.0.0.1\\.pictures.example/",
    "http://pictures.example#@127.0.0.1/".replace("#", "%23"),
    "http://pictures.example\t.example/",
    "http://pictures.example\r\nHost: 127.0.0.1/",
    "http://pictures.example/\r\nX-Injected: 1",
    "http://pictures.example/ HTTP/1.1\r\nHost: internal",
    "http://pictures.example:0/",
    "http://pictures.example:70000/",
    "http://pictures.example:80:80/",
    "http://pictures.example:８０/".replace("８０", "-1"),
    "http:///path",
    "http://",
    "http://.../",
    "http://" + "a" * 300 + ".example/",
    "http://pictures.example/" + "a" * 9000,
    # Other schemes.
    "file:///etc/passwd",
    "gopher://127.0.0.1:6379/_FLUSHALL",
    "ftp://pictures.example/a.jpg",
    "data:image/png;base64,AAAA",
    "javascript:alert(1)",
    "//pictures.example/a.jpg",
    "pictures.example/a.jpg",
    "jar:http://pictures.example!/",
    "dict://127.0.0.1:11211/stats",
    "unix:/var/run/docker.sock",
    "",
]


@pytest.mark.parametrize("url", REFUSED)
def test_a_url_that_leads_where_no_user_may_go_is_refused_before_any_connection(
    world: World, url: str
) -> None:
    with pytest.raises(FetchError) as raised:
        world.fetch(url)
    assert raised.value.cause == "url-refused"
    assert world.connected == []
    assert world.server.requests == []


@pytest.mark.parametrize(
    "answer",
    [
        ["127.0.0.1"],
        ["169.254.169.254"],
        ["10.96.0.1"],
        ["::1"],
        ["::ffff:10.0.0.1"],
        ["64:ff9b::10.0.0.1"],
        [PUBLIC, "127.0.0.1"],
        [PUBLIC, PUBLIC_IPV6, "fd00::1"],
        ["fe80::1%eth0"],
    ],
)
def test_a_name_is_refused_when_any_of_its_addresses_is_not_public(world: World, answer: list[str]) -> None:
    world.names["pictures.example"] = answer
    with pytest.raises(FetchError) as raised:
        world.fetch("http://pictures.example/")
    assert raised.value.cause == "url-refused"
    assert world.connected == []
    assert not any(address in str(raised.value) for address in answer), "the answer tells the address"


# A redirect without a host of its own stays at the host it comes from, which is checked already.
REDIRECTS = [
    url for url in REFUSED if url.isascii() and url.isprintable() and re.match(r"[a-z]+://[^/]", url)
]


@pytest.mark.parametrize("location", REDIRECTS)
def test_a_redirect_is_checked_like_the_first_url(world: World, location: str) -> None:
    world.server.redirect_to = location
    with pytest.raises(FetchError):
        world.fetch("http://pictures.example/redirect")
    assert world.connected == [PUBLIC]


def test_a_name_that_changes_its_answer_after_the_check_changes_nothing(world: World) -> None:
    answers = iter([[PUBLIC], ["127.0.0.1"], ["127.0.0.1"]])

    def lookup(host: str, port: int) -> list[Address]:
        return [ipaddress.ip_address(text) for text in next(answers)]

    fetcher = Fetcher(max_bytes=MAX_BYTES, lookup=lookup, begin=world.begin)
    assert fetcher.fetch("http://pictures.example/", Deadline.after(60)) == world.server.picture
    assert world.connected == [PUBLIC]
    # The second request resolves the name again and is refused.
    with pytest.raises(FetchError):
        fetcher.fetch("http://pictures.example/", Deadline.after(60))
    assert world.connected == [PUBLIC]


def test_a_redirect_to_a_name_that_has_changed_its_answer_is_refused(world: World) -> None:
    world.server.redirect_to = "http://turncoat.example/"
    world.names["turncoat.example"] = ["10.0.0.1"]
    with pytest.raises(FetchError):
        world.fetch("http://pictures.example/redirect")
    assert world.connected == [PUBLIC]


@pytest.mark.parametrize(
    ("host", "allowed"),
    [
        ("example.org", True),
        ("EXAMPLE.org.", True),
        ("a.pizza.example", True),
        ("a.b.pizza.example", True),
        ("pizza.example", False),
        ("evilpizza.example", False),
        ("example.org.evil.example", False),
        ("www.example.org", False),
        ("pictures.example", False),
        (PUBLIC, False),
    ],
)
def test_only_allowed_hosts_are_asked_when_there_is_a_list(world: World, host: str, allowed: bool) -> None:
    names = ("example.org", "a.pizza.example", "a.b.pizza.example", "pizza.example", "evilpizza.example")
    world.names |= {name: [PUBLIC] for name in (*names, "example.org.evil.example", "www.example.org")}
    hosts = ("example.org", "*.pizza.example")
    if allowed:
        assert world.fetch(f"http://{host}/", allowed_hosts=hosts) == world.server.picture
    else:
        with pytest.raises(FetchError, match="allowedHosts"):
            world.fetch(f"http://{host}/", allowed_hosts=hosts)
        assert world.resolved == []


def test_an_allowed_host_does_not_open_private_networks(world: World) -> None:
    world.names["inside.example"] = ["10.0.0.1"]
    with pytest.raises(FetchError, match="not public"):
        world.fetch("http://inside.example/", allowed_hosts=("inside.example",))


@given(st.text() | st.from_regex(re.compile(r"https?://[ -~]{0,40}"), fullmatch=True))
def test_any_text_is_either_a_target_that_reads_the_same_twice_or_refused(url: str) -> None:
    try:
        target = parse_url(url)
    except FetchError:
        return
    assert parse_url(target.url) == target
    assert target.url.isascii()
