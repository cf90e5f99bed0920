"""One line of the journal: an event, the version it is about, who wrote it and why, and the state after it."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from pydantic import BaseModel, ConfigDict

from pipeline.journal.state import State
from pipeline.verdicts.verdict import Verdict


class Event(StrEnum):
    """What an entry says of its version.

    `confirmed`: every replica answers from it. `declined`: its run gave it up because the world had moved on.
    `released`: it was let out of memory by a roll-back, and nothing is said against it. `reissued`: a number of its own
    for a model that has served, see `copy_of`. `readmitted`: a person lets the model come back that was withdrawn.
    `retired`: its files go, and it is no way back any more. `frozen`, `unfrozen` and `held` are about no version; the
    last is the hold of a roll-back whose target served already.
    """

    CLAIMED = "claimed"
    PUBLISHED = "published"
    EXPOSED = "exposed"
    PROMOTED = "promoted"
    CONFIRMED = "confirmed"
    WITHDRAWN = "withdrawn"
    DECLINED = "declined"
    ROLLED_BACK = "rolled back"
    RELEASED = "released"
    REISSUED = "reissued"
    READMITTED = "readmitted"
    PINNED = "pinned"
    FROZEN = "frozen"
    UNFROZEN = "unfrozen"
    HELD = "held"
    RETIRED = "retired"


# What an entry is about that is about the model as a whole.
NO_VERSION = 0
GIVEN_TRAFFIC = (Event.PROMOTED, Event.ROLLED_BACK, Event.REISSUED)
TAKEN_BACK = (Event.WITHDRAWN, Event.DECLINED)


@dataclass(frozen=True)
class Change:
    """What a writer wants the next entry to say. The fields are those of `Entry`."""

    event: Event
    version: int
    reason: str
    state: State
    verdict: Verdict | None = None
    manifest: str | None = None
    digest: str | None = None
    copy_of: int | None = None
    versions: tuple[int, ...] = ()


class Entry(BaseModel):
    """One line of the history. `state` is the state after the event, `version` what it is about, or `NO_VERSION`.

    `digest` is the `pipeline.storage.sums.content_digest` of a claimed version's model, and `manifest` the SHA-256 of
    its manifest, from the moment its files are complete. `copy_of` is the version whose model a reissued one is.
    `versions` are all that were retired at once, of which `version` is the highest.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    seq: int
    at: datetime
    event: Event
    version: int
    run_key: str
    actor: str
    reason: str
    verdict: Verdict | None = None
    manifest: str | None = None
    digest: str | None = None
    copy_of: int | None = None
    versions: tuple[int, ...] = ()
    state: State

    @property
    def about(self) -> tuple[int, ...]:
        """Every version it is about."""
        return self.versions or (self.version,)

    @property
    def told(self) -> str:
        """What happened, in words."""
        if self.version == NO_VERSION:
            return f"promotions {self.event}"
        others = f" and {len(self.versions) - 1} others" if len(self.versions) > 1 else ""
        return f"v{self.version}{others} {self.event}"
