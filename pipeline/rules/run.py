"""What the verbs of a run may write next. Pure: a rule gets the history and returns the change.

A rule is asked again with the new history if another writer was first. So each one answers completely: None if nothing
is left to write, a change if it may be written, an error that says why if it may not.
"""

from itertools import islice

from pipeline.errors import CouldNotTellError, DeclinedError, FailedError
from pipeline.journal import state as transitions
from pipeline.journal.entries import GIVEN_TRAFFIC, TAKEN_BACK, Change, Event
from pipeline.journal.history import History
from pipeline.journal.state import State
from pipeline.moments import Until
from pipeline.rules import readmission
from pipeline.runs.run_key import is_rollback
from pipeline.verdicts.verdict import Decision, Verdict

# Versions that a message names.
_NAMED = 20


def claim(
    history: History,
    *,
    run_key: str,
    compared_with: int | None,
    reason: str,
    verdict: Verdict,
    digest: str | None = None,
) -> Change | None:
    """Take a version number for a run whose gate has approved its model.

    Args:
        history: the journal.
        run_key: the run.
        compared_with: the serving version that the gate compared with.
        reason: why, for people.
        verdict: the verdict of the gate.
        digest: the content of the model; None skips the checks of `pipeline.rules.readmission`.

    Raises:
        DeclinedError: another version serves now, or this model serves.
        FailedError: the model was withdrawn, or the run's version was retired.
    """
    claimed = history.version_of(run_key)
    if claimed is not None:
        _not_retired(history, claimed)
        return None
    state = history.state
    _still_serving(state, compared_with)
    readmission.require_new(history, digest)
    readmission.require_admitted(history, digest)
    return Change(Event.CLAIMED, state.next_version, reason, transitions.claim(state), verdict, digest=digest)


def announce_published(history: History, *, version: int, manifest: str) -> Change | None:
    """Record that the files of a claimed version are complete and verified.

    `manifest` is the SHA-256 of their manifest.

    Raises:
        FailedError: the version was retired.
    """
    _not_retired(history, version)
    if history.of_version(version, Event.PUBLISHED):
        return None
    return Change(Event.PUBLISHED, version, "complete and verified", history.state, manifest=manifest)


def expose(
    history: History, *, version: int, compared_with: int | None, first_ring_only: bool = False
) -> Change | None:
    """Load a published version: without traffic, or in the latest roll-out instead of the serving one.

    Args:
        history: the journal.
        version: the published version.
        compared_with: the serving version that the gate compared with.
        first_ring_only: on the replicas of the first ring alone; otherwise on every replica.

    Raises:
        CouldNotTellError: another promotion or roll-back is not finished; try again when it is.
        DeclinedError: another version serves than `compared_with`, a newer one is the candidate, or it was declined.
        FailedError: the version was withdrawn or retired.
    """
    state = history.state
    _not_taken_back(history, version)
    _not_retired(history, version)
    if version in (state.candidate, state.serving):
        return None
    _still_serving(state, compared_with)
    readmission.require_admitted(history, readmission.digest_of(history, version))
    if state.leaving is not None:
        raise CouldNotTellError(
            f"a roll-back away from v{state.leaving} is still under way. When `understudy status --model <model>` "
            f"shows that it has ended, repeat this step (in Airflow: clear the task)"
        )
    if is_half_promoted(history):
        raise CouldNotTellError(
            f"the promotion of v{state.serving} is not finished: not every replica has confirmed it. When `understudy "
            f"status --model <model>` shows that it is confirmed or undone, repeat this step (in Airflow: clear the "
            f"task)"
        )
    reason = "to be tested"
    if state.candidate is not None:
        reason = _displace(history, state.candidate, by=version)
    return Change(Event.EXPOSED, version, reason, transitions.expose(state, version, first_ring_only=first_ring_only))


def expose_everywhere(
    history: History, *, version: int, compared_with: int | None, verdict: Verdict | None
) -> Change | None:
    """Load the candidate on all other replicas too.

    Args:
        history: the journal.
        version: the candidate.
        compared_with: the serving version that the gate compared with.
        verdict: that of the first ring, which has passed; None if the fleet has no first ring any more.

    Raises:
        DeclinedError: another version serves than `compared_with`, or another one is the candidate.
        FailedError: the version was withdrawn.
    """
    state = history.state
    _not_taken_back(history, version)
    require_candidate(state, version)
    if version == state.serving or not state.first_ring_only:
        return None
    _still_serving(state, compared_with)
    assert verdict is None or verdict.decision is Decision.PASS, "only what has passed in the first ring goes on"
    reason = "proven in the first ring" if verdict else "the fleet has no first ring any more"
    return Change(Event.EXPOSED_EVERYWHERE, version, reason, transitions.expose_everywhere(state), verdict)


