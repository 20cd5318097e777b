"""Mutated pictures, bodies and heads of requests, as bytes on the wire."""

from __future__ import annotations

import base64
import json
import random
from collections.abc import Callable
from dataclasses import dataclass

from adversarial import Body

from fuzz_seeds import costly_seeds, seeds, structured_seeds

#: The share of pictures that take as much memory as any accepted one. Each costs as much as a hundred others.
_COSTLY_SHARE = 0.001
_PATHS = (
    "/", "/predict", "/openapi.json", "/v1/models/", "/v1/models/pizza-model/metadata", "/problems",
    "/%00", "/..",
)  # fmt: skip
_METHODS = ("GET", "HEAD", "PUT", "DELETE", "OPTIONS", "PATCH", "POST")
_HEADERS = (
    b"Transfer-Encoding: chunked", b"Transfer-Encoding: gzip", b"Content-Length: 5", b"Content-Length: -1",
    b"Content-Length: 99999999999999999999", b"Expect: 100-continue", b"Connection: close", b"Upgrade: h2c",
    b"Content-Encoding: gzip", b"Range: bytes=0-", b"X-Request-ID: \xff", b"Cookie: a=b; a=c; =",
    b"traceparent: 00-x-y-01", b" folded: line", b"Host: a:b:c", b"Sec-Fetch-Site: cross-site",
    b"Origin: null",
    b"Content-Type: multipart/form-data; boundary=" + b"b" * 80, b"Content-Type: application/json; charset=x",
)  # fmt: skip


@dataclass(frozen=True)
class Request:
    """One request on the wire. `is_whole`: its head is a good one, so that the connection can be kept."""

    method: str
    data: bytes
    is_whole: bool = True


def mutate(data: bytes, chance: random.Random, other: bytes) -> bytes:
    """A picture with a few things wrong: flipped bits, special numbers, cuts, repeats, parts of another."""
    mutated = bytearray(data)
    for _ in range(chance.choice((1, 1, 1, 2, 4, 16))):
        # Headers are where the interesting numbers are.
        place = chance.randrange(min(len(mutated), chance.choice((64, 512, len(mutated)))) or 1)
        match chance.randrange(7):
            case 0:
                mutated[place] ^= 1 << chance.randrange(8)
            case 1:
                mutated[place] = chance.choice((0, 1, 0x7F, 0x80, 0xFF))
            case 2:
                mutated[place : place + 4] = chance.choice(
                    (b"\xff\xff\xff\xff", b"\x7f\xff\xff\xff", b"\0\0\0\0", b"\x80\0\0\0", b"\0\0\xff\xff")
                )
            case 3:
                del mutated[place : place + chance.randrange(1, 64)]
            case 4:
                mutated[place:place] = mutated[place : place + chance.randrange(1, 64)]
            case 5:
                start = chance.randrange(len(other))
                mutated[place : place + 32] = other[start : start + 32]
            case 6:
                del mutated[max(1, place) :]
        if not mutated:
            mutated = bytearray(b"\0")
    return bytes(mutated)


class RequestMaker:
    """Makes mutated requests without end, the same ones for the same seed."""

    def __init__(self, seed: int) -> None:
        self._chance = random.Random(seed)
        self._pictures, self._costly, self._structured = seeds(), costly_seeds(), structured_seeds()
        # Kind of request, and its weight: most are pictures, which have the largest readers.
        self._kinds: tuple[tuple[Callable[[], Request], int], ...] = (
            (self._picture, 50), (self._json_picture, 6), (self._serving_json, 6), (self._url, 5),
            (self._form, 10), (self._structure, 12), (self._head, 6), (self._other, 4), (self._junk, 1),
        )  # fmt: skip

    def make(self) -> Request:
        [kind] = self._chance.choices(*zip(*self._kinds, strict=True))
        made: Request = kind()
        return made

    def _mutated_picture(self) -> bytes:
        chance = self._chance
        source = chance.choice(self._costly if chance.random() < _COSTLY_SHARE else self._pictures)
        return mutate(source, chance, chance.choice(self._pictures))

    def _mutated(self, body: bytes) -> bytes:
        return mutate(body, self._chance, body)

    def _picture(self) -> Request:
        content_type = self._chance.choice(("image/jpeg", "", "a/b", "image/png"))
        return post("/predict", Body(content_type, self._mutated_picture()))

    def _json_picture(self) -> Request:
        text = base64.b64encode(self._mutated_picture()).decode()
        body = json.dumps({"image": text}).encode()
        return post("/predict", Body("application/json", self._mutated(body)))

    def _serving_json(self) -> Request:
        text = base64.b64encode(self._mutated_picture()).decode()
        body = json.dumps({"instances": [{"b64": text}]}).encode()
        return post("/v1/models/pizza-model:predict", Body("application/json", self._mutated(body)))

    def _url(self) -> Request:
        # Addresses that are refused before anything is connected, so that no test leaves this machine.
        url = mutate(b"http://127.0.0.1:1/a?b=c#d", self._chance, b"[::1]@10.0.0.1").decode("latin-1")
        url = url.replace("http", "ftp") if "127.0.0.1" not in url else url
        return post("/predict", Body("application/json", json.dumps({"url": url}).encode()))

    def _form(self) -> Request:
        head = b'--XyZ\r\nContent-Disposition: form-data; name="f"; filename="p.jpg"\r\n\r\n'
        body = head + self._mutated_picture() + b"\r\n--XyZ--\r\n"
        body = self._mutated(body) if self._chance.random() < 0.5 else body
        return post("/predict", Body("multipart/form-data; boundary=XyZ", body))

    def _structure(self) -> Request:
        content_type, data = self._chance.choice(self._structured)
        return post("/predict", Body(content_type, self._mutated(data)))

    def _head(self) -> Request:
        """A head with more headers, or with a few bytes wrong."""
        chance, whole = self._chance, post("/predict", Body("image/jpeg", self._pictures[0])).data
        head, _, body = whole.partition(b"\r\n\r\n")
        for _ in range(chance.randrange(3)):
            head += b"\r\n" + chance.choice(_HEADERS)
        head = self._mutated(head) if chance.random() < 0.7 else head
        return Request("POST", head + b"\r\n\r\n" + body, is_whole=False)

    def _other(self) -> Request:
        method = self._chance.choice(_METHODS)
        head = f"{method} {self._chance.choice(_PATHS)} HTTP/1.1\r\nHost: fuzz\r\nContent-Length: 0\r\n\r\n"
        return Request(method, head.encode())

    def _junk(self) -> Request:
        content_type = self._chance.choice(("application/json", "multipart/form-data", "x"))
        return post("/predict", Body(content_type, self._chance.randbytes(self._chance.randrange(200))))


def post(path: str, body: Body) -> Request:
    """A POST with a good head."""
    head = (
        f"POST {path} HTTP/1.1\r\nHost: fuzz\r\nContent-Type: {body.content_type}\r\n"
        f"Content-Length: {len(body.data)}\r\n\r\n"
    )
    return Request("POST", head.encode() + body.data)
