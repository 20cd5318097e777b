"""AVIF files: those of encoders are read, and those that cost more than they announce are refused."""

from __future__ import annotations

import io
import tracemalloc
from dataclasses import replace

import numpy as np
import pytest
from heif_boxes import Item, av1_units, avif, coded_av1, find_box, grid
from PIL import Image

from imageclassifier_gateway.pixels import images
from imageclassifier_gateway.pixels.fileformats import Damaged, Unsupported, av1, inspect
from imageclassifier_gateway.pixels.fileformats.avif import Locations, check


def saved(picture: Image.Image, **options: object) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, "AVIF", **{"speed": 10, **options})
    return buffer.getvalue()


def frame_of_a_sequence(size: tuple[int, int] = (64, 48)) -> bytes:
    """The first sample of an animation: its sequence header is a long one."""
    pictures = [Image.new("RGB", size, colour) for colour in ("red", "blue")]
    data = saved(pictures[0], save_all=True, append_images=pictures[1:])
    samples = find_box(data, b"mdat")
    return samples[: samples.index(b"\x12\0", 2)]


@pytest.mark.parametrize("subsampling", ["4:4:4", "4:2:2", "4:2:0", "4:0:0"])
@pytest.mark.parametrize("size", [(1, 1), (17, 31), (64, 64), (300, 200)])
def test_pictures_of_every_kind_and_size_are_read(subsampling: str, size: tuple[int, int]) -> None:
    decoded = images.decode(saved(Image.new("RGB", size, (90, 90, 90)), subsampling=subsampling))
    assert decoded.size == size
    assert np.abs(np.asarray(decoded).astype(int) - 90).max() <= 4


def test_what_shows_through_is_white_and_a_rotation_is_applied() -> None:
    assert np.asarray(images.decode(saved(Image.new("RGBA", (8, 8), (0, 0, 0, 0))))).min() >= 250
    exif = Image.Exif()
    exif[0x0112] = 6
    assert images.decode(saved(Image.new("RGB", (40, 24)), exif=exif)).size == (24, 40)


def test_a_grid_of_tiles_is_read_and_one_that_announces_another_size_is_not() -> None:
    tiles = [coded_av1(64, 64)] * 4
    assert images.decode(avif(grid(2, 2, (128, 128), [2, 3, 4, 5]), *tiles)).size == (128, 128)
    lying = replace(grid(2, 2, (16_000, 16_000), [2, 3, 4, 5]), size=(128, 128))
    with pytest.raises(images.BrokenPicture, match="two different sizes"):
        images.decode(avif(lying, *tiles))


@pytest.mark.parametrize("announced", [(64, 64), (400, 64), (401, 400), (800, 800)])
def test_a_coded_image_larger_or_smaller_than_the_file_announces_is_refused(
    announced: tuple[int, int],
) -> None:
    with pytest.raises(images.BrokenPicture, match="two different sizes"):
        images.decode(avif(replace(coded_av1(400, 400), size=announced)))


def test_a_coded_image_that_is_padded_to_its_blocks_is_read() -> None:
    padded = replace(coded_av1(128, 64), size=(126, 50))
    assert images.decode(avif(padded)).size == (126, 50)


def test_an_animation_is_refused_with_what_to_do() -> None:
    frames = [Image.new("RGB", (16, 16), colour) for colour in ("red", "blue")]
    data = saved(frames[0], save_all=True, append_images=frames[1:])
    with pytest.raises(images.UnsupportedPicture, match=r"animated AVIF file\. Send one"):
        images.decode(data)
    with pytest.raises(images.UnsupportedPicture, match="animated AVIF file"):
        images.decode(data.replace(b"ftypavis", b"ftypmif1"))


def test_an_image_of_several_frames_is_refused_since_all_are_decoded_before_one_is_shown() -> None:
    one = coded_av1(64, 64)
    sequence, frame = av1_units(one.data)
    for data in (sequence + frame * 2, sequence + frame * 60):
        with pytest.raises(images.UnsupportedPicture, match="several frames or layers"):
            images.decode(avif(replace(one, data=data)))
    with pytest.raises(images.BrokenPicture, match="two sequence headers"):
        images.decode(avif(replace(one, data=sequence * 2 + frame)))
    with pytest.raises(images.BrokenPicture, match="more than 64 parts"):
        images.decode(avif(replace(one, data=sequence + b"\x7a\0" * 64 + frame)))


def test_an_image_whose_data_are_listed_again_and_again_is_refused_before_they_are_joined() -> None:
    file = bytes(1_000_000)
    repeated = Locations({1: [(0, len(file))] * 20})
    tracemalloc.start()
    with pytest.raises(Damaged, match="share their data"):
        repeated.data(file, 1)
    _, peak_bytes = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak_bytes < len(file)


def test_images_that_share_their_data_are_refused_since_each_is_decoded() -> None:
    data = coded_av1(64, 64).data
    sizes, types = {1: (64, 64), 2: (64, 64)}, {1: b"av01", 2: b"av01"}
    both = Locations({1: [(0, len(data))], 2: [(len(data), 2 * len(data))]})
    check(data + data, types, sizes, both)
    same = Locations({1: [(0, len(data))], 2: [(0, len(data))]})
    with pytest.raises(Damaged, match="share their data"):
        check(data + data[1:], types, sizes, same)


def test_the_long_sequence_header_of_a_video_is_read_too() -> None:
    av1.check(frame_of_a_sequence(), (64, 48))
    with pytest.raises(Damaged, match="two different sizes"):
        av1.check(frame_of_a_sequence(), (640, 48))


def test_a_frame_with_a_size_of_its_own_is_refused_since_a_decoder_would_allocate_it() -> None:
    """The field after the identity of the frame; any other bit makes another frame, or none."""
    data = frame_of_a_sequence()
    refused = []
    start = len(data) - len(av1_units(data)[1])
    for bit in range(8 * 3):
        at = start + 2 + bit // 8
        changed = data[:at] + bytes([data[at] ^ 0x80 >> bit % 8]) + data[at + 1 :]
        try:
            av1.check(changed, (64, 48))
        except Unsupported:
            refused.append(bit)
    # An earlier frame is shown, another kind of frame, a hidden frame; then, after two tools, the size.
    assert refused == [0, 1, 2, 3, 6]


@pytest.mark.parametrize("share", range(20))
def test_a_truncated_file_is_reported_as_damaged(share: int) -> None:
    whole = avif(coded_av1(64, 64))
    with pytest.raises((images.BrokenPicture, images.NotAPicture)):
        images.decode(whole[: len(whole) * share // 20])


def test_an_image_without_its_data_is_refused() -> None:
    with pytest.raises(images.BrokenPicture):
        images.decode(avif(Item(b"av01", b"", (64, 64))))


def test_an_image_with_more_than_8_bits_counts_with_more_memory() -> None:
    """The sequence header, with each of its bits changed: one says how many bits a value has."""
    data = coded_av1(64, 64).data
    assert av1.check(data, (64, 64)) is False
    deep = []
    for bit in range(8 * 9):
        at = 4 + bit // 8
        try:
            deep += [bit] * av1.check(
                data[:at] + bytes([data[at] ^ 0x80 >> bit % 8]) + data[at + 1 :], (64, 64)
            )
        except (Damaged, Unsupported):
            continue
    assert len(deep) == 1
    changed = bytearray(data)
    changed[4 + deep[0] // 8] ^= 0x80 >> deep[0] % 8
    structure = inspect(avif(replace(coded_av1(64, 64), data=bytes(changed))))
    assert structure.held_bytes == 8 * 64 * 64
