"""The process that stays behind after `make up`: it starts what the Procfile lists, and starts again what ends.

Each process is on its own: none is ended, or waits, because another one has ended. The supervisor reads and writes
nothing of what they say; their output goes straight to their log files, so that they live on without the supervisor.
"""

import logging
import os
import signal
import subprocess
import sys
import time

import psutil

from embedded import processes, run_state
from embedded.child import Backoff, Child
from embedded.environment import stack_environment
from embedded.procfile import Entry
from embedded.run_state import ProcessState, RunState
from embedded.settings import PROJECT, StackSettings

GRACE_SECONDS = 15.0

# Together with the stack's mark, how the process is found. No file can be out of date.
_COMMAND = ("embedded", "supervise")
_STEP_SECONDS = 0.2

logger = logging.getLogger("supervisor")


def supervise(settings: StackSettings, entries: list[Entry], backoff: Backoff | None = None) -> None:
    """Run them until SIGTERM or SIGINT comes, then end every process of the stack."""
    received: list[int] = []
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda received_number, _: received.append(received_number))
    environment = stack_environment(settings)
    children = [Child(entry, settings, environment, backoff or Backoff()) for entry in entries]
    notes = Notes(settings)
    while not received:
        for child in children:
            child.step()
        notes.keep(tuple(child.state for child in children))
        time.sleep(_STEP_SECONDS)
    logger.info("%s: ending all processes", signal.Signals(received[0]).name)
    killed = processes.end(lambda: processes.members(settings.var), grace=GRACE_SECONDS)
    logger.info("all processes have ended, %d of them by force", killed)


class Notes:
    """The state of the processes in its file. A file that cannot be written stops nothing; it is tried again."""

    def __init__(self, settings: StackSettings) -> None:
        self._settings = settings
        self._written: tuple[ProcessState, ...] = ()
        self._failed = False

    def keep(self, states: tuple[ProcessState, ...]) -> None:
        if states == self._written:
            return
        try:
            run_state.write(self._settings, RunState(supervisor=os.getpid(), processes=states))
        except OSError as error:
            if not self._failed:
                logger.warning("the state of the processes cannot be written (%s); they run on", error)
            self._failed = True
        else:
            self._written, self._failed = states, False


def launch(settings: StackSettings) -> None:
    """Start the supervisor, detached."""
    with (settings.logs / "supervisor.log").open("wb") as log:
        subprocess.Popen(
            [sys.executable, "-m", *_COMMAND],
            cwd=PROJECT,
            env=stack_environment(settings),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,  # Ctrl-C in the terminal of `make up` is not meant for it
            umask=0o077,  # Airflow writes its passwords and keys with the default mode
        )


def find(settings: StackSettings) -> psutil.Process | None:
    """Find the supervisor of a stack, if it lives."""
    return processes.with_words(settings.var, set(_COMMAND))


def running(settings: StackSettings) -> bool:
    """Whether the supervisor of a stack lives."""
    return find(settings) is not None


def states(settings: StackSettings) -> dict[str, ProcessState]:
    """Its processes by name, as it has written them down; none where it has not, or does not live."""
    found = find(settings)
    return run_state.read(settings, found.pid) if found else {}


def end(settings: StackSettings) -> int:
    """End every process of the stack; how many had to be killed.

    The supervisor goes first, so that it starts nothing again. It is killed: it holds nothing that could be lost.
    """
    if found := find(settings):
        processes.signal_all([found], signal.SIGKILL)
        psutil.wait_procs([found], timeout=5)
    killed = processes.end(lambda: processes.members(settings.var), grace=GRACE_SECONDS)
    run_state.state_file(settings).unlink(missing_ok=True)
    return killed
