"""Fetching users' URLs: the attack table, against a hostile server of our own on the loopback interface.

Nothing is loosened for the tests. Names resolve as the test says (to public addresses, where an attack is
about something else), and the connection to a public address ends at the hostile server.
"""

from __future__ import annotations

import contextlib
import ipaddress
import re
import socket
import ssl
import subprocess
import threading
import time
import tracemalloc
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway_testbed import eventually, picture
from hostile_server import HostileServer
from imageclassifier_gateway.fetching.addresses import Address, is_allowed
from imageclassifier_gateway.fetching.connecting import begin_connecting, interleaved
from imageclassifier_gateway.fetching.fetcher import Fetcher
from imageclassifier_gateway.fetching.sites import SitePlaces
from imageclassifier_gateway.fetching.urls import FetchError, parse_url
from imageclassifier_gateway.limits.deadline import Deadline

LOOPBACK = ipaddress.ip_address("127.0.0.1")
PUBLIC = "93.184.215.14"
PUBLIC_IPV6 = "2606:2800:21f:cb07:6820:80da:af6b:8b2c"
MAX_BYTES = 1_000_000


@dataclass
class World:
    """What names resolve to, where connections end, and which were made."""

    server: HostileServer
    names: dict[str, list[str]] = field(default_factory=lambda: {"pictures.example": [PUBLIC]})
    connected: list[str] = field(default_factory=list)
    resolved: list[str] = field(default_factory=list)

    def lookup(self, host: str, port: int) -> list[Address]:
        self.resolved.append(host)
        if host.removesuffix(".") not in self.names:
            raise socket.gaierror("unknown")
        return [ipaddress.ip_address(text) for text in self.names[host.removesuffix(".")]]

    def begin(self, address: Address, port: int) -> socket.socket:
        self.connected.append(str(address))
        return begin_connecting(LOOPBACK, self.server.port)

    def fetch(self, url: str, seconds: float = 60.0, **settings: object) -> bytes:
        fetcher = Fetcher(max_bytes=MAX_BYTES, lookup=self.lookup, begin=self.begin, **settings)  # type: ignore[arg-type]
        return fetcher.fetch(url, Deadline.after(seconds))


@pytest.fixture(scope="module")
def hostile() -> Iterator[HostileServer]:
    server = HostileServer(picture("red"))
    yield server
    server.stop()


@pytest.fixture
def world(hostile: HostileServer) -> World:
    hostile.requests.clear()
    return World(hostile)


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
    "attack",
    [
        "silence",
        "drip-status",
        "drip-headers",
        "drip-body",
        "drip-chunks",
        "drip-chunk-size",
        "drip-chunk-extension",
        "drip-trailers",
        "drip-redirect",
    ],
)
def test_a_server_that_takes_its_time_is_left_at_the_deadline(world: World, attack: str) -> None:
    began = time.monotonic()
    with pytest.raises(FetchError):
        world.fetch(f"http://pictures.example/{attack}", seconds=0.5)
    # Far below what any per-read timeout would allow, far above what a loaded machine needs.
    assert time.monotonic() - began < 10


@pytest.mark.parametrize(
    ("attack", "cause"),
    [
        ("endless-body", "too-large"),
        ("endless-chunks", "too-large"),
        ("huge-length", "too-large"),
        ("negative-length", "too-large"),
        ("endless-continue", "url-not-fetched"),
        ("early-hints", "url-not-fetched"),
        ("chunk-extensions", "url-not-fetched"),
        ("one-byte-chunks", "url-not-fetched"),
        ("endless-trailers", "url-not-fetched"),
        ("endless-headers", "url-not-fetched"),
        ("endless-header-line", "url-not-fetched"),
        ("gzip-bomb", "url-not-fetched"),
        ("short-body", "url-not-fetched"),
        ("broken-chunks", "url-not-fetched"),
        ("html", "url-not-fetched"),
        ("json", "url-not-fetched"),
        ("not-found", "url-not-fetched"),
        ("unauthorized", "url-not-fetched"),
        ("empty", "url-not-fetched"),
        ("not-http", "url-not-fetched"),
        ("redis", "url-not-fetched"),
        ("redirect-to-nowhere", "url-not-fetched"),
        ("redirect-loop", "url-not-fetched"),
    ],
)
def test_a_misbehaving_server_gives_an_error_without_its_response_text(
    world: World, attack: str, cause: str
) -> None:
    with pytest.raises(FetchError) as raised:
        world.fetch(f"http://pictures.example/{attack}", seconds=60)
    assert raised.value.cause == cause
    assert raised.value.outcome != "timeout", (
        "a server that sends without end is left long before the deadline"
    )
    assert "secret" not in str(raised.value)


