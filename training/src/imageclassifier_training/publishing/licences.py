"""The licences of what an exported model contains, and of the libraries that made it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from importlib import metadata

from ..networks.architecture import Architecture
from ..networks.backbones import backbone

_LIBRARIES = ("tensorflow", "keras", "numpy", "pillow", "scikit-learn")
#: Some packages put the text of their licence where its name should be.
_LONGEST_NAME = 60
_CLASSIFIER = "License :: OSI Approved :: "


@dataclass(frozen=True)
class Licence:
    """What has the licence, in which version, and its name."""

    what: str
    version: str
    name: str


def of_weights(architecture: Architecture) -> list[Licence]:
    """The licences of the pretrained weights of each backbone."""
    names = dict.fromkeys(branch.backbone for branch in architecture.branches)
    return [Licence(name, backbone(name).weights_from, backbone(name).weights_licence) for name in names]


def of_libraries(trained_with: dict[str, str]) -> list[Licence]:
    """The licences of the libraries, with the versions that a training recorded or, else, those installed."""
    return [
        Licence(name, trained_with.get(name) or _installed(name, "Version"), _licence(name))
        for name in _LIBRARIES
    ]


def _licence(name: str) -> str:
    """The licence that the package states."""
    stated = _installed(name, "License-Expression") or _installed(name, "License")
    if stated and stated != "UNKNOWN" and len(stated) <= _LONGEST_NAME and "\n" not in stated:
        return stated
    found = [each.removeprefix(_CLASSIFIER) for each in _classifiers(name) if each.startswith(_CLASSIFIER)]
    return ", ".join(found) or "not stated by the package"


def _installed(name: str, field: str) -> str:
    document = _metadata(name)
    return document[field] if document is not None and field in document else ""


def _classifiers(name: str) -> Iterable[str]:
    document = _metadata(name)
    return () if document is None else (document.get_all("Classifier") or ())


def _metadata(name: str) -> metadata.PackageMetadata | None:
    # TensorFlow is installed under the name of one of its variants.
    for candidate in (name, f"{name}-cpu") if name == "tensorflow" else (name,):
        try:
            return metadata.metadata(candidate)
        except metadata.PackageNotFoundError:
            continue
    return None
