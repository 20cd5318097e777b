"""From `docker save` to an archive with just what a node lacks, for the archives of old and new Docker."""

import doctest
import hashlib
import io
import json
import tarfile

import pytest

from images import layout, load_into_nodes

BASE, PACKAGES, CODE = b"base " * 1000, b"packages " * 1000, b"code"
CONFIG = json.dumps({"os": "linux", "rootfs": {"diff_ids": []}}).encode()


def sha256(content: bytes) -> str:
    return "sha256:" + hashlib.sha256(content).hexdigest()


def tar_of(entries: list[tuple[str, bytes | str]]) -> io.BytesIO:
    """A tar archive; text instead of bytes makes a symbolic link to it."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as archive:
        for path, content in entries:
            entry = tarfile.TarInfo(path)
            if isinstance(content, str):
                entry.type, entry.linkname = tarfile.SYMTYPE, content
                archive.addfile(entry)
            else:
                entry.size = len(content)
                archive.addfile(entry, io.BytesIO(content))
    stream.seek(0)
    return stream


def old_docker() -> io.BytesIO:
    """As Docker 20.10: a directory per layer, one a link to another, and the manifest at the end."""
    layers = ["aa/layer.tar", "bb/layer.tar", "cc/layer.tar", "dd/layer.tar"]
    manifest = json.dumps([{"Config": "c0ffee.json", "RepoTags": ["x:1"], "Layers": layers}]).encode()
    return tar_of(
        [
            ("aa/VERSION", b"1.0"),
            ("aa/json", b"{}"),
            ("aa/layer.tar", BASE),
            ("bb/layer.tar", PACKAGES),
            ("c0ffee.json", CONFIG),
            ("cc/layer.tar", CODE),
            ("dd/layer.tar", "../aa/layer.tar"),
            ("manifest.json", manifest),
        ]
    )


def new_docker() -> io.BytesIO:
    """As Docker 25 and later: blobs named by digest, the configuration among them."""
    paths = {content: "blobs/sha256/" + sha256(content)[7:] for content in (BASE, PACKAGES, CODE, CONFIG)}
    layers = [paths[content] for content in (BASE, PACKAGES, CODE, BASE)]
    manifest = json.dumps([{"Config": paths[CONFIG], "RepoTags": ["x:1"], "Layers": layers}]).encode()
    entries: list[tuple[str, bytes | str]] = [(path, content) for content, path in paths.items()]
    return tar_of([*entries, ("index.json", b"{}"), ("manifest.json", manifest)])


@pytest.fixture(params=[old_docker, new_docker], ids=["docker 20.10", "docker 25"])
def saved(request: pytest.FixtureRequest) -> io.BytesIO:
    archive: io.BytesIO = request.param()
    return archive


def read(saved: io.BytesIO, present: set[str], spool: io.BytesIO) -> layout.Archive:
    with tarfile.open(fileobj=saved, mode="r|") as stream:
        return layout.read_archive(stream, present, spool)


def members(saved: io.BytesIO, present: set[str]) -> dict[str, bytes]:
    """The files of the layout made from an archive, by path."""
    spool, stream = io.BytesIO(), io.BytesIO()
    layout.write_layout(read(saved, present, spool), ["x:1", "y/x:dev"], spool, stream)
    stream.seek(0)
    with tarfile.open(fileobj=stream) as archive:
        return {entry.name: archive.extractfile(entry).read() for entry in archive}  # type: ignore[union-attr]


def test_layers_that_the_node_has_are_left_out_but_stay_in_the_manifest(saved: io.BytesIO) -> None:
    files = members(saved, {sha256(BASE), sha256(PACKAGES)})
    carried = [content for path, content in files.items() if path.startswith("blobs/")]
    assert sorted(map(len, (CODE, CONFIG))) == sorted(
        len(c) for c in carried if c in (CODE, CONFIG, BASE, PACKAGES)
    )
    manifest = next(json.loads(c) for c in carried if b"config.v1+json" in c)
    assert [layer["digest"] for layer in manifest["layers"]] == [
        sha256(c) for c in (BASE, PACKAGES, CODE, BASE)
    ]
    assert [layer["size"] for layer in manifest["layers"]] == [len(c) for c in (BASE, PACKAGES, CODE, BASE)]
    assert manifest["config"] == {
        "mediaType": "application/vnd.oci.image.config.v1+json",
        "digest": sha256(CONFIG),
        "size": len(CONFIG),
    }


def test_a_node_that_has_nothing_gets_every_layer_once(saved: io.BytesIO) -> None:
    files = members(saved, set())
    for content in (BASE, PACKAGES, CODE, CONFIG):
        assert files["blobs/sha256/" + sha256(content)[7:]] == content


def test_every_blob_is_named_by_its_content_and_every_name_points_to_the_manifest(saved: io.BytesIO) -> None:
    files = members(saved, set())
    for path, content in files.items():
        if path.startswith("blobs/"):
            assert path == "blobs/sha256/" + sha256(content)[7:]
    index = json.loads(files["index.json"])
    names = [entry["annotations"]["io.containerd.image.name"] for entry in index["manifests"]]
    assert names == ["docker.io/library/x:1", "docker.io/y/x:dev"]
    assert len({entry["digest"] for entry in index["manifests"]}) == 1


def test_the_size_of_the_copied_layers_is_reported_in_bytes(saved: io.BytesIO) -> None:
    assert read(saved, {sha256(BASE)}, io.BytesIO()).carried_bytes == len(PACKAGES) + len(CODE)


def test_the_examples_of_names_and_links() -> None:
    assert doctest.testmod(layout).failed == 0


def test_compressed_layers_keep_their_type() -> None:
    packed = b"\x1f\x8b" + b"compressed"
    manifest = json.dumps([{"Config": "c.json", "Layers": ["aa/layer.tar"]}]).encode()
    saved = tar_of([("aa/layer.tar", packed), ("c.json", CONFIG), ("manifest.json", manifest)])
    (layer,) = read(saved, set(), io.BytesIO()).layers
    assert layer.is_gzip


def test_the_nodes_listing_gives_each_images_digest() -> None:
    listing = (
        "REF                        TYPE          DIGEST     SIZE      PLATFORMS   LABELS\n"
        "docker.io/library/a:1      application/x sha256:0f  119.0 MiB linux/amd64 a=b\n"
        "docker.io/x/b:dev          application/x sha256:1e  1.0 GiB   linux/amd64 -\n"
    )
    assert load_into_nodes.parse_image_list(listing) == {
        "docker.io/library/a:1": "sha256:0f",
        "docker.io/x/b:dev": "sha256:1e",
    }