@pytest.mark.parametrize(
    "way", ["picture", "chunked", "small-chunks", "until-close", "octets", "redirect-with-endless-body"]
)
def test_a_picture_is_fetched_with_any_transfer_encoding(world: World, way: str) -> None:
    assert world.fetch(f"http://pictures.example/{way}") == world.server.picture


def declare(world: World, status: str, body: bytes | None = None, **headers: str) -> None:
    """Lets the path /declared return this status, these headers and this body."""
    lines = [status, *(f"{name.replace('_', '-')}: {value}" for name, value in headers.items())]
    world.server.declared = "\r\n".join(lines).encode()
    world.server.declared_body = world.server.picture if body is None else body


@pytest.mark.parametrize(
    "content_encoding",
    [
        "",
        "identity",
        "base64",
        "aws-chunked",
        "aws-chunked,base64",
        "UTF-8",
        "utf8",
        "binary",
        "none",
        "7bit",
    ],
)
def test_a_content_encoding_that_is_no_coding_of_http_is_ignored(world: World, content_encoding: str) -> None:
    declare(world, "200 OK", Content_Type="image/jpeg", Content_Encoding=content_encoding)
    assert world.fetch("http://pictures.example/declared") == world.server.picture


@pytest.mark.parametrize("content_encoding", ["gzip", "GZIP", "br", "zstd", "deflate", "aws-chunked, gzip"])
def test_a_compressed_picture_is_refused_with_what_to_do(world: World, content_encoding: str) -> None:
    declare(world, "200 OK", Content_Type="image/jpeg", Content_Encoding=content_encoding)
    with pytest.raises(FetchError, match="Store the picture uncompressed"):
        world.fetch("http://pictures.example/declared")


@pytest.mark.parametrize(
    "media_type",
    [
        "text/plain", "jpeg", "application/force-download", "application/x-download", "text/html", "*/*",
        "application/json", "multipart/form-data; boundary=x", "binary", "video/mp4", "image/foo",
    ],
)  # fmt: skip
def test_a_picture_is_fetched_under_any_content_type(world: World, media_type: str) -> None:
    for kind in ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF"):
        body = picture("red", kind=kind)
        declare(world, "200 OK", body, Content_Type=media_type)
        assert world.fetch("http://pictures.example/declared") == body


@pytest.mark.parametrize(
    ("media_type", "body", "sentence"),
    [
        ("text/html; charset=utf-8", b"<!DOCTYPE html><p>secret", "copy the address of the picture"),
        ("application/json", b'{"secret": 1}', "returns 'application/json' and not a picture"),
        ("text/plain", b"secret", "returns 'text/plain' and not a picture"),
    ],
)
def test_text_behind_a_url_is_refused_by_its_type(
    world: World, media_type: str, body: bytes, sentence: str
) -> None:
    declare(world, "200 OK", body, Content_Type=media_type)
    with pytest.raises(FetchError, match=sentence):
        world.fetch("http://pictures.example/declared")


