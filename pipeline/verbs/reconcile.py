"""Finish what a crash left half done, then make replicas and MLflow agree with the journal.

For a person and for a timer: it may run at any time, as often as one likes, beside any verb and beside itself. Every
change is a rule of `pipeline.rules.reconcile` or of the verb that was cut off, asked again by the journal.

A number that was claimed and never published is left alone, also where its files are complete: whether they are what
was approved is for `publish` of its own run to say, and an unused number does no harm.
"""

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from pipeline.commands import with_model
from pipeline.context import RunContext
from pipeline.errors import (
    CouldNotTellError,
    DamagedError,
    DeclinedError,
    FailedError,
    MissingError,
    StorageError,
)
from pipeline.inspection.differences import roles
from pipeline.inspection.known_models import nothing_released, require_known
from pipeline.journal.entries import Entry, Event
from pipeline.journal.history import History
from pipeline.rollout.wait_result import WaitResult
from pipeline.rules import reconcile as reconcile_rules
from pipeline.rules.reconcile import Deadline
from pipeline.runs.records import CanaryRecord
from pipeline.runs.run_records import RunRecords
from pipeline.tracking.aliases import read_aliases, wanted_aliases
from pipeline.tracking.owner import find_owner
from pipeline.verbs.withdraw import withdraw_run

log = logging.getLogger(__name__)


@dataclass
class Repairs:
    """What was done, what was left to those who are at work on it, and what could not be repaired; a line for each."""

    repaired: list[str] = field(default_factory=list)
    left: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    def summary(self) -> dict[str, Any]:
        return {"repaired": self.repaired, "left": self.left}

    def naming(self, model: str) -> "Repairs":
        """The same with the name of the model in the commands of every line."""
        named = ([with_model(line, model) for line in lines] for lines in (self.repaired, self.left, self.problems))
        return Repairs(*named)

    def require_complete(self) -> None:
        """Ask whether everything is repaired now.

        Raises:
            CouldNotTellError: names what is not.
        """
        if self.problems:
            raise CouldNotTellError("; ".join(self.problems))

    @contextmanager
    def continuing(self) -> Iterator[None]:
        """Whatever becomes of one step, the others are taken."""
        try:
            yield
        except DeclinedError as error:
            self.left.append(f"another command changed this model meanwhile, so this step stopped: {error}")
        except (CouldNotTellError, FailedError, DamagedError) as error:
            self.problems.append(str(error))


def reconcile(context: RunContext) -> Repairs:
    """Repair what can be repaired; a second run finds nothing to do.

    Raises:
        BadInputError: there is no such model, or a replica serves another one; nothing was changed.
        StorageError: the bucket does not answer; what is in the journal by then is done by the next verb.
    """
    repairs = Repairs()
    before = context.journal.read()
    if not before.seq:
        require_known(context)
        context.rollout.settle()  # nothing was released, or all entries are lost: then the config says so
        repairs.left.append(nothing_released(context))
    else:
        context.replicas.require_own_fleet()
        _settle(context, repairs)
        for step in (_release_target, _withdraw_unproven, _follow):
            with repairs.continuing():
                step(context, repairs)
        repairs.repaired += [
            _described(entry) for entry in context.journal.read().after(before.seq) if entry.run_key == context.run_key
        ]
        _mirror(context, repairs)
    repairs = repairs.naming(context.model)
    for line in (*repairs.repaired, *repairs.left) or ("nothing to repair",):
        log.info("%s", line)
    return repairs


def _settle(context: RunContext, repairs: Repairs) -> None:
    before = context.rollout.configs()
    history = context.rollout.settle()
    repairs.repaired += [
        f"{key} was written from journal entry {history.seq}"
        for key, text in context.rollout.configs().items()
        if before[key] != text
    ]


def _release_target(context: RunContext, repairs: Repairs) -> None:
    """A roll-back that never moved the label keeps its target no longer."""
    rule = partial(reconcile_rules.release_target, deadline=_deadline(context))
    entry = reconcile_rules.candidate_of_rollback(context.journal.decide(rule))
    context.rollout.settle()
    if entry:
        repairs.left.append(f"{entry.actor} is rolling back to v{entry.version} since {entry.at:%H:%M:%S} UTC")


