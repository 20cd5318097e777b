"""The contract of a model: its input, its classes and its decision threshold.

A model that `imageclassifier_training` exports returns its contract as JSON from the signature `contract`,
and a few pictures with their probabilities from the signature `golden`. For other models, the routing file
contains the same JSON, with additional fields for their input and output (`docs/architecture.md`), and
`completed` adds what the model's signatures say. Plain values only: no I/O, no gRPC, no TensorFlow.
"""

from .checks import MAX_SIDE, SCHEMA, ContractError
from .class_list import classes_in
from .completion import completed
from .decoding import DEFAULT_DECODING, FOR_NEW_MODELS, PROFILES, Decoding, parse_decoding
from .description import (
    CONTRACT_SIGNATURE,
    GOLDEN_SIGNATURE,
    IGNORED_TENSOR,
    JSON_TENSOR,
    Contract,
    Decision,
    ModelClass,
)
from .explanation import MAPS_TENSOR, Explanation
from .familiarity import DISTANCE_TENSOR, Familiarity, Unfamiliar
from .golden import Golden, GoldenCase, parse_golden, pixels_digest
from .model_input import (
    CHANNELS,
    DTYPES,
    FITS,
    FLOAT_DTYPES,
    LAYOUTS,
    PIXELS_TENSOR,
    RESIZES,
    SERVING_SIGNATURE,
    ModelInput,
    PerChannel,
)
from .model_output import ACTIVATIONS, PROBABILITIES_TENSOR, ModelOutput
from .reading import parse_contract
from .signature import Signature, Tensor

__all__ = [
    "ACTIVATIONS", "CHANNELS", "CONTRACT_SIGNATURE", "DEFAULT_DECODING", "DISTANCE_TENSOR", "DTYPES",
    "FITS", "FLOAT_DTYPES", "FOR_NEW_MODELS", "GOLDEN_SIGNATURE", "IGNORED_TENSOR", "JSON_TENSOR",
    "LAYOUTS", "MAPS_TENSOR", "MAX_SIDE", "PIXELS_TENSOR", "PROBABILITIES_TENSOR", "PROFILES", "RESIZES",
    "SCHEMA", "SERVING_SIGNATURE", "Contract", "ContractError", "Decision",
    "Decoding", "Explanation", "Familiarity", "Golden", "GoldenCase", "ModelClass", "ModelInput",
    "ModelOutput", "PerChannel", "Signature", "Tensor", "Unfamiliar", "classes_in", "completed",
    "parse_contract", "parse_decoding", "parse_golden", "pixels_digest",
]  # fmt: skip