@pytest.mark.parametrize(
    ("status", "sentence"),
    [
        ("403 Forbidden", "refuses programs"),
        ("404 Not Found", "does not exist"),
        ("429 Too Many Requests", "too many requests"),
        ("503 Service Unavailable", "Retry later"),
        ("418 I'm a teapot", "send the picture itself"),
    ],
)
def test_a_refusal_of_the_host_says_what_it_means(world: World, status: str, sentence: str) -> None:
    declare(world, status)
    with pytest.raises(FetchError, match=sentence):
        world.fetch("http://pictures.example/declared")


@pytest.mark.parametrize(
    ("location", "path"),
    [
        ("/a b.jpg", "/a%20b.jpg"),
        (" /a.jpg ", "/a.jpg"),
        ("/写真.jpg", "/%E5%86%99%E7%9C%9F.jpg"),
        ("../a.jpg?q=ü", "/a.jpg?q=%C3%BC"),
        ("//pictures.example/a.jpg#part", "/a.jpg"),
        ("picture?size=large", "/picture?size=large"),
    ],
)
def test_a_redirect_is_read_as_browsers_read_it(world: World, location: str, path: str) -> None:
    declare(world, f"302 Found\r\nLocation: {location}", b"")
    assert world.fetch("http://pictures.example/declared") == world.server.picture
    assert world.server.requests[-1].startswith(f"GET {path} HTTP/1.1".encode())


@pytest.mark.parametrize(
    "url",
    [
        "http://pictures.example/picture\n",
        "  http://pictures.example/picture",
        "http://pictures.example/my picture.jpg",
        "http://pictures.example/picture?X-Amz-Security-Token=" + "a" * 4000,
    ],
)
def test_a_url_that_a_browser_opens_is_fetched(world: World, url: str) -> None:
    assert world.fetch(url) == world.server.picture


def test_the_gateway_names_itself_and_an_address_for_questions(world: World) -> None:
    world.fetch("http://pictures.example/")
    assert re.search(
        rb"User-Agent: imageclassifier-gateway/[0-9][^ ]* \(\+https://.+\)\r\n", world.server.requests[-1]
    )
    world.fetch("http://pictures.example/", user_agent="ours/1 (ours@example.org)")
    assert b"User-Agent: ours/1 (ours@example.org)\r\n" in world.server.requests[-1]


def test_a_redirect_to_another_public_name_is_followed(world: World) -> None:
    world.names["elsewhere.example"] = [PUBLIC_IPV6]
    world.server.redirect_to = "http://elsewhere.example/picture"
    assert world.fetch("http://pictures.example/redirect") == world.server.picture
    assert world.connected == [PUBLIC, PUBLIC_IPV6]
    assert b"Host: elsewhere.example\r\n" in world.server.requests[-1]


def test_the_request_has_the_host_name_and_no_data_about_the_client(world: World) -> None:
    world.fetch("http://pictures.example:8080/a%20b/ü?q=1&r=ü#fragment")
    [head] = world.server.requests
    lines = head.decode("ascii").splitlines()
    assert lines[0] == "GET /a%20b/%C3%BC?q=1&r=%C3%BC HTTP/1.1"
    assert {line.partition(":")[0] for line in lines[1:] if line} == {
        "Host", "User-Agent", "Accept", "Accept-Encoding", "Connection",
    }  # fmt: skip
    assert "Host: pictures.example:8080" in lines


def test_a_public_name_is_not_looked_up_in_the_clusters_search_domains(world: World) -> None:
    world.fetch("http://pictures.example/")
    # The request must not contain the name with the resolver's trailing dot.
    assert world.resolved == ["pictures.example."]
    assert b"\r\nHost: pictures.example\r\n" in world.server.requests[-1]
    # Where the cluster's own services may be asked, their short names need its domains.
    world.fetch("http://pictures.example/", allow_private_networks=True)
    world.names["pictures"] = [PUBLIC]
    world.fetch("http://pictures/")
    assert world.resolved[1:] == ["pictures.example", "pictures"]


