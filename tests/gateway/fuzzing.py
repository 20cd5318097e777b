"""Mutated pictures and requests against a running gateway: nothing a sender does may be the gateway's
failure.

Allowed are 2xx, 4xx, 503 and 504. The memory of the process is watched all the while.
"""

from __future__ import annotations

import base64
import http.client
import io
import json
import random
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pillow_heif
from PIL import Image

_JSON = "application/json"


@dataclass
class Outcome:
    """What a run of mutated requests gave."""

    statuses: Counter[int] = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)
    #: Resident memory at most in each tenth of the run; by the end of the first every decoder has been used.
    rss_megabytes: list[float] = field(default_factory=lambda: [0.0] * 10)

    @property
    def requests(self) -> int:
        return sum(self.statuses.values())

    @property
    def warm_rss_megabytes(self) -> float:
        return self.rss_megabytes[0]

    @property
    def max_rss_megabytes(self) -> float:
        return max(self.rss_megabytes)


def seeds() -> list[bytes]:
    """Small pictures in every format and colour model that is read, as good as they come."""
    noise = random.Random(1)
    rgb = Image.new("RGB", (96, 64))
    rgb.putdata([(noise.randrange(256), x % 256, 128) for x in range(96 * 64)])
    pictures = []

    def add(image: Image.Image, kind: str, **options: object) -> None:
        buffer = io.BytesIO()
        image.save(buffer, kind, **options)
        pictures.append(buffer.getvalue())

    exif = Image.Exif()
    exif[0x0112] = 6
    add(rgb, "JPEG", exif=exif)
    add(rgb, "JPEG", progressive=True)
    add(rgb.convert("CMYK"), "JPEG")
    add(rgb.convert("L"), "JPEG")
    for mode in ("RGB", "RGBA", "P", "L", "1", "LA"):
        add(rgb.convert(mode), "PNG")
    add(Image.new("I;16", (32, 32), 40000), "PNG")
    add(rgb, "WEBP")
    add(rgb, "WEBP", lossless=True)
    add(rgb.convert("P"), "GIF", save_all=True, append_images=[rgb.convert("P")])
    add(rgb, "BMP")
    for compression in ("raw", "tiff_lzw", "tiff_deflate", "jpeg", "packbits"):
        add(rgb, "TIFF", compression=compression)
    pillow_heif.register_heif_opener()
    add(rgb, "HEIF")
    return pictures


def costly_seeds() -> list[bytes]:
    """Files of a few kilobytes that take as much memory as any accepted picture does."""
    pictures = []

    def add(mode: str, side: int, kind: str, **options: object) -> None:
        buffer = io.BytesIO()
        Image.new(mode, (side, side)).save(buffer, kind, **options)
        pictures.append(buffer.getvalue())

    add("RGBA", 4900, "PNG")
    add("RGBA", 3500, "WEBP", lossless=True, method=0)
    add("P", 4900, "GIF", transparency=0)
    add("RGB", 4900, "JPEG", progressive=True, quality=5)
    add("RGBA", 4900, "TIFF", compression="tiff_adobe_deflate")
    return pictures


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


def make_request(
    chance: random.Random, pictures: list[bytes], costly: list[bytes]
) -> tuple[str, str, bytes, dict[str, str]]:
    """Method, path, body and headers of one mutated request; one in a hundred is of a `costly` picture."""
    source = chance.choice(costly if chance.random() < 0.01 else pictures)
    data = mutate(source, chance, chance.choice(pictures))
    kind = chance.randrange(20)
    if kind < 13:
        return (
            "POST",
            "/predict",
            data,
            {"Content-Type": chance.choice(("image/jpeg", "", "a/b", "image/png"))},
        )
    if kind == 13:
        body = json.dumps({"image": base64.b64encode(data).decode()}).encode()
        return "POST", "/predict", mutate(body, chance, body), {"Content-Type": _JSON}
    if kind == 14:
        body = json.dumps({"instances": [{"b64": base64.b64encode(data).decode()}]}).encode()
        return "POST", "/v1/models/pizza-model:predict", mutate(body, chance, body), {"Content-Type": _JSON}
    if kind == 15:
        # Addresses that are refused before anything is connected, so that no test leaves this machine.
        url = mutate(b"http://127.0.0.1:1/a?b=c#d", chance, b"[::1]@10.0.0.1").decode("latin-1")
        url = url.replace("http", "ftp") if "127.0.0.1" not in url else url
        return "POST", "/predict", json.dumps({"url": url}).encode(), {"Content-Type": _JSON}
    if kind < 18:
        head = b'--XyZ\r\nContent-Disposition: form-data; name="f"; filename="p.jpg"\r\n\r\n'
        body = head + data + b"\r\n--XyZ--\r\n"
        body = mutate(body, chance, body) if chance.random() < 0.5 else body
        return "POST", "/predict", body, {"Content-Type": "multipart/form-data; boundary=XyZ"}
    if kind == 18:
        paths = (
            "/",
            "/predict",
            "/openapi.json",
            "/v1/models/",
            "/v1/models/pizza-model/metadata",
            "/%00",
            "/..",
        )
        methods = ("GET", "HEAD", "PUT", "DELETE", "OPTIONS", "PATCH", "POST")
        return chance.choice(methods), chance.choice(paths), b"", {}
    junk = bytes(chance.randrange(256) for _ in range(chance.randrange(200)))
    return "POST", "/predict", junk, {"Content-Type": chance.choice((_JSON, "multipart/form-data", "x"))}


def run(
    port: int,
    pid: int,
    requests: int,
    seed: int,
    threads: int = 4,
    report: Callable[[Outcome], None] | None = None,
) -> Outcome:
    """Sends so many mutated requests from some threads; the process with this id is the gateway."""
    outcome, lock, pictures, costly = Outcome(), threading.Lock(), seeds(), costly_seeds()

    def send(number: int) -> None:
        chance = random.Random(seed * 1000 + number)
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        for count in range(requests // threads):
            method, path, body, headers = make_request(chance, pictures, costly)
            try:
                connection.request(method, path, body, headers)
                response = connection.getresponse()
                text = response.read()
                status = response.status
            except (OSError, http.client.HTTPException) as error:
                connection.close()
                text, status = repr(error).encode(), 0
            with lock:
                outcome.statuses[status] += 1
                if status == 0 or (status >= 500 and status not in (503, 504)):
                    outcome.failures.append(
                        f"{status} {method} {path} {headers} {body[:200]!r}: {text[:300]!r}"
                    )
                if count % 50 == 0:
                    tenth = min(9, outcome.requests * 10 // requests)
                    outcome.rss_megabytes[tenth] = max(outcome.rss_megabytes[tenth], resident_megabytes(pid))
                    if report is not None:
                        report(outcome)
        connection.close()

    workers = [threading.Thread(target=send, args=(number,)) for number in range(threads)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    return outcome


def resident_megabytes(pid: int) -> float:
    """Resident memory of a process and its children, in MB (10^6 bytes)."""
    pages = 0
    for each in (pid, *children(pid)):
        pages += int(Path(f"/proc/{each}/statm").read_text().split()[1])
    return pages * 4096 / 1e6


def children(pid: int) -> list[int]:
    """The processes that a process has started, at any depth."""
    direct = [int(text) for text in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    return [each for child in direct for each in (child, *children(child))]


def seed_of_the_moment() -> int:
    """Another run each time; the seed is part of the report, so that it can be made again."""
    return int(time.time())
