"""How far MLflow has followed the journal of a bucket: a tag on the registered model, and the versions since then.

The tag has the id of the bucket in its name, because several buckets may share a registered model. Its value is the
number and the moment of an entry, and a random word: everything up to that entry is in MLflow, except for versions that
MLflow has refused. The newest of these follow in the value, and each mirror tries them again. It names only a few: an
MLflow that was replaced by an empty one refuses all earlier versions for ever. `understudy reconcile` tries them all.

The tag is written last. A process that died half way has not written it, an MLflow that was replaced has none, and one
that was restored from a backup has an older one; each time the next verb does more. The moment tells an entry from
another one with the same number, which a journal has that was restored without its end.

Two verbs may mirror at once, and the older history may overwrite what the newer one has written. So a mirror that finds
another tag at its end than at its beginning does not advance it, and puts it back to where it began itself. Two
cases are not noticed: a process overwrites newer values and dies before its end, or it does so between the last two
calls of another process. `understudy reconcile` repairs both: it checks every version that is not retired.
"""

import re
import secrets
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from pipeline.journal.entries import NO_VERSION
from pipeline.journal.history import History
from pipeline.storage.identity import Identity

# Behind more entries than that, all versions are checked instead of reading the entries.
_MOST_ENTRIES = 256
# So many versions that MLflow has refused are tried again by each mirror; each costs it a few calls.
_MOST_REFUSED = 20
_VALUE = re.compile(r"(\d{1,12}) (\S+) [0-9a-f]+(?: refused ((?:\d{1,12},)*\d{1,12}))?")


@dataclass(frozen=True)
class Progress:
    """The tag of a bucket, as it was found.

    Attributes:
        value: its whole value; empty if there is none.
        seq: the number of the entry up to which everything is in MLflow; 0 if that is not known.
        refused: the newest versions of those up to that entry that MLflow has refused.
    """

    value: str = ""
    seq: int = 0
    refused: frozenset[int] = frozenset()


def progress_tag(bucket: Identity) -> str:
    """The name of the tag of a bucket."""
    return f"understudy.mirrored.{bucket.id}"


def read_progress(tags: Mapping[str, str], bucket: Identity, history: History) -> Progress:
    """The progress that the tags of the registered model say. `seq` is 0 if this history does not have that entry."""
    value = tags.get(progress_tag(bucket), "")
    found = _VALUE.fullmatch(value)
    seq = int(found[1]) if found else 0
    if found is None or not 0 < seq <= history.seq or _moment(history, seq) != found[2]:
        return Progress(value)
    return Progress(value, seq, _refused_in(value))


def next_progress(history: History, *, began: Progress, found: str, refused: Collection[int]) -> str | None:
    """The value of the tag when a mirror has ended; None if it is right as it is.

    Args:
        history: what was mirrored.
        began: the tag when it began.
        found: the value of the tag now.
        refused: the versions that MLflow has refused meanwhile.
    """
    if found != began.value:
        return _value(history, began.seq, {*began.refused, *_refused_in(found), *refused})
    is_right = began.seq == history.seq and began.refused == set(_newest(refused))
    return None if is_right else _value(history, history.seq, refused)


def changed_since(history: History, seq: int) -> set[int] | None:
    """The versions about which something else may be true now than after entry `seq`, each by its original number.

    Those are the ones that the entries since then are about, and the ones that had a role before these. None if too
    many entries were written to read them: then it may be any version.
    """
    if not seq or history.seq - seq > _MOST_ENTRIES:
        return None
    since, *entries = history.entries(seq, history.seq)
    found = {version for version in (since.state.serving, since.state.candidate) if version is not None}
    for entry in entries:
        found.update(entry.about)
    return {history.original(version) for version in found - {NO_VERSION}}


def _value(history: History, seq: int, refused: Collection[int]) -> str:
    # The word makes each value differ, so that a mirror sees that another one has written the tag.
    value = f"{seq} {_moment(history, seq) if seq else '-'} {secrets.token_hex(4)}"
    return f"{value} refused {','.join(map(str, _newest(refused)))}" if refused else value


def _refused_in(value: str) -> frozenset[int]:
    found = _VALUE.fullmatch(value)
    return frozenset(map(int, found[3].split(","))) if found and found[3] else frozenset()


def _newest(refused: Iterable[int]) -> list[int]:
    return sorted(refused)[-_MOST_REFUSED:]


def _moment(history: History, seq: int) -> str:
    return history.entry(seq).at.isoformat()
