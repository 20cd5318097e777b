"""Bodies that cost the gateway far more than the client that sends them, unless the gateway limits them.

`BODIES` maps a name to a function that makes such a body of about the given size. Nothing here needs the
gateway: tests of its readers, the fuzz run and the attack benchmark share it. There is one module for each
format; each adds its bodies to the table in `registry`.
"""

# In this order, each module adds its bodies to the table; reports of the attack benchmark keep it.
from . import forms, json_bodies, jpeg, png, gif, webp, tiff, bmp, heic, avif  # noqa: F401, I001
from .bmp import bmp_of_runs
from .exif import exif_of_overlapping_values
from .jpeg import jpeg_in_three_scans, jpeg_of_empty_scans, mpf_segment, plain_jpeg, with_segments
from .registry import BODIES, RICH_IN_PIXELS, Body
from .tiff import tiff_of_tiles

__all__ = [
    "BODIES",
    "RICH_IN_PIXELS",
    "Body",
    "bmp_of_runs",
    "exif_of_overlapping_values",
    "jpeg_in_three_scans",
    "jpeg_of_empty_scans",
    "mpf_segment",
    "plain_jpeg",
    "tiff_of_tiles",
    "with_segments",
]
