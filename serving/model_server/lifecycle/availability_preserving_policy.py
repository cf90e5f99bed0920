"""What to do next with the versions of one model: never fewer answers than before, one step at a time."""

from collections.abc import Collection
from dataclasses import dataclass
from enum import Enum, auto


class Phase(Enum):
    """Where a managed version is, as the manager sees it."""

    NEW = auto()
    LOADING = auto()
    READY = auto()
    UNLOADING = auto()
    GONE = auto()
    ERROR = auto()


class Action(Enum):
    """In the order of preference between models: memory is freed before more is asked for."""

    UNLOAD = 1
    LOAD = 2


@dataclass(frozen=True)
class Snapshot:
    version: int
    phase: Phase
    aspired: bool


def next_action(versions: Collection[Snapshot]) -> tuple[Action, int] | None:
    """The old version stays until a new one is ready, so both are in memory for a while."""
    aspired = [each for each in versions if each.aspired]
    leaving = [each.version for each in versions if not each.aspired and each.phase is Phase.READY]
    replaced = not aspired or any(each.phase is Phase.READY for each in aspired)
    if leaving and (replaced or len(leaving) > 1):
        return Action.UNLOAD, min(leaving)
    new = [each.version for each in aspired if each.phase is Phase.NEW]
    return (Action.LOAD, max(new)) if new else None
