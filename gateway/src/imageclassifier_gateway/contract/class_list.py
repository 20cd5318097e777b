"""Reads the classes of a contract: a list, or the text of a class file.

The operator puts the text of a file into the contract as it is, compressed if it is long. So this module is
the only one that knows the forms of class files.
"""

from __future__ import annotations

import base64
import binascii
import json
import zlib
from collections import Counter
from collections.abc import Mapping
from typing import Any

from .checks import ContractError, a_choice, a_text, only_known, required

#: The maximum size of a class file after decompression. A ConfigMap has at most 1 MiB, but compressed text
#: could become much longer.
MAX_TEXT_BYTES = 4 * 2**20
BACKGROUND = "background"
BACKGROUND_RULES = ("detect", "first", "none")
#: Names of a first class that stands for none of the others.
_BACKGROUND_NAMES = (BACKGROUND, "__background__", "dummy", "none", "???")
_NAME_KEYS = ("name", "id", "wnid", "synset")
_LABEL_KEYS = ("displayName", "display_name", "label")


def listed_classes(value: Any) -> list[dict[str, Any]]:
    """The classes as a list of objects. Raises ContractError for a file that cannot be read."""
    if isinstance(value, list):
        return value
    if not isinstance(value, Mapping):
        raise ContractError(f"classes must be a list or an object, not {type(value).__name__}.")
    only_known(value, "classes", ("file", "text", "packed", "background"))
    file = a_text(required(value, "file", "classes"), "classes.file")
    text = (
        _unpacked(value["packed"], file) if "packed" in value else a_text(value.get("text"), "classes.text")
    )
    classes = classes_in(text, file)
    if _background_rule(value) == "first":
        classes.insert(0, {"name": BACKGROUND})
    return [_with_message(each) for each in classes]


def _background_rule(value: Mapping[str, Any]) -> str:
    return a_choice(value.get("background", "detect"), "classes.background", BACKGROUND_RULES)


def fitted_to_outputs(
    classes: list[dict[str, Any]], outputs: int, given: Mapping[str, Any]
) -> tuple[list[dict[str, Any]], str]:
    """The classes of a file that differs from the model by a background class, and a note about it.

    Raises ContractError for every other difference.
    """
    file, detects = given["file"], _background_rule(given) == "detect"
    if detects and outputs == len(classes) + 1:
        note = (
            f"The model has {outputs} outputs, and {file} has {len(classes)} classes. The first output is "
            f"used as the class '{BACKGROUND}'. If that is wrong, add the missing class to the file."
        )
        return [_with_message({"name": BACKGROUND}), *classes], note
    first = classes[0].get("display_name", classes[0]["name"])
    if detects and outputs == len(classes) - 1 and first.lower() in _BACKGROUND_NAMES:
        note = (
            f"The model has {outputs} outputs, and {file} has {len(classes)} classes. The first class, "
            f"'{first}', is left out. If that is wrong, remove another class from the file."
        )
        return classes[1:], note
    raise ContractError(
        f"{file} has {len(classes)} classes, but the model has {outputs} outputs. List the classes in the "
        "order of the outputs, one for each."
    )


def classes_in(text: str, file: str) -> list[dict[str, Any]]:
    """The classes in a class file: JSON, or one class a line."""
    text = text.removeprefix("\ufeff").strip()
    if not text:
        raise ContractError(f"{file} is empty. List the classes in the order of the outputs.")
    classes = _of_json(text, file) if text[0] in "[{" else _of_lines(text)
    for index, each in enumerate(classes):
        for key, value in each.items():
            if not isinstance(value, str) or not value.strip():
                raise ContractError(
                    f"Class {index} of {file} has the {key} {value!r:.60}. It must be a non-empty string."
                )
    return _unique(classes, file)


def _of_json(text: str, file: str) -> list[dict[str, Any]]:
    try:
        document = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ContractError(f"{file} starts like JSON, but it is not: {error}.") from None
    if isinstance(document, dict):
        for key in ("classes", "id2label", "labels"):  # id2label: config.json of Hugging Face
            if isinstance(document.get(key), list | dict):
                document = document[key]
                break
    entries = document if isinstance(document, list) else _by_index(document, file)
    return [_of_entry(entry, index, file) for index, entry in enumerate(entries)]


