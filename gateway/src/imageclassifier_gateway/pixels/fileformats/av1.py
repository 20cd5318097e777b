"""The size for which a decoder of AV1 images allocates memory (AV1 specification, sections 5.3 to 5.9).

A decoder takes the size from the coded image and not from the file around it, and decodes all frames before
the first one that is shown. So an image must be one frame of the size that the file announces.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from .structure import Damaged, Unsupported

_SEQUENCE_HEADER, _TILE_LIST = 1, 8
#: A frame begins with each of these: its header, both in one, or a header that is repeated.
_FRAMES = (3, 6, 7)
#: An image has a temporal delimiter, a sequence header, metadata, a frame and padding.
_MAX_UNITS = 64
#: Encoders in hardware round the size up to their blocks, which have at most 64 pixels.
_MAX_PADDING = 63
#: The value of two fields that says: each frame chooses for itself.
_CHOSEN_BY_FRAME = 2


class _Bits:
    """Reads numbers from bits. Raises Damaged at the end."""

    def __init__(self, data: bytes) -> None:
        self._number = int.from_bytes(data, "big")
        self._left = 8 * len(data)

    def read(self, count: int = 1) -> int:
        self._left -= count
        if self._left < 0:
            raise Damaged("the header of its AV1 image is truncated")
        return self._number >> self._left & (1 << count) - 1

    def skip(self, count: int) -> None:
        self.read(count)


@dataclass(frozen=True)
class _Sequence:
    """What a sequence header says about the frames after it."""

    is_reduced: bool
    size: tuple[int, int]
    timing_bits: int
    """The number of bits of the time in a frame's header; 0 if there is none."""
    has_screen_content: int
    has_integer_motion: int
    frame_id_bits: int
    is_deep: bool
    """Whether its values have 10 or 12 bits."""


def check(data: bytes, size: tuple[int, int]) -> bool:
    """Check that the data of an AV1 image is one frame of this size, and return whether its values are deep.

    Raises Damaged for another size, and Unsupported for an image of several frames.
    """
    sequence: _Sequence | None = None
    frames = 0
    for kind, content in _units(data):
        if kind == _SEQUENCE_HEADER:
            if sequence is not None:
                raise Damaged("its AV1 image has two sequence headers")
            sequence = _read_sequence(_Bits(content[:512]))
            _compare(sequence.size, size)
        elif kind in _FRAMES:
            frames += 1
            if sequence is None:
                raise Damaged("its AV1 image has a frame before its sequence header")
            if frames > 1 or not _is_whole_key_frame(_Bits(content[:64]), sequence):
                raise Unsupported(
                    "is an AVIF file whose image consists of several frames or layers. Save it again, or as "
                    "a JPEG."
                )
        elif kind == _TILE_LIST:
            raise Damaged("its AV1 image has a tile list")
    if sequence is None or not frames:
        raise Damaged("its AV1 image has no frame")
    return sequence.is_deep


def _compare(coded: tuple[int, int], announced: tuple[int, int]) -> None:
    if any(not 0 <= one - other <= _MAX_PADDING for one, other in zip(coded, announced, strict=True)):
        raise Damaged("it contains two different sizes")


def _units(data: bytes) -> Iterator[tuple[int, bytes]]:
    """The type and the content of each open bitstream unit."""
    at = 0
    for _ in range(_MAX_UNITS):
        if at >= len(data):
            return
        head = data[at]
        at += 1 + (head >> 2 & 1)
        length = len(data) - at
        if head >> 1 & 1:
            length, at = _leb128(data, at)
        if head >> 7 or length < 0 or at + length > len(data):
            raise Damaged("its AV1 image is truncated")
        yield head >> 3 & 15, data[at : at + length]
        at += length
    raise Damaged(f"its AV1 image has more than {_MAX_UNITS} parts")


def _leb128(data: bytes, at: int) -> tuple[int, int]:
    """The number at an offset, and the offset after it."""
    number = 0
    for index, byte in enumerate(data[at : at + 8]):
        number |= (byte & 127) << 7 * index
        if byte < 128:
            return number, at + index + 1
    raise Damaged("its AV1 image is truncated")


def _read_sequence(bits: _Bits) -> _Sequence:
    bits.skip(3 + 1)  # profile, still picture
    is_reduced = bool(bits.read())
    timing_bits = 0
    if is_reduced:
        bits.skip(5)  # level
    else:
        timing_bits = _skip_operating_points(bits)
    width_bits, height_bits = bits.read(4) + 1, bits.read(4) + 1
    size = (bits.read(width_bits) + 1, bits.read(height_bits) + 1)
    frame_id_bits = 0
    if not is_reduced and bits.read():
        frame_id_bits = bits.read(4) + 2
        frame_id_bits += bits.read(3) + 1
    bits.skip(3)  # blocks of 128, two filters
    screen_content = integer_motion = _CHOSEN_BY_FRAME
    if not is_reduced:
        bits.skip(4)  # four tools between frames
        has_order = bits.read()
        bits.skip(2 * has_order)
        screen_content = _CHOSEN_BY_FRAME if bits.read() else bits.read()
        if screen_content:
            integer_motion = _CHOSEN_BY_FRAME if bits.read() else bits.read()
        bits.skip(3 * has_order)
    bits.skip(3)  # three filters
    is_deep = bool(bits.read())
    return _Sequence(is_reduced, size, timing_bits, screen_content, integer_motion, frame_id_bits, is_deep)


def _skip_operating_points(bits: _Bits) -> int:
    """Skip timing and operating points, and return the number of bits of the time in a frame's header."""
    buffer_bits = timing_bits = 0
    if bits.read():  # timing
        bits.skip(64)
        equal_intervals = bits.read()
        if equal_intervals:
            _skip_variable(bits)
        if bits.read():  # decoder model
            buffer_bits = bits.read(5) + 1
            bits.skip(32 + 5)
            time_bits = bits.read(5) + 1
            timing_bits = 0 if equal_intervals else time_bits
    initial_delay = bits.read()
    for _ in range(bits.read(5) + 1):
        bits.skip(12)
        if bits.read(5) > 7:
            bits.skip(1)
        if buffer_bits and bits.read():
            bits.skip(2 * buffer_bits + 1)
        if initial_delay and bits.read():
            bits.skip(4)
    return timing_bits


def _skip_variable(bits: _Bits) -> None:
    """Skip a number of variable length (`uvlc`)."""
    zeros = 0
    while not bits.read():
        zeros += 1
    bits.skip(min(zeros, 32) % 32)


def _is_whole_key_frame(bits: _Bits, sequence: _Sequence) -> bool:
    """Whether a frame is a key frame that is shown, and has the size in the sequence header."""
    if sequence.is_reduced:
        return True  # nothing else is possible
    shows_another, kind, is_shown = bits.read(), bits.read(2), bits.read()
    if shows_another or kind or not is_shown:
        return False
    bits.skip(sequence.timing_bits + 1)  # the time; whether probabilities adapt
    screen_content = sequence.has_screen_content
    if screen_content == _CHOSEN_BY_FRAME:
        screen_content = bits.read()
    if screen_content and sequence.has_integer_motion == _CHOSEN_BY_FRAME:
        bits.skip(1)
    bits.skip(sequence.frame_id_bits)
    return not bits.read()  # another size
