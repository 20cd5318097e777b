"""Generates the gateway's slim stubs of the gRPC API of TensorFlow Serving.

Importing `tensorflow_serving.apis` imports TensorFlow (2 s, 640 MB). The gateway needs few of its messages.
This script cuts these, with the fields named in `FIELDS`, out of the descriptors that tensorflow-serving-api
and TensorFlow ship, and lets protoc generate `tfserving_pb2.py` and `tfserving_pb2.pyi`. Field names, numbers
and types stay as they are, so the bytes on the wire are the same. The package name is our own (names of
messages are not part of the wire format), so that both sets of stubs can live in one process.

    python gateway/generate_stubs.py            writes the stubs
    python gateway/generate_stubs.py --check    fails when the stubs are not what would be written
"""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import sys
import tempfile
import types
from pathlib import Path

from google.protobuf import descriptor_pb2
from grpc_tools import protoc

PACKAGE = "imageclassifier.tfserving"
FILE_NAME = "imageclassifier_gateway/versions/tfserving.proto"
SOURCE_ROOT = Path(__file__).parent / "src"

# Module that defines it -> message or enum -> the fields we keep ("*": all of them; "a.b": b in the nested
# message of a).
FIELDS: dict[str, dict[str, tuple[str, ...]]] = {
    "tensorflow.core.framework.types_pb2": {"DataType": ("*",)},
    "tensorflow.core.framework.tensor_shape_pb2": {"TensorShapeProto": ("*",)},
    "tensorflow.core.framework.tensor_pb2": {
        "TensorProto": (
            "dtype", "tensor_shape", "tensor_content", "half_val", "float_val", "double_val", "int_val",
            "string_val",
        )
    },
    "tensorflow.core.protobuf.meta_graph_pb2": {
        "TensorInfo": ("name", "dtype", "tensor_shape"),
        "SignatureDef": ("inputs", "outputs", "method_name"),
        "MetaGraphDef": ("meta_info_def.tags", "graph_def", "signature_def"),
    },
    # For the SavedModel that returns a class file (model_files/class_model.py).
    "tensorflow.core.framework.attr_value_pb2": {"AttrValue": ("type", "shape", "tensor")},
    "tensorflow.core.framework.node_def_pb2": {"NodeDef": ("name", "op", "input", "attr")},
    "tensorflow.core.framework.versions_pb2": {"VersionDef": ("producer",)},
    "tensorflow.core.framework.graph_pb2": {"GraphDef": ("node", "versions")},
    "tensorflow.core.protobuf.saved_model_pb2": {"SavedModel": ("*",)},
    "tensorflow.compiler.xla.tsl.protobuf.error_codes_pb2": {"Code": ("*",)},
    "tensorflow_serving.apis.model_pb2": {"ModelSpec": ("name", "version", "signature_name")},
    "tensorflow_serving.apis.predict_pb2": {
        "PredictRequest": ("model_spec", "inputs"),
        "PredictResponse": ("outputs",),
    },
    "tensorflow_serving.apis.get_model_metadata_pb2": {
        "SignatureDefMap": ("*",),
        "GetModelMetadataRequest": ("*",),
        "GetModelMetadataResponse": ("*",),
    },
    "tensorflow_serving.apis.status_pb2": {"StatusProto": ("*",)},
    "tensorflow_serving.apis.get_model_status_pb2": {
        "GetModelStatusRequest": ("*",),
        "ModelVersionStatus": ("*",),
        "GetModelStatusResponse": ("*",),
    },
}  # fmt: skip


def _import_without_tensorflow(module: str) -> types.ModuleType:
    """Import a generated module of `tensorflow` or `tensorflow_serving` without their `__init__.py`."""
    for package in ("tensorflow", "tensorflow_serving"):
        if package not in sys.modules:
            spec = importlib.util.find_spec(package)
            if spec is None or spec.submodule_search_locations is None:
                raise SystemExit(f"{package} is not installed; install requirements/dev.txt first.")
            bare = types.ModuleType(package)
            bare.__path__ = list(spec.submodule_search_locations)
            sys.modules[package] = bare
    return importlib.import_module(module)


