"""How a wait for replicas ended: which of them are ready, and why the others are not."""

from dataclasses import dataclass

from pipeline.journal.state import State
from pipeline.verdicts.verdict import Decision, Verdict
from serving.replica import VersionStatus

OVERTAKEN = "another command changed this model meanwhile, so this one stopped"

# A message names at most so many replicas.
_NAMED = 20


@dataclass(frozen=True)
class ReplicaState:
    """The state of one replica with regard to a goal.

    Attributes:
        address: `host:port`, or `the fleet` if replicas are missing, or which ones exist is unknown.
        ready: whether it has reached the goal.
        message: what it answered, or why it did not answer.
        failed: it cannot reach the goal, and does not try again.
        silent: it gave no answer.
        seen: the versions that it has seen since it started; None if it was not asked.
    """

    address: str
    ready: bool
    message: str
    failed: bool = False
    silent: bool = False
    seen: frozenset[int] | None = None


@dataclass(frozen=True)
class WaitResult:
    """How a wait ended.

    Attributes:
        ready: the addresses of the replicas that have reached the goal.
        pending: all others.
        overtaken: the journal has a newer decision, and does not want the goal any more.
        undiscovered: which replicas exist could not be found out. Then those that were known last were asked.
    """

    ready: tuple[str, ...]
    pending: tuple[ReplicaState, ...]
    overtaken: bool = False
    undiscovered: bool = False

    @property
    def complete(self) -> bool:
        """Whether every replica is ready and the journal still wants the goal."""
        return not self.pending and not self.overtaken

    def verdict(self) -> Verdict:
        """PASS if all are ready; FAIL if a pending replica answered; else UNKNOWN. UNKNOWN too if overtaken."""
        if self.overtaken:
            return Verdict(decision=Decision.UNKNOWN, reasons=(OVERTAKEN,))
        if not self.pending:
            return Verdict(decision=Decision.PASS, reasons=self.ready)
        decision = Decision.UNKNOWN if all(state.silent for state in self.pending) else Decision.FAIL
        return Verdict(decision=decision, reasons=self._problems)

    def __str__(self) -> str:
        return "; ".join(self._problems) or ", ".join(self.ready)

    @property
    def _problems(self) -> tuple[str, ...]:
        named = tuple(f"{each.address}: {each.message}" for each in self.pending[:_NAMED])
        more = len(self.pending) - len(named)
        return (*named, f"and {more} more replicas") if more else named


def overtaken(state: State) -> str:
    """A message for a command whose goal the journal does not want any more."""
    return f"{OVERTAKEN}. State now: {state}. Check `understudy status --model <model>`"


def described(version: int, status: VersionStatus) -> str:
    """What a replica says of a version, as text for a message."""
    return f"v{version} {status.state}" + (f": {status.error}" if status.error else "")