def _by_index(document: Mapping[str, Any], file: str) -> list[Any]:
    """The classes of `{"0": class}`, or of `{class: 0}` (`class_indices` of Keras)."""
    if all(isinstance(value, int) and not isinstance(value, bool) for value in document.values()):
        pairs = {value: key for key, value in document.items()}
    else:
        pairs = {int(key): value for key, value in document.items() if key.isascii() and key.isdecimal()}
    if len(pairs) != len(document) or sorted(pairs) != list(range(len(pairs))):
        raise ContractError(
            f'{file} is a JSON object, but neither of the form {{"0": "cat", "1": "dog"}} nor '
            '{"cat": 0, "dog": 1} with all indices from 0 on. Correct it, or write a list.'
        )
    return [pairs[index] for index in range(len(pairs))]


def _of_entry(entry: Any, index: int, file: str) -> dict[str, Any]:
    if isinstance(entry, str):
        return {"name": entry}
    if isinstance(entry, list) and len(entry) == 2:  # imagenet_class_index.json: [wnid, label]
        return {"name": entry[0], "display_name": entry[1]}
    if isinstance(entry, Mapping):
        name = next((entry[key] for key in _NAME_KEYS if key in entry), None)
        label = next((entry[key] for key in _LABEL_KEYS if key in entry), None)
        found = {"name": label if name is None else name}
        if name is not None and label is not None:
            found["display_name"] = label
        if entry.get("message") is not None:
            found["message"] = entry["message"]
        if found["name"] is not None:
            return found
    raise ContractError(
        f"Class {index} of {file} is {json.dumps(entry)[:60]}. Write a string, or an object with name, "
        "displayName and message."
    )


def _of_lines(text: str) -> list[dict[str, Any]]:
    lines = [line.strip() for line in text.splitlines()]
    if all("\t" in line for line in lines):
        parts = [[part.strip() for part in line.split("\t", 1)] for line in lines]
        if [first for first, _ in parts] == [str(index) for index in range(len(parts))]:
            return [{"name": second} for _, second in parts]
        return [{"name": first, "display_name": second} for first, second in parts]
    numbered = [line.split(maxsplit=1) for line in lines]
    if all(len(each) == 2 and each[0].rstrip(":") == str(index) for index, each in enumerate(numbered)):
        return [{"name": second} for _, second in numbered]  # "0 cat", as Teachable Machine writes it
    if all(len(each) == 2 and _is_synset(each[0]) for each in numbered):
        return [{"name": first, "display_name": second} for first, second in numbered]
    return [{"name": line} for line in lines]


def _is_synset(word: str) -> bool:
    return len(word) == 9 and word[0] == "n" and word[1:].isascii() and word[1:].isdecimal()


def _unique(classes: list[dict[str, Any]], file: str) -> list[dict[str, Any]]:
    """The classes with unique names. Labels without ids may repeat: ImageNet has two classes named crane."""
    counts = Counter(each["name"] for each in classes)
    for index, each in enumerate(classes):
        name = each["name"]
        if counts[name] == 1:
            continue
        if "display_name" in each or "message" in each:
            raise ContractError(f"{file} contains the name '{name}' more than once. Names must be unique.")
        unique = f"{name} ({index})"
        if unique in counts:
            raise ContractError(
                f"{file} contains '{name}' more than once, and '{unique}'. Rename one of them."
            )
        each.update(name=unique, display_name=name)
    return classes


def _with_message(entry: dict[str, Any]) -> dict[str, Any]:
    return {"message": f"It's {entry.get('display_name', entry['name'])}.", **entry}


def _unpacked(value: Any, file: str) -> str:
    """The text in base64 of zlib, as the operator stores long ones."""
    try:
        stream = zlib.decompressobj()
        content = stream.decompress(base64.b64decode(a_text(value, "classes.packed")), MAX_TEXT_BYTES)
        if not stream.eof:
            raise ContractError(f"{file} is truncated, or has more than {MAX_TEXT_BYTES} bytes.")
        return content.decode()
    except (binascii.Error, zlib.error, UnicodeDecodeError) as error:
        raise ContractError(f"classes.packed, the content of {file}, is damaged: {error}.") from None
