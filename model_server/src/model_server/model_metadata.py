"""GetModelMetadata: the signatures of a loaded model (get_model_metadata_impl.cc)."""

from typing import Any

from tensorflow_serving.apis import (
    get_model_metadata_pb2,
)

from .inference import Model
from .status import invalid_argument


def metadata(model: Model, request: Any, version: int) -> Any:
    """GetModelMetadataRequest -> GetModelMetadataResponse, with the signatures."""
    signatures = get_model_metadata_pb2.SignatureDefMap()
    for name, signature in model.signatures.items():
        signatures.signature_def[name].CopyFrom(signature)
    response = get_model_metadata_pb2.GetModelMetadataResponse()
    response.model_spec.name = request.model_spec.name
    response.model_spec.version.value = version
    response.metadata["signature_def"].Pack(signatures)
    return response


def check_metadata_request(request: Any) -> None:
    """Raise StatusError (INVALID_ARGUMENT) unless a GetModelMetadataRequest asks for `signature_def` only."""
    if not request.metadata_field:
        raise invalid_argument("GetModelMetadataRequest must specify at least one metadata_field")
    for field in request.metadata_field:
        if field != "signature_def":
            raise invalid_argument(f"Metadata field {field} is not supported")
