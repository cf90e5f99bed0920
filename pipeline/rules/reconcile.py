"""What a crash left unfinished in the journal, and the entries that finish it without the run that began it. Pure.

A clock decides when a run counts as ended. If that is wrong, nothing is lost: the run can be repeated.
"""

from dataclasses import dataclass
from datetime import datetime
from itertools import takewhile

from pipeline.journal.entries import GIVEN_TRAFFIC, MADE_CANDIDATE, Change, Entry, Event
from pipeline.journal.history import History
from pipeline.rules import rollback as rollback_rules
from pipeline.rules import run as run_rules
from pipeline.runs.run_key import is_rollback
from pipeline.verdicts.verdict import Verdict


@dataclass(frozen=True)
class Deadline:
    """How many seconds after its last entry a run counts as stopped."""

    now: datetime
    seconds: float

    def has_passed(self, entry: Entry) -> bool:
        """Whether an entry is older than the deadline."""
        return (self.now - entry.at).total_seconds() > self.seconds

    def not_passed(self, history: History) -> list[Entry]:
        """The entries of a journal that are not older, the newest first."""
        return list(takewhile(lambda entry: not self.has_passed(entry), history.newest_first()))


def unconfirmed_move(history: History) -> Entry | None:
    """The entry that made the serving version serve, if no entry confirms yet that every replica has followed."""
    state = history.state
    if state.serving is None:
        return None
    if state.leaving is None and history.is_confirmed(state.serving):
        return None
    return history.of_version(state.serving, *GIVEN_TRAFFIC)


def finish_move(history: History, *, move: Entry) -> Change | None:
    """The next entry for a move that every replica has followed; None if nothing is left to write.

    Call it again until it returns None: the leaving version is removed first, then the move is confirmed.
    """
    if unconfirmed_move(history) != move:
        return None
    remove_leaving = rollback_rules.remove_leaving(history, target=move.version, reason=move.reason)
    return remove_leaving or run_rules.confirm(history, version=move.version)


def stopped_promotion(history: History) -> str | None:
    """The run whose unconfirmed promotion is to be taken back, or is being taken back; None if there is none.

    A roll-back by a person is never taken back: it ends when the replicas follow.
    """
    move = unconfirmed_move(history)
    if move and move.event is Event.REISSUED:
        # It does not say why its model serves. A promotion was confirmed before it, so only a roll-back can be open.
        move = history.of_model(move.version, Event.PROMOTED, Event.ROLLED_BACK)
        move = move if move and move.event is Event.ROLLED_BACK else None
    if move is None or is_rollback(move.run_key):
        return None
    version = move.version if move.event is Event.PROMOTED else history.state.leaving
    promoted = history.of_version(version, Event.PROMOTED) if version is not None else None
    return promoted.run_key if promoted else None


def candidate_of_rollback(history: History) -> Entry | None:
    """The entry by which a roll-back made its target the candidate, in order to load it; None if there is none."""
    exposed = _exposure(history)
    return exposed if exposed and is_rollback(exposed.run_key) else None


def candidate_of_run(history: History) -> Entry | None:
    """The entry by which a run made its version the candidate; None if there is none."""
    exposed = _exposure(history)
    return exposed if exposed and not is_rollback(exposed.run_key) else None


def active_candidate(history: History, *, deadline: Deadline) -> Entry | None:
    """The same, but None once the deadline has passed."""
    exposed = candidate_of_run(history)
    return exposed if exposed and not deadline.has_passed(exposed) else None


def release_target(history: History, *, deadline: Deadline) -> Change | None:
    """Release the target of a roll-back that has stopped before it moved the label."""
    exposed = candidate_of_rollback(history)
    if exposed is None or not deadline.has_passed(exposed):
        return None
    reason = f"the roll-back of {exposed.actor}, begun at {exposed.at:%Y-%m-%d %H:%M:%S} UTC, has stopped"
    return rollback_rules.give_up(history, target=exposed.version, reason=reason)


def withdraw_unproven(
    history: History, *, version: int, proven: bool, verdict: Verdict | None, deadline: Deadline
) -> Change | None:
    """Withdraw the candidate of a run that has stopped: no verdict by the deadline counts as a bad one.

    Args:
        history: the journal.
        version: the candidate that the other arguments are about.
        proven: whether its canary has passed.
        verdict: the newest verdict that did not pass, if it came after that.
        deadline: until when its run may be active.
    """
    exposed = candidate_of_run(history)
    if exposed is None or exposed.version != version or not deadline.has_passed(exposed):
        return None
    if proven and verdict is None:
        return None
    outcome = str(verdict) if verdict else "no verdict"
    reason = f"{outcome}; {exposed.run_key}, which exposed it at {exposed.at:%Y-%m-%d %H:%M:%S} UTC, has stopped"
    return run_rules.withdraw(history, version=version, run_key=exposed.run_key, reason=reason, verdict=verdict)


def never_published(history: History, *, deadline: Deadline) -> list[Entry]:
    """Claims of numbers that were never published, until a newer version serves."""
    newer = [version for version in history.unpublished() if version > history.highest_promoted]
    claims = [claim for version in newer if (claim := history.of_version(version, Event.CLAIMED))]
    return [claim for claim in claims if deadline.has_passed(claim)]


def _exposure(history: History) -> Entry | None:
    candidate = history.state.candidate
    return history.of_version(candidate, *MADE_CANDIDATE) if candidate is not None else None
