"""Every question that a history answers, asked of one: two that answer all of them alike decide alike."""

from collections.abc import Callable, Iterable, Iterator
from datetime import timedelta
from functools import partial
from typing import Any

from pipeline.errors import UnderstudyError
from pipeline.journal import announcements, periods
from pipeline.journal.entries import GIVEN_TRAFFIC, MADE_CANDIDATE, NO_VERSION, TAKEN_BACK, Event
from pipeline.journal.history import History
from pipeline.rules import holds, readmission, reconcile, retention, rollback
from pipeline.rules import run as run_rules
from pipeline.rules.reconcile import Deadline
from pipeline.rules.retention import RetentionLimits, StoredVersions
from pipeline.rules.rollback import RollbackRequest
from pipeline.spec import RetentionPolicy
from pipeline.verdicts.verdict import Decision, Verdict

Question = tuple[str, Callable[[History], object]]
Questions = dict[str, Callable[[History], object]]

EVENTS: tuple[tuple[Event, ...], ...] = (
    *((event,) for event in Event),
    GIVEN_TRAFFIC,
    (*TAKEN_BACK, *GIVEN_TRAFFIC),
    MADE_CANDIDATE,
    (),
)
_PASS = Verdict(decision=Decision.PASS, reasons=("good",))


def answers(history: History, questions: Questions) -> dict[str, object]:
    """The answer to each question. An error is an answer too: its type and its text."""
    return {name: _answer(question, history) for name, question in questions.items()}


def _answer(question: Callable[[History], object], history: History) -> object:
    try:
        found = question(history)
    except UnderstudyError as error:
        return type(error).__name__, str(error)
    return list(found) if isinstance(found, Iterator) else found


def all_questions(history: History) -> Questions:
    """About every version, run, content and entry of a journal, and about some that it does not have."""
    return dict([*_asked_of_history(history), *_asked_of_rules(history)])


def _asked_of_history(history: History) -> Iterator[Question]:
    versions, seqs = _versions(history), range(history.seq + 1)
    entries = history.all()
    for name in ("state", "seq", "last", "highest_promoted"):
        yield name, partial(_get, name=name)
    whole = ["all", "unretired", "unpublished", "promoted", "moves", "hold_began", "newest_first"]
    yield from _each(whole, [()])
    yield from _each(["newest"], EVENTS)
    runs = [*{each.run_key: None for each in entries}, "retrain-99"]
    yield from _each(["of_run"], [(run, *events) for run in runs for events in EVENTS])
    yield from _each(["version_of"], [(run,) for run in runs])
    yield from _each(["known_runs"], [(runs,), (runs[::2],)])
    digests = [*{each.digest: None for each in entries if each.digest}, "f" * 64]
    yield from _each(["claimed_with"], [(digest,) for digest in digests])
    about = ["of_version", "of_model", "has", "mark", "model_mark"]
    yield from _each(about, [(v, *events) for v in (NO_VERSION, *versions) for events in EVENTS])
    # Of freezes, which are about no version, a checkpoint knows the newest.
    yield from _each(["numbers_about"], [(v, *events) for v in versions for events in EVENTS])
    one = ["original", "last_move", "is_confirmed", "digest", "withdrawal", "retirement", "is_retired", "has_served"]
    one += ["was_good", "previous_after", "numbers", "withdrawal_mark"]
    yield from _each(one, [(v,) for v in versions])
    none_too = ["rollback_candidates", "all_good_before", "all_good_after"]
    yield from _each(none_too, [(v,) for v in (None, *versions)])
    pairs = [(v, other) for v in versions for other in versions]
    yield from _each(["is_same_model", "is_older"], pairs)
    yield from _each(["is_same_model"], [(None, None), (1, None), (None, 1)])
    yield from _each(["entry"], [(seq,) for seq in seqs if seq])
    yield from _each(["after", "move_after", "state_at"], [(seq,) for seq in seqs])
    yield from _each(["entries_with"], [(seqs[1::2],), (seqs[:0:-1],)])
    yield from _each(["entries"], [(first, last) for first in seqs[::3] for last in seqs[::2]])
    moments = [each.at + timedelta(seconds=s) for each in entries for s in (-0.5, 0, 0.5)]
    yield from _each(["seq_at", "first_since"], [(moment,) for moment in moments])
    for seq in seqs:
        yield f"until({seq})", partial(_then, seq=seq)


