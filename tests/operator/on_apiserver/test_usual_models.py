"""The examples for models from elsewhere on a real API server: admitted, and their model servers rendered."""

import json
from pathlib import Path
from typing import Any

import pytest

from imageclassifier_operator.api import names
from operator_process import Bench

pytestmark = pytest.mark.apiserver
EXAMPLES = Path(__file__).parents[3] / "examples"


@pytest.mark.parametrize(
    ("example", "name", "source", "wanted"),
    [
        ("imagenet", "imagenet", "mobilenet:1", {"scale": 1 / 127.5, "offset": -1}),
        ("mnist", "mnist", "mnist:1", {"scale": 1 / 255, "signature": "predict_images", "layout": "NF"}),
        ("xception", "cats-dogs", "cats-dogs:1", {"scale": 1 / 127.5, "offset": -1, "resize": "nearest"}),
        ("onnx", "flowers", "flowers:1", None),
        ("bucket", "flowers-from-bucket", "s3://models/flowers/1", None),
        ("pvc", "pizza-from-volume", "models", None),
    ],
)
def test_an_example_is_admitted_and_its_model_server_gets_the_model_and_what_the_spec_says_of_it(
    bench: Bench, example: str, name: str, source: str, wanted: dict[str, Any] | None
) -> None:
    bench.apiserver.kubectl("apply", "-n", bench.namespace, "-f", str(EXAMPLES / f"{example}.yaml"))
    deployment = f"{name}-serving-v1"
    try:
        bench.apiserver.wait_for(lambda: deployment in bench.deployments(), f"{deployment} to be there", 60)
    except TimeoutError:
        shown = bench.apiserver.kubectl("get", "imageclassifier", name, "-n", bench.namespace, "-o", "json")
        raise AssertionError(json.loads(shown).get("status")) from None
    found = bench.deployments()[deployment]
    served = json.loads(found["metadata"]["annotations"][names.ANNOTATION_SERVED_VERSION])
    contract = served["contract"]
    assert (contract is None) == (wanted is None)
    if contract is not None and wanted is not None:
        assert {key: contract["input"][key] for key in wanted} == wanted
    assert f'"{source}"' in json.dumps(found["spec"]["template"]["spec"])
