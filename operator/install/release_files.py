r"""Writes the installation of a release: the YAMLs, the kustomize bases and the chart, with pinned images.

    python3 operator/install/release_files.py --out FOLDER --image-registry registry.example.org/team \
      --operator-digest sha256:... --gateway-digest sha256:... --serving-image IMAGE@sha256:...

It needs nothing but Python's standard library. `make release` calls it (docs/releasing.md).
"""

import argparse
import re
import shutil
from dataclasses import dataclass, replace
from pathlib import Path

import make_files
import render

VALUES = Path("chart/values.yaml")
BASE = Path("kustomize/cluster/kustomization.yaml")
OVERLAY = Path("kustomize/overlay/kustomization.yaml")
_EXAMPLE_REGISTRY = "registry.example.org/team"
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")


@dataclass(frozen=True)
class Pins:
    """The images of a release: registry and path of ours, their digests, and the model server image."""

    image_registry: str
    operator_digest: str
    gateway_digest: str
    serving_image: str


def pinned_files(pins: Pins) -> dict[Path, str]:
    """The files of the installation that name an image, by path, with each image pinned by its digest."""
    cluster, one_namespace = (_installation(pins, one_namespace=one) for one in (False, True))
    texts = make_files.files(cluster, one_namespace)
    values = (render.HERE / VALUES).read_text(encoding="utf-8")
    for key, old, new in (
        ("registry", render.IMAGE_REGISTRY, pins.image_registry),
        ("operatorDigest", '""', pins.operator_digest),
        ("gatewayDigest", '""', pins.gateway_digest),
        ("serving", render.SERVING_IMAGE, pins.serving_image),
    ):
        values = _replaced(values, f"\n  {key}: {old}\n", f"\n  {key}: {new}\n", VALUES)
    texts[VALUES] = values
    overlay = (render.HERE / OVERLAY).read_text(encoding="utf-8")
    for old, new in (
        (f"image: {_EXAMPLE_REGISTRY}/operator:{render.RELEASE}\n", f"image: {cluster.operator_image}\n"),
        (f"value: {_EXAMPLE_REGISTRY}/gateway:{render.RELEASE}\n", f"value: {cluster.gateway_image}\n"),
    ):
        overlay = _replaced(overlay, old, new, OVERLAY)
    texts[OVERLAY] = overlay
    base = (render.HERE / BASE).read_text(encoding="utf-8")
    texts[BASE] = _replaced(base, "../../../../crds\n", "../crds\n", BASE)
    return texts


def _installation(pins: Pins, *, one_namespace: bool) -> render.Installation:
    chosen = render.installation(
        one_namespace=one_namespace,
        image_registry=pins.image_registry,
        serving_image=pins.serving_image,
    )
    return replace(
        chosen,
        operator_image=f"{chosen.operator_image}@{pins.operator_digest}",
        gateway_image=f"{chosen.gateway_image}@{pins.gateway_digest}",
    )


def _replaced(text: str, old: str, new: str, path: Path) -> str:
    if text.count(old) != 1:
        raise SystemExit(
            f"operator/install/{path} must contain {old.strip()!r} once. Correct release_files.py."
        )
    return text.replace(old, new)


def write(pins: Pins, folder: Path) -> None:
    """Write all files of the installation below `folder`, those that name no image too."""
    for name in ("chart", "kustomize"):
        shutil.copytree(render.HERE / name, folder / name, dirs_exist_ok=True)
    shutil.copytree(render.CRD.parent, folder / "kustomize/crds", dirs_exist_ok=True)
    for path, text in pinned_files(pins).items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text, encoding="utf-8")


def _digest(text: str) -> str:
    if not _DIGEST.fullmatch(text):
        raise argparse.ArgumentTypeError(f"{text!r} is not a digest. Give sha256: and 64 hexadecimal digits.")
    return text


def _pinned_image(text: str) -> str:
    if not _DIGEST.fullmatch(text.partition("@")[2]):
        raise argparse.ArgumentTypeError(f"{text!r} has no digest. Give IMAGE@sha256:DIGITS.")
    return text


def main() -> None:
    """Write the files that the arguments describe."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--out", type=Path, required=True, help="folder for the files")
    parser.add_argument("--image-registry", required=True, help="registry and path of our images")
    parser.add_argument("--operator-digest", type=_digest, required=True, help="sha256:...")
    parser.add_argument("--gateway-digest", type=_digest, required=True, help="sha256:...")
    parser.add_argument("--serving-image", type=_pinned_image, required=True, help="IMAGE@sha256:...")
    arguments = parser.parse_args()
    pins = Pins(
        arguments.image_registry, arguments.operator_digest, arguments.gateway_digest, arguments.serving_image
    )
    write(pins, arguments.out)


if __name__ == "__main__":
    main()
