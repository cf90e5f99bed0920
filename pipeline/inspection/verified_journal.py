"""Check a whole journal: every entry, what each says of the ones before it, the configs, and every checkpoint."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from pipeline import layout
from pipeline.context import ModelContext
from pipeline.errors import MissingError, StorageError
from pipeline.inspection.verified_checkpoints import VerifiedCheckpoints
from pipeline.journal.config_header import rendered_entry
from pipeline.journal.entries import Entry, Event
from pipeline.journal.pages import digest_of
from pipeline.journal.stored_entries import parsed
from pipeline.progress import logged
from pipeline.storage.bucket import Bucket

# Entries that are read at once, and are in memory at once.
_BATCH = 256
_RESTORE = "Restore it from a backup, as it was written"
_RESTORE_BOTH = "Restore both from a backup, as they were written"


@dataclass(frozen=True)
class VerifiedJournal:
    """What a check has found.

    Attributes:
        model: the name of the model.
        entries: how many entries there are.
        size: their bytes.
        last: the number of the last entry; 0 if there is none.
        checkpoints: how many checkpoints were compared with them.
        compared_until: a changed word is noticed in the entries up to this one, see `VerifiedCheckpoints`.
        wrong: sentences on what makes decisions wrong: entries, and checkpoints that commands use.
        harmless: sentences on checkpoints whose damage cannot make a decision wrong.
    """

    model: str
    entries: int
    size: int
    last: int
    checkpoints: int
    compared_until: int
    wrong: Sequence[str]
    harmless: Sequence[str]

    def as_json(self) -> dict[str, Any]:
        """The same for programs."""
        return {
            "model": self.model,
            "entries": self.entries,
            "bytes": self.size,
            "last": self.last,
            "checkpoints": self.checkpoints,
            "compared_until": self.compared_until,
            "wrong": list(self.wrong),
            "harmless": list(self.harmless),
        }

    def text(self) -> str:
        """The same for people: a line, one for each problem, and one on what cannot be noticed."""
        found = len(self.wrong) + len(self.harmless)
        problems = _counted(found, "problem") if found else "No problems"
        return "\n".join(
            [
                f"The journal of {self.model}: {_counted(self.entries, 'entry', 'entries')} ({self.size:,} bytes) and "
                f"{_counted(self.checkpoints, 'checkpoint')} were checked. {problems}{':' if found else ' found.'}",
                *(f"! {problem}" for problem in (*self.wrong, *self.harmless)),
                *self._not_noticed(),
            ]
        )

    def _not_noticed(self) -> list[str]:
        """What a check cannot find: only a checkpoint tells a changed word from the right one."""
        first, last = self.compared_until + 1, self.last
        if first > last:
            return []
        if first == 1:
            return ["A changed word in any entry would not be noticed: no checkpoint stands for them yet."]
        those, them = (f"entries {first} to {last}", "them") if first < last else (f"entry {last}", "it")
        return [f"A changed word in {those} would not be noticed: no checkpoint stands for {them} yet."]


def _counted(number: int, one: str, many: str = "") -> str:
    return f"1 {one}" if number == 1 else f"{number:,} {many or f'{one}s'}"


def verified(context: ModelContext) -> VerifiedJournal:
    """Check all entries and all checkpoints. Changes nothing.

    A few hundred entries are in memory at once, and the facts about all versions.

    Raises:
        StorageError: the bucket does not answer.
    """
    bucket, model = context.bucket, context.model
    # What names an entry is read before the entries are listed: a verb may write meanwhile.
    configs = context.rollout.configs()
    checkpoints = VerifiedCheckpoints(bucket, model)
    numbers = _numbers(bucket, model)
    last = max(numbers, default=0)
    entries = _Entries(model)
    for seq, content in logged(_contents(bucket, model, numbers), f"entries of {model} checked", total=len(numbers)):
        entry = entries.check(seq, content)
        if entries.is_whole and entry is not None:
            checkpoints.add(entry, digest_of(content or b""))
    checkpoints.end(last)
    wrong = [*_gaps(numbers, model), *entries.problems, *_of_configs(configs, last), *checkpoints.wrong]
    return VerifiedJournal(
        model=model,
        entries=len(numbers),
        size=entries.size,
        last=last,
        checkpoints=checkpoints.compared,
        compared_until=checkpoints.compared_until,
        wrong=wrong,
        harmless=checkpoints.harmless,
    )


class _Entries:
    """Compares each entry with those before it.

    Attributes:
        problems: a sentence for each.
        size: the bytes of all entries.
        is_whole: whether every entry so far could be read, from the first on.
    """

    def __init__(self, model: str) -> None:
        self.problems: list[str] = []
        self.size = 0
        self.is_whole = True
        self._model = model
        self._seq = 0
        self._before: Entry | None = None
        self._given: dict[int, int] = {}

    def check(self, seq: int, content: bytes | None) -> Entry | None:
        """The next entry; None if it cannot be read."""
        self.size += len(content or b"")
        entry = self._parsed(seq, content)
        self.is_whole = self.is_whole and entry is not None and seq == self._seq + 1
        self._seq = seq
        if entry is not None:
            self._compare(entry)
            self._before = entry
        return entry

    def _parsed(self, seq: int, content: bytes | None) -> Entry | None:
        key = layout.entry(self._model, seq)
        if content is None:
            self.problems.append(f"{key} does not exist any more. {_RESTORE}")
            return None
        try:
            return parsed(key, seq, content)
        except StorageError as error:
            self.problems.append(str(error))
            return None

    def _compare(self, entry: Entry) -> None:
        before = self._before
        if before and entry.at < before.at:
            self.problems.append(
                f"entry {entry.seq} is dated {entry.at.isoformat()}, before entry {before.seq} of "
                f"{before.at.isoformat()}: one of them was changed. {_RESTORE_BOTH}"
            )
        if before and entry.state.next_version < before.state.next_version:
            self.problems.append(
                f"entry {entry.seq} says that the next version is v{entry.state.next_version}, and entry {before.seq} "
                f"said v{before.state.next_version}: a number would be given twice. {_RESTORE_BOTH}"
            )
        if entry.event in (Event.CLAIMED, Event.REISSUED):
            self._compare_number(entry)

    def _compare_number(self, entry: Entry) -> None:
        version, earlier = entry.version, self._given.setdefault(entry.version, entry.seq)
        if earlier != entry.seq:
            self.problems.append(f"entries {earlier} and {entry.seq} both give out v{version}. {_RESTORE_BOTH}")
        if entry.state.next_version <= version:
            self.problems.append(
                f"entry {entry.seq} gives out v{version}, and says that the next version is "
                f"v{entry.state.next_version}. {_RESTORE}"
            )


def _numbers(bucket: Bucket, model: str) -> list[int]:
    names = bucket.names(layout.journal(model))
    return sorted(seq for name in names if (seq := layout.entry_sequence(name)) is not None)


def _contents(bucket: Bucket, model: str, numbers: Sequence[int]) -> Iterator[tuple[int, bytes | None]]:
    """Each entry's number and its bytes; None if it disappeared since it was listed."""
    for first in range(0, len(numbers), _BATCH):
        some = numbers[first : first + _BATCH]
        keys = [layout.entry(model, seq) for seq in some]
        try:
            contents: list[bytes | None] = list(bucket.read_all(keys))
        except MissingError:
            contents = [_content(bucket, key) for key in keys]
        yield from zip(some, contents, strict=True)


def _content(bucket: Bucket, key: str) -> bytes | None:
    try:
        return bucket.read(key)
    except MissingError:
        return None


def _gaps(numbers: Sequence[int], model: str) -> list[str]:
    """A sentence for each row of missing entries before the last one."""
    missing = sorted(set(range(1, max(numbers, default=0))) - set(numbers))
    rows = [[seq for _, seq in row] for _, row in groupby(enumerate(missing), lambda each: each[1] - each[0])]
    return [
        f"entry {row[0]} is missing: {layout.entry(model, row[0])}. {_RESTORE}"
        if len(row) == 1
        else f"entries {row[0]} to {row[-1]} are missing: {layout.entry(model, row[0])} and so on. Restore them from a "
        f"backup, as they were written"
        for row in rows
    ]


def _of_configs(configs: Mapping[str, str | None], last: int) -> list[str]:
    rendered = {key: rendered_entry(text or "") for key, text in configs.items()}
    return [
        f"{key} was made from entry {seq}, and the journal ends with entry {last}: entries are lost. Restore them from "
        f"a backup before you run any other command"
        for key, seq in rendered.items()
        if seq is not None and seq > last
    ]
