"""Exif blobs that take much memory to read."""

from __future__ import annotations

import struct


def exif_of_overlapping_values(entries: int, value_bytes: int) -> bytes:
    """An Exif blob whose entries all name the same bytes as their value."""
    after = 8 + 2 + entries * 12 + 4
    directory = b"".join(struct.pack("<HHII", 1 + n, 7, value_bytes, after) for n in range(entries))
    head = b"Exif\0\0II*\0" + struct.pack("<IH", 8, entries)
    return head + directory + bytes(4) + bytes(value_bytes)
