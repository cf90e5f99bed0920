"""In what the demo's story differs between the roll-outs: whether users meet a candidate, and what going back takes."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from embedded import promises
from embedded.stage import Stage
from embedded.traffic import Answered, Traffic
from pipeline import layout
from pipeline.errors import DamagedError, MissingError
from pipeline.journal.entries import Entry


@dataclass(frozen=True)
class Told:
    """Whether it was as it must be, and what was measured."""

    held: bool
    told: str


@dataclass(frozen=True)
class Damage:
    """Which model is damaged, in which folder, as soon as which file is there."""

    folder: Path
    where: Path
    when: Path


class Story(Protocol):
    """One roll-out, in the words of the story.

    Attributes:
        caught: how the damaged candidate is caught.
        promise: what holds for every request of the story.
    """

    caught: str
    promise: str

    def damage(self, published: Entry) -> Damage:
        """Where a hand must come in so that the candidate passes its last check and is loaded damaged."""

    def lag(self, version: int) -> float:
        """How many seconds, once `version` should answer, the one before may go on: the bound of what users may see."""

    def met(self, traffic: Traffic, *, bad: Entry, good: int, caught: int) -> Told:
        """What users got from the damaged candidate, `caught` on so many replicas.

        Args:
            traffic: what they got.
            bad: the entry that withdraws it.
            good: the version that served before, and again.
            caught: on how many replicas its answers were found to be wrong.
        """

    def early(self, answers: Sequence[Answered]) -> Told:
        """Of a good candidate, the answers before its promotion."""

    def went_back(self, moved: Entry, loaded: Entry | None, *, resident: bool) -> Told:
        """What had to be done for a roll-back; `resident` where the pinned roll-out has its target in memory."""

    def overall(self, unproven: Sequence[Answered]) -> str:
        """Of all answers, those from versions that were not promoted, or not yet."""


class PinnedStory:
    """The pinned roll-out: nobody meets a candidate, and what served before is in memory."""

    caught = "caught dark"
    promise = "no request failed, no answer came from an unpromoted version"

    def __init__(self, stage: Stage) -> None:
        self._stage = stage

    def damage(self, published: Entry) -> Damage:
        # Before it is exposed it is read back, and would be refused; after the entry that exposes it, it is loaded.
        model = self._stage.settings.model
        folder = self._stage.path(layout.version(model, published.version))
        return Damage(folder, folder, self._stage.path(layout.entry(model, published.seq + 1)))

    def lag(self, version: int) -> float:  # noqa: ARG002 - whichever it is, it is in memory
        # A poll that has just begun reads the old config once more: two periods bound what users may see.
        return 2 * self._stage.poll_seconds

    def met(self, traffic: Traffic, *, bad: Entry, good: int, caught: int) -> Told:  # noqa: ARG002 - nobody met it
        answered = len(traffic.of(bad.version))
        everywhere = caught == len(self._stage.settings.replicas)
        return Told(everywhere and answered == 0, f"{answered} of {traffic.sent} answers from it")

    def early(self, answers: Sequence[Answered]) -> Told:
        return Told(not answers, f", {len(answers)} answered by it before its promotion" if answers else "")

    def went_back(self, moved: Entry, loaded: Entry | None, *, resident: bool) -> Told:
        if loaded is None:
            return Told(resident, "was in memory, nothing loaded")
        return Told(not resident, f"loaded first in {(moved.at - loaded.at).total_seconds():.1f} s")

    def overall(self, unproven: Sequence[Answered]) -> str:
        return f"{len(unproven)} from unpromoted versions"


class LatestStory:
    """The latest roll-out: users meet a candidate while it is proven, and whatever answers next is loaded first."""

    caught = "caught in traffic"
    promise = "no request failed, and nobody answered longer than it takes to go"

    def __init__(self, stage: Stage) -> None:
        self._stage = stage

    def damage(self, published: Entry) -> Damage:
        # The copy that servers see is checked before it appears, and they look at most once in a poll; the archive
        # that it is made from stays as it is.
        model, version = self._stage.settings.model, published.version
        where = self._stage.path(layout.version(model, version))
        return Damage(self._stage.path(layout.published(model, version)), where, where / "saved_model.pb")

    def lag(self, version: int) -> float:
        # A look at the storage that has just begun and the next one, as in the pinned roll-out, and the load: as long
        # as it took when the version was proven, which was on the same machine and beside the same work.
        return 2 * self._stage.poll_seconds + self._stage.load_seconds(version)

    def met(self, traffic: Traffic, *, bad: Entry, good: int, caught: int) -> Told:
        answers = traffic.of(bad.version)
        wrong, late = traffic.differing(bad.version, good), promises.seconds_after(bad.at, answers)
        # One replica is enough to know, so that users see it no longer than they must.
        held = caught >= 1 and wrong == len(answers) and late <= self.lag(good) and self._archive_is_good(bad.version)
        return Told(
            held,
            f"users saw it for {promises.seconds(answers):.1f} s: {len(answers)} of {traffic.sent} answers, {wrong} of "
            f"them wrong, the last one {late:.1f} s after it was withdrawn",
        )

    def early(self, answers: Sequence[Answered]) -> Told:
        return Told(held=True, told=f", {len(answers)} answered by it while it was proven")

    def went_back(self, moved: Entry, loaded: Entry | None, *, resident: bool) -> Told:  # noqa: ARG002 - nothing is
        return Told(loaded is None, f"v{moved.version} is loaded first")

    def overall(self, unproven: Sequence[Answered]) -> str:
        told = []
        for version in sorted({answer.version for answer in unproven}):
            answers = [answer for answer in unproven if answer.version == version]
            promoted = self._stage.history().has_served(version)
            what = "while it was proven" if promoted else "withdrawn"
            told.append(f"v{version} {what} {len(answers)} in {promises.seconds(answers):.1f} s")
        return f"{len(unproven)} from versions not promoted yet, or never ({'; '.join(told) or 'none'})"

    def _archive_is_good(self, version: int) -> bool:
        try:
            self._stage.context.manifests.verify(version, self._stage.history())
        except (DamagedError, MissingError):
            return False
        return True


def story_of(stage: Stage) -> Story:
    """That of this stack's roll-out."""
    return PinnedStory(stage) if stage.context.rollout.placement.name == "pinned" else LatestStory(stage)
