"""What the demo checks differently in the two roll-outs: whether users see a candidate, and what a roll-back loads."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from embedded.demo import allowed_answers
from embedded.demo.running_stack import RunningStack
from embedded.demo.traffic import RecordedAnswer, Traffic
from pipeline import layout
from pipeline.errors import DamagedError, MissingError
from pipeline.journal.entries import Entry


@dataclass(frozen=True)
class Check:
    """Whether it was as expected, and the measured values."""

    passed: bool
    measured: str


@dataclass(frozen=True)
class DamagePoint:
    """Read the model in `source`; damage the one in `target` as soon as the file `trigger` exists."""

    source: Path
    target: Path
    trigger: Path


class RolloutChecks(Protocol):
    """The expectations of one roll-out.

    Attributes:
        withdrawn_when: whether the damaged candidate has traffic when it is withdrawn.
        guarantee: what is true of every request of the demo.
    """

    withdrawn_when: str
    guarantee: str

    def damage_point(self, published: Entry) -> DamagePoint:
        """Where and when to damage a candidate so that it passes its last verification and is loaded damaged."""

    def max_switch_seconds(self, version: int) -> float:
        """How many seconds after `version` should answer the version before it may still answer."""

    def damaged_candidate(self, traffic: Traffic, *, withdrawn: Entry, good: int, replicas: int) -> Check:
        """The answers that users got from the damaged candidate.

        Args:
            traffic: all answers.
            withdrawn: the entry that withdraws the candidate.
            good: the version that served before, and serves again.
            replicas: on how many replicas the canary found wrong answers.
        """

    def before_promotion(self, answers: Sequence[RecordedAnswer]) -> Check:
        """The answers of a good candidate before its promotion; `measured` begins with a comma, or is empty."""

    def rollback(self, moved: Entry, exposed: Entry | None, *, in_memory: bool) -> Check:
        """What was loaded for a roll-back.

        Args:
            moved: the entry that moves the traffic.
            exposed: the entry that has the version loaded first, if there is one.
            in_memory: whether the pinned roll-out is expected to have the version in memory already.
        """

    def unpromoted_answers(self, answers: Sequence[RecordedAnswer]) -> str:
        """A summary of all answers from versions that were not promoted at that time."""


class PinnedChecks:
    """The pinned roll-out: a candidate gets no traffic, and the version that served before is in memory."""

    withdrawn_when = "before it gets traffic"
    guarantee = "no request failed, no answer came from an unpromoted version"

    def __init__(self, stack: RunningStack) -> None:
        self._stack = stack

    def damage_point(self, published: Entry) -> DamagePoint:
        # It is verified before the entry that exposes it is written, and loaded after that.
        model = self._stack.model
        folder = self._stack.path(layout.version(model, published.version))
        return DamagePoint(folder, folder, self._stack.path(layout.entry(model, published.seq + 1)))

    def max_switch_seconds(self, version: int) -> float:  # noqa: ARG002 - every target is in memory
        # A poll that has just begun may still read the old config; the next one reads the new config.
        return 2 * self._stack.poll_seconds

    def damaged_candidate(
        self,
        traffic: Traffic,
        *,
        withdrawn: Entry,
        good: int,  # noqa: ARG002 - the candidate has no answers to compare with
        replicas: int,
    ) -> Check:
        answered = len(traffic.answers_of(withdrawn.version))
        # The replicas beyond the first ring never load it.
        on_all = replicas == len(self._stack.first_ring or self._stack.fleet.addresses)
        return Check(on_all and answered == 0, f"{answered} of {traffic.sent} answers from it")

    def before_promotion(self, answers: Sequence[RecordedAnswer]) -> Check:
        return Check(not answers, f", {len(answers)} answered by it before its promotion" if answers else "")

    def rollback(self, moved: Entry, exposed: Entry | None, *, in_memory: bool) -> Check:
        if exposed is None:
            return Check(in_memory, "was in memory, nothing loaded")
        return Check(not in_memory, f"loaded first in {(moved.at - exposed.at).total_seconds():.1f} s")

    def unpromoted_answers(self, answers: Sequence[RecordedAnswer]) -> str:
        return f"{len(answers)} from unpromoted versions"


class LatestChecks:
    """The latest roll-out: a candidate gets traffic while the canary runs, and a roll-back loads its target."""

    withdrawn_when = "while it gets traffic"
    guarantee = "no request failed, and no withdrawn version answered longer than its removal takes"

    def __init__(self, stack: RunningStack) -> None:
        self._stack = stack

    def damage_point(self, published: Entry) -> DamagePoint:
        # The copy for the servers is verified before its folder appears, and the servers poll only once a second. The
        # archive that it is copied from stays undamaged.
        model, version = self._stack.model, published.version
        folder = layout.first_ring_version if self._stack.first_ring else layout.version
        target = self._stack.path(folder(model, version))
        return DamagePoint(self._stack.path(layout.published(model, version)), target, target / "saved_model.pb")

    def max_switch_seconds(self, version: int) -> float:
        # Two polls as in the pinned roll-out, then the load: as long as the canary saw it take, on the same machine
        # and beside the same work.
        return 2 * self._stack.poll_seconds + self._stack.load_seconds(version)

    def damaged_candidate(self, traffic: Traffic, *, withdrawn: Entry, good: int, replicas: int) -> Check:
        bad = withdrawn.version
        answers = traffic.answers_of(bad)
        wrong = traffic.differing_answers(bad, good)
        late = allowed_answers.seconds_after(withdrawn.at, answers)
        # The canary stops at the first replica with wrong answers, to withdraw the candidate sooner.
        found = replicas >= 1 and wrong == len(answers)
        ring = self._stack.first_ring
        where = f", {sum(each.address in ring for each in answers)} of them in the first ring" if ring else ""
        return Check(
            found and late <= self.max_switch_seconds(good) and self._archive_is_undamaged(bad),
            f"users saw it for {allowed_answers.duration_seconds(answers):.1f} s: {len(answers)} of {traffic.sent} "
            f"answers{where}, {wrong} of them wrong, the last one {late:.1f} s after it was withdrawn",
        )

    def before_promotion(self, answers: Sequence[RecordedAnswer]) -> Check:
        return Check(passed=True, measured=f", {len(answers)} answered by it before its promotion")

    def rollback(
        self,
        moved: Entry,
        exposed: Entry | None,
        *,
        in_memory: bool,  # noqa: ARG002 - only the version that serves is in memory
    ) -> Check:
        return Check(exposed is None, f"v{moved.version} is loaded first")

    def unpromoted_answers(self, answers: Sequence[RecordedAnswer]) -> str:
        parts = []
        for version in sorted({answer.version for answer in answers}):
            of_version = [answer for answer in answers if answer.version == version]
            when = "before its promotion" if self._stack.history().has_served(version) else "withdrawn"
            seconds = allowed_answers.duration_seconds(of_version)
            parts.append(f"v{version} {when} {len(of_version)} in {seconds:.1f} s")
        return f"{len(answers)} from versions not promoted yet, or never ({'; '.join(parts) or 'none'})"

    def _archive_is_undamaged(self, version: int) -> bool:
        try:
            self._stack.context.manifests.verify(version, self._stack.history())
        except (DamagedError, MissingError):
            return False
        return True


def checks_for(stack: RunningStack) -> RolloutChecks:
    """The checks of the roll-out that the stack has."""
    return PinnedChecks(stack) if stack.context.rollout.placement.name == "pinned" else LatestChecks(stack)
