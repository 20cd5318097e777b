"""`create`: what it finds out about a model, and the manifest that it writes."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from client_program import Client
from imageclassifier_client.report.program import Program
from imageclassifier_gateway.model_files.class_model import saved_model
from imageclassifier_gateway.versions import tfserving_pb2 as pb

IMAGE = ("--image", "registry.example.org/flowers:{version}")


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch, capsys: Any, tmp_path: Path) -> Client:
    monkeypatch.setenv("PATH", str(tmp_path))  # without docker
    return Client(tmp_path / "kubectl", tmp_path / "config", monkeypatch, capsys)


def shape(*sizes: int) -> pb.TensorShapeProto:
    return pb.TensorShapeProto(dim=[pb.TensorShapeProto.Dim(size=size) for size in sizes])


def write_model(folder: Path, *outputs: tuple[str, int], side: int = 64, tag: str = "serve") -> Path:
    """A model whose input are pictures, with these outputs."""
    model = saved_model("{}")
    [graph] = model.meta_graphs
    graph.meta_info_def.tags[0] = tag
    del graph.signature_def["classes"]
    signature = graph.signature_def["serving_default"]
    pixels = pb.TensorInfo(name="x:0", dtype=pb.DT_FLOAT, tensor_shape=shape(-1, side, side, 3))
    signature.inputs["pixels"].CopyFrom(pixels)
    for name, size in outputs:
        tensor = pb.TensorInfo(name=f"{name}:0", dtype=pb.DT_FLOAT, tensor_shape=shape(-1, size))
        signature.outputs[name].CopyFrom(tensor)
    folder.mkdir(parents=True)
    (folder / "saved_model.pb").write_bytes(model.SerializeToString())
    return folder


def spec_of(text: str) -> dict[str, Any]:
    spec: dict[str, Any] = yaml.safe_load(text)["spec"]
    return spec


def test_the_newest_version_with_placeholders_for_its_classes(here: Client, tmp_path: Path) -> None:
    for version in ("1", "2", "10"):
        write_model(tmp_path / "flowers" / version, ("scores", 3))
    result = here("create", "flowers", str(tmp_path / "flowers"), *IMAGE)
    assert result.code == 0, result.err
    assert spec_of(result.out) == {
        "model": {
            "version": 10,
            "source": {"image": {"reference": "registry.example.org/flowers:{version}"}},
        },
        "classes": [{"name": f"class-{index}"} for index in range(3)],
    }
    assert "# TO DO: replace the classes by their names" in result.out
    assert "see the comments with TO DO" in result.err


@pytest.mark.parametrize("place", ["flowers", "flowers/2"])
def test_the_classes_come_from_a_file_in_the_model(here: Client, tmp_path: Path, place: str) -> None:
    folder = write_model(tmp_path / "flowers" / "2", ("scores", 2)) / "assets.extra"
    folder.mkdir()
    (folder / "labels.txt").write_text("daisy\nrose\n")
    result = here("create", "our-flowers", str(tmp_path / place), "--claim", "models")
    assert result.err == ""
    assert spec_of(result.out) == {
        "model": {
            "name": "flowers",
            "version": 2,
            "source": {"persistentVolumeClaim": {"claimName": "models"}},
        },
        "classesFrom": {"modelFile": {}},
    }
    assert "TO DO" not in result.out


def test_the_classes_come_from_a_file_of_the_user(here: Client, tmp_path: Path) -> None:
    write_model(tmp_path / "flowers" / "1", ("dense", 1))
    (tmp_path / "names.txt").write_text("not_pizza\npizza\n")
    result = here(
        "create", "flowers", str(tmp_path / "flowers"), *IMAGE, "--classes", str(tmp_path / "names.txt")
    )
    assert spec_of(result.out)["classes"] == [{"name": "not_pizza"}, {"name": "pizza"}]
    assert "TO DO" not in result.out


def test_what_the_model_leaves_open_is_a_comment(here: Client, tmp_path: Path) -> None:
    write_model(tmp_path / "flowers" / "1", ("first", 3), ("second", 3))
    result = here("create", "flowers", str(tmp_path / "flowers"), *IMAGE)
    assert "spec.output.tensor" in result.out
    assert result.code == 0


def test_a_model_that_describes_itself_needs_nothing(here: Client, tmp_path: Path) -> None:
    folder = tmp_path / "flowers" / "1"
    folder.mkdir(parents=True)
    model = saved_model("{}")
    graph = model.meta_graphs[0]
    graph.signature_def["contract"].CopyFrom(graph.signature_def["classes"])
    (folder / "saved_model.pb").write_bytes(model.SerializeToString())
    result = here("create", "flowers", str(tmp_path / "flowers"), "--image", "registry.example.org/flowers:1")
    source = {"image": {"reference": "registry.example.org/flowers:{version}"}}
    assert spec_of(result.out) == {"model": {"version": 1, "source": source}}
    assert "describes itself" in result.out


@pytest.mark.parametrize(
    ("files", "error"),
    [
        ({}, "contains nothing"),
        ({"1/model.keras": b""}, "is a Keras model, which is not served"),
        ({"saved_model.pb": b""}, "Each version needs its own directory"),
        ({"1/saved_model.pb": b"\xff\xff"}, "cannot be read as a SavedModel"),
        ({"1/saved_model.pb": b""}, "no graph with the tag serve"),
    ],
)
def test_a_directory_without_a_served_model_is_one_line(
    here: Client, tmp_path: Path, files: dict[str, bytes], error: str
) -> None:
    (tmp_path / "flowers").mkdir()
    for name, content in files.items():
        path = tmp_path / "flowers" / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(content)
    result = here("create", "flowers", str(tmp_path / "flowers"), *IMAGE)
    assert (result.code, result.out) == (1, "")
    [line] = result.err.splitlines()
    assert error in line


@pytest.mark.parametrize(
    ("arguments", "code", "error"),
    [
        (("flowers", "flowers"), 1, "no docker or podman to look into an image"),
        (("flowers", "."), 1, "The cluster cannot read a directory of this machine"),
        (("Flowers", "flowers"), 2, "must start with a letter"),
        (("flowers", "flowers", "--image", "a", "--claim", "b"), 2, "not allowed with argument"),
    ],
)
def test_an_argument_that_cannot_be_used_is_one_line(
    here: Client, arguments: tuple[str, ...], code: int, error: str
) -> None:
    result = here("create", *arguments)
    assert (result.code, result.out) == (code, "")
    [line] = result.err.splitlines()
    assert error in line


def test_the_program_suggests_itself_by_the_name_by_which_it_was_called() -> None:
    assert (
        Program.called("/usr/bin/kubectl-imageclassifier").command("why") == "`kubectl imageclassifier why`"
    )
    assert Program.called("/usr/bin/imageclassifier").command("why") == "`imageclassifier why`"
