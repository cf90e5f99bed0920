"""Up and down. Both may be called at any time, also after a crash, and end in the state they are named after."""

import fcntl
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from embedded import ports, prepare, processes, supervisor
from embedded.airflow_api import AirflowApi
from embedded.environment import RETRAIN_SLOTS
from embedded.errors import NotHealthyError
from embedded.health import Component, State, look
from embedded.settings import StackSettings

GRACE_SECONDS = 15.0

Say = Callable[[str], None]


def up(settings: StackSettings, say: Say) -> bool:
    """Start everything and wait until all of it answers, or waits for a version; False where it was up already.

    Raises:
        PortTakenError: nothing was started.
        NotHealthyError: with the end of the log that explains it; what this call started was ended again.
    """
    prepare.folders(settings)
    with _alone(settings):
        began = time.monotonic()
        starting = not supervisor.running(settings)
        if starting:
            _start(settings, say)
        elif all(component.state is not State.DOWN for component in look(settings)):
            return False
        try:
            _wait(settings, say, began)
            with AirflowApi.of_stack(settings) as airflow:
                airflow.set_pool("retrain", slots=RETRAIN_SLOTS, description="What remains is for rolling back.")
        except BaseException:
            if starting:
                _end(settings)
            raise
        return True


def down(settings: StackSettings) -> tuple[int, int]:
    """End every process of the stack: how many there were, and how many of them had to be killed."""
    if not settings.var.exists() and not processes.members(settings.var):
        return 0, 0  # it never was up, and looking for it leaves no folders
    prepare.folders(settings)
    with _alone(settings):
        found = len(processes.members(settings.var))
        return found, _end(settings)


def _end(settings: StackSettings) -> int:
    killed = processes.end(lambda: processes.members(settings.var), grace=GRACE_SECONDS)
    supervisor.pid_file(settings).unlink(missing_ok=True)
    return killed


def _start(settings: StackSettings, say: Say) -> None:
    if leftovers := len(processes.members(settings.var)):
        _end(settings)
        say(f"ended {leftovers} processes that an earlier stack left behind")
    ports.check(ports.uses(settings))
    prepare.fresh_logs(settings)
    prepare.first_config(settings)
    began = time.monotonic()
    if prepare.airflow_database(settings):
        say(f"{time.monotonic() - began:5.0f} s  Airflow's database is made")
    supervisor.launch(settings)


def _wait(settings: StackSettings, say: Say, began: float) -> None:
    """Until every component answers or has nothing to answer with, telling each as it comes."""
    seen: set[str] = set()
    while True:
        components = look(settings)
        for component in components:
            if component.state is State.UP and component.name not in seen:
                seen.add(component.name)
                say(f"{time.monotonic() - began:5.0f} s  {component.name} is up")
        down = [component for component in components if component.state is State.DOWN]
        if not down:
            for component in components:
                if component.state is State.WAITS:
                    say(f"         {component.name} waits for its first version")
            return
        _still_possible(settings, down, waited=time.monotonic() - began)
        time.sleep(0.5)


def _still_possible(settings: StackSettings, waiting: list[Component], *, waited: float) -> None:
    if not supervisor.running(settings):
        name = _first_to_end(settings) or "supervisor"
        raise NotHealthyError(f"{name} ended, and the stack with it.\n{tail(settings.logs / f'{name}.log')}")
    if waited > settings.boot_seconds:
        names = ", ".join(component.name for component in waiting)
        log = settings.logs / f"{waiting[0].log}.log"
        raise NotHealthyError(
            f"no answer from {names} after {waited:.0f} s (UNDERSTUDY_BOOT_SECONDS allows more).\n{tail(log)}"
        )


def _first_to_end(settings: StackSettings) -> str | None:
    """Honcho writes `<name> stopped (rc=1)` for each; the first one took the others along."""
    log = settings.logs / "system.log"
    lines = log.read_text(encoding="utf-8").splitlines() if log.exists() else []
    return next((line.split()[0] for line in lines if " stopped (rc=" in line), None)


def tail(log: Path, lines: int = 30) -> str:
    """The end of a log file, under its name."""
    content = log.read_text(encoding="utf-8", errors="replace").splitlines() if log.exists() else []
    return "\n".join([f"--- the end of {log}", *content[-lines:]])


@contextmanager
def _alone(settings: StackSettings) -> Iterator[None]:
    """Two at once take turns: the second finds what the first has done."""
    descriptor = os.open(settings.run / "lock", os.O_CREAT | os.O_RDWR, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
