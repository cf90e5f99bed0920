"""The pinned roll-out: make the config agree with the journal, and wait until every replica has followed."""

import logging
from collections.abc import Callable

from pipeline import layout
from pipeline.errors import MissingError
from pipeline.release import config
from pipeline.release.healing import heal_if_stuck
from pipeline.release.journal import History, Journal
from pipeline.release.state import State, resident
from pipeline.release.waiting import Arrival, Goal, Standing, wait_for
from pipeline.settings import Settings
from pipeline.storage import Bucket
from serving.errors import ServingError
from serving.fleet import Fleet
from serving.replica import STABLE, Replica

log = logging.getLogger(__name__)

# Enough for the poll that is under way and the next one; before that a replica is late, not stuck.
_POLLS_BEFORE_HEALING = 2.5


class Rollout:
    """Effects of the journal on one fleet."""

    def __init__(self, *, model: str, bucket: Bucket, journal: Journal, fleet: Fleet, settings: Settings) -> None:
        self._model = model
        self._bucket = bucket
        self._journal = journal
        self.fleet = fleet
        self._settings = settings

    def settle(self, *, first: bool = False) -> History:
        """Make the config file agree with the last journal entry, and return that history.

        Two may do this at once, one with an older history. Each looks at the journal again after it has written, so
        the last write always renders the last entry. Without any entry nothing is written, unless this is the `first`
        time: a name or a bucket that was mistyped leaves no trace.

        Raises:
            StorageError: the bucket refused; the config is an older entry's, and the next verb will try again.
        """
        while True:
            history = self._journal.read()
            if history.entries or first:
                self._write(history)
            if self._journal.read().seq == history.seq:
                return history

    def rendered_entry(self) -> int | None:
        """The journal entry the config file renders; None where there is no such file, or it is not ours."""
        return config.rendered_entry(self._config())

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
        return wait_for(goal, fleet=self.fleet, rpc_seconds=self._settings.rpc_seconds)

    def _has_loaded(self, address: str, version: int) -> bool:
        with Replica(address, timeout=self._settings.rpc_seconds) as replica:
            try:
                status = replica.status(self._model, version)
            except ServingError:
                return False
        return status is not None and status.available

    @property
    def _base_path(self) -> str:
        return self._bucket.uri(layout.versions(self._model))

    def _write(self, history: History) -> None:
        text = config.render(model=self._model, base_path=self._base_path, state=history.state, seq=history.seq)
        if self._config() != text:
            self._bucket.replace(layout.config(self._model), text.encode())

    def _config(self) -> str:
        try:
            return self._bucket.read(layout.config(self._model)).decode()
        except MissingError:
            return ""
