"""The steps of `make demo` on a running stack: releases, a refusal, damage, roll-backs, under constant traffic."""

import base64
import time

from embedded.demo import allowed_answers
from embedded.demo.damage import Damage
from embedded.demo.ended_server import candidate_that_ends_its_server
from embedded.demo.report import Report, StepResult, print_line
from embedded.demo.retrains import retrain_and_damage, retrain_form
from embedded.demo.rollout_checks import RolloutChecks, checks_for
from embedded.demo.running_stack import RunningStack, connect
from embedded.demo.traffic import Traffic, by_gateway, directly
from embedded.settings import StackSettings
from pipeline.journal.entries import Entry, Event
from pipeline.rules.holds import active_holds
from pipeline.runs.records import GateRecord

# Epochs. Each better candidate exceeds the one before by more than rounding on another machine could change.
FIRST, BETTER, WORSE = 3, (6, 12, 25), 2


def run(settings: StackSettings) -> int:
    """Run all steps and print the table; 0 if each had the expected result, else 1.

    Raises:
        StackError: the stack did not answer, or a run did not end in time.
        SystemExit: the first model was not promoted.
    """
    began = time.monotonic()
    stack, report = connect(settings), Report()
    checks = checks_for(stack)
    _reset(stack)
    report.add(_first_release(stack))
    images = [base64.b64decode(golden.image) for golden in stack.probes(stack.history().state.serving).golden]
    direct = directly(stack.context.replicas.fleet, stack.model, label=stack.context.rollout.placement.label)
    people = Traffic(by_gateway(settings.gateway_url, stack.model), images, rate=20.0)
    with Traffic(direct, images) as traffic, people:
        for epochs in BETTER:
            report.add(_better_candidate(stack, checks, traffic, epochs))
        report.add(_worse_candidate(stack))
        report.add(_damaged_candidate(stack, checks, traffic))
        if stack.first_ring:
            report.add(candidate_that_ends_its_server(stack, checks, traffic, epochs=BETTER[-1]))
        else:
            print_line("the fleet has no first ring, so no candidate that ends its server is exposed")
        reason = "demo: the newest version is suspected"
        report.add(_roll_back(stack, checks, traffic, to="previous", reason=reason))
        reason = "demo: back to the first version"
        report.add(_roll_back(stack, checks, traffic, to=str(stack.first_version()), reason=reason))
    report.add(_lift_hold(stack))
    report.add(_all_requests(stack, checks, traffic, name=checks.guarantee))
    report.add(_all_requests(stack, checks, people, name="the same through the gateway, by HTTP"))
    report.print_table(seconds=time.monotonic() - began)
    return 0 if report.passed else 1


def _reset(stack: RunningStack) -> None:
    """After an earlier demo: lift every hold, and roll back to the first version. On a new stack nothing is done."""
    if active_holds(stack.history(), now=stack.context.clock.now()):
        stack.run("unfreeze", {"model": stack.model, "reason": "demo: start again"})
    serving, first = stack.history().state.serving, stack.first_version()
    if serving not in (None, first):
        print_line(f"v{serving} serves since an earlier demo; rolling back to v{first} to start again")
        stack.run("rollback", _rollback_form(stack, str(first), "demo: start again") | {"hold": "none"})


def _first_release(stack: RunningStack) -> StepResult:
    done = stack.run(stack.retrain_dag, retrain_form(stack, FIRST, "a first model"))
    promoted = done.entry(Event.PROMOTED)
    if promoted is None:
        raise SystemExit(f"the first candidate was not promoted (run {done.state}); see it in Airflow, run {done.id}")
    questioned = _golden_reasons(promoted)
    return StepResult(
        f"v{promoted.version} is trained, gated, published, canaried and serves",
        passed=done.state == "success" and len(questioned) == len(stack.fleet.addresses),
        measured=f"accuracy {stack.accuracy(promoted.version):.3f}, {len(questioned)} replicas questioned, "
        f"{done.seconds:.0f} s from trigger to green",
    )


def _better_candidate(stack: RunningStack, checks: RolloutChecks, traffic: Traffic, epochs: int) -> StepResult:
    before, sent = stack.history().state.serving, traffic.sent
    done = stack.run(stack.retrain_dag, retrain_form(stack, epochs, f"trained for {epochs} epochs"))
    promoted = done.entry(Event.PROMOTED)
    if promoted is None:
        return StepResult(
            f"v? replaces v{before} under load", passed=False, measured=f"run {done.state}, nothing promoted"
        )
    early = allowed_answers.unpromoted(traffic.answers_of(promoted.version), stack.history())
    check = checks.before_promotion(early)
    return StepResult(
        f"v{promoted.version} replaces v{before} under load",
        passed=check.passed and done.state == "success" and not traffic.failures,
        measured=f"accuracy {stack.accuracy(before):.3f} -> {stack.accuracy(promoted.version):.3f} in "
        f"{done.seconds:.0f} s, {traffic.sent - sent} requests meanwhile{check.measured}",
    )


