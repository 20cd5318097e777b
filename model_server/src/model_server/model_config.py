"""Reads and checks the ModelServerConfig: which models, at which paths, in which versions."""

from typing import Any

from tensorflow_serving.config import model_server_config_pb2

from .status import invalid_argument
from .text_config import read_text_proto
from .version_policy import All, Latest, Specific, VersionPolicy

TENSORFLOW_PLATFORM = "tensorflow"
_TENSORFLOW_MODEL_TYPE = 1  # the deprecated ModelType.TENSORFLOW


def read_model_server_config(path: str) -> Any:
    """The ModelServerConfig message of a file."""
    return read_text_proto(path, model_server_config_pb2.ModelServerConfig())


def single_model_config(name: str, base_path: str) -> Any:
    """The ModelServerConfig that --model_name and --model_base_path stand for."""
    config = model_server_config_pb2.ModelServerConfig()
    config.model_config_list.config.add(name=name, base_path=base_path, model_platform=TENSORFLOW_PLATFORM)
    return config


def version_policy(model: Any) -> VersionPolicy:
    """The version policy of a ModelConfig message; unset means the latest version."""
    policy = model.model_version_policy
    match policy.WhichOneof("policy_choice"):
        case "all":
            return All()
        case "specific":
            return Specific(frozenset(policy.specific.versions))
        case "latest":
            return Latest(policy.latest.num_versions)
        case _:
            return Latest()


def _platform(model: Any) -> str:
    if model.model_type and model.model_platform:
        raise invalid_argument(
            "Illegal setting both ModelServerConfig::model_type (deprecated) and "
            f"ModelServerConfig::model_platform, model name is {model.name}"
        )
    platform = TENSORFLOW_PLATFORM if model.model_type == _TENSORFLOW_MODEL_TYPE else model.model_platform
    if not platform:
        raise invalid_argument(
            "Illegal setting neither ModelServerConfig::model_type (deprecated) nor "
            f"ModelServerConfig::model_platform, model name is {model.name}"
        )
    return str(platform)


def validate_model_config_list(config: Any) -> None:
    """Refuse a ModelServerConfig that TensorFlow Serving refuses (server_core.cc).

    Raises StatusError (INVALID_ARGUMENT): a model twice, a relative base path, no platform or one that is not
    `tensorflow`.
    """
    names = set()
    for model in config.model_config_list.config:
        if model.name in names:
            raise invalid_argument(f"Illegal to list model {model.name} multiple times in config list")
        names.add(model.name)
    for model in config.model_config_list.config:
        if not model.base_path.startswith("/"):
            raise invalid_argument(
                f"Expected model {model.name} to have an absolute path or URI; got "
                f"base_path()={model.base_path}"
            )
        if "://" in model.base_path:
            raise invalid_argument(
                f"Model {model.name}: this stand-in reads local files only, not {model.base_path}"
            )
        platform = _platform(model)
        if platform != TENSORFLOW_PLATFORM:
            raise invalid_argument(f"Model {model.name} requests unsupported platform {platform}")
