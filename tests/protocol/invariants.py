"""What must hold after every single side effect, after every act, and at rest (I1 to I6 of the release protocol)."""

import json
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager

from pipeline import layout
from pipeline.errors import MissingError
from pipeline.journal.config_header import rendered_entry
from pipeline.journal.entries import GIVEN_TRAFFIC, Entry, Event
from pipeline.journal.history import History
from pipeline.journal.journal import Journal
from pipeline.journal.manifests import Manifests
from pipeline.journal.state import State, below_base_path, resident
from pipeline.rollout.placement import Placement
from pipeline.runs.records import GateRecord
from pipeline.runs.run_key import is_rollback
from pipeline.runs.run_records import RunRecords
from pipeline.storage.memory import MemoryBucket
from tests.protocol.ring_watch import RingWatch

# Written once each, and never again otherwise; so is a version's folder, which may go, and come again as it was.
_IMMUTABLE = ("journal/", "manifests/", "serve/", "first_ring/", "published/")


class Watch:
    """Looks on while a bucket changes.

    Attributes:
        ring: knows what must hold of the first ring; None for a fleet without one.
        broken: whether something did not hold. It is what there is to report: what is looked at later is a consequence.
    """

    def __init__(
        self,
        bucket: MemoryBucket,
        model: str,
        look: Callable[[], Mapping[str, int | None]],
        placement: Placement,
        manifests: Manifests,
        *,
        ring: RingWatch | None = None,
    ) -> None:
        self.ring = ring
        self.broken = False
        self._placement = placement
        self._dark = placement.name == "pinned"
        self._manifests = manifests
        self._look = look
        self._decided = 0
        self._bucket = bucket
        self._model = model
        self._history = History(())
        # By key: whether it is the one of the first ring.
        self._configs = {layout.config(model): False} | ({layout.first_ring_config(model): True} if ring else {})
        self._contents: dict[str, bytes] = {}
        self._last_configs: dict[str, bytes] = {}

    def history(self) -> History:
        """The journal from its entries alone: what checkpoints say is checked, and not believed."""
        entries = list(self._history.recent)
        while (content := self._read(layout.entry(self._model, len(entries) + 1))) is not None:
            entries.append(Entry.model_validate_json(content))
        if len(entries) > self._history.seq:
            self._history = History(tuple(entries))
        return self._history

    def bucket_was_restored(self) -> None:
        """Everything in the bucket is as it was at an earlier moment, so what was seen since is forgotten."""
        self._history = History(())
        self._decided = self.history().seq
        self._contents = {key: content for key in self._contents if (content := self._read(key)) is not None}
        self._last_configs = {key: content for key in self._configs if (content := self._read(key)) is not None}

    @contextmanager
    def watching(self) -> Iterator[None]:
        """A block of checks: whether one of them fails is noted."""
        try:
            yield
        except AssertionError:
            self.broken = True
            raise

    def after_effect(self, key: str) -> None:
        """The entry comes before its effect, a label only on what was loaded before, and nothing written changes."""
        with self.watching():
            if key in self._configs:
                self._check_config(key, self._bucket.read(key))
            elif key.startswith(_IMMUTABLE) and (content := self._read(key)) is not None:
                assert self._contents.setdefault(key, content) == content, f"I2: {key} has changed"
            if key.startswith("journal/"):
                self._check_decision()
            if key.startswith(("journal/", "checkpoints/")) and "/pages/" not in key:
                self._check_checkpoints()
            if self.ring:
                self.ring.after_effect(key)

    def _read(self, key: str) -> bytes | None:
        try:
            return self._bucket.read(key)
        except MissingError:
            return None

    def _check_checkpoints(self) -> None:
        """Whoever reads the journal now, with a checkpoint, learns what the entries say."""
        expected = self.history()
        found = Journal(self._bucket, self._model).read()
        assert expected.seq == found.seq, f"checkpoints: it ends at {found.seq}"
        assert known(expected) == known(found), f"checkpoints: not what {expected.seq} entries say: {known(found)}"

    def _check_decision(self) -> None:
        """What the newest entry says is true when it is written, and allowed by what was before it."""
        history = self.history()
        if history.seq == self._decided:
            return
        self._decided = history.seq
        entry, before = history.all()[-1], history.until(history.seq - 1)
        if self.ring:
            self.ring.decided(entry)
        version = entry.version
        if entry.event is Event.CONFIRMED:
            answering = self._look()
            # One that is not dark, and was exposed since every replica was seen to follow, has the traffic.
            candidate = None if self._dark else entry.state.candidate
            assert set(answering.values()) <= {version, candidate}, f"v{version} is confirmed: {answering}"
        if entry.event is Event.PROMOTED:
            claim = before.of_version(version, Event.CLAIMED)
            assert claim is not None
            records = RunRecords(self._bucket, self._model, claim.run_key)
            compared_with = records.require(GateRecord).serving_version
            assert compared_with == before.state.serving, f"v{version} was compared with v{compared_with}"
            assert self.is_right(version), f"v{version} answers wrongly, and is promoted"
        if entry.event in (Event.PROMOTED, Event.ROLLED_BACK):
            self._check_previous(history)
        if entry.event in (Event.EXPOSED, Event.PROMOTED) and not is_rollback(entry.run_key):
            assert before.withdrawal(version) is None, f"I4: v{version} was taken back, and is {entry.event}"

    def _check_previous(self, history: History) -> None:
        """The way back is what served before, but for this model, withdrawn and retired ones, and what leaves."""
        state = history.state
        served = [entry.state.serving for entry in reversed(history.all())]
        expected = next(
            (
                version
                for version in served
                if version is not None
                and not history.is_same_model(version, state.serving)
                and not history.is_same_model(version, state.leaving)
                and history.withdrawal(version) is None
                and history.retirement(version) is None
            ),
            None,
        )
        assert expected == state.previous, f"v{expected} served before: {state}"

    def is_right(self, version: int) -> bool:
        """Whether its classifier names digits as they are."""
        content = self._bucket.read(f"{self._manifests.folder(version, self.history())}/classifier.json")
        return bool(json.loads(content)["shift"] == 0)

    def _check_config(self, key: str, content: bytes) -> None:
        last, first_ring = self._last_configs.get(key), self._configs[key]
        if content == last:
            return
        text = content.decode()
        seq = rendered_entry(text)
        history = self.history()
        assert seq is not None, f"{key} is not ours: {text}"
        assert seq <= history.seq, f"I5: the config renders entry {seq}, and the journal is at {history.seq}: {key}"
        state = history.until(seq).state
        assert text == self._placement.rendered(history.until(seq), first_ring=first_ring), f"I5: another state: {key}"
        before = rendered_entry(last.decode()) if last else None
        assert before is None or before < seq, (
            f"I3: the config of entry {before} is overwritten by that of entry {seq}: {key}"
        )
        if before is not None and state.serving is not None and self._dark:
            older = history.until(before).state
            # A ring that holds a candidate in the place of `previous` is sent that version, and keeps its label.
            had = {*resident(older, first_ring=first_ring), *(resident(older) if older.first_ring_only else ())}
            assert state.serving in had, (
                f"the label is put on v{state.serving} by the config that first names it: {older} -> {state}: {key}"
            )
        self._last_configs[key] = content

    def after_act(self, answering: Mapping[str, int | None]) -> None:
        """Whatever an actor did, and wherever it stopped."""
        history = self.history()
        # What cannot be dark gets its traffic by being exposed.
        given = GIVEN_TRAFFIC if self._dark else (*GIVEN_TRAFFIC, Event.EXPOSED)
        promoted = {entry.version for entry in history.all() if entry.event in given}
        with self.watching():
            _decisions_are_recorded_once(history)
            self._what_is_served_can_be_loaded(history)
            if self.ring:
                self.ring.after_act()
            for address, version in answering.items():
                assert version is None or version in promoted, f"I4: {address} answers from v{version}, never promoted"

    def after_roll_back(self, run_key: str, *, version: int, seen: int) -> None:
        """One that says it is done has left an entry, or found its version serving and confirmed at some moment.

        Args:
            run_key: the roll-back.
            version: what it says it went to.
            seen: the last journal entry when it was asked for; others may have decided since.
        """
        history = self.history()
        # What was asked for may have been lost since.
        moments = [history.until(seq) for seq in range(min(seen, history.seq), history.seq + 1)]
        with self.watching():
            noted = any(entry.run_key == run_key for entry in history.all())
            found = any(
                then.is_same_model(then.state.serving, version)
                and then.state.serving is not None
                and then.is_confirmed(then.state.serving)
                for then in moments
            )
            assert noted or found, f"I5: {run_key} has left nothing"

    def _what_is_served_can_be_loaded(self, history: History) -> None:
        for version in {history.state.serving, history.state.previous} - {None}:
            assert version is not None
            self._manifests.verify(version, history)

    def at_rest(
        self,
        answering: Mapping[str, int | None],
        loaded: Mapping[str, Collection[int]],
        *,
        first_ring: Collection[str] = (),
    ) -> None:
        """Everybody is awake, and has had the time to follow. `first_ring`: the addresses of its replicas."""
        history = self.history()
        state = history.state
        for key in self._configs:
            assert rendered_entry(self._bucket.read(key).decode()) == history.seq, f"I3: an older config: {key}"
        for address, version in answering.items():
            wanted = self._placement.answering(state, first_ring=address in first_ring)
            assert version == wanted, f"I3: {address} answers from v{version}, {state}"
        for address, versions in loaded.items():
            held = self._placement.in_memory(state, first_ring=address in first_ring)
            assert set(versions) == set(held), f"I3: {address} has {sorted(versions)}, {state}"
        if not self._dark:
            self._check_base_paths(state)
        assert state.serving is None or history.withdrawal(state.serving) is None, f"I4: {state} was withdrawn"

    def _check_base_paths(self, state: State) -> None:
        for first_ring in self._configs.values():
            folder = layout.first_ring_versions(self._model) if first_ring else layout.versions(self._model)
            found, wanted = self._bucket.names(folder), below_base_path(state, first_ring=first_ring)
            assert set(found) == {str(version) for version in wanted}, f"I3: servers find {found} in {folder}, {state}"


