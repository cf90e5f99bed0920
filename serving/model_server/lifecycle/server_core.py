"""The model config in force, the labels in force, and the way from a ModelSpec to a loaded model."""

import logging
import threading
from collections.abc import Iterable
from contextlib import AbstractContextManager
from typing import Any

from grpc import StatusCode

from serving.apis import model_server_config_pb2
from serving.model_server.lifecycle.aspired_versions_manager import AspiredVersionsManager
from serving.model_server.lifecycle.servable import Servable, ServableId
from serving.model_server.lifecycle.servable_state_monitor import (
    ManagerState,
    ServableStateMonitor,
    refuse_unless_available,
)
from serving.model_server.lifecycle.storage_path_source import StoragePathSource
from serving.model_server.storage import file_system
from serving.status import FailedPreconditionError, InvalidArgumentError, StatusError

PLATFORM = "tensorflow"
# The only kind of ModelServerConfig that can be served here; upstream ends its process over the other one.
LIST = "model_config_list"

logger = logging.getLogger(__name__)

Labels = dict[str, dict[str, int]]


class ServerCore:
    """Applies configs one at a time. What a refused config leaves behind is upstream's, quirk by quirk.

    The config counts as replaced before its labels are checked, and labels are checked before its versions are
    handed to the source: so a refused label leaves versions and labels as they were.
    """

    def __init__(
        self,
        *,
        source: StoragePathSource,
        manager: AspiredVersionsManager,
        monitor: ServableStateMonitor,
        allow_labels_for_unavailable: bool = False,
    ) -> None:
        self.monitor = monitor
        self._source = source
        self._manager = manager
        self._allow_labels_for_unavailable = allow_labels_for_unavailable
        self._reloading = threading.Lock()
        self._config: Any = None
        self._labels: Labels | None = None
        self._started = False

    def reload(self, config: Any) -> None:
        """Make this ModelServerConfig the one in force.

        Models it leaves out are unloaded. For a model of a new name this waits, without limit, until a version of it
        is available; for new versions of a known model it does not.
        """
        with self._reloading:
            if not self._acceptable(config):
                return
            self._config = config
            self._labels = self._checked_labels(config)
            if config.WhichOneof("config") != LIST:
                raise InvalidArgumentError("ModelServer does not yet support custom model config.")
            self._apply(config.model_config_list.config)

    def servable(self, spec: Any) -> AbstractContextManager[tuple[ServableId, Servable]]:
        """The model a ModelSpec asks for, held until the block ends; raises upstream's answer when there is none."""
        if not spec.name:
            raise InvalidArgumentError("ModelSpec has no name specified.")
        version: int | None = None
        match spec.WhichOneof("version_choice"):
            case "version":
                version = spec.version.value
            case "version_label":
                version = self._version_of_label(spec.name, spec.version_label)
        return self._manager.servable(spec.name, version)

    def stop(self) -> None:
        self._source.stop()
        self._manager.stop()
        self.monitor.close()

    def _acceptable(self, config: Any) -> bool:
        """False for a config without content, which changes nothing; raises for one that must not be applied."""
        kind = config.WhichOneof("config")
        before = self._config.WhichOneof("config") if self._config is not None else None
        if before is not None and not before == kind == LIST and config != self._config:
            raise FailedPreconditionError(
                "Cannot transition to requested config. "
                "It is only legal to transition from one ModelConfigList to another."
            )
        if kind is None:
            logger.info("Taking no action for empty config.")
            return False
        if kind == LIST:
            validate(config.model_config_list.config)
        if kind == before == LIST:
            refuse_changed_platforms(self._config.model_config_list.config, config.model_config_list.config)
        return True

    def _checked_labels(self, config: Any) -> Labels:
        labels: Labels = {}
        for model in config.model_config_list.config:
            seen = self.monitor.versions(model.name)
            for label, version in model.version_labels.items():
                available = version in seen and seen[version].state is ManagerState.AVAILABLE
                if not available and not self._may_wait(model.name, label, version):
                    raise FailedPreconditionError(
                        f"Request to assign label to version {version} of model {model.name}, "
                        "which is not currently available for inference"
                    )
                labels.setdefault(model.name, {})[label] = version
        return labels

    def _may_wait(self, name: str, label: str, version: int) -> bool:
        """Whether a label may point at a version that is not available: where allowed, if it points nowhere else."""
        current = (self._labels or {}).get(name, {}).get(label, version)
        return self._allow_labels_for_unavailable and current == version

    def _apply(self, models: Iterable[Any]) -> None:
        models = list(models)
        for model in models:
            if platform_of(model) != PLATFORM:
                raise InvalidArgumentError(f"Model {model.name} requests unsupported platform {platform_of(model)}")
        mark = self.monitor.mark()
        new = {model.name for model in models} - self._source.names
        self._source.update(models)
        if self._started:
            refuse_unless_available(self.monitor.wait_until_settled(new, since=mark), "model")
            return
        self._started = True
        self._manager.start()
        self._source.start()
        settled = self.monitor.wait_until_settled(new)
        self._manager.end_initial_load()
        refuse_unless_available(settled, "servable")

    def _version_of_label(self, name: str, label: str) -> int:
        if self._labels is None:
            raise StatusError(f"Model labels does not init yet.{label}", StatusCode.UNAVAILABLE)
        version = self._labels.get(name, {}).get(label)
        if version is None:
            raise InvalidArgumentError(f"Unrecognized servable version label: {label}")
        return version


def validate(models: Iterable[Any]) -> None:
    """What upstream checks before it takes a list of models at all."""
    names: set[str] = set()
    for model in models:
        if model.name in names:
            raise InvalidArgumentError(f"Illegal to list model {model.name} multiple times in config list")
        names.add(model.name)
    for model in models:
        if file_system.is_relative(model.base_path):
            raise InvalidArgumentError(
                f"Expected model {model.name} to have an absolute path or URI; got base_path()={model.base_path}"
            )


def platform_of(model: Any) -> str:
    if model.model_type and model.model_platform:
        raise InvalidArgumentError(
            "Illegal setting both ModelServerConfig::model_type (deprecated) and ModelServerConfig::model_platform, "
            f"model name is {model.name}"
        )
    if model.model_type == model_server_config_pb2.TENSORFLOW:
        return PLATFORM
    if model.model_type:
        raise InvalidArgumentError(f"ModelServerConfig::model_type choice {model.model_type} not supported.")
    if not model.model_platform:
        raise InvalidArgumentError(
            "Illegal setting neither ModelServerConfig::model_type (deprecated) nor ModelServerConfig::model_platform, "
            f"model name is {model.name}"
        )
    return str(model.model_platform)


def refuse_changed_platforms(old: Iterable[Any], new: Iterable[Any]) -> None:
    before = {model.name: platform_of(model) for model in old}
    for model in new:
        if model.name in before and platform_of(model) != before[model.name]:
            raise InvalidArgumentError(
                f"Illegal to change a model's platform. For model {model.name} platform was {before[model.name]} "
                f"and new platform requested is {platform_of(model)}"
            )


def single_model(name: str, base_path: str) -> Any:
    """The config behind --model_name and --model_base_path."""
    config = model_server_config_pb2.ModelServerConfig()
    config.model_config_list.config.add(name=name, base_path=base_path, model_platform=PLATFORM)
    return config
