"""The pinned roll-out: make the config agree with the journal, and wait until every replica has followed."""

import logging
from collections.abc import Callable

from pipeline import layout
from pipeline.clock import Clock
from pipeline.errors import MissingError, StorageError
from pipeline.release import config
from pipeline.release.healing import heal_if_stuck
from pipeline.release.journal import History, Journal
from pipeline.release.state import State, resident
from pipeline.release.waiting import Arrival, Goal, Standing, wait_for
from pipeline.settings import Settings
from pipeline.storage.bucket import Bucket
from serving.errors import ServingError
from serving.fleet import Fleet
from serving.replica import STABLE, Replica

log = logging.getLogger(__name__)

# Enough for the poll that is under way and the next one; before that a replica is late, not stuck.
_POLLS_BEFORE_HEALING = 2.5


class Rollout:
    """Effects of the journal on one fleet."""

    def __init__(
        self, *, model: str, bucket: Bucket, journal: Journal, fleet: Fleet, clock: Clock, settings: Settings
    ) -> None:
        self._model = model
        self._bucket = bucket
        self._journal = journal
        self.fleet = fleet
        self._clock = clock
        self._settings = settings

    def settle(self, *, first: bool = False) -> History:
        """Make the config file agree with the last journal entry, and return that history.

        Two may do this at once, one with an older history: it replaces only what it read before the journal, so a
        newer config is never overwritten by an older one, however late the write. Without any entry nothing is written,
        unless this is the `first` time: a name or a bucket that was mistyped leaves no trace.

        Raises:
            StorageError: the bucket refused; the config is an older entry's, and the next verb will try again.
        """
        while True:
            found = self._config()
            history = self._journal.read()
            wanted = self._render(history)
            if found == wanted or not (history.entries or first):
                return history
            self._write(wanted, instead_of=found, seq=history.seq)

    def rendered_entry(self) -> int | None:
        """The journal entry the config file renders; None where there is no such file, or it is not ours."""
        return config.rendered_entry((self._config() or b"").decode())

    def is_loaded_somewhere(self, version: int) -> bool:
        """Whether any replica says now that it has `version` in memory."""
        return any(self._has_loaded(address, version) for address in self.fleet.addresses())

    def wait_loaded(self, version: int, *, best_effort: bool = False) -> Arrival:
        """Wait until every replica has `version` loaded; returns early where a replica says it cannot load it.

        Args:
            version: what to wait for, as long as the journal wants it in memory.
            best_effort: go on without replicas that fail to load it or give no answer.
        """

        def look(replica: Replica) -> Standing:
            status = replica.status(self._model, version)
            if status is None:
                return Standing(replica.address, there=False, told=f"v{version} not seen yet")
            told = f"v{version} {status.state}" + (f": {status.error}" if status.error else "")
            return Standing(replica.address, there=status.available, told=told, hopeless=status.failed)

        return self._wait(
            f"load v{version}",
            look,
            deadline=self._settings.load_seconds,
            wanted=lambda state: version in resident(state),
            best_effort=best_effort,
        )

    def wait_followed(self, version: int, *, best_effort: bool = False) -> Arrival:
        """Wait until the label answers from `version` on every replica; `best_effort` as in `wait_loaded`."""

        def look(replica: Replica) -> Standing:
            behind = replica.version_behind(self._model, STABLE)
            told = "the label answers " + ("nothing" if behind is None else f"v{behind}")
            return Standing(replica.address, there=behind == version, told=told)

        return self._wait(
            f"answer from v{version}",
            look,
            deadline=self._settings.follow_seconds,
            wanted=lambda state: state.serving == version,
            best_effort=best_effort,
        )

    def wait_gone(self, version: int) -> Arrival:
        """Wait until no replica has `version` loaded."""

        def look(replica: Replica) -> Standing:
            status = replica.status(self._model, version)
            told = f"v{version} " + (status.state if status else "not there")
            return Standing(replica.address, there=status is None or status.ended, told=told)

        return self._wait(
            f"drop v{version}",
            look,
            deadline=self._settings.follow_seconds,
            wanted=lambda state: version not in resident(state),
        )

    def _wait(
        self,
        words: str,
        look: Callable[[Replica], Standing],
        *,
        deadline: float,
        wanted: Callable[[State], bool],
        best_effort: bool = False,
    ) -> Arrival:
        """Wait, and let the journal decide all the while: who serves, and so towards what a replica is healed."""
        now: list[State] = []

        def still_wanted() -> bool:
            now[:] = [self.settle().state]  # a slower writer may have left an older config, and died
            return wanted(now[0])

        def heal(replica: Replica) -> None:
            serving = now[0].serving
            if serving is None:
                return
            done = heal_if_stuck(replica, model=self._model, base_path=self._base_path, serving=serving)
            if done:
                log.warning("%s", done)

        goal = Goal(
            words=words,
            look=look,
            deadline=deadline,
            grace=_POLLS_BEFORE_HEALING * self._settings.config_poll_seconds,
            wanted=still_wanted,
            heal=heal,
            best_effort=best_effort,
            patience=self._settings.rpc_seconds,
        )
        return wait_for(goal, fleet=self.fleet, rpc_seconds=self._settings.rpc_seconds, clock=self._clock)

    def _has_loaded(self, address: str, version: int) -> bool:
        with self.fleet.connect(address, timeout=self._settings.rpc_seconds) as replica:
            try:
                status = replica.status(self._model, version)
            except ServingError:
                return False
        return status is not None and status.available

    @property
    def _base_path(self) -> str:
        return self._bucket.uri(layout.versions(self._model))

    def _write(self, content: bytes, *, instead_of: bytes | None, seq: int) -> None:
        try:
            self._bucket.replace(layout.config(self._model), content, instead_of=instead_of)
        except StorageError as error:
            raise StorageError(
                f"journal entry {seq} is written, and it is not known whether the config follows it: {error}"
            ) from error

    def _render(self, history: History) -> bytes:
        return config.render(
            model=self._model, base_path=self._base_path, state=history.state, seq=history.seq
        ).encode()

    def _config(self) -> bytes | None:
        try:
            return self._bucket.read(layout.config(self._model))
        except MissingError:
            return None
