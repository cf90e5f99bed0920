"""The step of the demo in which a candidate ends the server that loads it: only the one in the first ring does."""

import time
from dataclasses import dataclass
from datetime import UTC, datetime

from embedded.demo.damage import Damage
from embedded.demo.report import StepResult
from embedded.demo.retrains import retrain_and_damage
from embedded.demo.rollout_checks import RolloutChecks
from embedded.demo.running_stack import RunningStack
from embedded.demo.traffic import Traffic
from embedded.supervision import supervisor
from embedded.supervision.process_states import ProcessState
from pipeline.journal.entries import Event

# From the end of the server until the candidate is taken back.
_RETREAT_SECONDS = 10.0
# Until the server that was started again answers: a start takes some seconds on a busy machine.
_BACK_SECONDS = 60.0
_MAX_RESTARTS = 2


@dataclass(frozen=True)
class Restarts:
    """How often servers have ended during the step, in the first ring and elsewhere, and how and when the last one did.

    `last` is None if none of the first ring has.
    """

    first_ring: int
    others: int
    last: ProcessState | None

    @property
    def as_expected(self) -> bool:
        return 1 <= self.first_ring <= _MAX_RESTARTS and self.others == 0

    def __str__(self) -> str:
        times = "once" if self.first_ring == 1 else f"{self.first_ring} times"
        how = f": {self.last.last_end}" if self.last else ""
        return f"the server of the first ring ended {times}{how}, the others {self.others} times"


def candidate_that_ends_its_server(
    stack: RunningStack, checks: RolloutChecks, traffic: Traffic, *, epochs: int
) -> StepResult:
    """A candidate that every check has approved, and that ends the process of the first server that loads it."""
    serving, sent, failed, before = stack.history().state.serving, traffic.sent, len(traffic.failures), _states(stack)
    note = "will end the server that loads it"
    done = retrain_and_damage(stack, checks, Damage.ENDS_ITS_SERVER, epochs=epochs, note=note)
    restarts = _restarts(stack, before)
    declined = done.entry(Event.DECLINED)
    if declined is None or restarts.last is None or restarts.last.ended is None or serving is None:
        return StepResult(
            "a candidate that ends its server is taken back",
            passed=False,
            measured=f"run {done.state}, nothing declined; {restarts}",
        )
    bad, ended = declined.version, restarts.last.ended
    back = _seconds_until_all_answer(stack, serving, since=ended)
    retreat = (declined.at - ended).total_seconds()
    elsewhere = _loaded_elsewhere(stack, bad)
    failures = len(traffic.failures) - failed
    answers = len(traffic.answers_of(bad))
    return StepResult(
        f"v{bad} ends the server that loads it, is taken back from the first ring, and users notice nothing",
        passed=restarts.as_expected
        and retreat <= _RETREAT_SECONDS
        and back is not None
        and not (elsewhere or failures or answers)
        and done.state == "success"
        and stack.history().state.serving == serving,
        measured=f"run {done.state}; {restarts}; v{bad} was taken back {retreat:.1f} s after that, and "
        f"{'the other replicas never loaded it' if not elsewhere else f'{elsewhere} had loaded it'}; "
        f"{traffic.sent - sent} requests meanwhile, {failures} failed, {answers} answered by it; "
        f"{'not every replica answers' if back is None else f'both replicas answer again after {back:.1f} s'}",
    )


def _states(stack: RunningStack) -> dict[str, ProcessState]:
    """The process of each replica, by its address."""
    found = supervisor.states(stack.settings)
    return {
        address: found[process]
        for process, address in zip(stack.fleet.processes, stack.fleet.addresses, strict=True)
        if process in found
    }


def _restarts(stack: RunningStack, before: dict[str, ProcessState]) -> Restarts:
    now = _states(stack)
    ends = {address: now[address].ends - before[address].ends for address in now.keys() & before.keys()}
    inside = [address for address in ends if address in stack.first_ring]
    last = max((now[address] for address in inside if ends[address]), key=lambda each: str(each.ended), default=None)
    ring = sum(ends[address] for address in inside)
    return Restarts(ring, sum(ends.values()) - ring, last)


def _loaded_elsewhere(stack: RunningStack, version: int) -> list[str]:
    """The replicas beyond the first ring that have loaded it: a server lists all versions since its start."""
    others = [address for address in stack.fleet.addresses if address not in stack.first_ring]
    found = stack.context.replicas.look(others)
    return [each.address for each in found if each.problem or version in {seen.version for seen in each.versions}]


def _seconds_until_all_answer(stack: RunningStack, version: int, *, since: datetime) -> float | None:
    """When all replicas answer from this version, in seconds after a moment; None if they do not."""
    end = time.monotonic() + _BACK_SECONDS
    while time.monotonic() < end:
        found = stack.context.replicas.look(stack.fleet.addresses)
        if all(each.serving == version for each in found):
            return (datetime.now(UTC) - since).total_seconds()
        time.sleep(0.2)
    return None
