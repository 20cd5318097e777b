"""An upgrade restarts no pod: the pods are rendered as the operator of an earlier commit rendered them.

Only the hash of the pods is computed in another way. A Deployment keeps the one that it has
(test_model_deployments.py), and on_apiserver/test_upgrade.py runs a whole upgrade.

pod_templates_of_48c8c3e.json has the pod template of each Deployment, by spec and name. It was made with that
commit's own code, from the same specs in the spelling of that time (`model.image` instead of
`model.source.image.reference`):

    {f"{spec} {name}": child["spec"]["template"] for spec in SPECS
     for (kind, name), child in render(SPECS[spec]).items() if kind == "Deployment"}

with `SPECS` and `render` of its tests/operator/rendered.py.
"""

import copy
import json
from pathlib import Path
from typing import Any

import pytest

from imageclassifier_operator.api import names
from rendered import SPECS, all_children

BEFORE: dict[str, Any] = json.loads(Path(__file__).with_name("pod_templates_of_48c8c3e.json").read_text())
POD_HASHES = {"smallest": "32a784d39018", "volume": "4b4b5571eb1f", "everything": "da104eba9265"}
"""They have changed since then with the spelling: `model.source` (commit 427a684), and
`serving.template` for the nodes of `everything`.
"""


def spec_of_that_time(name: str) -> dict[str, Any]:
    """The spec without what 48c8c3e did not have."""
    body = copy.deepcopy(SPECS[name])
    if name == "everything":
        del body["gateway"]["authentication"]
        del body["gateway"]["tls"]
        del body["gateway"]["cors"]
        del body["gateway"]["maxImagePixels"]
        del body["serving"]["imagePullSecrets"]
        body["model"]["source"]["image"]["pullSecrets"] = [{"name": "models"}]
    return body


@pytest.mark.parametrize("spec", ["smallest", "volume", "everything"])
def test_an_upgrade_changes_no_pod_except_for_the_hash_that_a_deployment_keeps(spec: str) -> None:
    after = {
        f"{spec} {name}": child["spec"]["template"]
        for (kind, name), child in all_children(spec_of_that_time(spec)).items()
        if kind == "Deployment"
    }
    before = {key: copy.deepcopy(value) for key, value in BEFORE.items() if key.startswith(f"{spec} ")}
    before[f"{spec} pizza-serving-v3"]["metadata"]["annotations"][names.ANNOTATION_POD_HASH] = POD_HASHES[
        spec
    ]
    assert after == before
