"""What must be true whatever dies and whenever: I1 to I6, asked of the bucket and of the replicas themselves.

I1: a complete, approved version can be loaded. I2: a version never changes. I3: at rest every replica serves what the
journal says. I4: what was withdrawn does not serve. I5: every decision is recorded. I6: what is repeated, or done twice
at once, has the effect of one.
"""

from collections import Counter
from itertools import pairwise
from pathlib import Path

from pipeline import layout
from pipeline.journal.entries import GIVEN_TRAFFIC, Event
from pipeline.journal.history import History
from pipeline.journal.state import resident
from pipeline.rollout.config import render
from pipeline.runs.records import CanaryRecord, PromoteRecord, PublishRecord, RollbackRecord, WithdrawRecord
from pipeline.storage.sums import sums_of
from serving.grpc_replica import GrpcReplica
from tests.protocol.invariants import known
from tests.releases import MODEL, World, eventually

# Each happens at most once to a version.
ONCE = (Event.CLAIMED, Event.PUBLISHED, Event.PROMOTED, Event.DECLINED)
# Each happens at most once to a version by one run.
ONCE_A_RUN = (Event.EXPOSED, Event.ROLLED_BACK, Event.WITHDRAWN, Event.RELEASED)


class Invariants:
    """Of one world; remembers what it saw, for what must never change."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._seen: dict[Path, bytes] = {}
        self.hold()

    def hold(self) -> History:
        """At any moment, also with verbs that died half-way; the journal, from its entries alone."""
        found = self._world.history()
        history = History(tuple(found.all()))
        assert known(history) == known(found), "checkpoints: another history than that of the entries"
        self._nothing_written_has_changed()
        _the_journal_is_whole(self._world, history)
        _every_version_is_what_was_approved(self._world, history)
        _what_is_recorded_has_happened(self._world, history)
        self._everybody_is_answered(history)
        return history

    def hold_at_rest(self) -> History:
        """When a verb has come to its end, and so has carried out what was left undone before it."""
        history = self.hold()
        state = history.state
        base_path = str(self._world.bucket / layout.versions(MODEL))
        wanted = render(model=MODEL, base_path=base_path, state=state, seq=history.seq)
        # A verb that fails may leave an entry that moves nothing, and is then in no hurry to render it.
        assert _directives(wanted) == _directives(self._world.config.read_text())
        loaded = [list(resident(state))] * len(self._world.replicas)
        assert eventually(lambda: loaded == _loaded(self._world), 20.0), f"{loaded} != {_loaded(self._world)}"
        answering = [state.serving] * len(self._world.replicas)
        assert eventually(lambda: answering == self._world.answering(), 20.0), self._world.answering()
        return history

    def _nothing_written_has_changed(self) -> None:
        """I2, I5: nothing in the journal, of a version, of a manifest or of a run is ever changed or lost."""
        bucket = self._world.bucket
        kept = [bucket / folder for folder in ("journal", "manifests", "runs", layout.versions(MODEL))]
        files = {path: path.read_bytes() for folder in kept for path in folder.rglob("*") if path.is_file()}
        assert self._seen.items() <= files.items(), sorted(
            str(path) for path in self._seen if self._seen[path] != files.get(path)
        )
        self._seen = files

    def _everybody_is_answered(self, history: History) -> None:
        """I1, I4: once a version was confirmed the label always answers, and only from one that was given traffic."""
        if not any(entry.event is Event.CONFIRMED for entry in history.all()):
            return
        for version in self._world.answering():
            assert version is not None
            assert history.of_version(version, *GIVEN_TRAFFIC), f"v{version} answers and was never given traffic"


def moves(world: World, after: int = 0) -> list[tuple[Event, int]]:
    """What was written that changed who has which seat; a confirmation changes nothing."""
    return [(event, version) for event, version in world.events(after) if event is not Event.CONFIRMED]


def _the_journal_is_whole(world: World, history: History) -> None:
    """I5, I6: no gap, no decision twice, and a number belongs to one run."""
    numbers = [entry.seq for entry in history.all()]
    assert list(range(1, len(numbers) + 1)) == numbers
    names = {path.name for path in (world.bucket / layout.journal(MODEL)).iterdir()}
    assert {Path(layout.entry(MODEL, number)).name for number in numbers} == names
    claims = [entry for entry in history.all() if entry.event is Event.CLAIMED]
    assert list(range(1, len(claims) + 1)) == [entry.version for entry in claims]
    assert len(claims) == len({entry.run_key for entry in claims})
    once = Counter((entry.event, entry.version) for entry in history.all() if entry.event in ONCE)
    assert set(once.values()) <= {1}, once
    serves = [(e.event, e.version) for e in history.all() if e.event in (Event.CONFIRMED, *GIVEN_TRAFFIC)]
    for version in {entry.version for entry in claims}:
        of_version = [event for event, serving in serves if serving == version]
        assert (Event.CONFIRMED, Event.CONFIRMED) not in pairwise(of_version), f"v{version} is confirmed twice"
    by_run = [(e.event, e.version, e.run_key) for e in history.all() if e.event in ONCE_A_RUN]
    assert len(by_run) == len(set(by_run)), by_run


def _every_version_is_what_was_approved(world: World, history: History) -> None:
    """I1, I2: what has appeared is complete, and byte for byte what its run has exported."""
    context = world.context("look-0")
    folder = world.bucket / layout.versions(MODEL)
    there = [int(path.name) for path in folder.iterdir() if path.is_dir()] if folder.is_dir() else []
    for version in there:
        claim = history.of_version(version, Event.CLAIMED)
        assert claim is not None, f"v{version} is there, and nobody has claimed it"
        (exported,) = (world.bucket / layout.runs(MODEL) / claim.run_key).glob("model-*")
        assert sums_of(exported) == sums_of(folder / str(version))
    published = {entry.version for entry in history.all() if entry.event is Event.PUBLISHED}
    for version in published:
        context.manifests.verify(version, history)
    state = history.state
    assert {*resident(state), *filter(None, (state.serving, state.previous, state.candidate))} <= published
    assert state.serving is None or history.withdrawal(state.serving) is None


def _what_is_recorded_has_happened(world: World, history: History) -> None:
    """I5: a verb that said it is done has left an entry that says so."""
    for path in (world.bucket / layout.runs(MODEL)).iterdir():
        run, find = path.name, world.context(path.name).records.find
        published, withdrawn = find(PublishRecord), find(WithdrawRecord)
        if published and published.outcome == "done":
            assert published.version == history.version_of(run)
            entry = history.of_version(published.version, Event.PUBLISHED)
            assert entry is not None
            assert published.manifest == entry.manifest
        proven, promoted = find(CanaryRecord), find(PromoteRecord)
        if proven and proven.outcome == "done":
            assert history.of_version(proven.version, Event.EXPOSED)
        if promoted and promoted.outcome == "done":
            assert history.of_version(promoted.version, Event.CONFIRMED)
        if withdrawn and withdrawn.version:
            assert history.of_version(withdrawn.version, Event.WITHDRAWN)
        back = find(RollbackRecord)
        if back:
            assert history.of_version(back.version, Event.ROLLED_BACK)


def _directives(config: str) -> str:
    """What servers read of a config; a comment names the entry it renders."""
    return config.partition("\n")[2]


def _loaded(world: World) -> list[list[int]]:
    found = []
    for each in world.replicas:
        with GrpcReplica(each.address, timeout=2.0) as replica:
            found.append(sorted(status.version for status in replica.statuses(MODEL) if status.available))
    return found
