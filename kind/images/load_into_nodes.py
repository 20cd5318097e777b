"""Loads images into the nodes of a Kind cluster, with only the layers that a node lacks."""

import subprocess
import tempfile
from collections.abc import Collection, Sequence
from typing import IO

from images import docker
from images.layout import Archive, docker_io, read_archive, write_layout
from laptop.progress import StepFailed

_CTR = ("ctr", "--namespace", "k8s.io")


def of_cluster(cluster: str) -> list[str]:
    """The names of the node containers of a cluster. Raises StepFailed if none runs."""
    label = f"label=io.x-k8s.kind.cluster={cluster}"
    nodes = docker.run("ps", "--filter", label, "--format", "{{.Names}}").split()
    if not nodes:
        raise StepFailed(f"The Kind cluster {cluster!r} does not run. Run `make cluster`.")
    return sorted(nodes)


def load(nodes: Sequence[str], reference: str, aliases: Collection[str]) -> int:
    """Load an image with its aliases into the nodes that lack it; return the bytes of layers that were sent.

    `reference` must be a name that never moves to another image. If a node refuses an archive without the
    layers that it lists, it gets the whole image. Raises StepFailed if it refuses that too.
    """
    carried_bytes = 0
    for node in nodes:
        if docker_io(reference) not in parse_image_list(_ctr(node, "images", "list")):
            carried_bytes += _carry(node, reference)
        known = parse_image_list(_ctr(node, "images", "list"))
        for alias in aliases:
            if known.get(docker_io(alias)) != known[docker_io(reference)]:
                _ctr(node, "images", "tag", "--force", docker_io(reference), docker_io(alias))
    return carried_bytes


def parse_image_list(listing: str) -> dict[str, str]:
    r"""`ctr images list` as full name -> digest.

    >>> parse_image_list("REF TYPE DIGEST\ndocker.io/library/a:1 application/x sha256:0f")
    {'docker.io/library/a:1': 'sha256:0f'}
    """
    rows = (line.split() for line in listing.splitlines()[1:])
    return {row[0]: row[2] for row in rows if len(row) > 2}


def _carry(node: str, reference: str) -> int:
    """Import an image into a node; return the bytes of layers that were sent."""
    refusal = ""
    for present in (set(_ctr(node, "content", "list", "--quiet").split()), set[str]()):
        with tempfile.TemporaryFile() as spool:
            with docker.SavedImage(reference) as saved:
                archive = read_archive(saved, present, spool)
            refusal = _import(node, archive, reference, spool)
        if not refusal:
            return archive.carried_bytes
    raise StepFailed(f"The node {node} refused the image {reference}: {refusal}")


def _import(node: str, archive: Archive, reference: str, spool: IO[bytes]) -> str:
    """Stream an image into the containerd of a node; return its error message, empty on success."""
    command = ["docker", "exec", "--interactive", node, *_CTR, "images", "import", "-"]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            with process.stdin:
                write_layout(archive, [reference], spool, process.stdin)
        except BrokenPipeError:
            pass  # containerd stopped reading; its message follows
        said = process.stdout.read().decode(errors="replace").strip()
        return said if process.wait() else ""


def _ctr(node: str, *arguments: str) -> str:
    return docker.run("exec", node, *_CTR, *arguments)