def test_proxies_of_the_environment_are_not_used(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "https_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    assert world.fetch("http://pictures.example/") == world.server.picture


def test_a_name_that_does_not_resolve_is_a_sentence(world: World) -> None:
    with pytest.raises(FetchError, match="was not found"):
        world.fetch("http://nowhere.example/")


def test_a_resolver_that_hangs_is_left_at_the_deadline(world: World) -> None:
    released = threading.Event()

    def lookup(host: str, port: int) -> list[Address]:
        released.wait(30)
        return []

    fetcher = Fetcher(max_bytes=MAX_BYTES, lookup=lookup, begin=world.begin)
    began = time.monotonic()
    with pytest.raises(FetchError, match="in time"):
        fetcher.fetch("http://pictures.example/", Deadline.after(0.3))
    assert time.monotonic() - began < 10
    released.set()


def test_the_next_address_is_tried_when_one_does_not_connect(world: World) -> None:
    world.names["pictures.example"] = [PUBLIC_IPV6, PUBLIC]

    def begin(address: Address, port: int) -> socket.socket:
        if address.version == 6:
            raise ConnectionRefusedError
        return world.begin(address, port)

    fetcher = Fetcher(max_bytes=MAX_BYTES, lookup=world.lookup, begin=begin)
    assert fetcher.fetch("http://pictures.example/", Deadline.after(60)) == world.server.picture


@pytest.fixture
def dead_port() -> Iterator[int]:
    """A port that neither accepts nor refuses connections, like a machine that is switched off."""
    listener = socket.create_server(("127.0.0.1", 0), backlog=0)
    port = int(listener.getsockname()[1])
    fillers = [begin_connecting(LOOPBACK, port) for _ in range(4)]
    time.sleep(0.05)
    yield port
    for each in (*fillers, listener):
        each.close()


@pytest.mark.parametrize("dead", [[PUBLIC_IPV6], [PUBLIC_IPV6, "1.1.1.1", "1.0.0.1", "8.8.8.8", "8.8.4.4"]])
def test_addresses_that_do_not_answer_leave_time_for_the_one_that_does(
    world: World, dead_port: int, dead: list[str]
) -> None:
    world.names["pictures.example"] = [*dead, PUBLIC]
    opened = []

    def begin(address: Address, port: int) -> socket.socket:
        opened.append(
            world.begin(address, port) if str(address) == PUBLIC else begin_connecting(LOOPBACK, dead_port)
        )
        return opened[-1]

    fetcher = Fetcher(max_bytes=MAX_BYTES, lookup=world.lookup, begin=begin)
    assert fetcher.fetch("http://pictures.example/", Deadline.after(60)) == world.server.picture
    assert all(each.fileno() == -1 for each in opened), "an attempt was left open"


def test_the_deadline_ends_the_fetch_when_no_address_responds(world: World, dead_port: int) -> None:
    world.names["pictures.example"] = [PUBLIC_IPV6, PUBLIC]
    opened = []

    def begin(address: Address, port: int) -> socket.socket:
        opened.append(begin_connecting(LOOPBACK, dead_port))
        return opened[-1]

    fetcher = Fetcher(max_bytes=MAX_BYTES, lookup=world.lookup, begin=begin)
    with pytest.raises(FetchError, match="in time"):
        fetcher.fetch("http://pictures.example/", Deadline.after(0.6))
    assert len(opened) == 2, "the second address is tried beside the first"
    assert all(each.fileno() == -1 for each in opened)


def test_the_families_of_addresses_take_turns() -> None:
    texts = ["2606::1", "2606::2", "2606::3", "1.1.1.1", "1.1.1.2"]
    found = [str(each) for each in interleaved([ipaddress.ip_address(text) for text in texts])]
    assert found == ["2606::1", "1.1.1.1", "2606::2", "1.1.1.2", "2606::3"]


def test_a_name_with_hundreds_of_addresses_makes_only_a_few_connections(world: World) -> None:
    world.names["pictures.example"] = [f"93.184.{n // 256}.{n % 256}" for n in range(500)]
    attempts = []

    def begin(address: Address, port: int) -> socket.socket:
        attempts.append(address)
        raise ConnectionRefusedError

    fetcher = Fetcher(max_bytes=MAX_BYTES, lookup=world.lookup, begin=begin)
    with pytest.raises(FetchError, match="could not be reached"):
        fetcher.fetch("http://pictures.example/", Deadline.after(60))
    assert len(attempts) == 16


def test_a_tls_handshake_that_drips_is_left_at_the_deadline(world: World) -> None:
    """A record of 16 KB, one byte after the other: each read succeeds."""
    listener = socket.create_server(("127.0.0.1", 0))

    def drip() -> None:
        with contextlib.suppress(OSError), listener.accept()[0] as connection:
            connection.sendall(b"\x16\x03\x03\x40\x00")
            while True:
                connection.sendall(b"\x02")
                time.sleep(0.02)

    threading.Thread(target=drip, daemon=True).start()

    def begin(address: Address, port: int) -> socket.socket:
        return begin_connecting(LOOPBACK, int(listener.getsockname()[1]))

    fetcher = Fetcher(max_bytes=MAX_BYTES, lookup=world.lookup, begin=begin)
    began = time.monotonic()
    with pytest.raises(FetchError):
        fetcher.fetch("https://pictures.example/", Deadline.after(0.5))
    assert time.monotonic() - began < 10
    listener.close()


def test_slow_names_of_one_site_leave_threads_for_other_names(world: World) -> None:
    """Also after their callers have gone: getaddrinfo cannot be stopped."""
    released = threading.Event()

    def lookup(host: str, port: int) -> list[Address]:
        if host.endswith("slow.example."):
            released.wait(60)
        return world.lookup(host, port)

    fetcher = Fetcher(max_bytes=MAX_BYTES, max_requests=4, lookup=lookup, begin=world.begin)
    outcomes = set()
    for number in range(40):
        with pytest.raises(FetchError) as raised:
            fetcher.fetch(f"http://n{number}.slow.example/", Deadline.after(0.01))
        outcomes.add(raised.value.outcome)
    assert outcomes == {"timeout", "busy"}
    assert fetcher.fetch("http://pictures.example/", Deadline.after(60)) == world.server.picture
    released.set()


def test_lookups_of_the_same_name_share_one_thread(world: World) -> None:
    released, lookups = threading.Event(), []

    def lookup(host: str, port: int) -> list[Address]:
        lookups.append(host)
        released.wait(60)
        return world.lookup(host, port)

    fetcher = Fetcher(max_bytes=MAX_BYTES, lookup=lookup, begin=world.begin)
    with ThreadPoolExecutor(8) as pool:
        fetched = [
            pool.submit(fetcher.fetch, "http://pictures.example/", Deadline.after(60)) for _ in range(8)
        ]
        time.sleep(0.2)
        released.set()
        assert {each.result() for each in fetched} == {world.server.picture}
    assert lookups == ["pictures.example."]


def test_one_site_never_takes_the_places_of_all_requests(world: World) -> None:
    fetcher = Fetcher(max_bytes=MAX_BYTES, max_requests=8)
    urls = [f"http://{n}.slow.example/" for n in range(8)]
    with ExitStack() as stack:
        refusals = [stack.enter_context(fetcher.place([url]))(url) for url in urls[:6]]
        assert refusals[:4] == [None] * 4
        assert [error.cause for error in refusals[4:] if error] == ["overloaded"] * 2
        mixed = ["http://other.example/", "http://9.slow.example/", "http://not a url/"]
        refusal = stack.enter_context(fetcher.place(mixed))
        assert [refusal(url) is None for url in mixed] == [True, False, True]
    with fetcher.place(urls) as refusal:
        assert refusal(urls[0]) is None, "the places were released"


@given(st.lists(st.sets(st.sampled_from(["a.example", "b.example", "c.example"])), max_size=20))
def test_a_site_gets_at_most_as_many_places_as_it_leaves_free(requests: list[set[str]]) -> None:
    places, holders = SitePlaces(20), Counter[str]()
    taken = []
    for number, sites in enumerate(requests, 1):
        granted = places.take(sites)
        taken.append(granted)
        for site in sites:
            assert (site in granted) == (holders[site] <= 20 - number)
        holders.update(granted)
    for granted in taken:
        places.give_back(granted)
    assert places.take({"a.example"}) == {"a.example"}


def test_what_several_servers_send_is_worked_on_by_one_thread_at_a_time(world: World) -> None:
    working, most, started = 0, 0, threading.Barrier(4)

    def hold(_: int) -> None:
        nonlocal working, most
        working += 1
        most = max(most, working)
        time.sleep(0.001)  # lets other threads run
        working -= 1

    fetcher = Fetcher(max_bytes=2_000_000, lookup=world.lookup, begin=world.begin)

    def fetch(_: int) -> None:
        started.wait(60)
        with pytest.raises(FetchError, match="larger than"):
            fetcher.fetch("http://pictures.example/endless-chunks", Deadline.after(60), hold)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(fetch, range(4)))
    assert most == 1