def promote(history: History, *, version: int, compared_with: int | None, verdict: Verdict) -> Change | None:
    """Give the traffic to this run's candidate.

    Raises:
        DeclinedError: another version serves than `compared_with`, or another one is the candidate.
        FailedError: the version or its model was withdrawn.
    """
    state = history.state
    _not_taken_back(history, version)
    if state.serving == version:
        return None
    _still_serving(state, compared_with)
    require_candidate(state, version)
    readmission.require_admitted(history, readmission.digest_of(history, version))
    return Change(Event.PROMOTED, version, "proven on every replica", transitions.promote(state), verdict)


def require_candidate(state: State, version: int) -> None:
    """Check that a version is still the candidate, or serves already.

    Raises:
        DeclinedError: another decision has replaced it.
    """
    if version not in (state.candidate, state.serving):
        raise DeclinedError(
            f"v{version} is not the candidate any more, because another command changed that (now: {state}). It gets "
            f"no traffic. Trigger a new run"
        )


def confirm(history: History, *, version: int) -> Change | None:
    """Record that every replica answers from `version`. After that only a roll-back replaces it.

    Raises:
        DeclinedError: it does not serve any more.
    """
    if history.is_confirmed(version):
        return None
    if history.state.serving != version:
        raise DeclinedError(
            f"v{version} does not serve any more, so it is not confirmed. The last change: {_how_it_was_left(history)}"
        )
    return Change(Event.CONFIRMED, version, "every replica answers from it", history.state)


def reissue(history: History, *, version: int, reason: str) -> Change | None:
    """Give the model of `version`, which serves, the next number.

    In the latest roll-out every server loads a higher number. A server that failed to load the old one does not try it
    again, and one whose load hangs takes the new number next. A model is reissued once in a row; if that does not help,
    a person must look. A promotion that stopped half-way is not reissued, because its own run must be able to undo it.
    """
    state = history.state
    last = history.last_move(version)
    if state.serving != version or state.candidate is not None or (last and last.event is Event.REISSUED):
        return None
    if is_half_promoted(history):
        return None
    return Change(
        Event.REISSUED, state.next_version, reason, transitions.reissue(state), copy_of=history.original(version)
    )


def decline_candidate(history: History, *, version: int, run_key: str, reason: str) -> Change | None:
    """Give up a run's own candidate because another decision was taken.

    A version that has ever served is not touched.
    """
    exposed = history.of_version(version, Event.EXPOSED)
    if exposed and exposed.run_key != run_key:
        return None
    if history.of_version(version, *GIVEN_TRAFFIC, *TAKEN_BACK):
        return None
    return Change(Event.DECLINED, version, reason, transitions.withdraw(history.state, version))


def decline_harmful(history: History, *, version: int, verdict: Verdict) -> Change | None:
    """Give up a candidate for something that may be the fault of a machine; its model may be published again.

    If a server process has ended, and one has ended on the same model before, the version is withdrawn. A version that
    is not the candidate any more is left alone: another process of the same run may have promoted it.

    Args:
        history: the journal.
        version: the candidate.
        verdict: FAIL if one server process has ended, UNKNOWN if replicas have become silent.
    """
    if history.state.candidate != version:
        return None
    after = transitions.withdraw(history.state, version)
    before = readmission.ended_a_server_as(history, version) if verdict.decision is Decision.FAIL else None
    if before is None:
        return Change(Event.DECLINED, version, str(verdict), after, verdict)
    reason = f"{verdict}. A server has ended on this model before, as v{before}"
    return Change(Event.WITHDRAWN, version, reason, after, verdict)


def is_half_promoted(history: History) -> bool:
    """Whether the serving version was promoted by a run that has neither confirmed nor undone it."""
    serving = history.state.serving
    last = history.last_move(serving) if serving is not None else None
    return last is not None and last.event is Event.PROMOTED


def undo_promotion(
    history: History, *, version: int, run_key: str, reason: str, hold: Until | None = None
) -> Change | None:
    """Take traffic back from a version whose promotion stopped half-way.

    It is withdrawn when the replicas have followed.

    Args:
        history: the journal.
        version: the promoted version.
        run_key: the run that promoted it.
        reason: why, for people.
        hold: until when promotions are held afterwards; None for no hold.

    Raises:
        CouldNotTellError: another candidate is exposed, or no previous version is left although others were good.
        DeclinedError: the run may not undo it, see `withdraw`.
    """
    _is_the_runs_own(history, version, run_key)
    state = history.state
    if state.serving != version:
        return None
    if state.candidate is not None:
        raise CouldNotTellError(
            f"v{state.candidate} is being tested now. When `understudy status --model <model>` shows that this has "
            f"ended, repeat this step (in Airflow: clear the task)"
        )
    if state.previous is None:
        _is_the_first(history, version)
        return None
    target = state.previous
    after = transitions.roll_back(state, target, previous=history.previous_after(target), hold=hold)
    return Change(Event.ROLLED_BACK, target, reason, after)


