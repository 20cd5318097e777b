"""Reads the classes that `spec.classesFrom` refers to.

The text becomes part of the contract that is stored with a version. So the ConfigMap may change or go once a
version serves.
"""

import base64
import binascii
from typing import Any

from imageclassifier_operator.api import InvalidSpec
from imageclassifier_operator.api.class_list import for_hash
from imageclassifier_operator.api.json import Json
from imageclassifier_operator.api.kinds import CONFIG_MAPS
from imageclassifier_operator.reconcile.request import Request
from imageclassifier_operator.rollout.state import State
from imageclassifier_operator.runtime.client import KubernetesClient


async def class_text(client: KubernetesClient, request: Request, state: State) -> str | None:
    """The text in the ConfigMap; None if the spec refers to none. Raises InvalidSpec if it is missing."""
    spec = request.body.get("spec") or {}
    reference = (spec.get("classesFrom") or {}).get("configMap")
    if reference is None:
        return None
    name, key = reference["name"], reference["key"]
    stored = _of_serving_version(state, spec["model"]["version"], f"key {key} of ConfigMap {name}")
    if stored is not None:
        return stored
    config_map = await client.read(CONFIG_MAPS, request.namespace, name)
    if config_map is None:
        raise InvalidSpec(
            f"ConfigMap {name}, from which spec.classesFrom takes the classes, does not exist. Create it."
        )
    return _text(config_map, name, key)


def _of_serving_version(state: State, version: Any, file: str) -> str | None:
    """The text with which the version serves, if it came from this file."""
    serving = state.serving
    if serving is None or serving.version != version or serving.contract is None:
        return None
    classes = for_hash(serving.contract["classes"])
    return str(classes["text"]) if isinstance(classes, dict) and classes.get("file") == file else None


def _text(config_map: Json, name: str, key: str) -> str:
    if (text := (config_map.get("data") or {}).get(key)) is not None:
        return str(text)
    if (packed := (config_map.get("binaryData") or {}).get(key)) is not None:
        try:
            return base64.b64decode(packed).decode("utf-8-sig")
        except (binascii.Error, UnicodeDecodeError):
            raise InvalidSpec(
                f"Key {key} of ConfigMap {name} is not text in UTF-8. Convert the class file to UTF-8."
            ) from None
    keys = sorted((config_map.get("data") or {}) | (config_map.get("binaryData") or {}))
    listing = ", ".join(keys[:10]) if keys else "none"
    raise InvalidSpec(
        f"ConfigMap {name} has no key {key}, from which spec.classesFrom takes the classes. Its keys: "
        f"{listing}. Correct spec.classesFrom.configMap.key."
    )
