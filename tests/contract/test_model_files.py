"""The rendered init containers run the gateway's program, which writes what the model server loads."""

from __future__ import annotations

import hashlib
import io
import json
import re
import subprocess
import tarfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from archive_server import archive_server
from imageclassifier_gateway.contract.class_servable import CLASSES_SIGNATURE, class_servable, with_class_file
from imageclassifier_gateway.model_files.__main__ import main
from imageclassifier_gateway.versions import tfserving_pb2 as pb
from imageclassifier_operator import api, render
from imageclassifier_operator.api import names
from imageclassifier_operator.api.preparer import Preparer
from s3_server import s3_server

IMAGE = {"image": {"reference": "flowers:{version}"}}
CLAIM = {"persistentVolumeClaim": {"claimName": "models", "path": "team/flowers"}}


def rendered(source: dict[str, Any], **classes_from: Any) -> tuple[api.ModelVersion, dict[str, Any]]:
    """A version, and the pod template of its model server."""
    spec = {"model": {"version": 3, "source": source}, "classesFrom": classes_from}
    ic = api.parse({"metadata": {"name": "flowers", "namespace": "n", "uid": "u"}, "spec": spec})
    served = ic.candidate("server", "gateway")
    return served, render.serving_children(ic, served, 1)[0]["spec"]["template"]


def run(template: dict[str, Any], name: str, root: Path) -> int:
    """Run an init container of the gateway's image, with `root` as its file system."""
    [container] = [each for each in template["spec"]["initContainers"] if each["name"] == name]
    assert container["image"] == "gateway"
    assert container["command"][:3] == ["python", "-m", "imageclassifier_gateway.model_files"]
    arguments = [*container["command"][3:], *container["args"]]
    return main([f"{root}{word}" if word.startswith("/") else word for word in arguments])


def base_paths(template: dict[str, Any]) -> dict[str, str]:
    """The name and base path of each model in the configuration of the model server."""
    config = template["metadata"]["annotations"][names.ANNOTATION_MODEL_CONFIG]
    return dict(re.findall(r'name: "([^"]+)" base_path: "([^"]+)"', config))


@pytest.mark.parametrize(("source", "directory"), [(IMAGE, "flowers/3"), (CLAIM, "team/flowers/3")])
@pytest.mark.parametrize("file", [{}, {"path": "my/names.txt"}])
def test_the_server_gets_a_model_that_returns_the_class_file_of_the_version(
    tmp_path: Path, source: dict[str, Any], directory: str, file: dict[str, str]
) -> None:
    served, template = rendered(source, modelFile=file, background="first")
    path = file.get("path", "assets.extra/labels.txt")
    place = tmp_path / "models" / directory / path
    place.parent.mkdir(parents=True)
    place.write_text("rose\ntulip\n")
    assert run(template, "model-classes", tmp_path) == 0

    assert served.contract is not None
    servable = class_servable(served.contract)
    assert servable is not None
    written = Path(f"{tmp_path}{base_paths(template)[servable]}", "3", "saved_model.pb").read_bytes()
    [graph] = pb.SavedModel.FromString(written).meta_graphs
    assert list(graph.signature_def) == [CLASSES_SIGNATURE]
    [document] = [
        node.attr["value"].tensor.string_val[0].decode()
        for node in graph.graph_def.node
        if node.op == "Const"
    ]
    assert with_class_file(served.contract, document)["classes"] == {
        "file": f"{path} of the model",
        "text": "rose\ntulip\n",
        "background": "first",
    }


def test_the_server_and_the_init_container_mount_the_same_directories() -> None:
    for source in (IMAGE, CLAIM):
        _, template = rendered(source, modelFile={})
        [server], [init] = (
            template["spec"]["containers"],
            [each for each in template["spec"]["initContainers"] if each["name"] == "model-classes"],
        )
        mounts = {each["mountPath"]: each["name"] for each in server["volumeMounts"]}
        assert {each["mountPath"]: each["name"] for each in init["volumeMounts"]}.items() <= mounts.items()
        assert json.dumps(base_paths(template)).count("/model-classes") == 1


def searching(source: dict[str, Any]) -> dict[str, Any]:
    """The pod template of a version whose files are not where a copy expects them."""
    spec = {"model": {"version": 3, "source": source}}
    ic = api.parse({"metadata": {"name": "flowers", "namespace": "n", "uid": "u"}, "spec": spec})
    served = replace(ic.candidate("server"), searches=True, preparer=Preparer("gateway"))
    template: dict[str, Any] = render.serving_children(ic, served, 1)[0]["spec"]["template"]
    return template


def copy(template: dict[str, Any], name: str, root: Path) -> None:
    """Run the `cp` of an init container of the model's image, with `root` as its file system."""
    [container] = [each for each in template["spec"]["initContainers"] if each["name"] == name]
    assert container["image"] == "flowers:3"
    command = [f"{root}{word}" if word.startswith("/") else word for word in container["command"]]
    subprocess.run(command, check=True)


