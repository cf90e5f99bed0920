"""Buckets with a long journal: the entries of releases that went well, the last versions' files, config, checkpoint."""

import hashlib
import itertools
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path

from bench.retention import PASS, after, make_folder
from pipeline import layout
from pipeline.context import RunContext, make_run_context
from pipeline.journal.entries import NO_VERSION, Change, Entry, Event
from pipeline.journal.manifests import Manifest
from pipeline.journal.state import State
from pipeline.settings import Settings
from pipeline.storage.sums import FileSum, sums_of
from tests.releases import MODEL, NO_MLFLOW

EVENTS = (Event.CLAIMED, Event.PUBLISHED, Event.EXPOSED, Event.PROMOTED, Event.CONFIRMED)
# Where versions are retired, that happens once for so many releases, and so many others keep their files.
RETAINED_EVERY = 7
KEPT = 20
# As many of the last versions have files and a manifest.
WITH_FILES = 8
LONG_AGO = datetime.now(UTC) - timedelta(days=365)


def changes(version: int, state: State) -> Iterator[Change]:
    """What the verbs of a run write: the release of a version that goes well."""
    for event in EVENTS:
        state = after(state, event, version)
        yield Change(
            event,
            version,
            "proven on every replica",
            state,
            verdict=PASS if event in (Event.CLAIMED, Event.PROMOTED) else None,
            manifest=hashlib.sha256(manifest(version)).hexdigest() if event is Event.PUBLISHED else None,
            digest=hashlib.sha256(f"content {version}".encode()).hexdigest() if event is Event.CLAIMED else None,
        )


def retirement(version: int, state: State) -> Change | None:
    """What `retain` writes after the release of a version; None where it finds nothing."""
    last = version - KEPT
    gone = tuple(range(max(1, last - RETAINED_EVERY + 1), last + 1))
    if version % RETAINED_EVERY or not gone:
        return None
    return Change(Event.RETIRED, last, "not needed any more", state, versions=gone)


def journal(count: int, *, retained: bool) -> Iterator[Entry]:
    """So many entries, the last one that of a release; `retained`: whether old versions are retired."""
    numbers = itertools.count(1)
    releases = max(number for number in range(1, count // 5 + 1) if _length(number, retained=retained) <= count)
    state = State()
    for _ in range(count - _length(releases, retained=retained)):
        yield _entry(next(numbers), Change(Event.UNFROZEN, NO_VERSION, "as asked", state))
    for version in range(1, releases + 1):
        for change in changes(version, state):
            state = change.state
            yield _entry(next(numbers), change)
        retired = retirement(version, state) if retained and version < releases else None
        if retired:
            yield _entry(next(numbers), retired)


def _length(releases: int, *, retained: bool) -> int:
    first = -(-(KEPT + 1) // RETAINED_EVERY)
    return 5 * releases + (max(0, (releases - 1) // RETAINED_EVERY - first + 1) if retained else 0)


def _entry(seq: int, change: Change) -> Entry:
    fields = {name: getattr(change, name) for name in change.__dataclass_fields__}
    kind = "retain" if change.event is Event.RETIRED else "retrain"
    run_key = f"{kind}-{change.version}"
    return Entry(seq=seq, at=LONG_AGO + timedelta(seconds=seq), run_key=run_key, actor="ann", **fields)


def make(bucket: Path, count: int, *, retained: bool, checkpoint: bool = True) -> None:
    """A bucket on a disk with such a journal. Entries are written without the care of a bucket."""
    folder = bucket / layout.journal(MODEL)
    folder.mkdir(parents=True)
    *entries, last = journal(count, retained=retained)
    for entry in entries:
        (bucket / layout.entry(MODEL, entry.seq)).write_text(entry.model_dump_json(indent=1), encoding="utf-8")
    for version in range(max(1, last.version - WITH_FILES + 1), last.version + 1):
        make_folder(bucket / layout.version(MODEL, version))
        path = bucket / layout.manifest(MODEL, version)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(manifest(version))
    if not checkpoint:
        (bucket / layout.entry(MODEL, last.seq)).write_text(last.model_dump_json(indent=1), encoding="utf-8")
        return
    context = context_of(str(bucket), last.run_key)
    append(context, last)
    context.journal.write_checkpoint()
    context.rollout.settle(first=True)


def append(context: RunContext, wanted: Change | Entry) -> None:
    """Write an entry as a verb does."""
    fields = {name: getattr(wanted, name) for name in Change.__dataclass_fields__}
    context.journal.decide(lambda _: Change(**fields))


def manifest(version: int) -> bytes:
    """The manifest of a version whose folder is that of `bench.retention.make_folder`."""
    made = Manifest(
        model=MODEL,
        version=version,
        run_key=f"retrain-{version}",
        files=_sums(),
        model_digest="0" * 64,
        golden_digest="0" * 64,
        labels_digest="0" * 64,
        data_digest="0" * 64,
        code_version="test",
        approved_by="the gate",
        labels=("0", "1"),
    )
    return made.model_dump_json(indent=1).encode()


@cache
def _sums() -> dict[str, FileSum]:
    with tempfile.TemporaryDirectory() as folder:
        make_folder(Path(folder) / "version")
        return sums_of(Path(folder) / "version")


def context_of(root: str, run_key: str) -> RunContext:
    settings = Settings(root=root, replicas="127.0.0.1:9", mlflow_url=NO_MLFLOW, actor="ann")
    return make_run_context(settings, model=MODEL, run_key=run_key)
