"""Make what servers find agree with the journal, and wait until every replica has followed."""

import logging
from collections.abc import Callable, Collection, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import TypeVar

from pipeline import layout
from pipeline.clock import Clock
from pipeline.errors import BadInputError, MissingError, StorageError
from pipeline.journal.entries import Event
from pipeline.journal.history import History
from pipeline.journal.journal import Journal
from pipeline.journal.state import State
from pipeline.rollout import config
from pipeline.rollout.other_models import OtherModels, not_of_this_fleet
from pipeline.rollout.placement import Placement
from pipeline.rollout.waiting import Arrival, Goal, Standing, wait_for
from pipeline.rollout.witness import Witness
from pipeline.settings import Settings
from pipeline.storage.bucket import Bucket
from serving.errors import ConnectionLostError, ServingError, UnreachableError
from serving.fleet import Fleet
from serving.replica import Replica, VersionStatus

T = TypeVar("T")

log = logging.getLogger(__name__)


class Rollout:
    """Effects of the journal on one fleet."""

    def __init__(
        self,
        *,
        model: str,
        placement: Placement,
        bucket: Bucket,
        journal: Journal,
        fleet: Fleet,
        others: OtherModels,
        clock: Clock,
        settings: Settings,
    ) -> None:
        self.placement = placement
        self._model = model
        self._bucket = bucket
        self._journal = journal
        self.fleet = fleet
        self.others = others
        self._clock = clock
        self._settings = settings
        # What keeps the version that should answer from being found.
        self._unplaced: StorageError | None = None

    def settle(self, *, first: bool = False) -> History:
        """Make the config file, and what lies below the base path, agree with the last journal entry; that history.

        Two may do this at once, one with an older history: it replaces only what it read before the journal, so a
        newer config is never overwritten by an older one, however late the write. Without any entry nothing is written,
        unless this is the `first` time: a name or a bucket that was mistyped leaves no trace. A version that should
        answer and has no room stops nobody here; who waits for it is told.

        Raises:
            BadInputError: this bucket is used with the other roll-out.
            StorageError: the bucket refused, and the next verb tries again; or the journal has lost its last entries.
        """
        while True:
            found = self._config()
            history = self._journal.read()
            _require_whole(history, _text(found))
            self._require_this_rollout(_text(found))
            if not (history.entries or (first and found is None)):
                return history
            if history.entries:
                self._unplaced = self.placement.place(history)
            wanted = self.rendered(history).encode()
            if found == wanted:
                return history
            self._write(wanted, instead_of=found, seq=history.seq)

    def is_loaded_somewhere(self, version: int) -> bool | None:
        """Whether any replica says now that it has `version` in memory; None where none gives an answer."""
        answers = [self._has_loaded(address, version) for address in self.fleet.addresses()]
        return None if all(answer is None for answer in answers) else any(answers)

    def witness(self) -> Witness:
        """What will notice whether the replicas that answer now end while a candidate is exposed."""
        return Witness(self._ask_each(lambda replica: [each.version for each in replica.statuses(self._model)]))

    def wait_loaded(
        self,
        version: int,
        *,
        best_effort: bool = False,
        beyond: Collection[str] | None = None,
        witness: Witness | None = None,
    ) -> Arrival:
        """Wait until every replica has `version` loaded; returns early where a replica says it cannot load it.

        Args:
            version: what to wait for, as long as the journal wants it in memory.
            best_effort: go on without replicas that fail to load it or give no answer.
            beyond: return as soon as a replica that is not among these has it.
            witness: is told of every look, and ends the wait once it has a reason against the version.
        """

        def look(replica: Replica) -> Standing:
            status = self._status(replica, version, witness)
            if status is None:
                return Standing(replica.address, there=False, told=f"v{version} not seen yet")
            return Standing(
                replica.address, there=status.available, told=_told(version, status), hopeless=status.failed
            )

        return self._wait(
            f"load v{version}",
            look,
            deadline=self._settings.load_seconds,
            wanted=lambda state: version in self.placement.in_memory(state),
            best_effort=best_effort,
            enough=lambda there: (
                (beyond is not None and not set(there) <= set(beyond))
                or bool(witness and witness.reasons(self.fleet.addresses()))
            ),
        )

    def _heal(self, replica: Replica, state: State, foreign: dict[str, str], *, best_effort: bool) -> str | None:
        """Help a replica that cannot follow by itself; what was done, or None.

        One of another fleet is sent nothing. Where the wait is best effort it is added to `foreign`.

        Raises:
            BadInputError: it is of another fleet.
        """
        self._require_ours(replica, state)
        if not self._may_be_handed_a_config(replica, state):
            return None
        why = self._foreign(replica)
        if why is None:
            return self.placement.heal(replica, state)
        if not best_effort:
            raise BadInputError(why)
        foreign[replica.address] = why
        return None

    def _status(self, replica: Replica, version: int, witness: Witness | None) -> VersionStatus | None:
        if witness is None:
            return replica.status(self._model, version)
        try:
            seen = {status.version: status for status in replica.statuses(self._model)}
        except ConnectionLostError:
            witness.lost(replica.address)
            raise
        except UnreachableError:
            witness.silent(replica.address)
            raise
        witness.answered(replica.address, seen)
        return seen.get(version)

    def wait_followed(self, version: int, *, best_effort: bool = False) -> Arrival:
        """Wait until traffic gets `version` on every replica; `best_effort` as in `wait_loaded`."""
        placement = self.placement

        def look(replica: Replica) -> Standing:
            behind = replica.version_behind(self._model, placement.label)
            told = "answers " if placement.label is None else "the label answers "
            told += "nothing" if behind is None else f"v{behind}"
            status = replica.status(self._model, version) if behind != version and not placement.dark else None
            if status is not None:
                told += f", {_told(version, status)}"
            hopeless = status is not None and status.failed
            return Standing(replica.address, there=behind == version, told=told, hopeless=hopeless)

        return self._wait(
            f"answer from v{version}",
            look,
            # What is not in memory beforehand is loaded now.
            deadline=self._settings.follow_seconds + (0.0 if placement.dark else self._settings.load_seconds),
            wanted=lambda state: state.serving == version,
            best_effort=best_effort,
        )

    def wait_gone(self, version: int) -> Arrival:
        """Wait until no replica has `version` loaded."""

        def look(replica: Replica) -> Standing:
            try:
                status = replica.status(self._model, version)
            except UnreachableError:
                if self.placement.dark or self.placement.in_memory(self._journal.known.state):
                    raise
                # A server that starts on an empty base path opens no port before it finds something there.
                return Standing(replica.address, there=True, told="has nothing to serve")
            told = f"v{version} " + (status.state if status else "not there")
            return Standing(replica.address, there=status is None or status.ended, told=told)

        # One of another fleet never had it, and is no evidence that a replica of this one has let it go.
        foreign = self._foreign_replicas()
        return self._wait(
            f"drop v{version}",
            look,
            deadline=self._settings.follow_seconds,
            wanted=lambda state: version not in self.placement.in_memory(state),
            foreign=foreign,
        )

    def _wait(
        self,
        words: str,
        look: Callable[[Replica], Standing],
        *,
        deadline: float,
        wanted: Callable[[State], bool],
        best_effort: bool = False,
        enough: Callable[[Collection[str]], bool] | None = None,
        foreign: Mapping[str, str] | None = None,
    ) -> Arrival:
        """Wait, and let the journal decide all the while: who serves, and so towards what a replica is healed.

        `foreign` says of replicas that are known to be of another fleet why; others are found before they are healed.
        """
        now: list[State] = []
        healed: set[str] = set()
        found_foreign = dict(foreign or {})

        def look_unless_foreign(replica: Replica) -> Standing:
            why = found_foreign.get(replica.address)
            return Standing(replica.address, there=False, told=why, hopeless=True) if why else look(replica)

        def still_wanted() -> bool:
            now[:] = [self.settle().state]  # a slower writer may have left an older config, and died
            still = wanted(now[0])
            if still and self._unplaced:
                raise self._unplaced
            return still

        def heal(replica: Replica) -> None:
            done = self._heal(replica, now[0], found_foreign, best_effort=best_effort)
            if done and done not in healed:
                healed.add(done)
                log.warning("%s", done)

        goal = Goal(
            words=words,
            look=look_unless_foreign,
            deadline=deadline,
            grace=self._settings.polled_seconds,  # before that a replica is late, not stuck
            wanted=still_wanted,
            heal=heal,
            enough=enough,
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

    def _write(self, content: bytes, *, instead_of: bytes | None, seq: int) -> None:
        try:
            self._bucket.replace(layout.config(self._model), content, instead_of=instead_of)
        except StorageError as error:
            written = f"journal entry {seq} is written, and it" if seq else "it"
            raise StorageError(f"{written} is not known whether the config follows the journal: {error}") from error

    def rendered(self, history: History) -> str:
        """The config that servers should find."""
        return self.placement.rendered(history)

    def require_this_rollout(self) -> None:
        """Ask before anything is planned whether the bucket's servers are on the roll-out that the settings say.

        Raises:
            BadInputError: they are on the other one.
        """
        self._require_this_rollout(self.config())

    def require_own_fleet(self, *, any_is_enough: bool = False) -> None:
        """Ask every replica that answers, before anything is begun, whether it serves another model.

        Args:
            any_is_enough: refuse only where all of them do, so that none can be of this fleet.

        Raises:
            BadInputError: names each that does, and what it serves.
        """
        _ = self.others.names  # asked for once, before every thread does
        answers = self._ask_each(self._foreign)
        foreign = list(filter(None, answers.values()))
        if foreign and not (any_is_enough and len(foreign) < len(self.fleet.addresses())):
            raise BadInputError(f"{'; '.join(foreign)}. Nothing was changed")

    def _may_be_handed_a_config(self, replica: Replica, state: State) -> bool:
        """Whether it is neither on its way by itself, nor of a roll-out in which nothing is handed over."""
        if not self.placement.dark or state.serving is None or self._has_another_roll_out(replica):
            return False
        status = replica.status(self._model, state.serving)
        return status is None or status.ended

    def _has_another_roll_out(self, replica: Replica) -> bool:
        """Whether it has versions and no label, which every replica of this fleet has had since its first release."""
        was_confirmed = any(entry.event is Event.CONFIRMED for entry in self._journal.known.entries)
        if not was_confirmed or replica.version_behind(self._model, self.placement.label) is not None:
            return False
        return any(each.available for each in replica.statuses(self._model))

    def _foreign_replicas(self) -> dict[str, str]:
        _ = self.others.names  # likewise
        return {address: why for address, why in self._ask_each(self._foreign).items() if why}

    def _ask_each(self, question: Callable[[Replica], T]) -> dict[str, T]:
        """The answer of every replica that gives one; several are asked at once."""

        def ask(address: str) -> dict[str, T]:
            with self.fleet.connect(address, timeout=self._settings.rpc_seconds) as replica, suppress(ServingError):
                return {address: question(replica)}
            return {}

        with ThreadPoolExecutor(self._settings.canary_threads) as pool:
            return {
                address: answer for found in pool.map(ask, self.fleet.addresses()) for address, answer in found.items()
            }

    def _foreign(self, replica: Replica) -> str | None:
        served = self.others.served_by(replica)
        return not_of_this_fleet(replica.address, served, model=self._model) if served else None

    def _require_ours(self, replica: Replica, state: State) -> None:
        """No server of another bucket is led away from what it serves, by this one's files or by waiting in vain."""
        newest = max((each.version for each in replica.statuses(self._model) if each.available), default=0)
        if newest >= state.next_version and newest >= self._journal.read().state.next_version:
            raise BadInputError(
                f"{replica.address} serves {self._model} v{newest}, and the journal in {self._bucket.uri()} knows no "
                f"such number: this is not the bucket of that server; see UNDERSTUDY_ROOT, UNDERSTUDY_ROLLOUT and "
                f"UNDERSTUDY_REPLICAS"
            )

    def _require_this_rollout(self, found: str | None) -> None:
        other = config.rollout_of(found or "")
        if other not in (None, self.placement.name):
            raise BadInputError(
                f"the fleet of {self._bucket.uri()} is served by the roll-out {other!r}, and UNDERSTUDY_ROLLOUT says "
                f"{self.placement.name!r}: correct that; to change a fleet's roll-out begin with a new bucket"
            )

    def config(self) -> str | None:
        """The config that servers find; None where there is none."""
        return _text(self._config())

    def _config(self) -> bytes | None:
        try:
            return self._bucket.read(layout.config(self._model))
        except MissingError:
            return None


def _text(content: bytes | None) -> str | None:
    """A config that a hand has written may hold anything."""
    return content.decode(errors="replace") if content is not None else None


def _told(version: int, status: VersionStatus) -> str:
    return f"v{version} {status.state}" + (f": {status.error}" if status.error else "")


def _require_whole(history: History, found: str | None) -> None:
    """The config was read before the journal and can only be older; otherwise something is lost."""
    seq = config.rendered_entry(found or "")
    if seq is not None and seq > history.seq:
        raise StorageError(
            f"the config renders journal entry {seq}, and the journal ends at {history.seq}: entries are lost, or this "
            f"is another bucket than that of the servers. Restore them; until then no verb moves anything"
        )