def test_a_silent_server_keeps_no_other_fetch_waiting(world: World) -> None:
    opened: list[socket.socket] = []

    def begin(address: Address, port: int) -> socket.socket:
        opened.append(world.begin(address, port))
        return opened[-1].dup()

    fetcher = Fetcher(max_bytes=2_000_000, lookup=world.lookup, begin=begin)
    deadline = Deadline.after(60)
    with ThreadPoolExecutor(1) as pool:
        silent = pool.submit(fetcher.fetch, "http://pictures.example/silence", deadline)
        eventually(lambda: world.server.requests, "the silent server has its request")
        assert fetcher.fetch("http://pictures.example/picture", deadline) == world.server.picture
        assert not silent.done()
        opened[0].shutdown(socket.SHUT_RDWR)
        with pytest.raises(FetchError):
            silent.result(60)
    for each in opened:
        each.close()


def test_a_body_in_chunks_of_one_byte_is_refused_after_250_of_them(world: World) -> None:
    held: list[int] = []
    fetcher = Fetcher(max_bytes=2_000_000, lookup=world.lookup, begin=world.begin)
    with pytest.raises(FetchError):
        fetcher.fetch("http://pictures.example/one-byte-chunks", Deadline.after(60), held.append)
    assert sum(held) < 300


def test_a_fetch_holds_no_more_memory_than_it_counts(world: World) -> None:
    held = 0

    def hold(count: int) -> None:
        nonlocal held
        held += count

    limit = 20_000_000
    fetcher = Fetcher(max_bytes=limit, lookup=world.lookup, begin=world.begin)
    tracemalloc.start()
    try:
        with pytest.raises(FetchError, match="larger than"):
            fetcher.fetch("http://pictures.example/endless-body", Deadline.after(60), hold)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    # An eighth is what a growing buffer has in reserve.
    assert peak < held * 9 / 8 + 2_000_000
    assert held <= limit


