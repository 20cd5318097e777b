"""Base64 is decoded in pieces, and comes out as if it were decoded at once."""

import base64
import binascii
import json
from typing import Any
from unittest.mock import patch
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imageclassifier_gateway.api import payload
from imageclassifier_gateway.api.payload import (
    Payload,
    Picture,
    Reference,
    decode_base64,
    parse_json_object,
    read_json,
)
from imageclassifier_gateway.api.url_encoded_form import is_url_encoded_form, read_url_encoded_form
from imageclassifier_gateway.problems import Problem

STEPS = st.integers(1, 20)


@given(data=st.binary(max_size=80), spaces=st.lists(st.integers(0, 120), max_size=8), step=STEPS)
def test_base64_comes_out_as_it_went_in_wherever_it_has_white_space(
    data: bytes, spaces: list[int], step: int
) -> None:
    text = base64.b64encode(data).decode()
    for at in spaces:
        text = f"{text[:at]}\r\n {text[at:]}"
    with patch.object(payload, "_BASE64_STEP", step):
        assert decode_base64(text, "image") == data


@given(text=st.text("AAAAb/+=\n é-", max_size=40), step=STEPS)
def test_the_steps_of_decoding_change_no_outcome(text: str, step: int) -> None:
    with patch.object(payload, "_BASE64_STEP", step):
        in_steps = decoded(text)
    try:
        plain = text.encode("ascii").translate(bytes.maketrans(b"-_", b"+/"), b"\n ")
        digits = plain.rstrip(b"=")
        at_once: bytes | None = base64.b64decode(digits + b"=" * (-len(digits) % 4), validate=True)
    except (binascii.Error, ValueError):
        at_once = None
    assert in_steps == at_once


@given(data=st.binary(max_size=80), step=STEPS)
def test_base64_is_read_in_both_alphabets_with_and_without_padding(data: bytes, step: int) -> None:
    with patch.object(payload, "_BASE64_STEP", step):
        for encode in (base64.b64encode, base64.urlsafe_b64encode):
            text = encode(data).decode()
            assert decode_base64(text, "image") == data
            assert decode_base64(text.rstrip("="), "image") == data
            assert decode_base64(f"data:image/jpeg;base64,{quote(text, safe='')}", "image") == data


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("b'/9j/4AAQ'", r"base64.b64encode\(data\).decode\(\)"),
        ('b"/9j/4AAQ"', "Python's notation"),
        ("https://pictures.example/a.jpg", "It is a URL"),
        ("/home/me/cat.jpg", "path of a file"),
        ("C:\\\\Users\\\\me\\\\cat.jpg", "path of a file"),
        ("data:image/svg+xml,<svg/>", "data URL without base64"),
        ("A", "not valid base64"),
    ],
)
def test_text_that_is_no_base64_is_refused_with_what_it_is(text: str, hint: str) -> None:
    with pytest.raises(Problem, match=hint):
        decode_base64(text, "image")


def test_a_data_url_in_the_place_of_a_url_is_a_picture() -> None:
    url = "data:image/png;base64," + base64.b64encode(b"picture").decode()
    body = json.dumps({"urls": [url, "https://pictures.example/"]}).encode()
    assert read_json(body, 32).sources == [Picture(b"picture"), Reference("https://pictures.example/")]


def test_pixels_as_numbers_are_refused_with_what_to_send_instead() -> None:
    pixels = json.dumps({"instances": [[[[0, 0, 0]] * 224] * 224]}).encode()
    with pytest.raises(Problem, match="send the picture file in base64"):
        parse_json_object(pixels)


@pytest.mark.parametrize(
    ("body", "sources", "many"),
    [
        (b"url=https%3A%2F%2Fa.example%2Fx.jpg", [Reference("https://a.example/x.jpg")], False),
        (b"url=https://a.example/x.jpg", [Reference("https://a.example/x.jpg")], False),
        (b"url=https://a.example/&url=https://b.example/", ["a", "b"], True),
        (b"urls[]=https://a.example/&urls%5B%5D=https://b.example/", ["a", "b"], True),
        (b"image=cGl+", [Picture(base64.b64decode("cGl+"))], False),
        (b"image=data:image/png;base64,cGl%2B", [Picture(base64.b64decode("cGl+"))], False),
    ],
)
def test_an_url_encoded_form_is_read(body: bytes, sources: list[Any], many: bool) -> None:
    assert is_url_encoded_form(body)
    payload = read_url_encoded_form(body, 32)
    expected = [Reference(f"https://{each}.example/") if isinstance(each, str) else each for each in sources]
    assert payload == Payload(expected, many)


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        (b"url=", "is empty"),
        (b"url=https://a.example/&threshold=1", "the field 'threshold'"),
        (b"image=b'abc'", "Python's notation"),
        (b"url=\xff", "ASCII"),
        (b"&".join([b"url=https://a.example/"] * 33), "at most 32"),
        (b"&".join([b"url=https://a.example/"] * 300), "more than 256 fields"),
    ],
)
def test_an_url_encoded_form_that_cannot_be_read_says_why(body: bytes, sentence: str) -> None:
    with pytest.raises(Problem, match=sentence):
        read_url_encoded_form(body, 32)


def decoded(text: str) -> bytes | None:
    """What the text decodes to; None if it is refused."""
    try:
        return decode_base64(text, "image")
    except Problem:
        return None


@pytest.mark.parametrize("number", [b"7" * 100_000, b"0." + b"7" * 100_000, b"-1", b"1e999"])
def test_a_number_is_refused_by_its_place_however_long_it_is(number: bytes) -> None:
    with pytest.raises(Problem, match="'image' must be a non-empty string"):
        read_json(b'{"image": ' + number + b"}", 32)
