"""Who serves, who is being proven, who may come back: the state after every journal entry, and its transitions.

Pure. A transition that makes no sense in a state raises `Refused`; the caller has read an old state, or is late.
"""

from pydantic import BaseModel, ConfigDict

from pipeline.errors import FailedError


class Refused(FailedError):  # noqa: N818 - it is an answer, not a fault
    """The transition does not start here; the message says from where it would."""


class State(BaseModel):
    """Version numbers by role.

    `leaving` is the version a roll-back is taking away: still loaded while the label moves, so that no replica is ever
    without an answer.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    serving: int | None = None
    previous: int | None = None
    candidate: int | None = None
    leaving: int | None = None
    next_version: int = 1

    def __str__(self) -> str:
        roles = (("serving", self.serving), ("previous", self.previous), ("candidate", self.candidate))
        told = [f"{name} v{number}" for name, number in (*roles, ("leaving", self.leaving)) if number is not None]
        return ", ".join(told) or "nothing served yet"


def resident(state: State) -> tuple[int, ...]:
    """The versions every replica holds in memory, in ascending order; never more than two."""
    beside = next((v for v in (state.candidate, state.leaving, state.previous) if v is not None), None)
    return tuple(sorted({v for v in (state.serving, beside) if v is not None}))


def claim(state: State) -> State:
    """Take the next version number; it is never given again."""
    return state.model_copy(update={"next_version": state.next_version + 1})


def expose(state: State, version: int) -> State:
    """Load `version` dark beside what serves; it takes the seat of `previous` in memory, or of another candidate."""
    if version == state.serving:
        raise Refused(f"v{version} is serving already")
    if state.leaving is not None:
        raise Refused(f"a roll-back is still taking v{state.leaving} away")
    return state.model_copy(update={"candidate": version})


def promote(state: State) -> State:
    """Give traffic to the candidate. What served stays loaded, as `previous`."""
    if state.candidate is None:
        raise Refused("there is no candidate")
    return state.model_copy(
        update={"serving": state.candidate, "previous": state.serving, "candidate": None, "leaving": None}
    )


def withdraw(state: State, version: int) -> State:
    """Let `version` go, whatever seat it has but the one that serves."""
    if version == state.serving and state.previous is not None:
        raise Refused(f"v{version} is serving; roll back first")
    return state.model_copy(
        update={
            role: None for role in ("serving", "previous", "candidate", "leaving") if getattr(state, role) == version
        }
    )


def release(state: State) -> State:
    """Give the candidate's seat back to `previous`, without a word about the candidate."""
    return state.model_copy(update={"candidate": None})


def roll_back(state: State, target: int, *, previous: int | None) -> State:
    """Give traffic to `target`, which is loaded, and start to take away what served.

    Args:
        state: the state now.
        target: `previous`, or a version that was exposed for this.
        previous: the last good version before `target`, loaded once the one that leaves is gone. Where it is the very
            version that served until now, nothing leaves: the two change places.
    """
    if target not in resident(state):
        raise Refused(f"v{target} is not loaded; it must be exposed first")
    if target == state.serving:
        raise Refused(f"v{target} is serving already")
    leaving = state.serving if state.serving != previous else None
    return state.model_copy(update={"serving": target, "leaving": leaving, "previous": previous, "candidate": None})
