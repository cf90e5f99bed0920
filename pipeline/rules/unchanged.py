"""Whether a run that an event has started would repeat an earlier one. Pure.

A message that there are new images may come twice, may come for each of a thousand images, and may come when they are
in the snapshot already. So what counts is the content: the digest of the data.
"""

from dataclasses import dataclass

from pipeline.errors import DeclinedError
from pipeline.journal.entries import GIVEN_TRAFFIC, Entry, Event
from pipeline.journal.history import History
from pipeline.verdicts.verdict import Decision


@dataclass(frozen=True)
class DecidedRun:
    """A run whose training has led to a decision, and what it has used.

    Attributes:
        key: its run key.
        data: the digest of its data set, see `SnapshotRecord`.
        decision: a clause, for example `v4 was promoted`.
    """

    key: str
    data: str
    decision: str


def decision_about(history: History, version: int, *, promoted: bool) -> str | None:
    """What was decided about a version that passed the gate, as a clause; None if nothing is.

    A withdrawal after the promotion is a decision too: the same images would give a similar model, which nobody has
    asked for. So is a withdrawal for what the canary has seen. Nothing is decided about a version that was taken back
    because its run stopped or could not tell, and about one that a person has readmitted since.

    Args:
        history: the journal.
        version: the version.
        promoted: whether its run has confirmed that every replica answers from it.
    """
    word = history.of_model(version, Event.WITHDRAWN, Event.READMITTED, *GIVEN_TRAFFIC)
    if word is not None and word.event is Event.READMITTED:
        return None
    if word is None or word.event is not Event.WITHDRAWN:
        return f"v{version} was promoted" if promoted else None
    if promoted:
        return f"v{version} was promoted, and then withdrawn by {word.actor} on {_reason(word)}"
    failed = word.verdict is not None and word.verdict.decision is Decision.FAIL
    return f"v{version} was withdrawn on {_reason(word)}" if failed else None


def require_new_data(digest: str, *, newest: DecidedRun | None, model: str) -> None:
    """Check that the images differ from those of the newest decided run. None: there is no such run.

    Raises:
        DeclinedError: they are the same; names the run and says how to train on them again.
    """
    if newest is not None and newest.data == digest:
        raise DeclinedError(
            f"an event has started this run, and the images are those of run {newest.key} (data digest {digest[:12]}), "
            f"after which {newest.decision}. Nothing is trained. To train on the same images again, trigger "
            f"`retrain_{model}`"
        )


def _reason(word: Entry) -> str:
    return f"{word.at:%Y-%m-%d %H:%M} UTC ({word.reason})"
