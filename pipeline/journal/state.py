"""Version numbers by role: the state after every journal entry, and its transitions.

Pure. A transition that is not possible in a state raises `Refused`; the caller has read an old state.
"""

from datetime import datetime

from pydantic import BaseModel, ConfigDict, Field

from pipeline.errors import FailedError
from pipeline.moments import Until, longest, until_text


class Refused(FailedError):  # noqa: N818 - it is an answer, not a fault
    """The transition is not possible in this state; the message says why."""


class State(BaseModel):
    """Version numbers by role, and the holds.

    Attributes:
        serving: gets the traffic.
        previous: what a roll-back returns to.
        candidate: is being proven.
        first_ring_only: the replicas of the first ring alone have the candidate; no others until it is proven there.
        leaving: the version that a roll-back replaces. It stays loaded while the label moves, so that every replica can
            answer.
        next_version: the next number to claim.
        pinned: while set, nothing is promoted.
        frozen_until: until then nothing is promoted.
        held_until: likewise; the hold of roll-backs.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    serving: int | None = None
    previous: int | None = None
    candidate: int | None = None
    # Left out where it is not so: then versions of Understudy that know no first ring read the entry.
    first_ring_only: bool = Field(default=False, exclude_if=lambda only: not only)
    leaving: int | None = None
    next_version: int = 1
    pinned: int | None = None
    frozen_until: datetime | None = None
    held_until: Until | None = None

    def __str__(self) -> str:
        roles = ("serving", "previous", "candidate", "leaving", "pinned")
        where = {"candidate": " (first ring only)"} if self.first_ring_only else {}
        parts = [f"{name} v{n}{where.get(name, '')}" for name in roles if (n := getattr(self, name)) is not None]
        if self.frozen_until is not None:
            parts.append(f"frozen until {self.frozen_until:%Y-%m-%d %H:%M} UTC")
        if self.held_until is not None:
            parts.append(f"promotions held until {until_text(self.held_until)}")
        return ", ".join(parts) or "nothing served yet"


def exposed(state: State, *, first_ring: bool) -> int | None:
    """The candidate, if it is exposed to the replicas of the first ring, or to all others; otherwise None."""
    return state.candidate if first_ring or not state.first_ring_only else None


def resident(state: State, *, first_ring: bool = False) -> tuple[int, ...]:
    """The pinned roll-out: the versions that every replica holds, in ascending order; at most two.

    `first_ring`: the replicas of the first ring, and not all others.
    """
    candidate = exposed(state, first_ring=first_ring)
    beside = next((v for v in (candidate, state.leaving, state.previous) if v is not None), None)
    return tuple(sorted({v for v in (state.serving, beside) if v is not None}))


def newest(state: State, *, first_ring: bool = False) -> int | None:
    """The latest roll-out: the version that replicas load, which is the highest of `below_base_path`; None for none."""
    candidate = exposed(state, first_ring=first_ring)
    return candidate if candidate is not None else state.serving


def below_base_path(state: State, *, first_ring: bool = False) -> tuple[int, ...]:
    """The latest roll-out: the versions that servers find, in ascending order.

    A version above the one that servers should load is left out, because they would load it.
    """
    top = newest(state, first_ring=first_ring)
    seats = (state.serving, state.previous, exposed(state, first_ring=first_ring))
    return tuple(sorted({v for v in seats if v is not None and top is not None and v <= top}))


def claim(state: State) -> State:
    """Take the next version number. It is never given again."""
    return state.model_copy(update={"next_version": state.next_version + 1})


def expose(state: State, version: int, *, first_ring_only: bool = False) -> State:
    """Make `version` the candidate. In the pinned roll-out it replaces `previous` in memory.

    Args:
        state: the state now.
        version: the candidate.
        first_ring_only: expose it to the replicas of the first ring alone.

    Raises:
        Refused: it serves already, or a roll-back is not finished.
    """
    if version == state.serving:
        raise Refused(f"v{version} is serving already")
    if state.leaving is not None:
        raise Refused(f"a roll-back is still taking v{state.leaving} away")
    return state.model_copy(update={"candidate": version, "first_ring_only": first_ring_only})


def expose_everywhere(state: State) -> State:
    """Expose the candidate to the replicas beyond the first ring too.

    Raises:
        Refused: there is no candidate.
    """
    if state.candidate is None:
        raise Refused("there is no candidate")
    return state.model_copy(update={"first_ring_only": False})


def promote(state: State) -> State:
    """Give the traffic to the candidate. The version that served is `previous` now.

    Raises:
        Refused: there is no candidate, or only the first ring has it.
    """
    if state.candidate is None:
        raise Refused("there is no candidate")
    if state.first_ring_only:
        raise Refused(f"v{state.candidate} is exposed to the first ring only, so it cannot be promoted")
    return state.model_copy(
        update={"serving": state.candidate, "previous": state.serving, "candidate": None, "leaving": None}
    )


def withdraw(state: State, version: int) -> State:
    """Remove `version` from every role.

    Raises:
        Refused: it serves, and there is a version to roll back to.
    """
    if version == state.serving and state.previous is not None:
        raise Refused(f"v{version} is serving; roll back first")
    roles = ("serving", "previous", "candidate", "leaving")
    without: dict[str, object] = {role: None for role in roles if getattr(state, role) == version}
    if "candidate" in without:
        without["first_ring_only"] = False
    return state.model_copy(update=without)


def release(state: State) -> State:
    """Remove the candidate without withdrawing it: `previous` is loaded again."""
    return state.model_copy(update={"candidate": None, "first_ring_only": False})


def roll_back(state: State, target: int, *, previous: int | None, hold: Until | None = None) -> State:
    """Give traffic to `target`, and let the serving version leave.

    If another version was pinned, the pin ends, and promotions are held until somebody lifts that. No hold is
    shortened.

    Args:
        state: the state now.
        target: a version that replicas have in memory or, in the latest roll-out, can load.
        previous: the last good version before `target`; it is loaded when the leaving one is unloaded. If it is the
            version that served until now, nothing leaves: the two change places.
        hold: until when the roll-back holds promotions; None for no hold.

    Raises:
        Refused: the target serves already.
    """
    if target == state.serving:
        raise Refused(f"v{target} is serving already")
    leaving = state.serving if state.serving != previous else None
    pinned = state.pinned if state.pinned == target else None
    unpinned: Until | None = "lifted" if state.pinned is not None and pinned is None else None
    return state.model_copy(
        update={
            "serving": target,
            "leaving": leaving,
            "previous": previous,
            "candidate": None,
            "first_ring_only": False,
            "pinned": pinned,
            "held_until": longest(state.held_until, hold, unpinned),
        }
    )


def reissue(state: State) -> State:
    """Give the serving model the next number, which every server loads, whatever it did with the old one.

    Raises:
        Refused: nothing serves.
    """
    if state.serving is None:
        raise Refused("nothing serves")
    pinned = state.next_version if state.pinned == state.serving else state.pinned
    return claim(state.model_copy(update={"serving": state.next_version, "pinned": pinned}))
