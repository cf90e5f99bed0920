"""How a candidate is proven, and how traffic goes back: the part of a roll-out that a verb needs not know."""

from typing import NoReturn, Protocol

from pipeline.journal.history import History, Rule
from pipeline.rollout.questioning import Judged, Questioning
from pipeline.rollout.waiting import WaitResult
from pipeline.rules.rollback import RollbackRequest
from pipeline.runs.run_records import RunRecords


class Strategy(Protocol):
    """One of the two roll-outs, as the verbs use it: `Pinned` or `Latest`."""

    def prove(self, questioning: Questioning, *, expose: Rule, records: RunRecords) -> Judged:
        """Expose the candidate that the probes are about, wait until replicas have loaded it, question each, judge.

        Args:
            questioning: has the probes, and asks them.
            expose: the rule that gives the version its seat as the candidate.
            records: those of the run, for what must be known again if it is repeated.

        Raises:
            BadInputError: a replica serves another model.
            CouldNotTellError: something is missing without which nothing may be exposed, and nothing was.
            DeclinedError: the rule declines.
            FailedError: what serves answers otherwise than approved, and nothing was exposed.
        """

    def require_own_fleet(self) -> None:
        """Ask, before a roll-back begins, whether any replica can be of this fleet, if configs are handed to them.

        Raises:
            BadInputError: every one that answers serves another model.
        """

    def targets(self, history: History, request: RollbackRequest) -> list[int]:
        """The versions that a roll-back may be about, the best first; raises as `rollback_rules.targets_of`."""

    def go_back(self, request: RollbackRequest, target: int) -> None:
        """Write and carry out one entry after another until traffic is to be answered from `target`.

        Raises:
            BadInputError: the target was retired since it was chosen.
            DeclinedError: another decision was taken meanwhile.
            FailedError: no replica can load the target; what served still serves.
        """

    def forecast(self, target: int, *, load_seconds: float) -> str:
        """What has to happen until every replica answers from `target`, and how long that takes, for a person.

        `load_seconds` is how long a load is taken to last.
        """

    def follow(self, version: int) -> tuple[int, WaitResult]:
        """Wait until traffic gets `version` wherever a replica gives an answer, and help those that cannot follow.

        Returns:
            The number that its model serves under in the end, and how the wait ended.
        """

    def renumber(self, version: int, result: WaitResult) -> int | None:
        """Give the model of `version` a new number, if that helps replicas that answered and have not followed.

        Returns:
            The number that it serves under now; None where it has no new one.
        """

    def move_without_bucket(self, to: str) -> NoReturn:
        """Point traffic at an older version that replicas have in memory; the bucket is neither asked nor touched.

        Raises:
            BadInputError: that is not possible.
            CouldNotTellError: in every other case, because nothing of it is recorded; says what each replica answers.
        """
