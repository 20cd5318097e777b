"""Applies the configuration of the models: which to serve, their labels, and the polling of base paths.

This follows TensorFlow Serving's server_core.cc and file_system_storage_path_source.cc, including their
order. A label is checked before the models of the same configuration are added, so a label can only move to a
version that already serves (two pushes). With `--file_system_poll_wait_seconds=0`, the base paths are polled
once.
"""

import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Generic

from google.protobuf.message import Message
from tensorflow_serving.config import model_server_config_pb2

from .manager import Manager, ServableT
from .model_config import read_model_server_config, validate_model_config_list, version_policy
from .status import Code, StatusError, invalid_argument
from .version_policy import Specific, aspired_versions
from .version_states import State

logger = logging.getLogger(__name__)


def attempt(work: Callable[[], None], name: str) -> None:
    """Run one piece of work of a thread; log an error instead of ending the thread."""
    try:
        work()
    except StatusError as error:
        logger.error("%s", error.message)  # noqa: TRY400 - the message is complete
    except Exception:
        logger.exception("Unexpected error in %s", name)


def every(seconds: float, name: str, work: Callable[[], None]) -> None:
    """Run `work` now and then every `seconds`, in its own thread."""

    def loop() -> None:
        while True:
            attempt(work, name)
            time.sleep(seconds)

    threading.Thread(target=loop, name=name, daemon=True).start()


class ServerCore(Generic[ServableT]):
    """The models of a server."""

    def __init__(
        self,
        manager: Manager[ServableT],
        file_system_poll_wait_seconds: int,
        allow_version_labels_for_unavailable_models: bool,
    ) -> None:
        self.manager = manager
        self._poll_wait_seconds = file_system_poll_wait_seconds
        self._allow_labels_for_unavailable = allow_version_labels_for_unavailable_models
        self._reload_lock = threading.Lock()
        self._source_lock = threading.Lock()
        self._config: Any = model_server_config_pb2.ModelServerConfig()
        self._source_models: dict[str, Any] | None = None
        self._labels: dict[str, dict[str, int]] = {}

    def reload_config(self, config: Message | Any) -> None:
        """Apply a ModelServerConfig, and wait until its new models serve. Raises StatusError."""
        with self._reload_lock:
            kind = config.WhichOneof("config")
            if kind is None:
                logger.info("Taking no action for empty config.")
                return
            if kind != "model_config_list":
                raise invalid_argument("This stand-in does not support custom model config.")
            validate_model_config_list(config)
            self._config = model_server_config_pb2.ModelServerConfig()
            self._config.CopyFrom(config)
            self._update_labels()
            logger.info("Adding/updating models.")
            self._update_source()
            logger.info("Finished adding/updating models")

    def reload_config_file(self, path: str) -> None:
        """Apply the current file of --model_config_file. Raises StatusError."""
        self.reload_config(read_model_server_config(path))

    @contextmanager
    def use(self, model_spec: Any) -> Iterator[tuple[int, ServableT]]:
        """Hold the version that a ModelSpec names. Raises StatusError (INVALID_ARGUMENT, NOT_FOUND)."""
        if not model_spec.name:
            raise invalid_argument("ModelSpec has no name specified.")
        match model_spec.WhichOneof("version_choice"):
            case "version":
                version = model_spec.version.value
            case "version_label":
                version = self._labels.get(model_spec.name, {}).get(model_spec.version_label)
                if version is None:
                    raise invalid_argument(f"Unrecognized servable version label: {model_spec.version_label}")
            case _:
                version = None
        with self.manager.use(model_spec.name, version) as version_and_servable:
            yield version_and_servable

    def _update_labels(self) -> None:
        labels: dict[str, dict[str, int]] = {}
        for model in self._config.model_config_list.config:
            statuses = self.manager.states.statuses(model.name)
            for label, version in model.version_labels.items():
                known = self._labels.get(model.name, {}).get(label, version)
                if self._allow_labels_for_unavailable and known == version:
                    available = True
                else:
                    available = version in statuses and statuses[version].state is State.AVAILABLE
                if not available:
                    raise StatusError(
                        Code.FAILED_PRECONDITION,
                        f"Request to assign label to version {version} of model {model.name}, which is not "
                        "currently available for inference",
                    )
                labels.setdefault(model.name, {})[label] = version
        self._labels = labels

    def _update_source(self) -> None:
        models = {model.name: model for model in self._config.model_config_list.config}
        for name in models:
            logger.info(" (Re-)adding model: %s", name)
        before = self.manager.states.sequence()
        with self._source_lock:
            known = self._source_models
            self._source_models = models
            for name in (known or {}).keys() - models.keys():
                self.manager.set_aspired(name, {})
        if known is None:
            if self._poll_wait_seconds > 0:
                every(self._poll_wait_seconds, "file-system-poll", self._poll)
            elif self._poll_wait_seconds == 0:
                threading.Thread(
                    target=attempt,
                    args=(self._poll, "file-system-poll"),
                    name="file-system-poll",
                    daemon=True,
                ).start()
            self.manager.states.wait_until_available(models.keys(), "servable")
        else:
            self.manager.states.wait_until_available(models.keys() - known.keys(), "model", after=before)

    def _poll(self) -> None:
        with self._source_lock:
            models = self._source_models or {}
            found = {name: _find_versions(model) for name, model in models.items()}
            for name, paths in found.items():
                self.manager.set_aspired(name, paths)


def _find_versions(model: Any) -> dict[int, str]:
    """Look for a model's versions under its base path: version -> path. Raises StatusError."""
    base = Path(model.base_path)
    try:
        names = [entry.name for entry in base.iterdir()]
    except OSError as error:
        raise invalid_argument(
            "FileSystemStoragePathSource encountered a filesystem access error: Could not find base path "
            f"{base} for servable {model.name} with error {error}"
        ) from error
    policy = version_policy(model)
    chosen = aspired_versions(policy, names)
    if isinstance(policy, Specific):
        for version in policy.versions - chosen.keys():
            logger.warning(
                "Version %d of servable %s, which was requested to be served as a 'specific' version in the "
                "servable's version policy, was not found in the file system",
                version,
                model.name,
            )
    if not chosen:
        logger.warning(
            "No versions of servable %s found under base path %s. Did you forget to name your leaf "
            "directory as a number (eg. '/1/')?",
            model.name,
            base,
        )
    return {version: str(base / name) for version, name in chosen.items()}
