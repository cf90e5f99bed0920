"""What the supervisor writes down about its processes, for `up` and `status`: `run/processes.json`."""

from datetime import datetime
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from embedded.settings import StackSettings


class ProcessState(BaseModel):
    """One process of the Procfile. It runs as `pid` since `since`, or is started again at `next_start`."""

    model_config = ConfigDict(frozen=True)

    name: str
    pid: int | None = None
    since: datetime | None = None
    next_start: datetime | None = None
    # How often it has ended since `make up`, and how often in a row without having run for long.
    ends: int = 0
    failures: int = 0
    # How and when it ended last.
    last_end: str | None = None
    ended: datetime | None = None


class RunState(BaseModel):
    """All of them, as the supervisor with this process id has written it."""

    model_config = ConfigDict(frozen=True)

    supervisor: int
    processes: tuple[ProcessState, ...]


def write(settings: StackSettings, state: RunState) -> None:
    """Replace the file in one step.

    Raises:
        OSError: it could not be written; the file that was there is unchanged.
    """
    path = state_file(settings)
    prepared = path.with_suffix(".new")
    prepared.write_text(state.model_dump_json(indent=2) + "\n", encoding="utf-8")
    prepared.replace(path)


def read(settings: StackSettings, supervisor: int | None) -> dict[str, ProcessState]:
    """The processes by name, as the running supervisor has written it; none where it has not written yet. Never raises.

    A file that another supervisor has left, before a crash or a reboot, says nothing about what runs now.
    """
    try:
        state = RunState.model_validate_json(state_file(settings).read_text(encoding="utf-8"))
    except (OSError, ValueError, ValidationError):
        return {}
    return {each.name: each for each in state.processes} if state.supervisor == supervisor else {}


def state_file(settings: StackSettings) -> Path:
    return settings.run / "processes.json"
