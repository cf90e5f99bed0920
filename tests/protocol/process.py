"""One life of a simulated server: from reading its config to being stopped or giving up."""

from collections import Counter, deque
from collections.abc import Mapping
from dataclasses import dataclass, field

from serving.apis import model_server_config_pb2
from serving.model_server.lifecycle.aspired_versions_manager import ManagerOptions
from serving.model_server.lifecycle.servable import ServableId
from serving.model_server.lifecycle.server_core import refuse_changed_platforms, single_model, validate
from serving.replica import Answer, VersionStatus
from serving.signature import INPUT
from serving.status import (
    FailedPreconditionError,
    InvalidArgumentError,
    NotFoundError,
    StatusError,
    UnavailableError,
    UnknownError,
)
from serving.wire import Array
from tests.protocol.clock import VirtualClock
from tests.protocol.loading import Load, ModelFiles, ReadConfig, answer, parse
from tests.protocol.versions import NEVER, Versions, next_turn

# How the servers of our fleets are started.
_OPTIONS = ManagerOptions(load_threads=1, unload_threads=1, load_retries=0)


@dataclass(frozen=True)
class Timing:
    """Seconds, and how a server is started.

    Attributes:
        phase: when, in its period, a server looks at its config, or at its base path where it has no config; no two of
            a fleet need agree.
        options: those of the servers of our fleets, unless other ones are given; `ManagerOptions()` has the defaults
            of `tensorflow_model_server`.
    """

    poll_seconds: float = 1.0
    phase: float = 0.0
    storage_seconds: float = 1.0
    load_seconds: float = 0.02
    unload_seconds: float = 0.0
    restart_seconds: float = 1.0
    options: ManagerOptions = _OPTIONS


@dataclass(eq=False)
class Faults:
    """What the versions of a model do to the servers of one place, and have done.

    Attributes:
        broken: they cannot be loaded, though their files are good: out of memory, say.
        deadly: they end the process that loads them.
        deadly_answers: a process ends instead of giving its answer with this number, counted from 1, from the version.
        hangs: a process that loads them gives no answer from then on, until somebody restarts it.
        ended: how many processes have ended on a version.
    """

    broken: set[int] = field(default_factory=set)
    deadly: set[int] = field(default_factory=set)
    deadly_answers: dict[int, int] = field(default_factory=dict)
    hangs: set[int] = field(default_factory=set)
    ended: Counter[int] = field(default_factory=Counter)

    def clear(self) -> None:
        """No version does any harm from now on. What has ended is still counted."""
        for each in (self.broken, self.deadly, self.deadly_answers, self.hangs):
            each.clear()


@dataclass(eq=False)
class Reload:
    """A config on its way into force. `text`: the file it was read from, where it is no request."""

    config: model_server_config_pb2.ModelServerConfig
    text: bytes | None = None
    first: bool = False
    done: bool = False
    error: StatusError | None = None
    # What was seen up to here does not count as the first version of a new model.
    since: int = 0