def _each(names: Iterable[str], arguments: Iterable[tuple[Any, ...]]) -> Iterator[Question]:
    for each in arguments:
        for name in names:
            yield f"{name}{each}", partial(_call, name=name, arguments=each)


def _call(history: History, *, name: str, arguments: tuple[Any, ...]) -> object:
    return getattr(history, name)(*arguments)


def _get(history: History, *, name: str) -> object:
    return getattr(history, name)


def _then(history: History, *, seq: int) -> object:
    """What mattered at an earlier moment."""
    then = history.until(seq)
    serving = then.state.serving
    return then.seq, then.last, then.promoted(), list(then.rollback_candidates(serving)), list(then.moves())


def _asked_of_rules(history: History) -> Iterator[Question]:
    """What the rules say that read the history."""
    now = history.last.at if history.last else None
    requests = [
        (to, seen) for to in ("previous", *map(str, _versions(history))) for seen in range(0, history.seq + 1, 3)
    ]
    for to, seen in [*requests, ("previous", history.seq)]:
        request = RollbackRequest("rollback-99", to, "bad", seen)
        for dark in (True, False):
            name = f"to {to} seen at {seen}, dark: {dark}"
            yield f"targets {name}", partial(rollback.targets_of, request=request, dark=dark)
            yield f"step {name}", partial(_first_step, request=request, dark=dark)
    yield "unfinished", rollback.unfinished
    yield "half promoted", run_rules.is_half_promoted
    yield "unconfirmed", reconcile.unconfirmed_move
    yield "stopped promotion", reconcile.stopped_promotion
    yield "candidates", lambda h: (reconcile.candidate_of_run(h), reconcile.candidate_of_rollback(h))
    yield "served", lambda h: list(periods.served(h))
    if now is not None:
        deadline = Deadline(now, 3.0)
        yield "never published", partial(reconcile.never_published, deadline=deadline)
        yield "not passed", deadline.not_passed
        yield "holds", lambda h: [str(hold) for hold in holds.active_holds(h, now=now)]
        for keep in (0, 2):
            limits = RetentionLimits(RetentionPolicy(keep=keep, days=0), now + timedelta(days=1), 1.0)
            found = StoredVersions(frozenset({1, 3}), frozenset({2}), frozenset({4}))
            yield f"plan {keep}", partial(retention.plan, found=found, terms=limits)
            yield f"retire {keep}", partial(retention.retire, found=found, terms=limits)
        yield from _announced(history)
    yield from _by_version(history)


def _first_step(history: History, *, request: RollbackRequest, dark: bool) -> object:
    target = next(rollback.targets_of(history, request, dark=dark))
    return [
        rollback.next_step(history, request=request, target=target, loaded=loaded, dark=dark)
        for loaded in (True, False)
    ]


def _announced(history: History) -> Iterator[Question]:
    last = history.all()[-1].at
    for known in [[], *([entry] for entry in history.all()[::2])]:
        extras = [announcements.extra_of(entry) for entry in known]
        name = f"unannounced after {[entry.seq for entry in known]}"
        yield name, partial(announcements.unannounced, announced=extras, until=last)


def _by_version(history: History) -> Iterator[Question]:
    serving = history.state.serving
    for version in _versions(history):
        yield f"readmit v{version}", partial(readmission.readmit, version=version, reason="good")
        yield f"ended a server as v{version}", partial(readmission.ended_a_server_as, version=version)
        yield f"expose v{version}", partial(run_rules.expose, version=version, compared_with=serving)
        yield f"confirm v{version}", partial(run_rules.confirm, version=version)
        yield f"reissue v{version}", partial(run_rules.reissue, version=version, reason="stuck")
        for run in ("retrain-1", "retrain-99"):
            withdraw = partial(run_rules.withdraw, version=version, run_key=run, reason="bad", verdict=None)
            yield f"withdraw v{version} of {run}", withdraw
    for digest in {each.digest: None for each in history.all()}:
        yield f"admitted {digest}", partial(readmission.require_admitted, digest=digest)
    claim = partial(run_rules.claim, run_key="retrain-99", compared_with=serving, reason="good", verdict=_PASS)
    yield "claim", partial(claim, digest="a" * 64)


def _versions(history: History) -> list[int]:
    return list(range(1, history.state.next_version + 1))
