"""examples/training-job.yaml: its commands are valid, and each reads what the one before wrote."""

from __future__ import annotations

import argparse
from pathlib import Path, PurePosixPath
from typing import Any

import pytest
import yaml

from imageclassifier_training.cli import _parser

EXAMPLES = Path(__file__).parents[2] / "examples"


def documents(name: str) -> list[dict[str, Any]]:
    return list(yaml.safe_load_all((EXAMPLES / f"{name}.yaml").read_text(encoding="utf-8")))


@pytest.fixture(scope="module")
def pod() -> dict[str, Any]:
    (job,) = [each for each in documents("training-job") if each["kind"] == "Job"]
    spec: dict[str, Any] = job["spec"]["template"]["spec"]
    return spec


@pytest.fixture(scope="module")
def commands(pod: dict[str, Any]) -> dict[str, argparse.Namespace]:
    containers = [*pod["initContainers"], *pod["containers"]]
    return {each["name"]: _parser().parse_args(each["args"]) for each in containers}


def test_the_version_is_written_where_the_classifier_of_the_other_example_finds_it(
    pod: dict[str, Any], commands: dict[str, argparse.Namespace]
) -> None:
    (classifier,) = [each for each in documents("pvc") if each["kind"] == "ImageClassifier"]
    source = classifier["spec"]["model"]["source"]["persistentVolumeClaim"]
    (export,) = pod["containers"]
    (mount,) = [each["mountPath"] for each in export["volumeMounts"] if each["name"] == "models"]
    (claim,) = [each["persistentVolumeClaim"] for each in pod["volumes"] if each["name"] == "models"]
    wanted = commands["export"]
    assert claim["claimName"] == source["claimName"]
    assert PurePosixPath(mount, source["path"]) == PurePosixPath(wanted.out, wanted.name)
    assert wanted.version == classifier["spec"]["model"]["version"] + 1


def test_the_training_is_exported_and_the_rest_stays_on_volumes(
    pod: dict[str, Any], commands: dict[str, argparse.Namespace]
) -> None:
    train, export = commands["train"], commands["export"]
    assert train.out == export.training
    (container,) = pod["initContainers"]
    writable = [each["mountPath"] for each in container["volumeMounts"] if not each.get("readOnly")]
    for path in (train.out, train.cache):
        assert any(PurePosixPath(path).is_relative_to(mount) for mount in writable), path
    (photographs,) = [each for each in container["volumeMounts"] if each["name"] == "photographs"]
    assert (str(train.data_dir), photographs["readOnly"]) == (photographs["mountPath"], True)
