"""The classes of a contract as they are stored: a list, or a long text in compressed form.

A contract is in several objects with size limits: the routing ConfigMap and the plan of a verification may
have 1 MiB, and a Deployment 256 KiB of annotations. So its classes have at most MAX_STORED_BYTES.
"""

import base64
import json
import zlib
from collections.abc import Mapping, Sequence
from typing import Any

from imageclassifier_operator.api.errors import InvalidSpec

MAX_PLAIN_BYTES = 96 * 1024
"""Classes that are longer as JSON are compressed. Gateways of earlier releases read only shorter ones."""
MAX_STORED_BYTES = 128 * 1024
"""The routing ConfigMap holds up to three versions twice, in the routing file and in the state."""
INLINE = "spec.classes"
DETECT = "detect"


def stored_list(classes: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]] | dict[str, Any]:
    """The classes of `spec.classes`: a list, or compressed if that is long."""
    entries = [_with_message(entry) for entry in map(_entry, classes)]
    if _size(entries) <= MAX_PLAIN_BYTES:
        return entries
    return {"file": INLINE, "background": "none", **_packed(_to_text(list(map(_entry, classes))), INLINE)}


def stored_text(text: str, file: str, background: str = DETECT) -> dict[str, Any]:
    """The text of the class file `file`, which the gateway reads."""
    settings = {} if background == DETECT else {"background": background}
    plain = {"file": file, "text": text, **settings}
    return plain if _size(plain) <= MAX_PLAIN_BYTES else {"file": file, **settings, **_packed(text, file)}


def stored_reference(model_name: str, path: str | None, background: str = DETECT) -> dict[str, Any]:
    """The class file in the directory of the model, which the model `servable` of its server returns.

    `path`: None for the file with a usual name.
    """
    settings = {} if background == DETECT else {"background": background}
    place = {} if path is None else {"path": path}
    return {"servable": f"{model_name}.classes", **place, **settings}


def for_hash(classes: Any) -> Any:
    """The classes in the form that hashes contain, which does not depend on the compression."""
    if not isinstance(classes, Mapping) or "packed" not in classes:
        return classes
    text = zlib.decompress(base64.b64decode(classes["packed"])).decode()
    if classes["file"] == INLINE:
        return [_with_message(entry) for entry in json.loads(text)]
    return {**{key: value for key, value in classes.items() if key != "packed"}, "text": text}


def identity(classes: Any) -> Any:
    """What cannot change while the version serves: the names, or the whole file."""
    classes = for_hash(classes)
    return [entry["name"] for entry in classes] if isinstance(classes, list) else classes


def _entry(given: Mapping[str, Any]) -> dict[str, Any]:
    names = {"name": "name", "displayName": "display_name", "message": "message"}
    return {name: given[key] for key, name in names.items() if given.get(key)}


def _with_message(entry: Mapping[str, Any]) -> dict[str, Any]:
    message = entry.get("message") or f"It's {entry.get('display_name', entry['name'])}."
    return {**entry, "message": message}


def _packed(text: str, file: str) -> dict[str, str]:
    packed = base64.b64encode(zlib.compress(text.encode(), 9)).decode()
    if len(packed) > MAX_STORED_BYTES:
        raise InvalidSpec(
            f"The classes in {file} need {len(packed):,} bytes in compressed form, and at most "
            f"{MAX_STORED_BYTES:,} can be stored. Use shorter names, labels and messages, or put the class "
            "file into the directory of the model and set spec.classesFrom.modelFile."
        )
    return {"packed": packed}


def _to_text(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _size(value: Any) -> int:
    return len(_to_text(value).encode())
