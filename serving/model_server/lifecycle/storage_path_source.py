"""Which versions of each model should be served, by what lies under its base path.

Upstream's FileSystemStoragePathSource.
"""

import logging
import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from serving.model_server.lifecycle.periodic_function import PeriodicFunction
from serving.model_server.storage import file_system
from serving.status import InvalidArgumentError, StatusError
from serving.version_names import parse_version

logger = logging.getLogger(__name__)

Versions = Mapping[int, str]
Aspire = Callable[[str, Versions], None]


def index_children(children: Iterable[str]) -> dict[int, str]:
    """Version -> child, in the order of the names; of two names for one number the last in that order wins."""
    by_version: dict[int, str] = {}
    for child in sorted(children):
        version = parse_version(child)
        if version is not None:
            by_version[version] = child
    return by_version


def duplicate_versions(children: Iterable[str]) -> str:
    """A warning about two names for one number; empty when every number has one."""
    by_version: dict[int, list[str]] = {}
    for child in sorted(children):
        version = parse_version(child)
        if version is not None:
            by_version.setdefault(version, []).append(child)
    return "".join(
        f"Duplicate version directories detected: {', '.join(names)} all stand for version {version}. "
        for version, names in by_version.items()
        if len(names) > 1
    )


def select(policy: Any, children: Iterable[str]) -> dict[int, str]:
    """The versions a ServableVersionPolicy wants out of the children of a base path."""
    by_version = index_children(children)
    kind = policy.WhichOneof("policy_choice") or "latest"
    if kind == "all":
        # Here, unlike in the other policies, upstream keeps the first of two names for one number.
        return {
            version: child for child in sorted(children, reverse=True) if (version := parse_version(child)) is not None
        }
    if kind == "specific":
        wanted = set(policy.specific.versions)
        return {version: child for version, child in by_version.items() if version in wanted}
    newest = sorted(by_version, reverse=True)[: max(policy.latest.num_versions, 1)]
    return {version: by_version[version] for version in newest}


@dataclass(frozen=True)
class Found:
    """Version -> path to serve, and what is wrong with it, empty where nothing is."""

    versions: dict[int, str]
    problem: str


def poll_model(model: Any) -> Found:
    """The versions in storage for one ModelConfig; raises INVALID_ARGUMENT when its base path does not exist."""
    base = model.base_path.rstrip("/") or "/"
    try:
        file_system.check_exists(base)
    except StatusError as error:
        raise InvalidArgumentError(
            f"Could not find base path {model.base_path} for servable {model.name} with error {error}"
        ) from error
    policy = model.model_version_policy
    if policy.WhichOneof("policy_choice") == "specific":
        found = _specific_without_listing(base, policy.specific.versions)
        if found is not None:
            return Found(found, _missing_versions(model, found))
    children = file_system.children(base)
    versions = {version: f"{base}/{child}" for version, child in select(policy, children).items()}
    return Found(versions, duplicate_versions(children) + _missing_versions(model, versions))


def _specific_without_listing(base: str, wanted: Iterable[int]) -> dict[int, str] | None:
    """All wanted versions under their plain names; None when one is missing and a listing has to tell."""
    paths = {version: f"{base}/{version}" for version in wanted}
    return paths if all(file_system.exists(path) for path in paths.values()) else None


class StoragePathSource:
    """Polls the base paths of the configured models and aspires what it finds there."""

    def __init__(self, aspire: Aspire, *, poll_seconds: float) -> None:
        self._aspire = aspire
        self._lock = threading.Lock()
        self._looking = threading.Lock()
        self._models: dict[str, Any] = {}
        self._problems: dict[str, str] = {}
        self._polling = (
            PeriodicFunction(self.poll, seconds=poll_seconds, name="storage poll") if poll_seconds > 0 else None
        )
        self._poll_seconds = poll_seconds

    @property
    def names(self) -> set[str]:
        return set(self._models)

    def start(self) -> None:
        """A negative interval never looks, 0 looks once."""
        if self._polling:
            self._polling.start()
        elif self._poll_seconds == 0:
            threading.Thread(target=self.poll, name="storage poll", daemon=True).start()

    def stop(self) -> None:
        if self._polling:
            self._polling.stop()

    def update(self, models: Iterable[Any]) -> None:
        """Watch these ModelConfigs from now on; a model left out is unloaded."""
        with self._lock:
            new = {model.name: model for model in models}
            for name in self._models.keys() - new.keys():
                self._aspire(name, {})
            self._models = new

    def poll(self) -> None:
        """Look once; one model whose base path cannot be read keeps the versions of every model from being aspired.

        Storage that is slow or unreachable keeps no config waiting: what was found for a model whose config has changed
        meanwhile is forgotten, and the next look finds it again.
        """
        with self._looking:
            with self._lock:
                models = dict(self._models)
            try:
                found = {name: poll_model(model) for name, model in models.items()}
            except StatusError as error:
                self._warn_once(
                    "", f"FileSystemStoragePathSource encountered a filesystem access error: {error.message}"
                )
                return
            self._warn_once("", "")
            with self._lock:
                for name, each in sorted(found.items()):
                    if self._models.get(name) == models[name]:
                        self._warn_once(name, each.problem)
                        self._aspire(name, each.versions)

    def _warn_once(self, about: str, problem: str) -> None:
        """Log a problem when it changes, not at every poll."""
        if problem and problem != self._problems.get(about):
            logger.warning("%s", problem)
        self._problems[about] = problem


def _missing_versions(model: Any, versions: Versions) -> str:
    """A warning about versions that are not in storage; empty when all are."""
    wanted = model.model_version_policy.specific.versions
    if model.model_version_policy.WhichOneof("policy_choice") == "specific" and not wanted:
        return f"No specific versions requested for servable {model.name}."
    missing = sorted(set(wanted) - set(versions))
    if missing:
        which = ", ".join(map(str, missing))
        return f"Version {which} of servable {model.name}, which its version policy names, is not in {model.base_path}"
    if not versions:
        return (
            f"No versions of servable {model.name} found under base path {model.base_path}. "
            "Did you forget to name your leaf directory as a number (eg. '/1/')?"
        )
    return ""
