"""Find and end the processes of a stack.

They are not one process tree: Airflow's workers, and the verbs they run, have sessions of their own and keep running
when their parent is killed. All of them inherit the environment, so a process is found by a variable in it.
"""

import signal
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import psutil

from embedded.environment import PROCESS_VARIABLE, STACK_VARIABLE


def members(var: Path) -> list[psutil.Process]:
    """Every running process of the stack in the folder `var`, except the caller and its ancestors."""
    myself = psutil.Process()
    callers = {myself.pid, *(parent.pid for parent in myself.parents())}
    return [process for process in _of_stack(str(var)) if process.pid not in callers]


def started_by(var: Path, name: str) -> list[psutil.Process]:
    """The process with this name in the Procfile, and every running process it has started, directly or not."""
    found = []
    for process in members(var):
        with suppress(psutil.Error):
            if process.environ().get(PROCESS_VARIABLE) == name:
                found.append(process)
    return found


def with_arguments(var: Path, arguments: set[str]) -> psutil.Process | None:
    """The oldest process of the stack whose command line has all these arguments; None if there is none.

    It may be the caller. The oldest, because a process that has just been forked has the command line of its parent.
    """
    found = []
    for process in _of_stack(str(var)):
        with suppress(psutil.Error):
            if arguments <= set(process.cmdline()):
                found.append((process.create_time(), process))
    return min(found, key=lambda each: each[0])[1] if found else None


def signal_all(processes: list[psutil.Process], number: int) -> None:
    """Send a signal to each process; one that has ended meanwhile is skipped."""
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            process.send_signal(number)


def command_lines(var: Path) -> list[list[str]]:
    """The arguments of each process of the stack, without the caller and its ancestors."""
    found = []
    for process in members(var):
        with suppress(psutil.Error):
            found.append(process.cmdline())
    return found


def listening_ports() -> dict[int, str]:
    """The TCP ports on which processes of any stack listen, each with the folder of that stack."""
    found: dict[int, str] = {}
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            if var := process.environ().get(STACK_VARIABLE):
                sockets = process.net_connections(kind="tcp")
                found |= {each.laddr.port: var for each in sockets if each.status == psutil.CONN_LISTEN}
    return found


def end(find: Callable[[], list[psutil.Process]], *, grace: float) -> int:
    """Send SIGTERM to all processes that `find` returns, SIGKILL after `grace` seconds; how many were killed.

    Calls `find` again until it returns nothing: a process that is ending may start another one.
    """
    asked = find()
    signal_all(asked, signal.SIGTERM)
    psutil.wait_procs(asked, timeout=grace)
    killed = 0
    while left := find():
        signal_all(left, signal.SIGKILL)
        psutil.wait_procs(left, timeout=5)
        killed += len(left)
    return killed


def _of_stack(var: str) -> Iterator[psutil.Process]:
    return (process for process in psutil.process_iter() if _belongs_to(process, var))


def _belongs_to(process: psutil.Process, var: str) -> bool:
    try:
        return bool(process.environ().get(STACK_VARIABLE) == var and process.status() != psutil.STATUS_ZOMBIE)
    except psutil.Error:
        return False  # it has ended, or belongs to another user