def known(history: History) -> tuple[object, ...]:
    """Answers that need the facts of all entries."""
    versions = range(1, history.state.next_version)
    content = [(history.digest(v), history.has_served(v), history.is_retired(v)) for v in versions]
    claims = [history.of_version(version, Event.CLAIMED) for version in versions]
    taken_back = [history.withdrawal(version) for version in versions]
    ways_back = list(history.rollback_candidates(history.state.serving))
    return (
        history.last,
        claims,
        content,
        taken_back,
        ways_back,
        history.unpublished(),
        history.promoted(),
        list(history.moves()),
    )


def _decisions_are_recorded_once(history: History) -> None:
    claims = [entry for entry in history.all() if entry.event is Event.CLAIMED]
    numbers = [entry.version for entry in claims]
    assert numbers == sorted(set(numbers)), f"numbers were claimed in this order: {numbers}"
    keys = [entry.run_key for entry in claims]
    assert len(keys) == len(set(keys)), f"I6: a run has two versions: {keys}"
    for event in (Event.PUBLISHED, Event.PROMOTED):
        versions = [entry.version for entry in history.all() if entry.event is event]
        assert len(versions) == len(set(versions)), f"I6: {event} twice: {versions}"
    for before, entry in zip(history.all(), history.all()[1:], strict=False):
        assert before.at <= entry.at, f"entry {entry.seq} is dated before the one it follows"
