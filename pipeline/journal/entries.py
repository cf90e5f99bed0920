"""One entry of the journal: an event, the version it is about, who wrote it and why, and the state after it."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from pydantic import BaseModel, ConfigDict

from pipeline.journal.state import State
from pipeline.verdicts.verdict import Verdict


class Event(StrEnum):
    """What an entry says about its version.

    `exposed everywhere`: the candidate is proven in the first ring, so the other replicas load it too. A fleet without
    a first ring has no such entries. `confirmed`: every replica answers from it. `declined`: its run gave it up because
    another decision was taken, or because a single server ended on it; then the entry has a verdict.
    `released`: a roll-back unloaded it, and it may serve again. `reissued`: a new number for a model that has served,
    see `Entry.copy_of`. `readmitted`: a person allowed the withdrawn model to be published again. `retired`: its files
    are deleted, and no roll-back can return to it. `frozen`, `unfrozen` and `held` are about no version; the last one
    is the hold of a roll-back whose target served already.
    """

    CLAIMED = "claimed"
    PUBLISHED = "published"
    EXPOSED = "exposed"
    EXPOSED_EVERYWHERE = "exposed everywhere"
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


# The version of entries that are about the model as a whole.
NO_VERSION = 0
GIVEN_TRAFFIC = (Event.PROMOTED, Event.ROLLED_BACK, Event.REISSUED)
MADE_CANDIDATE = (Event.EXPOSED, Event.EXPOSED_EVERYWHERE)
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
    """One entry of the journal, as it is stored.

    Attributes:
        seq: its number, from 1.
        at: when it was written, in UTC; never before the entry it follows.
        event: what happened.
        version: the version it is about, or `NO_VERSION`.
        run_key: the run that wrote it.
        actor: who acted.
        reason: why, for people.
        verdict: the verdict that it rests on, if it rests on one.
        manifest: of a published version, the SHA-256 of its manifest, in hexadecimal.
        digest: of a claimed version, the `pipeline.storage.sums.content_digest` of its model.
        copy_of: of a reissued version, the version whose model it has.
        versions: all versions that were retired at once; `version` is the highest of them.
        state: the state after the event.
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
        """Every version that the entry is about."""
        return self.versions or (self.version,)

    @property
    def description(self) -> str:
        """What happened, as text for people, for example `v3 promoted`."""
        if self.version == NO_VERSION:
            return f"promotions {self.event}"
        if self.event is Event.EXPOSED and self.state.first_ring_only:
            return f"v{self.version} exposed to the first ring"
        others = f" and {len(self.versions) - 1} others" if len(self.versions) > 1 else ""
        return f"v{self.version}{others} {self.event}"
