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
from serving.errors import ServingError, UnreachableError
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
            StorageError: the bucket refused, and the next verb tries again; or the journal has lost its last entries.
        """
        while True:
            found = self.config()
            history = self._journal.read()
            _require_whole(history, found)
            wanted = self.rendered(history)
            if found == wanted or not (history.entries or (first and found is None)):
                return history
            self._write(wanted, instead_of=found, seq=history.seq)

    def is_loaded_somewhere(self, version: int) -> bool | None:
        """Whether any replica says now that it has `version` in memory; None where none gives an answer."""
        answers = [self._has_loaded(address, version) for address in self.fleet.addresses()]
        return None if all(answer is None for answer in answers) else any(answers)

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
        healed: set[str] = set()

        def still_wanted() -> bool:
            now[:] = [self.settle().state]  # a slower writer may have left an older config, and died
            return wanted(now[0])

        def heal(replica: Replica) -> None:
            serving = now[0].serving
            if serving is None:
                return
            done = heal_if_stuck(replica, model=self._model, base_path=self.base_path, serving=serving)
            if done and done not in healed:
                healed.add(done)
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

    def _has_loaded(self, address: str, version: int) -> bool | None:
        with self.fleet.connect(address, timeout=self._settings.rpc_seconds) as replica:
            try:
                status = replica.status(self._model, version)
            except UnreachableError:
                return None
            except ServingError:
                return False
        return status is not None and status.available

    @property
    def base_path(self) -> str:
        """Where servers find the versions."""
        return self._bucket.uri(layout.versions(self._model))

    def _write(self, content: bytes, *, instead_of: bytes | None, seq: int) -> None:
        try:
            self._bucket.replace(layout.config(self._model), content, instead_of=instead_of)
        except StorageError as error:
            written = f"journal entry {seq} is written, and it" if seq else "it"
            raise StorageError(f"{written} is not known whether the config follows the journal: {error}") from error

    def rendered(self, history: History) -> bytes:
        """The config that servers should find."""
        return config.render(model=self._model, base_path=self.base_path, state=history.state, seq=history.seq).encode()

    def config(self) -> bytes | None:
        """The config that servers find; None where there is none."""
        try:
            return self._bucket.read(layout.config(self._model))
        except MissingError:
            return None


def _require_whole(history: History, found: bytes | None) -> None:
    """The config was read before the journal and can only be older; otherwise something is lost."""
    seq = config.rendered_entry((found or b"").decode(errors="replace"))
    if seq is not None and seq > history.seq:
        raise StorageError(
            f"the config renders journal entry {seq}, and the journal ends at {history.seq}: entries are lost, or this "
            f"is another bucket than that of the servers. Restore them; until then no verb moves anything"
        )
