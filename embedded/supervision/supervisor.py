"""The supervisor: a background process that starts what the Procfile lists, and restarts each process that ends.

The processes are independent: none is stopped or delayed because another one has ended. Their output goes directly to
their log files, not through the supervisor, so they keep running if the supervisor is killed.
"""

import logging
import os
import signal
import subprocess
import sys
import time

import psutil

from embedded.environment import stack_environment, supervisor_environment
from embedded.settings import PROJECT, StackSettings
from embedded.supervision import process_states, processes
from embedded.supervision.child_process import Backoff, ChildProcess
from embedded.supervision.process_states import ProcessState, SupervisorState
from embedded.supervision.procfile import Entry

# Between SIGTERM and SIGKILL.
GRACE_SECONDS = 15.0

# The supervisor is found by these arguments and the variable of its stack. A file with its process id could be stale.
_COMMAND = ("embedded", "supervise")
_STEP_SECONDS = 0.2

logger = logging.getLogger("supervisor")


def supervise(settings: StackSettings, entries: list[Entry], backoff: Backoff | None = None) -> None:
    """Keep these processes running until SIGTERM or SIGINT is received, then end every process of the stack.

    Must be called in the main thread of its process: it replaces the handlers of both signals.
    """
    received: list[int] = []
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda received_number, _: received.append(received_number))
    environment = stack_environment(settings)
    children = [ChildProcess(entry, settings, environment, backoff or Backoff()) for entry in entries]
    writer = StateWriter(settings)
    while not received:
        for child in children:
            child.step()
        writer.write(tuple(child.state for child in children))
        time.sleep(_STEP_SECONDS)
    logger.info("%s: ending all processes", signal.Signals(received[0]).name)
    killed = processes.end(lambda: processes.members(settings.var), grace=GRACE_SECONDS)
    logger.info("all processes have ended, %d of them by force", killed)


class StateWriter:
    """Writes the state of the processes to its file when it has changed. A failed write is logged once and repeated."""

    def __init__(self, settings: StackSettings) -> None:
        self._settings = settings
        self._written: tuple[ProcessState, ...] = ()
        self._failed = False

    def write(self, states: tuple[ProcessState, ...]) -> None:
        if states == self._written:
            return
        try:
            process_states.write(self._settings, SupervisorState(supervisor=os.getpid(), processes=states))
        except OSError as error:
            if not self._failed:
                logger.warning("the state of the processes cannot be written (%s); they run on", error)
            self._failed = True
        else:
            self._written, self._failed = states, False


def launch(settings: StackSettings) -> None:
    """Start the supervisor in the background, and return at once.

    Raises:
        OSError: its log cannot be written, or no process can be started.
    """
    with (settings.logs / "supervisor.log").open("wb") as log:
        subprocess.Popen(
            [sys.executable, "-m", *_COMMAND],
            cwd=PROJECT,
            env=supervisor_environment(settings),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,  # so that Ctrl-C in the terminal of `make up` does not reach it
            umask=0o077,  # Airflow writes its passwords and keys with the default mode
        )


def find(settings: StackSettings) -> psutil.Process | None:
    """The process of the supervisor; None if it does not run."""
    return processes.with_arguments(settings.var, set(_COMMAND))


def running(settings: StackSettings) -> bool:
    """Whether the supervisor runs."""
    return find(settings) is not None


def states(settings: StackSettings) -> dict[str, ProcessState]:
    """The supervised processes by name; empty if the supervisor does not run, or has not written its file yet."""
    found = find(settings)
    return process_states.read(settings, found.pid) if found else {}


def end(settings: StackSettings) -> int:
    """End every process of the stack, and return how many did not end within `GRACE_SECONDS` and were killed.

    The supervisor is ended first, so that it restarts nothing. It gets SIGKILL at once: it has no data to save.
    """
    if found := find(settings):
        processes.signal_all([found], signal.SIGKILL)
        psutil.wait_procs([found], timeout=5)
    killed = processes.end(lambda: processes.members(settings.var), grace=GRACE_SECONDS)
    process_states.state_file(settings).unlink(missing_ok=True)
    return killed
