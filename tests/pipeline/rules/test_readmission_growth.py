"""What a rule asks about a content costs the same after few versions with it and after many."""

from collections import Counter
from collections.abc import Callable
from functools import cache

import pytest

from bench.retention import history
from pipeline import layout
from pipeline.clock import SystemClock
from pipeline.errors import FailedError
from pipeline.journal.entries import Change, Entry, Event
from pipeline.journal.history import History
from pipeline.journal.journal import JournalWriter
from pipeline.rules import readmission
from pipeline.storage.memory import MemoryBucket
from pipeline.verdicts.verdict import Decision, Verdict
from tests.counted_bucket import as_bucket, counted
from tests.releases import MODEL

# All of these are on one page of the facts, so that the pages that are read do not differ.
FEW, MANY = 8, 60
WRONG, GIVEN_UP = "digest of a wrong model", "digest of a model that ends servers"
FAIL = Verdict(decision=Decision.FAIL, reasons=("a server has ended",))


def changed(entry: Entry) -> Entry:
    """Of an even version: it is withdrawn after it has served. Of an odd one: a server ends on it; it is let in again.

    The last version with each content is not readmitted.
    """
    is_even = entry.version % 2 == 0
    if entry.event is Event.CLAIMED:
        return entry.model_copy(update={"digest": WRONG if is_even else GIVEN_UP})
    if entry.event is Event.PROMOTED and not is_even:
        return entry.model_copy(update={"event": Event.DECLINED, "verdict": FAIL})
    if entry.event is Event.CONFIRMED:
        return entry.model_copy(update={"event": Event.WITHDRAWN if is_even else Event.READMITTED})
    return entry


@cache
def alternating(versions: int) -> MemoryBucket:
    """So many versions with two contents in turn, and a checkpoint; long after them come entries about nothing."""
    bucket = MemoryBucket()
    entries = [changed(entry) for entry in history(versions)]
    for entry in entries:
        is_last_word = entry.event is Event.READMITTED and entry.version == versions - 1
        kept = entry.model_copy(update={"event": Event.CONFIRMED}) if is_last_word else entry
        bucket.create(layout.entry(MODEL, kept.seq), kept.model_dump_json(indent=1).encode())
    journal = JournalWriter(bucket, MODEL, run_key="freeze-1", actor="ann", clock=SystemClock())
    for event in (Event.FROZEN, Event.UNFROZEN) * 30:
        journal.decide(lambda found, event=event: Change(event, 0, "a test", found.state))  # type: ignore[misc]
    journal.write_checkpoint()
    return bucket


def cost(versions: int, question: Callable[[History], object]) -> tuple[Counter[str], int]:
    """The calls to the bucket by their method, and the entries that were read."""
    bucket = counted(alternating(versions))
    journal = JournalWriter(as_bucket(bucket), MODEL, run_key="look-1", actor="ann", clock=SystemClock())
    known = journal.read()
    bucket.calls.clear()
    bucket.entries = 0
    question(known)
    return bucket.calls, bucket.entries


def require_admitted(known: History) -> None:
    with pytest.raises(FailedError, match=f"withdrawn as v{known.state.next_version - 1} by ann"):
        readmission.require_admitted(known, WRONG)


def readmit(known: History) -> None:
    change = readmission.readmit(known, version=2, reason="the probes were wrong")
    assert change is not None
    assert Event.READMITTED is change.event


def ended_a_server(known: History) -> None:
    newest = known.state.next_version - 2
    assert newest == readmission.ended_a_server_as(known, 1)


@pytest.mark.parametrize(("question", "read"), [(require_admitted, 1), (readmit, 0), (ended_a_server, 1)])
def test_a_question_about_a_content_reads_the_entry_that_answers_it_only(
    question: Callable[[History], object], read: int
) -> None:
    few, many = cost(FEW, question), cost(MANY, question)

    assert few == many
    assert read == many[1]
