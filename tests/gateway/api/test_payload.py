"""Base64 is decoded in pieces, and comes out as if it were decoded at once."""

import base64
import binascii
from unittest.mock import patch

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imageclassifier_gateway.api import payload
from imageclassifier_gateway.api.payload import decode_base64, read_json
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
        at_once: bytes | None = base64.b64decode(text.encode("ascii").translate(None, b"\n "), validate=True)
    except (binascii.Error, ValueError):
        at_once = None
    assert in_steps == at_once


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