def withdraw(history: History, *, version: int, run_key: str, reason: str, verdict: Verdict | None) -> Change | None:
    """Withdraw a run's version: the candidate, a leaving one, or a first release without a version to go back to.

    Raises:
        DeclinedError: it was never on a replica, was confirmed, is pinned, or a person has decided about it since.
    """
    _is_the_runs_own(history, version, run_key)
    if history.withdrawal(version):
        return None
    return Change(Event.WITHDRAWN, version, reason, transitions.withdraw(history.state, version), verdict)


def _is_the_runs_own(history: History, version: int, run_key: str) -> None:
    """Check that a run takes back only what it did itself, and nothing that was confirmed or decided by a person."""
    if history.of_version(version, Event.EXPOSED) is None:
        raise DeclinedError(f"v{version} was never on a replica. There is nothing to withdraw")
    if history.of_model(version, Event.CONFIRMED):
        raise DeclinedError(
            f"v{version} was promoted and confirmed. To leave it: `understudy rollback --model <model> --to previous "
            f"--reason why`"
        )
    moved = history.of_model(version, Event.EXPOSED, *GIVEN_TRAFFIC)
    if moved and moved.run_key != run_key:
        raise DeclinedError(
            f"{moved.actor} has made another decision about v{version} ({moved.reason}). To leave it: `understudy "
            f"rollback --model <model> --to previous --reason why`"
        )
    if history.state.pinned == version:
        raise DeclinedError(
            f"v{version} is pinned. To leave it: `understudy rollback --model <model> --to previous --reason why`"
        )


def _is_the_first(history: History, version: int) -> None:
    """Check that no other version was ever good: only then may nothing serve."""
    good = (other for other in reversed(history.promoted()) if other != version and history.was_good(other))
    others = sorted(islice(good, _NAMED))
    if others:
        known = ", ".join(f"v{other}" for other in others)
        raise CouldNotTellError(
            f"v{version} serves, and no version to return to is recorded as previous. Good versions: {known}. Run "
            f"`understudy rollback --model <model> --to NUMBER --reason why`"
        )


def _still_serving(state: State, compared_with: int | None) -> None:
    if state.serving != compared_with:
        now, then = (f"v{v}" if v is not None else "nothing" for v in (state.serving, compared_with))
        raise DeclinedError(f"{now} serves now, and this candidate was compared with {then}. Trigger a new run")


def _not_taken_back(history: History, version: int) -> None:
    entry = history.of_version(version, *TAKEN_BACK)
    if entry is None:
        return
    if entry.event is Event.DECLINED:
        raise DeclinedError(entry.reason)
    raise FailedError(f"v{version} was withdrawn: {entry.reason}. A number is never used again. Trigger a new run")


def _not_retired(history: History, version: int) -> None:
    entry = history.retirement(version)
    if entry is not None:
        raise FailedError(
            f"v{version} was retired on {entry.at:%Y-%m-%d} ({entry.reason}), and its files are deleted. A number is "
            f"never used again. Trigger a new run"
        )


def _displace(history: History, occupant: int, *, by: int) -> str:
    """A newer candidate replaces one whose run has stopped; never the target of a roll-back."""
    entry = history.of_version(occupant, Event.EXPOSED)
    if entry and is_rollback(entry.run_key):
        raise CouldNotTellError(
            f"{entry.actor} is rolling back to v{occupant} since {entry.at:%H:%M:%S} UTC. When `understudy status "
            f"--model <model>` shows that it has ended, repeat this step (in Airflow: clear the task)"
        )
    if occupant > by:
        raise DeclinedError(
            f"the newer candidate v{occupant} is being tested, so v{by} is not. Nothing needs to be done"
        )
    return f"to be tested; replaces the candidate v{occupant}, whose run stopped before it was promoted or withdrawn"


def _how_it_was_left(history: History) -> str:
    entry = history.newest(*GIVEN_TRAFFIC, Event.WITHDRAWN)
    if entry is None:
        return "not in the journal"
    what = f"{entry.event} to v{entry.version}" if entry.event is Event.ROLLED_BACK else entry.description
    return f"{what} by {entry.actor}: {entry.reason}"
