"""The contract of a model: its input, its classes and its decision threshold.

A model that `imageclassifier_training` exports returns its contract as JSON from the signature `contract`,
and a few pictures with their probabilities from the signature `golden`. For other models, the routing file
contains the same JSON, with additional fields for their input and output (`docs/architecture.md`). Plain
values only: no I/O, no gRPC, no TensorFlow.
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
