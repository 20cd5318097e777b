"""What a model says about itself: its input, its classes and when it answers which of them.

A model exported by `imageclassifier_training` carries this as JSON behind its `contract` signature, and a few
pictures with their probabilities behind `golden`. For a model from elsewhere the routing file carries the
same JSON, with the words for a foreign input and output added (`docs/architecture.md`). Plain values only: no
I/O, no gRPC, no TensorFlow.
"""

from .checks import MAX_SIDE, SCHEMA, ContractError
from .description import (
    ACTIVATIONS,
    CHANNELS,
    CONTRACT_SIGNATURE,
    DTYPES,
    FITS,
    GOLDEN_SIGNATURE,
    IGNORED_TENSOR,
    JSON_TENSOR,
    PIXELS_TENSOR,
    PROBABILITIES_TENSOR,
    RESIZES,
    SERVING_SIGNATURE,
    Contract,
    Decision,
    ModelClass,
    ModelInput,
    ModelOutput,
)
from .golden import Golden, GoldenCase, parse_golden
from .reading import parse_contract

__all__ = [
    "ACTIVATIONS", "CHANNELS", "CONTRACT_SIGNATURE", "DTYPES", "FITS", "GOLDEN_SIGNATURE", "IGNORED_TENSOR",
    "JSON_TENSOR", "MAX_SIDE", "PIXELS_TENSOR", "PROBABILITIES_TENSOR", "RESIZES", "SCHEMA",
    "SERVING_SIGNATURE", "Contract", "ContractError", "Decision", "Golden", "GoldenCase", "ModelClass",
    "ModelInput", "ModelOutput", "parse_contract", "parse_golden",
]  # fmt: skip
