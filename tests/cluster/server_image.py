"""Images with one program, for servers that a test runs on the laptop cluster."""

from __future__ import annotations

from pathlib import Path, PurePosixPath

from images import build, docker, load_into_nodes
from images.recipes import Build
from images.trees import File
from laptop import places
from laptop.cluster_state import LAPTOP


def ensure_image(program: Path) -> str:
    """Build an image with this program and Python, and load it into the cluster; returns its name."""
    dockerfile = f"ARG BASE\nFROM ${{BASE}}\nCOPY {program.name} /usr/local/bin/{program.name}\n"
    base = build.build_base()
    reference = f"imageclassifier/{program.name}:{places.digest([base, dockerfile], [program])}"
    if docker.image_id(reference) is None:
        file = File(PurePosixPath(program.name), program.read_bytes(), executable=True)
        docker.build(Build(reference, dockerfile, ("BASE", base), (file,)))
    load_into_nodes.load(load_into_nodes.of_cluster(LAPTOP.name), reference, ())
    return reference
