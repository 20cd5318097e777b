"""Bodies that cost a careless reader far more than they cost the client that sends them.

`BODIES` maps a name to a function that makes such a body of about the given size. Nothing here needs the
gateway: tests of its readers, the fuzz run and the attack benchmark share it.
"""

from __future__ import annotations

import base64
import io
import json
import math
import struct
import zlib
from collections.abc import Callable
from typing import NamedTuple

from heif_boxes import Item, box, coded, file, full_box, grid, overlay
from PIL import Image


class Body(NamedTuple):
    """One request's Content-Type and body."""

    content_type: str
    data: bytes


#: Name -> a function from a size in bytes to a body of about that size. Small sizes are rounded up.
BODIES: dict[str, Callable[[int], Body]] = {}

#: Those that cost what their pixels cost, whatever their size in bytes.
RICH_IN_PIXELS = frozenset(
    ("png-bomb", "gif-bomb", "gif-large-screen", "webp-bomb", "tiff-bomb", "bmp-bomb", "heic-bomb")
)

_MEGAPIXEL = 1_000_000


def _body(name: str, content_type: str) -> Callable[[Callable[[int], bytes]], Callable[[int], bytes]]:
    def register(make: Callable[[int], bytes]) -> Callable[[int], bytes]:
        BODIES[name] = lambda size: Body(content_type, make(size))
        return make

    return register


