"""The file `run/processes.json`, in which the supervisor writes the state of its processes for `up` and `status`."""

from datetime import datetime
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from embedded.settings import StackSettings


class ProcessState(BaseModel):
    """One process of the Procfile. Either it runs, with `pid` and `since`, or it is restarted at `next_start`."""

    model_config = ConfigDict(frozen=True)

    name: str
    pid: int | None = None
    since: datetime | None = None
    next_start: datetime | None = None
    # How often it has ended since `make up`, and how often in a row after a short time (`Backoff.stable`).
    ends: int = 0
    failures: int = 0
    # How it ended the last time, and when.
    last_end: str | None = None
    ended: datetime | None = None


class SupervisorState(BaseModel):
    """All processes of the supervisor with this process id."""

    model_config = ConfigDict(frozen=True)

    supervisor: int
    processes: tuple[ProcessState, ...]


def write(settings: StackSettings, state: SupervisorState) -> None:
    """Replace the file atomically.

    Raises:
        OSError: it could not be written; an earlier file is unchanged.
    """
    path = state_file(settings)
    prepared = path.with_suffix(".new")
    prepared.write_text(state.model_dump_json(indent=2) + "\n", encoding="utf-8")
    prepared.replace(path)


def read(settings: StackSettings, supervisor: int | None) -> dict[str, ProcessState]:
    """The processes by name, if the file is from the supervisor with this process id; otherwise empty. Never raises.

    A file of an earlier supervisor, from before a crash or a reboot, does not describe the processes that run now.
    """
    try:
        state = SupervisorState.model_validate_json(state_file(settings).read_text(encoding="utf-8"))
    except (OSError, ValueError, ValidationError):
        return {}
    return {each.name: each for each in state.processes} if state.supervisor == supervisor else {}


def state_file(settings: StackSettings) -> Path:
    return settings.run / "processes.json"
