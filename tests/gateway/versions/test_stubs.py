"""The slim stubs are those of tensorflow-serving-api, and cost little to import."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from imageclassifier_gateway.versions import tfserving_pb2 as pb

SCRIPT = Path(__file__).parents[3] / "gateway" / "generate_stubs.py"

# In a process of its own, TensorFlow not imported: its own stubs read the bytes that ours wrote.
EXCHANGE = """
import sys
sys.path.insert(0, {folder!r})
import generate_stubs
real = generate_stubs._import_without_tensorflow("tensorflow_serving.apis.predict_pb2")
request = real.PredictRequest.FromString(bytes.fromhex(sys.argv[1]))
assert request.model_spec.name == "pizza-model"
assert request.model_spec.version.value == 3
assert request.model_spec.signature_name == "serving_default"
tensor = request.inputs["pixels"]
assert tensor.dtype == 4 and tensor.tensor_content == b"abc"
assert [dim.size for dim in tensor.tensor_shape.dim] == [1, 3]
print(request.SerializeToString(deterministic=True).hex())
"""


def test_the_stubs_have_not_drifted_from_tensorflow_serving_api() -> None:
    result = subprocess.run([sys.executable, SCRIPT, "--check"], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr


def test_tensorflow_servings_own_stubs_read_what_ours_wrote() -> None:
    shape = pb.TensorShapeProto(dim=[pb.TensorShapeProto.Dim(size=1), pb.TensorShapeProto.Dim(size=3)])
    tensor = pb.TensorProto(dtype=pb.DT_UINT8, tensor_shape=shape, tensor_content=b"abc")
    request = pb.PredictRequest(inputs={"pixels": tensor})
    request.model_spec.name, request.model_spec.signature_name = "pizza-model", "serving_default"
    request.model_spec.version.value = 3
    sent = request.SerializeToString(deterministic=True)
    result = subprocess.run(
        [sys.executable, "-c", EXCHANGE.format(folder=str(SCRIPT.parent)), sent.hex()],
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    assert result.stdout.strip() == sent.hex()


def test_tensorflow_is_not_imported() -> None:
    program = (
        "import sys, imageclassifier_gateway.api.app, imageclassifier_gateway.http.server\n"
        "import imageclassifier_gateway.verify.verification\n"
        "print([name for name in sys.modules if name.split('.')[0].startswith(('tensorflow', 'keras'))])"
    )
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"
