"""Decompresses a gzip-compressed response piece by piece, so that a small body never becomes a large one."""

from __future__ import annotations

import zlib
from collections.abc import Iterator

_GZIP_WINDOW = 16 + zlib.MAX_WBITS
MAGIC = b"\x1f\x8b"


class DamagedBody(ValueError):  # noqa: N818 - the message continues the name of the host
    """A body that is not the gzip data that it claims to be."""


class Gunzip:
    """The decompression of one body. The caller counts the pieces, and stops when they are too many bytes.

    Gzip data can be endless without a decompressed byte, so the compressed bytes are limited here.
    """

    def __init__(self, piece_bytes: int, max_compressed_bytes: int) -> None:
        self._piece_bytes = piece_bytes
        self._compressed_bytes_left = max_compressed_bytes
        self._stream = zlib.decompressobj(_GZIP_WINDOW)

    def pieces(self, data: bytes) -> Iterator[bytes]:
        """The decompressed bytes of the next part of the body, in pieces of limited size."""
        self._compressed_bytes_left -= len(data)
        if self._compressed_bytes_left < 0:
            raise DamagedBody("sent more bytes of gzip data than a picture may have")
        while data and not self._stream.eof:
            try:
                piece = self._stream.decompress(data, self._piece_bytes)
            except zlib.error:
                raise DamagedBody("sent gzip data that is damaged") from None
            data = self._stream.unconsumed_tail
            if piece:
                yield piece

    @property
    def is_complete(self) -> bool:
        """Whether the end of the gzip data was read."""
        return self._stream.eof
