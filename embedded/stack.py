"""Up and down. Both may be called at any time, also after a crash, and end in the state they are named after."""

import fcntl
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from embedded import ports, prepare, processes, remembered, supervisor
from embedded.airflow_api import AirflowApi
from embedded.child import STARTED
from embedded.environment import RETRAIN_SLOTS
from embedded.errors import AirflowError, NotHealthyError, StackError
from embedded.health import Component, State, look, replicas_serve
from embedded.settings import StackSettings

# A process that has ended so often in a row will not come up: its log says why. Less may be a busy machine.
FAILURES = 3

Say = Callable[[str], None]


def up(settings: StackSettings, say: Say) -> bool:
    """Start everything and wait until all of it answers, or waits for a version; False where it was up already.

    Raises:
        PortTakenError: nothing was started.
        StackError: it is up with other settings, or there is no such model; nothing was changed.
        NotHealthyError: with the end of the log that explains it. What this call started was ended again, except where
            the replicas serve a version: then everything is left as it is.
    """
    prepare.folders(settings)
    with _alone(settings, say):
        began = time.monotonic()
        starting = not supervisor.running(settings)
        if starting:
            _start(settings, say)
        else:
            remembered.require_same(settings)
            _remember(settings, say)
            if all(component.state is not State.DOWN for component in look(settings)):
                return False
        try:
            _wait(settings, say, began)
            _make_pool(settings, began)
        except StackError as error:
            raise type(error)(f"{error}\n{_after_failure(settings, started=starting)}") from error
        except BaseException:
            if starting:
                supervisor.end(settings)
            raise
        return True


def _after_failure(settings: StackSettings, *, started: bool) -> str:
    """End what was started for nothing, and say what is left. A broken Airflow must not cost users their replicas."""
    if started and not replicas_serve(settings):
        supervisor.end(settings)
        return "Everything that was started has been ended again."
    return (
        "The processes that have come up are left running, and the others are started again and again. To see them: "
        f"`{settings.command('status')}`. To end all: `{settings.command('down')}`."
    )


def _make_pool(settings: StackSettings, began: float) -> None:
    """The pool of all retrains. While Airflow reads its DAGs for the first time SQLite may be locked for long."""
    with AirflowApi.of_stack(settings) as airflow:
        while True:
            try:
                airflow.set_pool(
                    "retrain", slots=RETRAIN_SLOTS, description="The other workers stay free for roll-backs."
                )
            except AirflowError:
                if time.monotonic() - began > settings.boot_seconds:
                    raise
                time.sleep(1)
            else:
                return


def down(settings: StackSettings, say: Say) -> tuple[int, int]:
    """End every process of the stack: how many there were, and how many of them had to be killed."""
    if not settings.var.exists() and not processes.members(settings.var):
        return 0, 0  # it never was up, and looking for it leaves no folders
    prepare.folders(settings)
    with _alone(settings, say):
        found = len(processes.members(settings.var))
        return found, supervisor.end(settings)


def _start(settings: StackSettings, say: Say) -> None:
    prepare.require_model(settings)
    if leftovers := len(processes.members(settings.var)):
        supervisor.end(settings)
        say(f"ended {leftovers} processes that an earlier stack left behind")
    ports.check(ports.uses(settings))
    prepare.fresh_logs(settings)
    prepare.first_config(settings)
    began = time.monotonic()
    if prepare.airflow_database(settings):
        say(f"{time.monotonic() - began:5.0f} s  Airflow's database is made")
    _remember(settings, say)
    supervisor.launch(settings)


def _remember(settings: StackSettings, say: Say) -> None:
    for line in remembered.keep(settings):
        say(line)


def _wait(settings: StackSettings, say: Say, began: float) -> None:
    """Until every component answers or has nothing to answer with, telling each as it comes."""
    seen: set[str] = set()
    ends = {name: state.ends for name, state in supervisor.states(settings).items()}
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
        _still_possible(settings, down, waited=time.monotonic() - began, ends=ends)
        time.sleep(0.5)


def _still_possible(settings: StackSettings, waiting: list[Component], *, waited: float, ends: dict[str, int]) -> None:
    """Ask whether those that do not answer may still come up; `ends` is how often each had ended before this wait.

    Raises:
        NotHealthyError: with the end of the log that explains it.
    """
    if not supervisor.running(settings):
        raise NotHealthyError(f"the supervisor has ended.\n{tail(settings.logs / 'supervisor.log')}")
    states = supervisor.states(settings)
    for component in waiting:
        state = states.get(component.log)
        if state and state.failures >= FAILURES and state.ends > ends.get(component.log, 0):
            reason = tail(settings.logs / f"{component.log}.log", start=-1 if state.pid is None else -2)
            raise NotHealthyError(
                f"{component.log} does not come up: it has ended {state.failures} times in a row, the last time: "
                f"{state.last_end}.\n{reason}"
            )
    if waited > settings.boot_seconds:
        names = ", ".join(component.name for component in waiting)
        log = settings.logs / f"{waiting[0].log}.log"
        raise NotHealthyError(
            f"no answer from {names} after {waited:.0f} s (UNDERSTUDY_BOOT_SECONDS allows more).\n{tail(log)}"
        )


def tail(log: Path, *, start: int = -1, lines: int = 30) -> str:
    """What a process has written after its last start, or the start before with -2: the beginning and the end of it.

    A program that refuses its flags says so first, then prints pages of help. A start without output is passed over.
    """
    content = log.read_text(encoding="utf-8", errors="replace").splitlines() if log.exists() else []
    starts = [number for number, line in enumerate(content) if line.startswith(STARTED)]
    spoke = [each for each in starts if each + 1 < len(content) and each + 1 not in starts]
    content = content[spoke[start] if len(spoke) >= -start else 0 :]
    if len(content) > lines:
        content = [*content[:5], "...", *content[-(lines - 6) :]]
    return "\n".join([f"--- from {log}", *content])


@contextmanager
def _alone(settings: StackSettings, say: Say) -> Iterator[None]:
    """Two at once take turns: the second finds what the first has done."""
    descriptor = os.open(settings.run / "lock", os.O_CREAT | os.O_RDWR, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("another `make up` or `make down` of this stack is under way: waiting for it")
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