def test_a_directory_with_zeros_in_its_name_is_copied_from_an_image_under_its_number(tmp_path: Path) -> None:
    model = tmp_path / "models" / "flowers" / "0003"
    (model / "variables").mkdir(parents=True)
    (model / "saved_model.pb").write_text("graph")
    (model / "variables" / "variables.index").write_text("index")
    (tmp_path / "model-names").mkdir()
    (tmp_path / "model-copy").mkdir()
    template = searching(IMAGE)
    assert [each["name"] for each in template["spec"]["initContainers"]] == [
        "model-names", "model-search", "model-files",
    ]  # fmt: skip
    for _ in range(2):  # the kubelet may run init containers again
        copy(template, "model-names", tmp_path)
        assert run(template, "model-search", tmp_path) == 0
        link = tmp_path / "model-names" / "version"
        assert link.readlink() == Path("/models/flowers/0003")
        link.unlink()
        link.symlink_to(model)  # in the test, the root of the image is another directory
        copy(template, "model-files", tmp_path)
    copied = tmp_path / "model-copy" / "3"
    assert (copied / "saved_model.pb").read_text() == "graph"
    assert (copied / "variables" / "variables.index").read_text() == "index"
    assert not (copied / "saved_model.pb").is_symlink()


def test_what_an_image_contains_instead_of_the_version_is_in_the_message(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "models" / "flowers" / "3" / "export").mkdir(parents=True)
    (tmp_path / "models" / "flowers" / "3" / "export" / "saved_model.pb").touch()
    (tmp_path / "model-names").mkdir()
    template = searching(IMAGE)
    copy(template, "model-names", tmp_path)
    assert run(template, "model-search", tmp_path) == 3
    assert "but it lies in models/flowers/3/export" in capsys.readouterr().err


def test_a_volume_is_searched_where_the_server_reads_it(tmp_path: Path) -> None:
    template = searching(CLAIM)
    (tmp_path / "models" / "team" / "flowers" / "03").mkdir(parents=True)
    (tmp_path / "models" / "team" / "flowers" / "03" / "saved_model.pb").touch()
    assert run(template, "model-search", tmp_path) == 0
    assert base_paths(template) == {"flowers": "/models/team/flowers"}


def test_an_archive_is_downloaded_to_where_the_server_reads_it(tmp_path: Path) -> None:
    with tarfile.open(fileobj=(archive := io.BytesIO()), mode="w:gz") as packed:
        packed.addfile(tarfile.TarInfo("saved_model.pb"))
    for folder in (
        "tls",
        "model-copy",
        "etc/imageclassifier/source-ca",
        "etc/imageclassifier/source-headers",
    ):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "etc/imageclassifier/source-headers/Authorization").write_text("Bearer abc")
    with archive_server(tmp_path / "tls") as server:
        server.files["/flowers-3.tar.gz"] = archive.getvalue()
        (tmp_path / "etc/imageclassifier/source-ca/ca.pem").write_bytes(server.ca_file.read_bytes())
        _, template = rendered(
            {
                "https": {
                    "url": f"{server.url}/flowers-{{version}}.tar.gz",
                    "sha256": hashlib.sha256(archive.getvalue()).hexdigest(),
                    "caBundle": {"configMap": {"name": "our-ca", "key": "ca.pem"}},
                    "headersFrom": {"secret": "model-store"},
                }
            },
            modelFile={},
        )
        assert run(template, "model-files", tmp_path) == 0
        assert [request["authorization"] for request in server.requests] == ["Bearer abc"]
    assert (tmp_path / "model-copy" / "3" / "saved_model.pb").exists()
    assert base_paths(template)["flowers"] == "/models/flowers"
    [server_container] = template["spec"]["containers"]
    mounts = {each["name"]: each["mountPath"] for each in server_container["volumeMounts"]}
    assert mounts["model"] == "/models/flowers"
    assert not {"source-ca", "source-headers"} & mounts.keys()


def test_a_model_in_a_bucket_is_downloaded_to_where_the_server_reads_it(tmp_path: Path) -> None:
    (tmp_path / "model-copy").mkdir()
    (tmp_path / "etc/imageclassifier").mkdir(parents=True)
    (tmp_path / "s3").mkdir()
    with s3_server(tmp_path / "s3") as server:
        server.upload({"flowers/3/saved_model.pb": b"graph"})
        server.secret(tmp_path / "etc/imageclassifier/source-credentials", "reader")
        _, template = rendered(
            {
                "storage": {
                    "uri": "s3://models/flowers/{version}",
                    "endpoint": server.endpoint,
                    "region": "us-east-1",
                    "credentialsFrom": {"secret": "model-store"},
                }
            },
            modelFile={},
        )
        assert run(template, "model-files", tmp_path) == 0
    assert (tmp_path / "model-copy" / "3" / "saved_model.pb").read_bytes() == b"graph"
    assert base_paths(template)["flowers"] == "/models/flowers"
    [server_container] = template["spec"]["containers"]
    mounts = {each["name"]: each["mountPath"] for each in server_container["volumeMounts"]}
    assert mounts["model"] == "/models/flowers"
    assert "source-credentials" not in mounts
