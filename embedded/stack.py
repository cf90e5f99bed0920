"""Start and stop the stack. Both may be called at any time, also after a crash, and may be repeated."""

import fcntl
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from embedded import fleet_records, ports, prepare, saved_settings
from embedded.airflow_api import AirflowApi
from embedded.environment import RETRAIN_SLOTS
from embedded.errors import AirflowError, NotHealthyError, StackError
from embedded.health import Component, State, check_components, replicas_serve
from embedded.settings import StackSettings
from embedded.supervision import processes, supervisor
from embedded.supervision.child_process import START_LINE

# `up` gives up when a process has ended so often in a row. Fewer failures may be due to a busy machine.
MAX_FAILURES = 3

# Prints one line of progress.
Output = Callable[[str], None]


def up(settings: StackSettings, output: Output) -> bool:
    """Start the stack and wait until every component is up, or waits for a first version; False if it was up already.

    Raises:
        PortTakenError: nothing was started.
        StackError: it is up with other settings, or there is no model file; nothing was changed.
        NotHealthyError: a component did not come up; the message has the end of its log. What this call started has
            been ended again, except if the replicas serve a version: then all processes that run are left running.
        OSError: the folder of the stack cannot be written.
    """
    prepare.create_folders(settings)
    with _locked(settings, output):
        began = time.monotonic()
        starting = not supervisor.running(settings)
        if starting:
            _start(settings, output)
        else:
            saved_settings.require_unchanged(settings)
            _save_settings(settings, output)
            if all(component.state is not State.DOWN for component in check_components(settings)):
                return False
        try:
            _wait_until_up(settings, output, began)
            _create_pool(settings, began)
        except StackError as error:
            raise type(error)(f"{error}\n{_after_failure(settings, started=starting)}") from error
        except BaseException:
            if starting:
                supervisor.end(settings)
            raise
        return True


def _after_failure(settings: StackSettings, *, started: bool) -> str:
    """End what was started, unless the replicas serve users already; return a message that says what still runs."""
    if started and not replicas_serve(settings):
        supervisor.end(settings)
        return "Everything that was started has been ended again."
    return (
        "The processes that have come up are left running, and the others are started again and again. To see them: "
        f"`{settings.command('status')}`. To end all: `{settings.command('down')}`."
    )


def _create_pool(settings: StackSettings, began: float) -> None:
    """Create the pool of the retrains. Retries, because SQLite may be locked while Airflow reads its DAGs at first."""
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


def down(settings: StackSettings, output: Output) -> tuple[int, int]:
    """End every process of the stack; how many there were, and how many of them had to be killed.

    Raises:
        OSError: the folder of the stack cannot be written.
    """
    if not settings.var.exists() and not processes.members(settings.var):
        return 0, 0  # it was never up: create no folders
    prepare.create_folders(settings)
    with _locked(settings, output):
        found = len(processes.members(settings.var))
        return found, supervisor.end(settings)


def _start(settings: StackSettings, output: Output) -> None:
    prepare.require_models(settings)
    if leftovers := len(processes.members(settings.var)):
        supervisor.end(settings)
        output(f"ended {leftovers} processes that an earlier stack left behind")
    ports.require_free(ports.of_stack(settings))
    prepare.rotate_logs(settings)
    for line in fleet_records.write(settings):
        output(line)
    began = time.monotonic()
    if prepare.migrate_airflow_database(settings):
        output(f"{time.monotonic() - began:5.0f} s  Airflow's database is made")
    _save_settings(settings, output)
    supervisor.launch(settings)


def _save_settings(settings: StackSettings, output: Output) -> None:
    for line in saved_settings.save(settings):
        output(line)


def _wait_until_up(settings: StackSettings, output: Output, began: float) -> None:
    """Wait until no component is down, and print each that comes up."""
    seen: set[str] = set()
    ends = {name: state.ends for name, state in supervisor.states(settings).items()}
    while True:
        components = check_components(settings)
        for component in components:
            if component.state is State.UP and component.name not in seen:
                seen.add(component.name)
                output(f"{time.monotonic() - began:5.0f} s  {component.name} is up")
        down = [component for component in components if component.state is State.DOWN]
        if not down:
            for component in components:
                if component.state is State.WAITS:
                    output(f"         {component.name} waits for its first version")
            return
        _require_progress(settings, down, waited=time.monotonic() - began, ends=ends)
        time.sleep(0.5)


def _require_progress(settings: StackSettings, down: list[Component], *, waited: float, ends: dict[str, int]) -> None:
    """Check that the components that are down may still come up.

    Args:
        settings: the stack.
        down: the components that are down.
        waited: for how many seconds.
        ends: how often each process had ended before this wait.

    Raises:
        NotHealthyError: they will not, or it takes too long; the message has the end of a log.
    """
    if not supervisor.running(settings):
        raise NotHealthyError(f"the supervisor has ended.\n{log_tail(settings.logs / 'supervisor.log')}")
    states = supervisor.states(settings)
    for component in down:
        state = states.get(component.log)
        if state and state.failures >= MAX_FAILURES and state.ends > ends.get(component.log, 0):
            reason = log_tail(settings.logs / f"{component.log}.log", start=-1 if state.pid is None else -2)
            raise NotHealthyError(
                f"{component.log} does not come up: it has ended {state.failures} times in a row, the last time: "
                f"{state.last_end}.\n{reason}"
            )
    if waited > settings.boot_seconds:
        names = ", ".join(component.name for component in down)
        log = settings.logs / f"{down[0].log}.log"
        raise NotHealthyError(
            f"no answer from {names} after {waited:.0f} s (UNDERSTUDY_BOOT_SECONDS allows more).\n{log_tail(log)}"
        )


def log_tail(log: Path, *, start: int = -1, lines: int = 30) -> str:
    """The first and the last lines that a process has written since its last start.

    The first lines too, because a program that refuses its flags prints the reason, then pages of help.

    Args:
        log: the log file; it need not exist.
        start: -1 for the last start, -2 for the one before. Starts without output do not count.
        lines: at most so many lines.
    """
    content = log.read_text(encoding="utf-8", errors="replace").splitlines() if log.exists() else []
    starts = [number for number, line in enumerate(content) if line.startswith(START_LINE)]
    with_output = [each for each in starts if each + 1 < len(content) and each + 1 not in starts]
    content = content[with_output[start] if len(with_output) >= -start else 0 :]
    if len(content) > lines:
        content = [*content[:5], "...", *content[-(lines - 6) :]]
    return "\n".join([f"--- from {log}", *content])


@contextmanager
def _locked(settings: StackSettings, output: Output) -> Iterator[None]:
    """Hold the lock of the stack, so that `up` and `down` never run at the same time; waits without a limit."""
    descriptor = os.open(settings.run / "lock", os.O_CREAT | os.O_RDWR, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            output("another `make up` or `make down` of this stack is under way: waiting for it")
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
