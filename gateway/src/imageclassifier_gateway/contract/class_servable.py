"""The class file in a model's own directory, as the model server returns it.

Nobody can read a file of a version through TensorFlow Serving. So an init container of the model server
writes a second, tiny model (`model_files/class_model.py`). Its signature `classes` returns this document.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from .checks import SCHEMA, a_text, an_object, check_schema, loaded, only_known, required

CLASSES_SIGNATURE = "classes"
_WHAT = "class file"


def class_file_document(file: str, text: str) -> str:
    """The document that the signature returns: the path of the file and its text."""
    return json.dumps({"schema": SCHEMA, "file": file, "text": text}, ensure_ascii=False)


def class_servable(contract: Mapping[str, Any]) -> str | None:
    """The model that returns the class file of the version; None if the contract has the classes."""
    classes = contract.get("classes")
    if not isinstance(classes, Mapping) or "servable" not in classes:
        return None
    only_known(classes, "classes", ("servable", "path", "background"))
    return a_text(classes["servable"], "classes.servable")


def with_class_file(contract: Mapping[str, Any], document: str) -> dict[str, Any]:
    """The contract with the class file that the model `class_servable` returned.

    Raises ContractError for an invalid document.
    """
    found = an_object(loaded(document, _WHAT), _WHAT)
    check_schema(found, _WHAT)
    classes = {key: value for key, value in contract["classes"].items() if key == "background"}
    classes["file"] = f"{a_text(required(found, 'file', _WHAT), f'{_WHAT}.file')} of the model"
    classes["text"] = a_text(required(found, "text", _WHAT), f"{_WHAT}.text")
    return {**contract, "classes": classes}
