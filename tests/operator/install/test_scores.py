"""kube-score over everything that is installed: the YAML, the chart, and the children of ImageClassifiers."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
import yaml

from install_checkers import CHART, INSTALL, checker, documents, helm
from rendered import SPECS, all_children

ACCEPTED_GRADE = 7
"""kube-score's grades: 1 is critical, 5 a warning, 7 almost good and 10 good."""
OPTIONAL = ("container-seccomp-profile", "container-ports-check", "deployment-replicas")


def failed_checks(objects: Iterable[dict[str, Any]]) -> set[tuple[str, str]]:
    """The checks that fail, with the objects: (check, Kind/name)."""
    import subprocess

    text = yaml.safe_dump_all(list(objects))
    command = [checker("kube-score"), "score", "--output-format=json", "--kubernetes-version=v1.34"]
    command += [f"--enable-optional-test={name}" for name in OPTIONAL]
    result = subprocess.run([*command, "-"], input=text, capture_output=True, text=True, check=False)
    scored = json.loads(result.stdout)
    assert scored, result.stderr
    return {
        (check["check"]["id"], f"{each['type_meta']['kind']}/{each['object_meta']['name']}")
        for each in scored
        for check in each["checks"]
        if not check["skipped"] and check["grade"] < ACCEPTED_GRADE
    }