def _repeat(unit: bytes, size: int) -> bytes:
    return unit * max(1, size // len(unit))


# Forms. The boundary is the client's choice, and one character is a legal one.

_FORM = "multipart/form-data; boundary=b"
_FILE = b'--b\r\nContent-Disposition: form-data; name="f"; filename="p.jpg"\r\n\r\n'
_END = b"\r\n--b--\r\n"


@_body("form-delimiters", _FORM)
def form_delimiters(size: int) -> bytes:
    """Delimiters without a line break before them: text, which a search for heads may take for parts."""
    return _repeat(b"--bx" * 4000 + b"\n\n", size)


@_body("form-delimiters-in-a-file", _FORM)
def form_delimiters_in_a_file(size: int) -> bytes:
    return _FILE + _repeat(b"\r\n--bx", size) + _END


@_body("form-spaces-after-delimiters", _FORM)
def form_spaces_after_delimiters(size: int) -> bytes:
    """RFC 2046 allows spaces behind a delimiter: a regular expression looks through them again and again."""
    return _FILE + _repeat(b"\r\n--b" + b" " * 4000 + b"x", size) + _END


@_body("form-one-delimiter-and-spaces", _FORM)
def form_one_delimiter_and_spaces(size: int) -> bytes:
    return _FILE + b"\r\n--b" + b" " * size + b"x" + _END


@_body("form-line-breaks", _FORM)
def form_line_breaks(size: int) -> bytes:
    return _FILE + _repeat(b"\r\n", size) + _END


@_body("form-many-parts", _FORM)
def form_many_parts(size: int) -> bytes:
    return _repeat(_FILE + b"x\r\n", size) + _END[2:]


@_body("form-empty-parts", _FORM)
def form_empty_parts(size: int) -> bytes:
    return _repeat(b"--b\r\n\r\n\r\n", size) + _END[2:]


@_body("form-endless-headers", _FORM)
def form_endless_headers(size: int) -> bytes:
    return _FILE[:-2] + _repeat(b"A: b\r\n", size) + b"\r\nx" + _END


@_body("form-continued-headers", _FORM)
def form_continued_headers(size: int) -> bytes:
    return _FILE[:-2] + b"A: b\r\n" + _repeat(b"\t\r\n", size) + b"\r\nx" + _END


@_body("form-many-parameters", _FORM)
def form_many_parameters(size: int) -> bytes:
    """A Content-Disposition header with thousands of parameters, some of them continued (RFC 2231)."""
    parameters = _repeat(b';a*0="b"', size)
    return b'--b\r\nContent-Disposition: form-data; filename="f"' + parameters + b"\r\n\r\nx" + _END


@_body("form-parameters-in-each-part", _FORM)
def form_parameters_in_each_part(size: int) -> bytes:
    """As many as pass for the headers of one part."""
    part = b'--b\r\nContent-Disposition: form-data; filename="f"' + b';a*0="b"' * 490 + b"\r\n\r\nx\r\n"
    return _repeat(part, size) + _END[2:]


@_body("form-long-preamble", _FORM)
def form_long_preamble(size: int) -> bytes:
    return _repeat(b"--a\r\n", size) + _FILE + b"x" + _END


@_body("form-long-epilogue", _FORM)
def form_long_epilogue(size: int) -> bytes:
    return _FILE + b"x" + _END + _repeat(b"--b\r\n\r\n", size)


@_body("form-boundary-that-nearly-matches", "multipart/form-data; boundary=" + "-" * 69 + "b")
def form_nearly_matching_boundary(size: int) -> bytes:
    return b"--" + b"-" * 69 + b"b" + _FILE[3:] + b"\r\n" + b"-" * size + b"\r\n--" + b"-" * 69 + b"b--\r\n"


@_body("form-cut-off", _FORM)
def form_cut_off(size: int) -> bytes:
    return _FILE + bytes(size)


@_body("form-two-files", _FORM)
def form_two_files(size: int) -> bytes:
    half = bytes(size // 2)
    return _FILE + half + b"\r\n" + _FILE + half + _END


# JSON and base64.

_JSON = "application/json"


@_body("json-nested", _JSON)
def json_nested(size: int) -> bytes:
    """Below any limit on the number of values, where the size allows it."""
    depth = min(size // 2, 60_000)
    return b'{"image": ' + b"[" * depth + b"]" * depth + b" " * (size - 2 * depth) + b"}"


@_body("json-many-values", _JSON)
def json_many_values(size: int) -> bytes:
    return b'{"urls": [' + _repeat(b"[],", size) + b"0]}"


@_body("json-many-keys", _JSON)
def json_many_keys(size: int) -> bytes:
    pairs = (b'"%06x":0,' % number for number in range(max(1, size // 11)))
    return b"{" + b"".join(pairs) + b'"image":""}'


@_body("json-same-key", _JSON)
def json_same_key(size: int) -> bytes:
    return b"{" + _repeat(b'"image":"AAAA",', size) + b'"image":"AAAA"}'


@_body("json-long-integer", _JSON)
def json_long_integer(size: int) -> bytes:
    return b'{"image": ' + b"7" * size + b"}"


@_body("json-long-fraction", _JSON)
def json_long_fraction(size: int) -> bytes:
    return b'{"image": 0.' + b"7" * size + b"}"


@_body("json-integers", _JSON)
def json_integers(size: int) -> bytes:
    """Each as long as Python converts: the conversion takes time with the square of the digits."""
    return b'{"image": [' + _repeat(b"7" * 4300 + b",", size) + b"0]}"


@_body("json-escapes", _JSON)
def json_escapes(size: int) -> bytes:
    return b'{"image": "' + _repeat(rb"\n", size) + b'"}'


@_body("json-unicode-escapes", _JSON)
def json_unicode_escapes(size: int) -> bytes:
    return b'{"image": "' + _repeat(rb"\u0041", size) + b'"}'


@_body("json-white-space", _JSON)
def json_white_space(size: int) -> bytes:
    return b'{"image": ' + _repeat(b" \t\r\n", size) + b'"AAAA"}'


@_body("json-unclosed-string", _JSON)
def json_unclosed_string(size: int) -> bytes:
    return b'{"image": "' + b"A" * size


@_body("json-long-urls", _JSON)
def json_long_urls(size: int) -> bytes:
    """International names, which take long to bring into their ASCII form."""
    host = "\u00fc" * 900 + ".example"
    return json.dumps({"urls": [f"http://{host}/{n}" for n in range(max(1, size // 5500))]}).encode()


@_body("base64-line-breaks", _JSON)
def base64_line_breaks(size: int) -> bytes:
    return b'{"image": "' + _repeat(rb"A\n", size) + b'"}'


@_body("base64-junk", _JSON)
def base64_junk(size: int) -> bytes:
    return b'{"image": "' + _repeat(b"A=", size) + b'"}'


@_body("base64-data-url", _JSON)
def base64_data_url(size: int) -> bytes:
    return b'{"image": "data:' + _repeat(b";base64", size) + b'"}'


@_body("base64-large-picture", _JSON)
def base64_large_picture(size: int) -> bytes:
    return json.dumps({"image": base64.b64encode(bytes(size * 3 // 4)).decode()}).encode()


# JPEG.


def _saved(picture: Image.Image, kind: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, kind, **options)
    return buffer.getvalue()


def _grey_jpeg(width: int, height: int, **options: object) -> bytes:
    return _saved(Image.new("L", (width, height), 128), "JPEG", **options)


def _segment(marker: int, content: bytes) -> bytes:
    return struct.pack(">BBH", 0xFF, marker, 2 + len(content)) + content


def with_segments(jpeg: bytes, segments: bytes) -> bytes:
    """`jpeg` with more segments behind its start."""
    return jpeg[:2] + segments + jpeg[2:]


def jpeg_in_three_scans(width: int, height: int) -> bytes:
    """A grey baseline JPEG with a scan for each component, in the Huffman codes of ITU T.81, annex K.

    libjpeg holds all its coefficients. Sides are multiples of 32.
    """
    whole = _saved(Image.new("RGB", (16, 16), (128, 128, 128)), "JPEG", subsampling=0)
    header = bytearray(whole[: whole.index(b"\xff\xda")])
    at = header.index(b"\xff\xc0")
    struct.pack_into(">HH", header, at + 5, height, width)
    blocks = width // 8 * (height // 8)
    # No difference to the block before, and no more coefficients: one code word for each.
    scans = b""
    for component, tables, content in (
        (1, 0x00, int("001010" * 4, 2).to_bytes(3, "big") * (blocks // 4)),
        (2, 0x11, bytes(blocks // 2)),
        (3, 0x11, bytes(blocks // 2)),
    ):
        scans += _segment(0xDA, bytes([1, component, tables, 0, 63, 0])) + content
    return bytes(header) + scans + b"\xff\xd9"


def _side(pixels: float, multiple: int = 32) -> int:
    return max(1, round(math.sqrt(pixels) / multiple)) * multiple


def mpf_segment(pictures: int = 2) -> bytes:
    """The APP2 segment of a Multi-Picture Format file (CIPA DC-007): Pillow then reads it as an MPO."""
    entries = bytes(16 * pictures)
    directory = struct.pack("<H", 3)
    directory += struct.pack("<HHI4s", 0xB000, 7, 4, b"0100")
    directory += struct.pack("<HHII", 0xB001, 4, 1, pictures)
    directory += struct.pack("<HHII", 0xB002, 7, len(entries), 8 + 2 + 3 * 12 + 4)
    return _segment(0xE2, b"MPF\0II*\0" + struct.pack("<I", 8) + directory + bytes(4) + entries)


@_body("jpeg-three-scans", "image/jpeg")
def jpeg_three_scans(size: int) -> bytes:
    side = min(_side(size / 1.75 * 64), 8_900 // 32 * 32)
    return jpeg_in_three_scans(side, side)


@_body("mpo-three-scans", "image/jpeg")
def mpo_three_scans(size: int) -> bytes:
    return with_segments(jpeg_three_scans(size), mpf_segment())


@_body("mpo-progressive", "image/jpeg")
def mpo_progressive(size: int) -> bytes:
    """Below the limits; the rest of the size is what follows the first picture."""
    return with_segments(_grey_jpeg(2000, 2000, progressive=True), mpf_segment()) + bytes(size)


def jpeg_of_empty_scans(width: int, height: int, scans: int) -> bytes:
    """A progressive JPEG with scans of nothing but their header: each touches all coefficients."""
    whole = _grey_jpeg(width, height, progressive=True)
    scan = _segment(0xDA, bytes([1, 1, 0, 0, 0, 0x10]))
    return whole[:-2] + scan * scans + b"\xff\xd9"


@_body("jpeg-empty-scans", "image/jpeg")
def jpeg_empty_scans(size: int) -> bytes:
    return jpeg_of_empty_scans(4000, 4000, max(1, size // 10))


@_body("jpeg-empty-scans-small", "image/jpeg")
def jpeg_empty_scans_small(size: int) -> bytes:
    return jpeg_of_empty_scans(256, 256, max(1, size // 10))


@_body("jpeg-many-comments", "image/jpeg")
def jpeg_many_comments(size: int) -> bytes:
    return with_segments(_grey_jpeg(64, 64), _repeat(_segment(0xFE, b""), size))


@_body("jpeg-exif-in-pieces", "image/jpeg")
def jpeg_exif_in_pieces(size: int) -> bytes:
    """A reader that joins them one by one copies all of what it has each time."""
    return with_segments(_grey_jpeg(64, 64), _repeat(_segment(0xE1, b"Exif\0\0x"), size))


@_body("jpeg-exif-in-large-pieces", "image/jpeg")
def jpeg_exif_in_large_pieces(size: int) -> bytes:
    return with_segments(_grey_jpeg(64, 64), _repeat(_segment(0xE1, b"Exif\0\0" + bytes(60_000)), size))


@_body("jpeg-photoshop-resources", "image/jpeg")
def jpeg_photoshop_resources(size: int) -> bytes:
    resources = b"8BIM\x04\x04\0\0\0\0\0\0" * 5_000
    return with_segments(_grey_jpeg(64, 64), _repeat(_segment(0xED, b"Photoshop 3.0\0" + resources), size))


@_body("jpeg-quantization-tables", "image/jpeg")
def jpeg_quantization_tables(size: int) -> bytes:
    tables = (b"\0" + b"\x01" * 64) * 1_000
    return with_segments(_grey_jpeg(64, 64), _repeat(_segment(0xDB, tables), size))


@_body("jpeg-junk-between-segments", "image/jpeg")
def jpeg_junk_between_segments(size: int) -> bytes:
    return with_segments(_grey_jpeg(64, 64), _segment(0xFE, b"x") + bytes(size))


@_body("jpeg-restart-markers", "image/jpeg")
def jpeg_restart_markers(size: int) -> bytes:
    whole = with_segments(_grey_jpeg(2000, 2000), _segment(0xDD, b"\0\x01"))
    return whole[:-2] + _repeat(bytes(b for n in range(8) for b in (0xFF, 0xD0 + n)), size) + b"\xff\xd9"


@_body("jpeg-without-its-end", "image/jpeg")
def jpeg_without_its_end(size: int) -> bytes:
    """Stuffed bytes behind the last block: a decoder looks for a marker in all of them."""
    return _grey_jpeg(64, 64)[:-2] + _repeat(b"\xff\0", size)


def exif_of_overlapping_values(entries: int, value_bytes: int) -> bytes:
    """An Exif blob whose entries all name the same bytes as their value."""
    after = 8 + 2 + entries * 12 + 4
    directory = b"".join(struct.pack("<HHII", 1 + n, 7, value_bytes, after) for n in range(entries))
    head = b"Exif\0\0II*\0" + struct.pack("<IH", 8, entries)
    return head + directory + bytes(4) + bytes(value_bytes)


@_body("jpeg-exif-bomb", "image/jpeg")
def jpeg_exif_bomb(size: int) -> bytes:
    bomb = exif_of_overlapping_values(2_500, 30_000)
    return with_segments(_grey_jpeg(64, 64), _segment(0xE1, bomb)) + bytes(max(0, size - len(bomb)))


# PNG.


def _chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def _png(
    width: int, height: int, *between: bytes, bits: int = 8, colour: int = 0, interlace: int = 0
) -> bytes:
    """A PNG of zeros with chunks in front of its pixels."""
    channels = {0: 1, 2: 3, 4: 2, 6: 4}[colour]
    deflate = zlib.compressobj(1)
    row = bytes(1 + (width * channels * bits + 7) // 8)
    pixels = b"".join(deflate.compress(row * 64) for _ in range(height // 64 + 1)) + deflate.flush()
    header = struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, interlace)
    return b"".join(
        (
            b"\x89PNG\r\n\x1a\n",
            _chunk(b"IHDR", header),
            *between,
            _chunk(b"IDAT", pixels),
            _chunk(b"IEND", b""),
        )
    )


@_body("png-many-chunks", "image/png")
def png_many_chunks(size: int) -> bytes:
    return _png(64, 64, _repeat(_chunk(b"prVt", b""), size))


@_body("png-many-texts", "image/png")
def png_many_texts(size: int) -> bytes:
    texts = (_chunk(b"tEXt", b"%07x\0x" % number) for number in range(max(1, size // 21)))
    return _png(64, 64, b"".join(texts))


@_body("png-compressed-texts", "image/png")
def png_compressed_texts(size: int) -> bytes:
    """Each is a megabyte once it is inflated."""
    text = zlib.compress(bytes(_MEGAPIXEL), 9)
    texts = (_chunk(b"zTXt", b"%07x\0\0" % n + text) for n in range(max(1, size // (len(text) + 21))))
    return _png(64, 64, b"".join(texts))


@_body("png-compressed-profile", "image/png")
def png_compressed_profile(size: int) -> bytes:
    return _png(64, 64, _repeat(_chunk(b"iCCP", b"p\0\0" + zlib.compress(bytes(_MEGAPIXEL), 9)), size))


@_body("png-pixels-in-tiny-chunks", "image/png")
def png_pixels_in_tiny_chunks(size: int) -> bytes:
    whole = _png(64, 64)
    at = whole.index(b"IDAT") - 4
    return whole[:at] + _chunk(b"IDAT", b"\x78") + _repeat(_chunk(b"IDAT", b""), size) + whole[at:]


@_body("png-exif-bomb", "image/png")
def png_exif_bomb(size: int) -> bytes:
    return _png(64, 64, _chunk(b"eXIf", exif_of_overlapping_values(20_000, max(8, size - 240_000))[6:]))


@_body("png-bomb", "image/png")
def png_bomb(size: int) -> bytes:
    """Four channels of 16 bits, interlaced; about a thousand times its size in pixels, up to the limit."""
    side = min(_side(size * 1000 / 8), 4_992)
    return _png(side, side, bits=16, colour=6, interlace=1)


@_body("png-oversized-bomb", "image/png")
def png_oversized_bomb(size: int) -> bytes:
    """Ten gigapixels by its header."""
    whole = _png(64, 64)
    header = struct.pack(">IIBBBBB", 100_000, 100_000, 8, 6, 0, 0, 0)
    pixels = _chunk(b"IDAT", zlib.compress(bytes(1000 * 1000), 9) + bytes(size))
    return whole[:8] + _chunk(b"IHDR", header) + pixels + whole[-12:]


# GIF.


def _gif(width: int, height: int, frame_width: int, frame_height: int, before: bytes, after: bytes) -> bytes:
    frame = _saved(Image.new("L", (frame_width, frame_height)), "GIF")
    palette = 3 << (frame[10] & 7) + 1 if frame[10] & 128 else 0
    at = frame.index(b",", 13 + palette)
    head = bytearray(frame[:at])
    struct.pack_into("<HH", head, 6, width, height)
    return bytes(head) + before + frame[at:-1] + after + b";"


@_body("gif-many-frames", "image/gif")
def gif_many_frames(size: int) -> bytes:
    frame = b",\0\0\0\0\x01\0\x01\0\0\x02\x02D\x01\0"
    return _gif(64, 64, 64, 64, b"", _repeat(frame, size))


@_body("gif-comment-in-blocks", "image/gif")
def gif_comment_in_blocks(size: int) -> bytes:
    return _gif(64, 64, 64, 64, b"!\xfe" + _repeat(b"\x01x", size) + b"\0", b"")


@_body("gif-many-comments", "image/gif")
def gif_many_comments(size: int) -> bytes:
    return _gif(64, 64, 64, 64, _repeat(b"!\xfe\x01x\0", size), b"")


@_body("gif-junk-before-the-picture", "image/gif")
def gif_junk_before_the_picture(size: int) -> bytes:
    return _gif(64, 64, 64, 64, b"x" * size, b"")


@_body("gif-large-screen", "image/gif")
def gif_large_screen(size: int) -> bytes:
    """A frame of a few pixels on a screen of 25 million."""
    return _gif(4_990, 4_990, 16, 16, b"", b"") + bytes(size)


@_body("gif-bomb", "image/gif")
def gif_bomb(size: int) -> bytes:
    side = min(_side(size * 100), 4_992)
    return _gif(side, side, side, side, b"", b"")


# WebP.


def _riff_chunk(kind: bytes, content: bytes) -> bytes:
    return kind + struct.pack("<I", len(content)) + content + bytes(len(content) % 2)


def _webp(width: int, height: int, flags: int, chunks: bytes) -> bytes:
    extended = (
        struct.pack("<BBH", flags, 0, 0)
        + (width - 1).to_bytes(3, "little")
        + (height - 1).to_bytes(3, "little")
    )
    content = b"WEBP" + _riff_chunk(b"VP8X", extended) + chunks
    return b"RIFF" + struct.pack("<I", len(content)) + content


def _webp_pixels(width: int, height: int) -> bytes:
    """The VP8L chunk of a WebP file without a header of its own."""
    return _saved(Image.new("RGB", (width, height)), "WEBP", lossless=True, method=0)[12:]


@_body("webp-many-chunks", "image/webp")
def webp_many_chunks(size: int) -> bytes:
    return _webp(64, 64, 0, _webp_pixels(64, 64) + _repeat(_riff_chunk(b"junk", b""), size))


@_body("webp-many-frames", "image/webp")
def webp_many_frames(size: int) -> bytes:
    position = bytes(3) + bytes(3) + (15).to_bytes(3, "little") * 2 + (1).to_bytes(3, "little") + b"\0"
    frame = _riff_chunk(b"ANMF", position + _webp_pixels(16, 16))
    return _webp(64, 64, 2, _riff_chunk(b"ANIM", bytes(6)) + _repeat(frame, size))


@_body("webp-exif-bomb", "image/webp")
def webp_exif_bomb(size: int) -> bytes:
    bomb = exif_of_overlapping_values(20_000, max(8, size - 240_000))
    return _webp(64, 64, 8, _webp_pixels(64, 64) + _riff_chunk(b"EXIF", bomb))


@_body("webp-bomb", "image/webp")
def webp_bomb(size: int) -> bytes:
    side = min(_side(size * 1000), 3_520)
    return _webp(side, side, 0, _webp_pixels(side, side)) + bytes(size)


# TIFF.


def tiff(entries: list[tuple[int, int, int, bytes]], data: bytes = b"", following: int = 0) -> bytes:
    """A little-endian TIFF of such (tag, type, count, value of 4 bytes or more): values stand behind `data`,
    which begins at byte 8."""
    at = 8 + len(data) + 2 + 12 * len(entries) + 4
    directory, values = struct.pack("<H", len(entries)), []
    for tag, kind, count, value in sorted(entries):
        if len(value) > 4:
            directory += struct.pack("<HHII", tag, kind, count, at)
            values.append(value)
            at += len(value)
        else:
            directory += struct.pack("<HHI4s", tag, kind, count, value)
    head = b"II*\0" + struct.pack("<I", 8 + len(data))
    return head + data + directory + struct.pack("<I", following) + b"".join(values)


def _long(value: int) -> tuple[int, int, bytes]:
    return 4, 1, struct.pack("<I", value)


def _grey_tiff(width: int, height: int, compression: int) -> list[tuple[int, int, int, bytes]]:
    short = struct.pack("<HH", 8, 0)
    return [
        (256, *_long(width)), (257, *_long(height)), (258, 3, 1, short), (259, *_long(compression)),
        (262, *_long(1)), (277, *_long(1)),
    ]  # fmt: skip


def _places(offsets: int, lengths: int, count: int, length: int) -> list[tuple[int, int, int, bytes]]:
    """The two tags that place so many strips or tiles, all of them the same bytes behind the file's head."""
    return [
        (offsets, 4, count, struct.pack("<I", 8) * count),
        (lengths, 4, count, struct.pack("<I", length) * count),
    ]


@_body("tiff-many-strips", "image/tiff")
def tiff_many_strips(size: int) -> bytes:
    """Far more strips than the picture has rows: the decoder creates an object for each."""
    count = max(1, size // 8)
    return tiff(
        [*_grey_tiff(64, 64, 1), (278, *_long(1)), *_places(273, 279, count, 64)],
        bytes(64),
    )


@_body("tiff-strips-of-a-row", "image/tiff")
def tiff_strips_of_a_row(size: int) -> bytes:
    """Every row is the same few bytes, deflated."""
    row = zlib.compress(bytes(64))
    count = min(max(1, size // 8), 390_000)
    return tiff(
        [*_grey_tiff(64, count, 8), (278, *_long(1)), *_places(273, 279, count, len(row))],
        row,
    )


def tiff_of_tiles(width: int, height: int, tile: int) -> bytes:
    """Deflated tiles that are all the same bytes, and each of them whole, however little of it is shown."""
    data = zlib.compress(bytes(tile * tile), 9)
    count = -(-width // tile) * -(-height // tile)
    return tiff(
        [
            *_grey_tiff(width, height, 8),
            (322, *_long(tile)),
            (323, *_long(tile)),
            *_places(324, 325, count, len(data)),
        ],
        data,
    )


@_body("tiff-tiles-on-the-edge", "image/tiff")
def tiff_tiles_on_the_edge(size: int) -> bytes:
    """A picture of one column: of each tile of a megapixel one column is used."""
    return tiff_of_tiles(1, min(max(1, size // 8) * 1024, 16_000_000), 1024)


@_body("tiff-overlapping-values", "image/tiff")
def tiff_overlapping_values(size: int) -> bytes:
    good = tiff(
        [*_grey_tiff(64, 64, 1), (273, *_long(8)), (278, *_long(64)), (279, *_long(4096))], bytes(4096)
    )
    entries = min(60_000, max(1, size // 24))
    start = struct.unpack_from("<I", good, 4)[0]
    directory = good[start + 2 : start + 2 + 9 * 12]
    directory += b"".join(struct.pack("<HHII", 1000 + n, 7, size // 2, 8) for n in range(entries))
    head = good[:4] + struct.pack("<I", start)
    return head + good[8:start] + struct.pack("<H", 9 + entries) + directory + bytes(4) + bytes(size // 2)


@_body("tiff-numbers", "image/tiff")
def tiff_numbers(size: int) -> bytes:
    """A private tag of many fractions."""
    count = max(1, size // 8)
    return tiff(
        [*_grey_tiff(64, 64, 1), (273, *_long(8)), (278, *_long(64)), (279, *_long(4096)),
         (282, 5, count, struct.pack("<II", 72, 1) * count), (50_000, 5, count, bytes(8 * count))],
        bytes(4096),
    )  # fmt: skip


@_body("tiff-endless-directories", "image/tiff")
def tiff_endless_directories(size: int) -> bytes:
    """A directory that names itself as the next one."""
    entries = [*_grey_tiff(64, 64, 1), (273, *_long(8)), (278, *_long(64)), (279, *_long(4096))]
    return tiff(entries, bytes(4096), following=8 + 4096) + bytes(size)


@_body("tiff-bomb", "image/tiff")
def tiff_bomb(size: int) -> bytes:
    """Four channels of 16 bits in one deflated strip."""
    side = min(_side(size * 1000 / 8), 4_064)
    data = zlib.compress(bytes(8 * side * side), 6)
    short = struct.pack("<HHHH", 16, 16, 16, 16)
    return tiff(
        [(256, *_long(side)), (257, *_long(side)), (258, 3, 4, short), (259, *_long(8)), (262, *_long(2)),
         (273, *_long(8)), (277, *_long(4)), (278, *_long(side)), (279, *_long(len(data))),
         (338, 3, 1, struct.pack("<HH", 2, 0))],
        data,
    )  # fmt: skip


# BMP.


def bmp_of_runs(width: int, height: int, runs: bytes) -> bytes:
    """An 8-bit BMP compressed in runs (BI_RLE8)."""
    palette = b"".join(bytes([n, n, n, 0]) for n in range(256))
    start = 14 + 40 + len(palette)
    info = struct.pack("<IiiHHIIiiII", 40, width, height, 1, 8, 1, len(runs), 2835, 2835, 256, 0)
    return b"BM" + struct.pack("<IHHI", start + len(runs), 0, 0, start) + info + palette + runs


@_body("bmp-empty-lines", "image/bmp")
def bmp_empty_lines(size: int) -> bytes:
    """Rows of one pixel, which a decoder fills up one by one."""
    return bmp_of_runs(4_990, 4_990, b"\x01\0\0\0" * 4_990) + bytes(size)


@_body("bmp-short-runs", "image/bmp")
def bmp_short_runs(size: int) -> bytes:
    width = 4_000
    rows = min(max(1, size // (2 * width)), 6_000)
    return bmp_of_runs(width, rows, (b"\x01\0" * width + b"\0\0") * rows)


@_body("bmp-bomb", "image/bmp")
def bmp_bomb(size: int) -> bytes:
    """Runs of 255 pixels."""
    rows = min(max(1, size // 42), 4_990)
    return bmp_of_runs(5_000, rows, (b"\xff\0" * 19 + b"\x9b\0" + b"\0\0") * rows)


# HEIC.


def _heic(width: int, height: int) -> bytes:
    import pillow_heif

    pillow_heif.register_heif_opener()
    return _saved(Image.new("RGB", (width, height)), "HEIF", quality=10)


@_body("heic-many-boxes", "image/heic")
def heic_many_boxes(size: int) -> bytes:
    """Behind the picture, whose positions in the file stay right."""
    return _heic(64, 64) + _repeat(box(b"free", b""), size)


@_body("heic-bomb", "image/heic")
def heic_bomb(size: int) -> bytes:
    return _heic(side := min(_side(size * 4000, 64), 2_048), side) + bytes(size)


@_body("heic-nested-boxes", "image/heic")
def heic_nested_boxes(size: int) -> bytes:
    """Boxes within boxes, as deep as the size allows."""
    depth = max(1, min(size, 8_000_000) // 8)
    nested = b"".join(struct.pack(">I4s", 8 * (depth - n), b"dinf") for n in range(depth))
    return _heic(64, 64) + nested


@_body("heic-grid-of-one-tile", "image/heic")
def heic_grid_of_one_tile(size: int) -> bytes:
    """A tile of 4 megapixels, decoded again for each of a thousand places of a grid."""
    return file([grid(31, 31, (2048, 2048), [2] * 961), coded(2048, 2048)]) + bytes(size)


@_body("heic-rotations", "image/heic")
def heic_rotations(size: int) -> bytes:
    """A picture that is turned 250 times."""
    whole = coded(2048, 2048)
    turned = Item(whole.kind, whole.data, whole.size, [*whole.properties, box(b"irot", b"\1")])
    turned.associations = [0] + [1] * 250
    return file([turned]) + bytes(size)


@_body("heic-nested-overlays", "image/heic")
def heic_nested_overlays(size: int) -> bytes:
    """Each overlay names the next one 30 times."""
    overlays = [overlay((256, 256), [number + 2] * 30) for number in range(10)]
    return file([*overlays, coded(256, 256)]) + bytes(size)


@_body("heic-nested-grids", "image/heic")
def heic_nested_grids(size: int) -> bytes:
    """Grids of grids: each names the next one nine times."""
    grids = [grid(3, 3, (256, 256), [number + 2] * 9) for number in range(10)]
    return file([*grids, coded(256, 256)]) + bytes(size)


@_body("heic-overlay-larger-than-its-item", "image/heic")
def heic_overlay_larger_than_its_item(size: int) -> bytes:
    """libheif allocates the size in the overlay's data, and then compares it with the item's."""
    lying = overlay((20_000, 20_000), [2])
    lying.size = (64, 64)
    return file([lying, coded(64, 64)]) + bytes(size)


@_body("heic-many-references", "image/heic")
def heic_many_references(size: int) -> bytes:
    return file([coded(64, 64), overlay((64, 64), [1] * min(60_000, size // 10))]) + bytes(size)


@_body("heic-reference-boxes", "image/heic")
def heic_reference_boxes(size: int) -> bytes:
    references = full_box(b"iref", _repeat(box(b"thmb", b"\0\1\0\1\0\1"), size))
    return file([coded(64, 64)], iref=references)


@_body("heic-many-properties", "image/heic")
def heic_many_properties(size: int) -> bytes:
    whole = coded(64, 64)
    properties = [*whole.properties, *(box(b"free", b"%06x" % n) for n in range(size // 14))]
    return file([Item(whole.kind, whole.data, whole.size, properties, associations=[0])])


def plain_jpeg(size: int) -> bytes:
    """A picture of noise, with as many pixels for its bytes as a photograph: what the others compare with."""
    noise = Image.effect_noise((side := _side(size * 1.9), side), 60)
    return _saved(noise, "JPEG", quality=75)
