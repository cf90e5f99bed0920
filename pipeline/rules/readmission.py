"""Whether a model may be published, by its content: a withdrawn model is recognised under any number. Pure.

The content is `pipeline.storage.sums.content_digest`, which the journal keeps for every claimed version. The newest
decision counts: a withdrawal is in force until a person readmits the model, or rolls back to it.
"""

from collections.abc import Iterable
from itertools import islice

from pipeline.errors import BadInputError, DeclinedError, FailedError
from pipeline.journal.entries import GIVEN_TRAFFIC, Change, Event
from pipeline.journal.facts import Mark
from pipeline.journal.history import History
from pipeline.verdicts.verdict import Decision

_WORDS = (Event.WITHDRAWN, Event.READMITTED, *GIVEN_TRAFFIC)
# As many as a person reads through.
_TOLD = 5
# Of so many versions, the newest: looking through all of them takes long.
_LOOKED_AT = 100


def digest_of(history: History, version: int) -> str | None:
    """The digest of a version's content; None for claims from before there were digests."""
    return history.digest(history.original(version))


def require_new(history: History, digest: str | None) -> None:
    """Check that a model differs from the serving one. `digest` is its content; None skips the check.

    Raises:
        DeclinedError: it is the serving model.
    """
    serving = history.state.serving
    if digest is not None and serving is not None and digest_of(history, serving) == digest:
        raise DeclinedError(f"this model serves already, as v{serving}. There is nothing to release")


def require_admitted(history: History, digest: str | None) -> None:
    """Check that a model is not withdrawn. `digest` is its content; None skips the check.

    Raises:
        FailedError: it was withdrawn, under any number, and was not readmitted since.
    """
    last = _last_word(history, history.claimed_with(digest)) if digest is not None else None
    if last is None or last.event is not Event.WITHDRAWN:
        return
    word = history.entry(last.seq)
    raise FailedError(
        f"this model was withdrawn as v{word.version} by {word.actor} on {word.at:%Y-%m-%d %H:%M} UTC: {word.reason}. "
        f"To allow it again: `understudy readmit --model <model> --version {word.version} --reason why`, then "
        f"repeat this step (in Airflow: clear the task)"
    )


def readmit(history: History, *, version: int, reason: str) -> Change | None:
    """Allow the model of a withdrawn version to be published again, under a new number and with a new approval.

    The version itself stays withdrawn. A later withdrawal of the model counts again.

    Raises:
        BadInputError: there is no such version, or it is not withdrawn; names those that are.
    """
    original = history.original(version)
    if not history.has(original, Event.CLAIMED):
        raise BadInputError(f"v{version} does not exist. {_withdrawn(history)}")
    digest = digest_of(history, version)
    word = _last_word(history, [original] if digest is None else history.claimed_with(digest))
    if word and word.event is Event.READMITTED:
        return None
    if word is None or word.event is not Event.WITHDRAWN:
        raise BadInputError(f"the model of v{version} is not withdrawn. {_withdrawn(history)}")
    return Change(Event.READMITTED, version, reason, history.state)


def ended_a_server_as(history: History, version: int) -> int | None:
    """The newest version with the model of `version` that was declined because a server ended on it; None for none.

    What happened before the model was readmitted does not count: a person has found another cause.
    """
    digest = digest_of(history, version)
    others = history.claimed_with(digest) if digest is not None else []
    readmitted = (mark.seq for other in others if (mark := history.mark(other, Event.READMITTED)))
    since = max(readmitted, default=0)
    return next((other for other in reversed(others) if _ended_a_server(history, other, since=since)), None)


def _ended_a_server(history: History, version: int, *, since: int) -> bool:
    declined = history.mark(version, Event.DECLINED)
    # A model may have had many numbers: only an entry that may count is read.
    if declined is None or declined.seq < since:
        return False
    verdict = history.entry(declined.seq).verdict
    return verdict is not None and verdict.decision is Decision.FAIL


def _last_word(history: History, versions: Iterable[int]) -> Mark | None:
    """The newest entry, about any of these versions, that decides whether their model may serve. It is not read."""
    words = (word for version in versions if (word := history.model_mark(version, *_WORDS)))
    return max(words, default=None)


def _withdrawn(history: History) -> str:
    newest = range(history.state.next_version - 1, 0, -1)[:_LOOKED_AT]
    withdrawn = (version for version in newest if _is_withdrawn(history, version))
    names = ", ".join(f"v{version}" for version in islice(withdrawn, _TOLD))
    return f"Withdrawn last: {names}" if names else "No version is withdrawn"


def _is_withdrawn(history: History, version: int) -> bool:
    """Whether the newest word about a version withdraws it, under this very number."""
    withdrawn = history.numbers_about(version, Event.WITHDRAWN)
    word = _last_word(history, [version]) if withdrawn else None
    return word is not None and word.seq == withdrawn[-1]
