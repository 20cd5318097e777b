"""Writes the model that returns the class file: a SavedModel without variables, made without TensorFlow.

Its one signature has the form of the signature `contract`: TensorFlow Serving refuses inputs without a batch
axis when batching is on, so the text is returned once for each value of an input that is ignored.
"""

from __future__ import annotations

from pathlib import Path

from ..contract import IGNORED_TENSOR, JSON_TENSOR
from ..contract.class_servable import CLASSES_SIGNATURE
from ..versions import tfserving_pb2 as pb

#: The version of the graph format of TensorFlow 2.0. Newer runtimes read it.
_GRAPH_PRODUCER = 119
_ANY_NUMBER = pb.TensorShapeProto(dim=[pb.TensorShapeProto.Dim(size=-1)])


def write_class_model(directory: Path, document: str) -> None:
    """Write the SavedModel whose signature `classes` returns `document` into a new directory."""
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "saved_model.pb").write_bytes(saved_model(document).SerializeToString(deterministic=True))


def saved_model(document: str) -> pb.SavedModel:
    """The SavedModel: fill(shape(ignored), document)."""
    model = pb.SavedModel(saved_model_schema_version=1)
    graph = model.meta_graphs.add()
    graph.meta_info_def.tags.append("serve")
    graph.graph_def.versions.producer = _GRAPH_PRODUCER
    text = pb.TensorProto(
        dtype=pb.DT_STRING, tensor_shape=pb.TensorShapeProto(), string_val=[document.encode()]
    )
    graph.graph_def.node.extend(
        (
            _node(
                IGNORED_TENSOR, "Placeholder", dtype=_type(pb.DT_INT32), shape=pb.AttrValue(shape=_ANY_NUMBER)
            ),
            _node("document", "Const", dtype=_type(pb.DT_STRING), value=pb.AttrValue(tensor=text)),
            _node("shape", "Shape", IGNORED_TENSOR, T=_type(pb.DT_INT32), out_type=_type(pb.DT_INT32)),
            _node("json", "Fill", "shape", "document", T=_type(pb.DT_STRING), index_type=_type(pb.DT_INT32)),
        )
    )
    signature = graph.signature_def[CLASSES_SIGNATURE]
    signature.method_name = "tensorflow/serving/predict"
    signature.inputs[IGNORED_TENSOR].CopyFrom(_tensor(f"{IGNORED_TENSOR}:0", pb.DT_INT32))
    signature.outputs[JSON_TENSOR].CopyFrom(_tensor("json:0", pb.DT_STRING))
    return model


def _node(name: str, operation: str, *inputs: str, **attributes: pb.AttrValue) -> pb.NodeDef:
    return pb.NodeDef(name=name, op=operation, input=inputs, attr=attributes)


def _type(dtype: pb.DataType) -> pb.AttrValue:
    return pb.AttrValue(type=dtype)


def _tensor(name: str, dtype: pb.DataType) -> pb.TensorInfo:
    return pb.TensorInfo(name=name, dtype=dtype, tensor_shape=_ANY_NUMBER)