def _withdraw_unproven(context: RunContext, repairs: Repairs) -> None:
    """Withdraw a candidate whose run has stopped."""
    exposed = reconcile_rules.candidate_of_run(context.journal.read())
    if exposed is None:
        return
    records = RunRecords(context.bucket, context.model, exposed.run_key)
    passed = records.find(CanaryRecord)
    proven = passed is not None and passed.outcome == "done"
    rule = partial(
        reconcile_rules.withdraw_unproven,
        version=exposed.version,
        proven=proven,
        verdict=records.last_attempt(of="promote" if passed else None),
        deadline=_deadline(context),
    )
    history = context.journal.decide(rule)
    context.rollout.settle()
    if history.state.candidate == exposed.version:
        done = "has tested" if proven else "is testing"
        where = " in the first ring" if history.state.first_ring_only else ""
        repairs.left.append(f"{exposed.run_key} {done} v{exposed.version}{where}, exposed at {exposed.at:%H:%M:%S} UTC")
        return
    gone = context.wait.gone(exposed.version)
    if gone.pending:
        raise CouldNotTellError(f"v{exposed.version} is not the candidate any more. Not confirmed by {gone}")


def _follow(context: RunContext, repairs: Repairs) -> None:
    """Every replica answers from what serves, and the journal says so; else a promotion that stopped is taken back."""
    history = context.rollout.settle()
    serving = history.state.serving
    if serving is None or context.rollout.placement.answering(history.state, first_ring=True) != serving:
        return  # nothing to follow, or a candidate that is being proven has the traffic of some replicas meanwhile
    found = context.replicas.look(context.replicas.addresses())
    late = {each.address for each in found if each.serving != serving}
    _require_files(context, serving, history)
    serving, result = context.strategy.follow(serving)
    history = context.journal.read()
    if result.overtaken:
        raise DeclinedError(str(context.journal.read().state))
    repairs.repaired += [f"{address} answers from v{serving} now" for address in result.ready if address in late]
    move, stopped = reconcile_rules.unconfirmed_move(history), reconcile_rules.stopped_promotion(history)
    if move and stopped:
        _end_promotion(context, repairs, move, stopped, result)
    elif not result.complete:
        raise CouldNotTellError(
            f"v{serving} should serve on every replica. Not followed: {result}. Check these replicas, then run "
            f"`understudy reconcile --model {context.model}` again"
        )
    elif move:
        _confirm(context, move)


def _require_files(context: RunContext, serving: int, history: History) -> None:
    """No replica can be healed towards a version that is not there."""
    try:
        context.manifests.verify_checksums(serving, history)
    except (DamagedError, MissingError) as error:
        raise FailedError(
            f"v{serving} serves, and its files are damaged: {error}. A replica that restarts cannot load it. Restore "
            f"the files, or run `understudy rollback --model {context.model} --to previous --reason damaged`"
        ) from error


def _end_promotion(context: RunContext, repairs: Repairs, move: Entry, run_key: str, result: WaitResult) -> None:
    """Confirm it where every replica has followed; take it back where that was begun, or where its run is gone."""
    if result.complete and move.event is Event.PROMOTED:
        _confirm(context, move)
    elif result.complete or _deadline(context).has_passed(move):
        withdraw_run(context, run_key)
    else:
        repairs.left.append(f"{run_key} is promoting since {move.at:%H:%M:%S} UTC. Not followed: {result}")


def _confirm(context: RunContext, move: Entry) -> None:
    finish = partial(reconcile_rules.finish_move, move=move)
    context.journal.decide(finish)  # what it left is let go
    context.journal.decide(finish)  # and it is confirmed
    context.rollout.settle()


def _mirror(context: RunContext, repairs: Repairs) -> None:
    """Repair MLflow. Unlike in the verbs of a release, a failure counts."""
    history = context.rollout.settle()
    try:
        before, wanted = _aliases(context, history), wanted_aliases(history)
    except StorageError as error:
        repairs.problems.append(f"the MLflow aliases of this bucket cannot be checked: {error}")
        return
    problems = context.observers.notify(history, again=True)
    now = _aliases(context, history)
    if problems:
        repairs.problems += problems
    elif now != wanted:
        repairs.problems.append(
            f"MLflow's aliases say {roles(now or {})}, and the journal says {roles(wanted)}. Read the log of MLflow"
        )
    elif before != now:
        repairs.repaired.append(f"MLflow's aliases say {roles(now or {})} now")


def _aliases(context: RunContext, history: History) -> Mapping[str, int] | None:
    owner = find_owner(context.bucket, context.model, history)
    found = read_aliases(context.mlflow, model=context.model, owner=owner)
    return found.aliases if found else None


def _deadline(context: RunContext) -> Deadline:
    return Deadline(context.clock.now(), context.fleet.abandoned_seconds)


def _described(entry: Entry) -> str:
    return f"journal entry {entry.seq}: {entry.description}: {entry.reason}"
