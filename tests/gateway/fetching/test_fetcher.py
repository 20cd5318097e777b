"""Pictures behind URLs that clients really send: encodings, content types, redirects, and the request."""

from __future__ import annotations

import gzip
import re

import pytest

from fetching_world import PUBLIC, PUBLIC_IPV6, World
from gateway_testbed import picture
from imageclassifier_gateway.fetching.urls import FetchError


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


@pytest.mark.parametrize("content_encoding", ["br", "zstd", "deflate", "gzip, br", "gzip, gzip"])
def test_a_compressed_picture_is_refused_with_what_to_do(world: World, content_encoding: str) -> None:
    declare(world, "200 OK", Content_Type="image/jpeg", Content_Encoding=content_encoding)
    with pytest.raises(FetchError, match="Store the picture uncompressed"):
        world.fetch("http://pictures.example/declared")


@pytest.mark.parametrize("content_encoding", ["gzip", "x-gzip", "GZIP", "aws-chunked, gzip"])
def test_a_picture_that_is_stored_in_gzip_is_decompressed(world: World, content_encoding: str) -> None:
    stored = gzip.compress(world.server.picture)
    declare(world, "200 OK", stored, Content_Type="image/jpeg", Content_Encoding=content_encoding)
    assert world.fetch("http://pictures.example/declared") == world.server.picture


def test_a_picture_that_only_claims_to_be_gzip_is_taken_as_it_is(world: World) -> None:
    declare(world, "200 OK", Content_Type="image/jpeg", Content_Encoding="gzip")
    assert world.fetch("http://pictures.example/declared") == world.server.picture


@pytest.mark.parametrize(("cut", "reason"), [(slice(None, -9), "truncated"), (slice(None, 30), "truncated")])
def test_gzip_data_that_ends_early_is_refused(world: World, cut: slice, reason: str) -> None:
    stored = gzip.compress(world.server.picture)[cut]
    declare(world, "200 OK", stored, Content_Type="image/jpeg", Content_Encoding="gzip")
    with pytest.raises(FetchError, match=f"gzip data that is {reason}"):
        world.fetch("http://pictures.example/declared")


def test_damaged_gzip_data_is_refused(world: World) -> None:
    stored = gzip.compress(world.server.picture)
    stored = stored[:40] + b"\xff" * 40 + stored[80:]
    declare(world, "200 OK", stored, Content_Type="image/jpeg", Content_Encoding="gzip")
    with pytest.raises(FetchError, match="gzip data that is damaged"):
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


def test_the_gateway_names_itself_with_an_address_for_questions_if_one_is_set(world: World) -> None:
    world.fetch("http://pictures.example/")
    assert re.search(rb"User-Agent: imageclassifier-gateway/[0-9][^ ]*\r\n", world.server.requests[-1])
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


def test_proxies_of_the_environment_are_not_used(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "https_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    assert world.fetch("http://pictures.example/") == world.server.picture