def slim_file() -> descriptor_pb2.FileDescriptorProto:
    """The one file that holds the kept messages and fields, as protoc takes it."""
    slim = descriptor_pb2.FileDescriptorProto(name=FILE_NAME, package=PACKAGE, syntax="proto3")
    slim.dependency.extend(["google/protobuf/any.proto", "google/protobuf/wrappers.proto"])
    for module, messages in FIELDS.items():
        source = descriptor_pb2.FileDescriptorProto()
        _import_without_tensorflow(module).DESCRIPTOR.CopyToProto(source)
        for name, kept in messages.items():
            _copy(source, name, kept, slim)
    return slim


def _copy(
    source: descriptor_pb2.FileDescriptorProto,
    name: str,
    kept: tuple[str, ...],
    slim: descriptor_pb2.FileDescriptorProto,
) -> None:
    for enum in source.enum_type:
        if enum.name == name:
            slim.enum_type.add().CopyFrom(enum)
            return
    message = slim.message_type.add()
    message.CopyFrom(next(each for each in source.message_type if each.name == name))
    _keep_fields(message, kept)
    for part in _with_nested(message):
        for field in part.field:
            if field.type_name and not field.type_name.startswith(".google."):
                field.type_name = f".{PACKAGE}{_local_name(field.type_name)}"


def _keep_fields(message: descriptor_pb2.DescriptorProto, kept: tuple[str, ...]) -> None:
    if kept == ("*",):
        return
    names = {name.partition(".")[0] for name in kept}
    missing = names - {field.name for field in message.field}
    if missing:
        raise SystemExit(f"{message.name} has no field {', '.join(sorted(missing))} any more; see FIELDS.")
    fields = [field for field in message.field if field.name in names]
    oneofs = list(message.oneof_decl)
    used = sorted({field.oneof_index for field in fields if field.HasField("oneof_index")})
    del message.oneof_decl[:]
    message.oneof_decl.extend(oneofs[index] for index in used)
    for field in fields:
        if field.HasField("oneof_index"):
            field.oneof_index = used.index(field.oneof_index)
    nested = [
        each for each in message.nested_type if any(f.type_name.endswith("." + each.name) for f in fields)
    ]
    for field in fields:
        inner = tuple(name.partition(".")[2] for name in kept if name.startswith(f"{field.name}."))
        if inner:
            _keep_fields(next(each for each in nested if field.type_name.endswith(f".{each.name}")), inner)
    del message.field[:]
    message.field.extend(fields)
    del message.nested_type[:]
    message.nested_type.extend(nested)
    del message.reserved_range[:]


def _with_nested(message: descriptor_pb2.DescriptorProto) -> list[descriptor_pb2.DescriptorProto]:
    return [message, *(inner for nested in message.nested_type for inner in _with_nested(nested))]


def _local_name(type_name: str) -> str:
    """`.tensorflow.serving.ModelSpec` -> `.ModelSpec`."""
    for package in (".tensorflow.serving", ".tensorflow.error", ".tensorflow"):
        if type_name.startswith(package + "."):
            return type_name.removeprefix(package)
    raise SystemExit(f"{type_name} comes from a package this script does not know.")


def generate(root: Path) -> None:
    """Writes tfserving_pb2.py and tfserving_pb2.pyi below `root`."""
    descriptors = descriptor_pb2.FileDescriptorSet()
    for module in ("google.protobuf.any_pb2", "google.protobuf.wrappers_pb2"):
        importlib.import_module(module).DESCRIPTOR.CopyToProto(descriptors.file.add())
    descriptors.file.add().CopyFrom(slim_file())
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch) / "descriptors.bin"
        path.write_bytes(descriptors.SerializeToString())
        arguments = [
            "protoc",
            f"--descriptor_set_in={path}",
            f"--python_out={root}",
            f"--pyi_out={root}",
            FILE_NAME,
        ]
        if protoc.main(arguments) != 0:
            raise SystemExit("protoc failed; its message is above.")


def main() -> int:
    """Write the stubs, or compare them with `--check`."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument(
        "--check", action="store_true", help="compare with the checked-in stubs, write nothing"
    )
    if not parser.parse_args().check:
        generate(SOURCE_ROOT)
        return 0
    with tempfile.TemporaryDirectory() as scratch:
        generate(Path(scratch))
        for path in sorted(Path(scratch).rglob("tfserving_pb2.py*")):
            current = SOURCE_ROOT / path.relative_to(scratch)
            if not current.is_file() or current.read_bytes() != path.read_bytes():
                print(
                    f"{current} has drifted from tensorflow-serving-api: run gateway/generate_stubs.py",
                    file=sys.stderr,
                )
                return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
