"""How a candidate is proven, and how traffic goes back: what verbs use of a roll-out, without knowing which it is."""

from collections.abc import Iterator
from typing import NoReturn, Protocol

from pipeline.journal.history import History, Rule
from pipeline.rollout.questioning import Judged, Questioning
from pipeline.rollout.rings import ExposeEverywhere
from pipeline.rollout.wait_result import WaitResult
from pipeline.rules.rollback import RollbackRequest
from pipeline.runs.run_records import RunRecords


class Strategy(Protocol):
    """One of the two roll-outs, as the verbs use it: `Pinned` or `Latest`."""

    def prove(
        self, questioning: Questioning, *, expose: Rule, expose_everywhere: ExposeEverywhere, records: RunRecords
    ) -> Judged:
        """Expose the candidate of the probes, wait until replicas have loaded it, question each one, and judge.

        If the fleet has a first ring, all of this happens there first (`pipeline.rollout.rings`).

        Args:
            questioning: asks the probes.
            expose: the rule that makes the version the candidate.
            expose_everywhere: the rule that exposes it beyond the first ring.
            records: the records of the run, for what a repeated run must know again.

        Raises:
            BadInputError: a replica serves another model.
            CouldNotTellError: the baseline or a way back is missing. Nothing was exposed.
            DeclinedError: a rule declines.
            FailedError: the serving version answers otherwise than approved. Nothing was exposed.
        """

    def require_own_fleet(self) -> None:
        """Check, before a roll-back begins, that configs would not be sent to another model's fleet.

        Raises:
            BadInputError: every replica that answers serves another model.
        """

    def targets(self, history: History, request: RollbackRequest) -> Iterator[int]:
        """The versions that a roll-back may return to, the preferred one first; raises as `targets_of` of the rules."""

    def go_back(self, request: RollbackRequest, target: int) -> None:
        """Write entries, and make the bucket agree with each, until the journal says that `target` serves.

        Replicas may not have followed yet when this returns; see `follow`.

        Raises:
            BadInputError: the target was retired after it was chosen.
            DeclinedError: another command changed this model meanwhile.
            FailedError: no replica can load the target. The version that served still serves.
        """

    def forecast(self, target: int, *, load_seconds: float) -> str:
        """A sentence for a person: what must happen until every replica answers from `target`, and how long it takes.

        `load_seconds` is how long a load is expected to take.
        """

    def follow(self, version: int) -> tuple[int, WaitResult]:
        """Wait until traffic gets `version` on every replica that answers, and repair those that cannot follow.

        Returns:
            The number under which the model serves in the end, and how the wait ended.
        """

    def renumber(self, version: int, result: WaitResult) -> int | None:
        """Give the model of `version` a new number, if that helps replicas that answer and have not followed.

        Args:
            version: the serving version.
            result: how the wait for it ended.

        Returns:
            The new number; None if it has none.
        """

    def move_without_bucket(self, to: str) -> NoReturn:
        """Move traffic to an older version that replicas have in memory. The bucket is neither read nor written.

        Raises:
            BadInputError: that is not possible.
            CouldNotTellError: in every other case, because the move is not recorded; says what each replica answers.
        """
