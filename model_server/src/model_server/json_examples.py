"""JSON -> tf.Example for the REST methods :classify and :regress, and their answers (json_tensor.cc)."""

from collections.abc import Mapping
from typing import Any

from .json_response import dump
from .json_values import decode_base64_object, is_base64_object
from .status import invalid_argument

_INT64 = 2**63


def fill_examples(document: Mapping[str, Any], message: Any) -> None:
    """Write `examples` (and `context`, where given) of a request into its Input message.

    Raises StatusError (INVALID_ARGUMENT) with the feature that is wrong.
    """
    if "examples" not in document:
        raise invalid_argument("When method is classify, key 'examples' is expected and was not found")
    examples = document["examples"]
    if not isinstance(examples, list):
        raise invalid_argument("Expecting 'examples' value to be an list/array")
    if not examples:
        raise invalid_argument("'examples' value is an empty array")
    target = message.example_list
    if "context" in document:
        target = message.example_list_with_context
        _fill_example(document["context"], target.context)
    for example in examples:
        _fill_example(example, target.examples.add())


def classification_body(result: Any) -> str:
    """The JSON of a ClassificationResult: per example a list of [label, score]."""
    return dump(
        {"results": [[[c.label, _short(c.score)] for c in item.classes] for item in result.classifications]}
    )


def regression_body(result: Any) -> str:
    """The JSON of a RegressionResult: a number per example."""
    return dump({"results": [_short(item.value) for item in result.regressions]})


def _short(value: float) -> float:
    """A float32 that Python holds as a double, in the nine digits it has."""
    return float(f"{value:.9g}")


def _fill_example(value: Any, example: Any) -> None:
    if not isinstance(value, dict):
        raise invalid_argument(f"Example must be JSON object but got JSON {type(value).__name__}")
    for name, content in value.items():
        feature = example.features.feature[name]
        for element in content if isinstance(content, list) else [content]:
            _add(element, name, feature)


def _add(value: Any, name: str, feature: Any) -> None:
    match value:
        case bool() | int():
            if not -_INT64 <= value < _INT64:
                raise invalid_argument(f"Feature: {name} has uint64_t element. Only int64_t is supported.")
            kind = "int64_list"
        case float():
            kind = "float_list"
        case str():
            kind, value = "bytes_list", value.encode()
        case dict() if is_base64_object(value):
            kind, value = "bytes_list", decode_base64_object(value)
        case _:
            raise invalid_argument(
                f"Feature: {name} has element with unexpected JSON type: {type(value).__name__}"
            )
    if feature.WhichOneof("kind") not in (None, kind):
        expected = feature.WhichOneof("kind").removesuffix("_list")
        raise invalid_argument(f"Unexpected element type in feature: {name} expecting type: {expected}")
    getattr(feature, kind).value.append(value)