def _worse_candidate(stack: RunningStack) -> StepResult:
    done = stack.run(stack.retrain_dag, retrain_form(stack, WORSE, "trained for too few epochs"))
    tasks = stack.api.task_states(stack.retrain_dag, done.id)
    gate = stack.newest_retrain().find(GateRecord)
    return StepResult(
        "a worse candidate is declined by the gate",
        passed=done.state == "success" and tasks["gate"] == "skipped" and not done.entries,
        measured=gate.verdict.reasons[0] if gate else "the gate left no record",
    )


def _damaged_candidate(stack: RunningStack, checks: RolloutChecks, traffic: Traffic) -> StepResult:
    before = stack.history().state.serving
    note = "will be damaged when exposed"
    done = retrain_and_damage(stack, checks, Damage.WRONG_ANSWERS, epochs=BETTER[-1], note=note)
    exposed, withdrawn = done.entry(Event.EXPOSED), done.entry(Event.WITHDRAWN)
    if exposed is None or withdrawn is None or before is None:
        return StepResult(
            "a damaged candidate is withdrawn", passed=False, measured=f"run {done.state}, nothing withdrawn"
        )
    found = _golden_reasons(withdrawn)
    check = checks.damaged_candidate(traffic, withdrawn=withdrawn, good=before, replicas=len(found))
    return StepResult(
        f"v{withdrawn.version}, damaged after its last verification, is withdrawn {checks.withdrawn_when}",
        passed=check.passed and done.state == "failed" and stack.history().state.serving == before,
        measured=f"run {done.state}; {'; '.join(found) or 'no wrong answers found'}; {check.measured}",
    )


def _roll_back(stack: RunningStack, checks: RolloutChecks, traffic: Traffic, *, to: str, reason: str) -> StepResult:
    left = stack.history().state.serving
    done = stack.run("rollback", _rollback_form(stack, to, reason))
    moved = done.entry(Event.ROLLED_BACK)
    if moved is None or left is None:
        return StepResult(f"roll-back to {to}", passed=False, measured=f"run {done.state}, no roll-back in the journal")
    bound = checks.max_switch_seconds(moved.version)
    time.sleep(bound)  # so that a late answer of the old version is seen
    late = allowed_answers.seconds_after(moved.at, traffic.answers_of(left))
    check = checks.rollback(moved, done.entry(Event.EXPOSED), in_memory=to == "previous")
    return StepResult(
        f"roll-back to {to}: v{left} -> v{moved.version}, by {moved.actor}",
        passed=check.passed and done.state == "success" and late <= bound,
        measured=f"{check.measured}; the last answer of v{left} came {late:.1f} s after the decision, "
        f"replicas poll every {stack.poll_seconds:g} s",
    )


def _lift_hold(stack: RunningStack) -> StepResult:
    """Without this, the next retrain would end skipped instead of undoing the roll-back."""
    holds = active_holds(stack.history(), now=stack.context.clock.now())
    done = stack.run("unfreeze", {"model": stack.model, "reason": "demo: the cause is repaired"})
    return StepResult(
        "the roll-backs hold promotions until a person lifts the hold",
        passed=bool(holds) and done.state == "success" and stack.history().state.held_until is None,
        measured=f"{holds[0] if holds else 'nothing was held'}; lifted in {done.seconds:.0f} s",
    )


def _all_requests(stack: RunningStack, checks: RolloutChecks, traffic: Traffic, *, name: str) -> StepResult:
    history = stack.history()
    disallowed = allowed_answers.disallowed(
        traffic.answers,
        history,
        first_ring=stack.first_ring,
        answering=stack.context.rollout.placement.answering,
        max_switch_seconds=checks.max_switch_seconds,
    )
    unpromoted = checks.unpromoted_answers(allowed_answers.unpromoted(traffic.answers, history))
    counts = ", ".join(f"v{version} {count}" for version, count in traffic.answers_by_version().items())
    measured = f"{traffic.sent} requests, {len(traffic.failures)} failed, {unpromoted}: {counts}"
    if disallowed:
        measured += f"; {len(disallowed)} from versions that should not have answered any more, or not yet"
    return StepResult(
        name,
        passed=traffic.sent > 0 and not traffic.failures and not disallowed,
        measured="; first failure: ".join([measured, *traffic.failures[:1]]),
    )


def _golden_reasons(entry: Entry) -> list[str]:
    """What the verdict says about golden answers: one reason for each replica questioned."""
    return [reason for reason in entry.verdict.reasons if "golden" in reason] if entry.verdict else []


def _rollback_form(stack: RunningStack, to: str, reason: str) -> dict[str, object]:
    return {"model": stack.model, "to": to, "reason": reason}