class Process:
    """The rules of `serving.model_server.lifecycle.server_core` and `source` for one model, in virtual time.

    Without `read_config` it has no config file and serves the highest version below `base_path`.

    `open`: requests are answered. `over`: the process has given up and is gone. `hanging`: it takes every call, answers
    none, and does nothing else either.
    """

    def __init__(
        self,
        *,
        model: str,
        read_config: ReadConfig | None,
        base_path: str,
        files: ModelFiles,
        faults: Faults,
        timing: Timing,
        clock: VirtualClock,
    ) -> None:
        self.due = NEVER
        self.open = False
        self.over = False
        self.hanging = False
        self._model = model
        self._read_config = read_config
        self._base_path = base_path
        self._files = files
        self._faults = faults
        self._answers: Counter[int] = Counter()
        self._timing = timing
        self._clock = clock
        self._begun = clock.monotonic()
        # Several that are started at once look at their base paths one after the other all the same.
        self._storage_begun = self._begun if read_config else timing.phase
        self._versions = Versions(self._load, timing.options, unload_seconds=timing.unload_seconds, clock=clock)
        self._config: model_server_config_pb2.ModelServerConfig | None = None
        self._labels: dict[str, int] = {}
        self._watched: model_server_config_pb2.ModelConfig | None = None
        self._poll_due = self._storage_due = NEVER
        # The text whose config is in force: applying it again would change nothing.
        self._in_force: bytes | None = None
        self._applying: Reload | None = None
        self._settled: VersionStatus | None = None
        self._waiting: deque[Reload] = deque()
        self._start()

    def act(self) -> None:
        now = self._clock.monotonic()
        if self._versions.due <= now:
            self._versions.act()
            if self.over or self.hanging:
                self.due = NEVER
                return
            self._finish()
        if self._storage_due <= now:
            self._look_at_storage()
        if self._poll_due <= now:
            self._poll()
        self._plan()

    def submit(self, config: model_server_config_pb2.ModelServerConfig) -> Reload:
        """Hand in a config; it is applied when those before it are, whether or not anybody waits for it."""
        reload = Reload(model_server_config_pb2.ModelServerConfig.FromString(config.SerializeToString()))
        if config.WhichOneof("config") != "model_config_list":
            told = "ServerModelConfig type not supported by HandleReloadConfigRequest."
            reload.error = InvalidArgumentError(told + " Only ModelConfigList is currently supported")
            reload.done = True
            return reload
        self._enqueue(reload)
        return reload

    def status(self, version: int) -> VersionStatus:
        try:
            return self._versions.seen[version]
        except KeyError:
            raise NotFoundError(f"Could not find version {version} of model {self._model}") from None

    def statuses(self) -> list[VersionStatus]:
        if not self._versions.seen:
            raise NotFoundError(f"Could not find any versions of model {self._model}")
        return [status for _, status in sorted(self._versions.seen.items(), reverse=True)]

    @property
    def in_memory(self) -> tuple[int, ...]:
        """The versions that are loaded, or are being loaded or unloaded."""
        seen = self._versions.seen.values()
        return tuple(status.version for status in seen if status.state not in ("START", "END"))

    def version_behind(self, label: str | None) -> int:
        version = self._labelled(label) if label is not None else None
        return self._versions.classifier(self._model, version)[0]

    def predict(self, inputs: Mapping[str, Array], *, version: int | None, label: str | None, address: str) -> Answer:
        if version is None and label is not None:
            version = self._labelled(label)
        number, classifier = self._versions.classifier(self._model, version)
        if set(inputs) != {INPUT}:
            given = ",".join(sorted(inputs))
            raise InvalidArgumentError(f"input size does not match signature: len({{{given}}}) != len({{{INPUT}}}).")
        self._answers[number] += 1
        if self._answers[number] == self._faults.deadly_answers.get(number):
            self._die(number)
            raise UnavailableError("Socket closed")
        return Answer(outputs=answer(classifier, inputs[INPUT].tolist()), version=number, address=address)

    def _start(self) -> None:
        """With a config that cannot be read the process ends."""
        if self._read_config is None:
            self._enqueue(Reload(single_model(self._model, self._base_path), first=True))
            return
        text = self._read_config()
        config = parse(text) if text is not None else None
        if config is None:
            self.over = True
        else:
            self._enqueue(Reload(config, text, first=True))

    def _enqueue(self, reload: Reload) -> None:
        self._waiting.append(reload)
        self._work()
        self._plan()

    def _work(self) -> None:
        while self._waiting and self._applying is None:
            reload = self._waiting.popleft()
            try:
                waits = self._apply(reload)
            except StatusError as error:
                self._end(reload, error)
                continue
            if waits:
                self._applying = reload
                continue
            if reload.first:
                self._versions.end_initial_load()
            self._end(reload, None)

    def _apply(self, reload: Reload) -> bool:
        """Whether it brings a new model, for a version of which everybody then waits. Raises what refuses it."""
        if reload.config.WhichOneof("config") is None:
            return False
        models = reload.config.model_config_list.config
        assert all(model.name == self._model for model in models), "this simulation serves one model"
        validate(models)
        if self._config is not None:
            refuse_changed_platforms(self._config.model_config_list.config, models)
        # From here on the config counts as replaced, even if its labels are refused.
        self._config = reload.config
        model = models[0] if models else None
        self._labels = self._checked_labels(model.version_labels if model else {})
        is_new, self._watched = model is not None and self._watched is None, model
        reload.since = self._versions.mark()
        self._in_force = reload.text
        if model is None:
            self._versions.aspire({})
        self._storage_due = NEVER
        if model is not None:
            self._storage_due = self._begun if reload.first else self._next_storage_poll()
        return is_new

    def _checked_labels(self, labels: Mapping[str, int]) -> dict[str, int]:
        """Every server of ours may label a version that is not available, if the label points nowhere else."""
        for label, version in labels.items():
            status = self._versions.seen.get(version)
            if not (status and status.available) and self._labels.get(label, version) != version:
                raise FailedPreconditionError(
                    f"Request to assign label to version {version} of model {self._model}, "
                    "which is not currently available for inference"
                )
        return dict(labels)

    def _finish(self) -> None:
        """End the wait for a new model once a version of it has settled."""
        if self._applying is None:
            return
        if self._settled is None:
            self._settled = self._versions.settled(since=self._applying.since)
            if self._settled is not None and self._applying.first:
                self._versions.end_initial_load()
        # The threads of the start are exchanged for fewer, and the loads that run on them awaited.
        if self._settled is None or (self._applying.first and self._versions.initial_load):
            return
        settled, self._settled = self._settled, None
        error = None
        if not settled.available:
            kind = "servable" if self._applying.first else "model"
            failed = f"{{{ServableId(self._model, settled.version)} due to error: {settled.error}}}, "
            error = StatusError(f"1 {kind}(s) did not become available: {{{failed}}}")
        reload, self._applying = self._applying, None
        self._end(reload, error)
        self._work()

    def _end(self, reload: Reload, error: StatusError | None) -> None:
        reload.done, reload.error = True, error
        if reload.first:
            self.open, self.over = error is None, error is not None
        if reload.text is not None:
            self._poll_due = self._next_poll()

    def _poll(self) -> None:
        assert self._read_config is not None
        text = self._read_config()
        if text is not None and text == self._in_force and self._applying is None:
            self._poll_due = self._next_poll()
            return
        config = parse(text) if text is not None else None
        if config is None:
            self._poll_due = self._next_poll()
            return
        self._poll_due = NEVER  # until this one is applied
        self._enqueue(Reload(config, text))

    def _look_at_storage(self) -> None:
        assert self._watched is not None
        found = self._files.find(self._watched)
        if found is not None:
            self._versions.aspire(found)
        self._storage_due = self._next_storage_poll()

    def _load(self, version: int, path: str) -> Load:
        if version in self._faults.deadly:
            return Load(self._timing.load_seconds, lambda: self._die(version))
        if version in self._faults.hangs:
            return Load(self._timing.load_seconds, self._hang)
        return self._files.load(version, path, broken=self._faults.broken)

    def _die(self, version: int) -> StatusError:
        """As a process does that was killed: in the middle of a load or of an answer, for want of memory."""
        self.open, self.over = False, True
        self._faults.ended[version] += 1
        return UnknownError("killed")

    def _hang(self) -> StatusError:
        self.hanging = True
        return UnknownError("nobody hears of it")

    def _labelled(self, label: str) -> int:
        version = self._labels.get(label)
        if version is None:
            raise InvalidArgumentError(f"Unrecognized servable version label: {label}")
        return version

    def _next_poll(self) -> float:
        return next_turn(self._clock.monotonic(), begun=self._timing.phase, seconds=self._timing.poll_seconds)

    def _next_storage_poll(self) -> float:
        return next_turn(self._clock.monotonic(), begun=self._storage_begun, seconds=self._timing.storage_seconds)

    def _plan(self) -> None:
        self.due = NEVER if self.over or self.hanging else min(self._versions.due, self._storage_due, self._poll_due)