def test_https_to_a_server_without_tls_fails(world: World) -> None:
    with pytest.raises(FetchError, match="The TLS connection to"):
        world.fetch("https://pictures.example/not-http")


def test_the_certificate_must_be_valid_for_the_name(
    world: World, tls_listener: tuple[int, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    port, authority = tls_listener

    def begin(address: Address, _: int) -> socket.socket:
        return begin_connecting(LOOPBACK, port)

    def fetch(host: str, trusted: bool) -> bytes:
        fetcher = Fetcher(max_bytes=MAX_BYTES, lookup=world.lookup, begin=begin)
        if trusted:
            monkeypatch.setattr(fetcher, "_tls", ssl.create_default_context(cafile=authority))
        return fetcher.fetch(f"https://{host}/", Deadline.after(60))

    world.names["other.example"] = [PUBLIC]
    assert fetch("pictures.example", trusted=True) == world.server.picture
    with pytest.raises(FetchError, match="The TLS connection to"):
        fetch("pictures.example", trusted=False)
    with pytest.raises(FetchError, match="The TLS connection to"):
        fetch("other.example", trusted=True)


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


@pytest.mark.parametrize("address", ["10.0.0.1", "172.16.0.1", "192.168.0.1", "100.64.0.1", "fd12::1"])
def test_private_networks_are_reachable_only_when_allowed(world: World, address: str) -> None:
    world.names["inside.example"] = [address]
    assert world.fetch("http://inside.example/", allow_private_networks=True) == world.server.picture
    with pytest.raises(FetchError):
        world.fetch("http://inside.example/")


@pytest.mark.parametrize(
    "address",
    ["127.0.0.1", "::1", "169.254.169.254", "fd00:ec2::254", "100.100.100.200", "168.63.129.16", "0.0.0.0",
    "224.0.0.1",
     "fe80::1", "::ffff:127.0.0.1"],
)  # fmt: skip
def test_this_machine_and_credentials_stay_closed_even_when_private_networks_are_open(address: str) -> None:
    assert not is_allowed(ipaddress.ip_address(address), allow_private_networks=True)


# IPv6 addresses that carry an IPv4 one are judged by that one, which the test after this checks.
@given(
    st.ip_addresses(v=4)
    | st.ip_addresses(v=6).filter(lambda address: int(address) >> 96 not in (0, 0x64FF9B))
)
def test_addresses_that_python_calls_private_or_special_are_never_public(address: Address) -> None:
    if not address.is_global or address.is_multicast or address.is_reserved:
        assert not is_allowed(address, allow_private_networks=False)


@given(st.ip_addresses(v=4))
def test_an_address_has_the_same_class_in_each_ipv6_embedding(address: ipaddress.IPv4Address) -> None:
    plain = is_allowed(address, allow_private_networks=False)
    for prefix in ("::ffff:", "64:ff9b::"):
        assert is_allowed(ipaddress.ip_address(f"{prefix}{address}"), allow_private_networks=False) == plain


@given(st.text() | st.from_regex(re.compile(r"https?://[ -~]{0,40}"), fullmatch=True))
def test_any_text_is_either_a_target_that_reads_the_same_twice_or_refused(url: str) -> None:
    try:
        target = parse_url(url)
    except FetchError:
        return
    assert parse_url(target.url) == target
    assert target.url.isascii()


def test_memory_that_is_not_granted_ends_the_fetch(world: World) -> None:
    class FullError(Exception):
        pass

    def hold(count: int) -> None:
        raise FullError

    fetcher = Fetcher(max_bytes=MAX_BYTES, lookup=world.lookup, begin=world.begin)
    with pytest.raises(FullError):
        fetcher.fetch("http://pictures.example/", Deadline.after(60), hold)


@pytest.fixture
def tls_listener(hostile: HostileServer, tmp_path: Path) -> Iterator[tuple[int, str]]:
    """A TLS server for `pictures.example`, and the file of the authority that vouches for it."""
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=test",
         "-addext", "subjectAltName=DNS:pictures.example", "-keyout", "key.pem", "-out", "cert.pem"],
        cwd=tmp_path, check=True, capture_output=True,
    )  # fmt: skip
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "cert.pem", tmp_path / "key.pem")
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        while True:
            try:
                plain, _ = listener.accept()
            except OSError:
                return
            try:
                with context.wrap_socket(plain, server_side=True) as secure:
                    secure.recv(65536)
                    hostile.do_picture(secure)
            except OSError:
                plain.close()

    threading.Thread(target=serve, daemon=True).start()
    yield int(listener.getsockname()[1]), str(tmp_path / "cert.pem")
    listener.close()
