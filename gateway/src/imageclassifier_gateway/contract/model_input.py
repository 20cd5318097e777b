"""The input of a model as a value: the size of a picture, how to fit it, and the form of the tensor."""

from __future__ import annotations

from dataclasses import dataclass

from .decoding import DEFAULT_DECODING, Decoding

SERVING_SIGNATURE = "serving_default"
PIXELS_TENSOR = "pixels"

RESIZES = ("nearest", "box", "bilinear", "bicubic", "lanczos")
FITS = ("squash", "crop", "pad")
#: `bytes` is a picture file in a string tensor.
DTYPES = ("uint8", "int32", "float16", "bfloat16", "float32", "float64", "bytes")
FLOAT_DTYPES = ("float16", "bfloat16", "float32", "float64")
CHANNELS = ("rgb", "bgr", "gray")
#: The axes of the tensor: N pictures, H height, W width, C channels, F all values of a picture in one axis.
#: Layouts without N take one picture. The last three are for `bytes`.
LAYOUTS = ("NHWC", "NCHW", "NHW", "HWC", "CHW", "HW", "NF", "N", "N1", "scalar")

#: A factor or summand for all channels, or one for each channel.
PerChannel = float | tuple[float, ...]


@dataclass(frozen=True)
class ModelInput:
    """The input of a model: the size of the pixels, how to resize a picture, and the tensor for the pixels.

    The fields from `tensor` on differ from their defaults only for models without a `contract` signature. A
    value is `pixel * scale + offset`. `batch` is the number of pictures that each call must have.
    """

    height: int
    width: int
    resize: str = "bilinear"
    fit: str = "squash"
    decode: Decoding = DEFAULT_DECODING
    tensor: str = PIXELS_TENSOR
    dtype: str = "uint8"
    scale: PerChannel = 1.0
    offset: PerChannel = 0.0
    channels: str = "rgb"
    layout: str = "NHWC"
    batch: int | None = None
    signature: str = SERVING_SIGNATURE

    @property
    def depth(self) -> int:
        """The number of channels."""
        return 1 if self.channels == "gray" else 3

    @property
    def value_bytes(self) -> int:
        """The bytes of one value of the tensor."""
        return {"uint8": 1, "bytes": 1, "float16": 2, "bfloat16": 2, "float64": 8}.get(self.dtype, 4)
