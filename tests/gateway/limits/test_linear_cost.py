"""What it costs to read a body grows with its bytes, and is comparable with the cost of an ordinary picture.

Only CPU times of the same run are compared with each other, and the factors are wide: what fails here takes
many times as long.
"""

from __future__ import annotations

import io
import time
from contextlib import suppress

import pytest
from adversarial import BODIES, RICH_IN_PIXELS, Body, plain_jpeg
from heif_boxes import avif, coded_av1
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from imageclassifier_gateway.api.forms import read_form
from imageclassifier_gateway.api.payload import Reference, read_json
from imageclassifier_gateway.contract import ModelInput
from imageclassifier_gateway.fetching.urls import FetchError, parse_url
from imageclassifier_gateway.pixels import images
from imageclassifier_gateway.pixels.fileformats import Damaged, TooCostly, Unsupported, inspect
from imageclassifier_gateway.problems import Problem

WANTED = ModelInput(height=224, width=224)
SIZE = 500_000
#: Doubling the bytes may double the time. Caches and allocators add to it, and timers have a resolution.
DOUBLED, SECONDS = 3.0, 0.02
#: Times the cost of as many bytes of a plain picture.
COMPARED_WITH_PLAIN = 10


def read(body: Body) -> None:
    """Reads a body as the gateway does; how it is answered does not matter here."""
    kind, _, boundary = body.content_type.partition("; boundary=")
    with suppress(Problem, images.PictureError, FetchError):
        if kind == "multipart/form-data":
            read_form(body.data, boundary, 32)
        elif kind == "application/json":
            for source in read_json(body.data, 32).sources:
                if isinstance(source, Reference):
                    parse_url(source.url)
        else:
            images.prepare(body.data, WANTED)


def cpu_seconds(body: Body) -> float:
    """The least of up to four runs, or of what a fifth of a second allows."""
    least, spent = float("inf"), 0.0
    for _ in range(4):
        began = time.process_time()
        read(body)
        seconds = time.process_time() - began
        least, spent = min(least, seconds), spent + seconds
        if spent > 0.2:
            break
    return least


@pytest.fixture(scope="module")
def plain_seconds() -> float:
    """CPU time that an ordinary picture of the larger size takes."""
    body = Body("image/jpeg", plain_jpeg(2 * SIZE))
    read(body)  # loads the decoder
    return cpu_seconds(body)


@pytest.fixture(scope="module")
def largest_seconds() -> float:
    """CPU time of an ordinary picture with as many pixels as are accepted."""
    noise = Image.effect_noise((500, 500), 60).resize((5000, 5000), Image.Resampling.NEAREST).convert("RGBA")
    buffer = io.BytesIO()
    noise.save(buffer, "PNG", compress_level=1)
    assert images.prepare(buffer.getvalue(), WANTED).any()
    return cpu_seconds(Body("image/png", buffer.getvalue()))


@pytest.mark.filterwarnings("ignore::UserWarning:PIL")
@pytest.mark.parametrize("name", sorted(BODIES.keys() - RICH_IN_PIXELS))
def test_reading_takes_time_with_the_bytes_and_not_much_more_than_a_plain_picture(
    name: str, plain_seconds: float
) -> None:
    once, twice = cpu_seconds(BODIES[name](SIZE)), cpu_seconds(BODIES[name](2 * SIZE))
    assert twice <= DOUBLED * once + SECONDS
    assert twice <= COMPARED_WITH_PLAIN * plain_seconds


@pytest.mark.parametrize("name", sorted(RICH_IN_PIXELS))
def test_a_picture_of_many_pixels_takes_not_much_longer_than_the_largest_plain_one(
    name: str, largest_seconds: float
) -> None:
    assert cpu_seconds(BODIES[name](SIZE)) <= 3 * largest_seconds


#: The beginnings of files, to which anything may be added.
SIGNATURES = [
    b"\xff\xd8",
    b"\x89PNG\r\n\x1a\n",
    b"GIF89a" + bytes(7),
    b"RIFF....WEBP",
    b"II*\0\x08\0\0\0",
    b"BM",
    b"\0\0\0\x0cftypheic\0\0\0\0meta\0\0\0\0",
    b"\0\0\0\x0cftypheic\0\0\0\0meta\0\0\0\0\0\0\0\0iref\0\0\0\0",
    b"\0\0\0\x0cftypavif\0\0\0\0meta\0\0\0\0\0\0\0\0iloc\0\0\0\0\0\0",
    avif(coded_av1(16, 16)),
]


@settings(max_examples=100, deadline=None)
@given(start=st.sampled_from(SIGNATURES), unit=st.binary(min_size=1, max_size=40))
def test_parsing_a_files_structure_takes_time_linear_in_its_bytes_even_with_repetitions(
    start: bytes, unit: bytes, plain_seconds: float
) -> None:
    body = start + unit * (2 * SIZE // len(unit))
    began = time.process_time()
    with suppress(TooCostly, Damaged, Unsupported):
        inspect(body)
    assert time.process_time() - began <= COMPARED_WITH_PLAIN * plain_seconds
