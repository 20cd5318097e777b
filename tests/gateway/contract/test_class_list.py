"""Class files as people have them: their forms, duplicate labels, and the background class."""

from __future__ import annotations

import base64
import json
import zlib
from typing import Any

import pytest

from imageclassifier_gateway.contract import ContractError, Signature, Tensor, completed, parse_contract
from imageclassifier_gateway.contract.class_list import classes_in, listed_classes

FILE = "key labels.txt of ConfigMap labels"
CAT_AND_DOG = [{"name": "cat"}, {"name": "dog"}]
IDS = [{"name": "n01440764", "display_name": "tench"}, {"name": "n01443537", "display_name": "gold fish"}]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("cat\ndog\n", CAT_AND_DOG),
        ("\ufeffcat\r\ndog\r\n\r\n", CAT_AND_DOG),
        ("0 cat\n1 dog", CAT_AND_DOG),
        ("0: cat\n1: dog", CAT_AND_DOG),
        ("0\tcat\n1\tdog", CAT_AND_DOG),
        ("golden retriever\nblack cat", [{"name": "golden retriever"}, {"name": "black cat"}]),
        ("n01440764\ttench\nn01443537\tgold fish", IDS),
        ("n01440764 tench\nn01443537 gold fish", IDS),
        ('["cat", "dog"]', CAT_AND_DOG),
        ('{"0": "cat", "1": "dog"}', CAT_AND_DOG),
        ('{"1": "dog", "0": "cat"}', CAT_AND_DOG),
        ('{"dog": 1, "cat": 0}', CAT_AND_DOG),
        ('{"classes": ["cat", "dog"]}', CAT_AND_DOG),
        ('{"id2label": {"0": "cat", "1": "dog"}, "label2id": {}}', CAT_AND_DOG),
        ('{"0": ["n01440764", "tench"], "1": ["n01443537", "gold fish"]}', IDS),
        ('[{"id": "n01440764", "label": "tench"}, {"name": "n01443537", "displayName": "gold fish"}]', IDS),
        (
            '[{"name": "cat", "message": "Miaow."}, {"label": "dog"}]',
            [{"name": "cat", "message": "Miaow."}, {"name": "dog"}],
        ),
    ],
)
def test_a_class_file_is_read_in_each_usual_form(text: str, expected: list[dict[str, str]]) -> None:
    assert classes_in(text, FILE) == expected


def test_labels_that_repeat_get_unique_names_and_keep_their_label() -> None:
    assert classes_in("cat\ncrane\ndog\ncrane", FILE) == [
        {"name": "cat"},
        {"name": "crane (1)", "display_name": "crane"},
        {"name": "dog"},
        {"name": "crane (3)", "display_name": "crane"},
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (" \n", "is empty"),
        ("[1, 2", "starts like JSON"),
        ('["cat", 7]', "Class 1 of .* is 7"),
        ('["cat", ""]', "Class 1 .* non-empty"),
        ('{"0": "cat", "2": "dog"}', "all indices from 0 on"),
        ('{"a": 0, "b": 0}', "all indices from 0 on"),
        ('{"0": ["n1", "crane"], "1": ["n1", "tench"]}', "name 'n1' more than once"),
        ("crane\ncrane\ncrane (1)", "Rename one of them"),
    ],
)
def test_a_class_file_that_cannot_be_read_is_refused_with_its_name(text: str, message: str) -> None:
    with pytest.raises(ContractError, match=message) as refusal:
        classes_in(text, FILE)
    assert FILE in str(refusal.value)


def test_a_long_file_is_stored_compressed_and_never_expands_beyond_its_limit() -> None:
    def packed(text: str) -> dict[str, str]:
        return {"file": FILE, "packed": base64.b64encode(zlib.compress(text.encode())).decode()}

    names = [f"class {number}" for number in range(10_000)]
    assert [each["name"] for each in listed_classes(packed("\n".join(names)))] == names
    with pytest.raises(ContractError, match="more than 4194304 bytes"):
        listed_classes(packed("cat\n" * 2_000_000))
    for damaged in ("no base64!", base64.b64encode(b"no zlib").decode()):
        with pytest.raises(ContractError, match="damaged"):
            listed_classes({"file": FILE, "packed": damaged})


def described(outputs: int | None, classes: Any) -> tuple[tuple[str, ...], list[str]]:
    """The class names and the notes for a model with several outputs."""
    signature = Signature(
        "serving_default",
        (Tensor("x", "float32", (None, 8, 8, 3)),),
        (Tensor("y", "float32", (None, outputs)),),
    )
    contract, notes = completed(
        {"schema": 1, "threshold": 0.5, "classes": classes}, {signature.name: signature}
    )
    return parse_contract(json.dumps(contract)).class_names, notes


def file_of(*lines: str, **settings: str) -> dict[str, str]:
    return {"file": FILE, "text": "\n".join(lines), **settings}


def test_one_output_more_than_classes_in_the_file_is_the_background_class() -> None:
    names, notes = described(4, file_of("cat", "dog", "cow"))
    assert names == ("background", "cat", "dog", "cow")
    assert "4 outputs" in notes[0]
    assert "first output is used as the class 'background'" in notes[0]


def test_a_background_line_that_the_model_has_no_output_for_is_left_out() -> None:
    names, notes = described(3, file_of("background", "cat", "dog", "cow"))
    assert names == ("cat", "dog", "cow")
    assert "'background', is left out" in notes[0]


def test_a_file_that_fits_the_outputs_is_used_as_it_is() -> None:
    for outputs in (3, None):
        assert described(outputs, file_of("background", "cat", "dog")) == (("background", "cat", "dog"), [])


def test_the_background_class_can_be_declared() -> None:
    assert described(3, file_of("cat", "dog", background="first")) == (("background", "cat", "dog"), [])


@pytest.mark.parametrize(
    ("outputs", "classes"),
    [
        (3, file_of("cat", "dog", background="none")),
        (5, file_of("cat", "dog")),
        (2, file_of("cat", "dog", "cow")),
        (2, file_of("background", "cat", "dog", background="first")),
    ],
)
def test_a_file_that_does_not_fit_the_outputs_is_refused(outputs: int, classes: dict[str, str]) -> None:
    with pytest.raises(ContractError, match=rf"{FILE} has \d classes, but the model has {outputs} outputs"):
        described(outputs, classes)
