"""The step of the demo in which a candidate ends the server that loads it: only the one in the first ring does."""

import time
from datetime import UTC, datetime

from embedded.demo.damage import Damage
from embedded.demo.report import StepResult
from embedded.demo.retrains import retrain_and_damage
from embedded.demo.rollout_checks import RolloutChecks
from embedded.demo.running_stack import RunningStack
from embedded.demo.traffic import Traffic
from embedded.supervision import supervisor
from embedded.supervision.process_states import ProcessState
from pipeline.journal.entries import Entry, Event

# From the end of the server until the candidate is taken back.
_RETREAT_SECONDS = 10.0
# Until the server that was started again answers: a start takes some seconds on a busy machine.
_BACK_SECONDS = 60.0
_MAX_ENDS = 2


class EndedServer:
    """What became of the servers while a candidate was exposed that ends the process that loads it."""

    def __init__(self, stack: RunningStack, serving: int | None) -> None:
        """Note how often each server has ended so far. `serving` should answer before and after."""
        self._stack = stack
        self._serving = serving
        self._before = _states(stack)
        self.seconds_to_return: float | None = None

    def watch(self) -> None:
        """Wait until a server of the first ring has ended, and until all replicas answer from the serving version."""
        end = time.monotonic() + _BACK_SECONDS
        while time.monotonic() < end:
            last = self.last()
            if last is not None and last.ended is not None and self._all_answer():
                self.seconds_to_return = (datetime.now(UTC) - last.ended).total_seconds()
                return
            time.sleep(0.2)

    def last(self) -> ProcessState | None:
        """The server of the first ring that has ended last; None if none has."""
        ended = [state for state in self._of(first_ring=True) if self._ends_of(state)]
        return max(ended, key=lambda state: str(state.ended), default=None)

    def ends(self, *, first_ring: bool) -> int:
        """How many server processes have ended in the first ring, or elsewhere."""
        return sum(self._ends_of(state) for state in self._of(first_ring=first_ring))

    def _of(self, *, first_ring: bool) -> list[ProcessState]:
        now, ring = _states(self._stack), self._stack.first_ring
        return [state for address, state in now.items() if (address in ring) == first_ring]

    def _ends_of(self, state: ProcessState) -> int:
        return state.ends - next((each.ends for each in self._before.values() if each.name == state.name), 0)

    def _all_answer(self) -> bool:
        found = self._stack.context.replicas.look(self._stack.fleet.addresses)
        return all(each.serving == self._serving for each in found)


def candidate_that_ends_its_server(
    stack: RunningStack, checks: RolloutChecks, traffic: Traffic, *, epochs: int
) -> StepResult:
    """A candidate that every check has approved, and that ends the process of each server that loads it."""
    serving, sent, failed = stack.history().state.serving, traffic.sent, len(traffic.failures)
    server = EndedServer(stack, serving)
    note = "will end the server that loads it"
    done = retrain_and_damage(stack, checks, Damage.ENDS_ITS_SERVER, epochs=epochs, note=note, watch=server.watch)
    exposed, declined, last = done.entry(Event.EXPOSED), done.entry(Event.DECLINED), server.last()
    if exposed is None or declined is None or last is None or last.ended is None:
        return StepResult(
            "a candidate that ends its server is taken back",
            passed=False,
            measured=f"run {done.state}, {'no server has ended' if last is None else 'nothing was declined'}",
        )
    bad, ends, others = declined.version, server.ends(first_ring=True), server.ends(first_ring=False)
    # The supervisor notices an end a moment later than the canary.
    retreat = max((declined.at - last.ended).total_seconds(), 0.0)
    elsewhere, failures = _loaded_elsewhere(stack, bad), len(traffic.failures) - failed
    return StepResult(
        f"v{bad} ends the server that loads it: only the first ring does, and users notice nothing",
        passed=1 <= ends <= _MAX_ENDS
        and retreat <= _RETREAT_SECONDS
        and server.seconds_to_return is not None
        and not (others or elsewhere or failures or traffic.answers_of(bad))
        and done.state == "success"
        and stack.history().state.serving == serving,
        measured=f"run {done.state}; in the first ring a server ended {_times(ends)} ({last.last_end}), elsewhere "
        f"{_times(others)}; v{bad} was taken back {retreat:.1f} s after that, {_seconds(exposed, declined):.1f} s "
        f"after it was exposed; {_loaded(elsewhere)}; {traffic.sent - sent} requests meanwhile, {failures} failed; "
        f"{_returned(server.seconds_to_return)}",
    )


def _states(stack: RunningStack) -> dict[str, ProcessState]:
    """The process of each replica, by its address."""
    found = supervisor.states(stack.settings)
    pairs = zip(stack.fleet.processes, stack.fleet.addresses, strict=True)
    return {address: found[process] for process, address in pairs if process in found}


def _loaded_elsewhere(stack: RunningStack, version: int) -> list[str]:
    """The replicas beyond the first ring that have loaded it, or give no answer: a server lists all since its start."""
    others = [address for address in stack.fleet.addresses if address not in stack.first_ring]
    found = stack.context.replicas.look(others)
    return [each.address for each in found if each.problem or version in {seen.version for seen in each.versions}]


def _times(ends: int) -> str:
    return {0: "never", 1: "once"}.get(ends, f"{ends} times")


def _seconds(first: Entry, last: Entry) -> float:
    return (last.at - first.at).total_seconds()


def _loaded(elsewhere: list[str]) -> str:
    return f"loaded by {', '.join(elsewhere)} too" if elsewhere else "no other replica has loaded it"


def _returned(seconds: float | None) -> str:
    return "not all replicas answer again" if seconds is None else f"all replicas answer again after {seconds:.1f} s"
