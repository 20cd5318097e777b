"""The rendered init containers run the gateway's program, which writes what the model server loads."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from imageclassifier_gateway.contract.class_servable import CLASSES_SIGNATURE, class_servable, with_class_file
from imageclassifier_gateway.model_files.__main__ import main
from imageclassifier_gateway.versions import tfserving_pb2 as pb
from imageclassifier_operator import api, render
from imageclassifier_operator.api import names

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
