"""Which processes belong to a stack, and how they end.

A stack's processes are not one tree: Airflow's workers and the verbs they run live in sessions of their own and outlive
a parent that is killed. What they all keep is the environment they were started with, so that is how they are found.
"""

import signal
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import psutil

from embedded.environment import MARK, PART


def members(var: Path) -> list[psutil.Process]:
    """Every living process of the stack whose folder is `var`, except the one that asks and its ancestors."""
    myself = psutil.Process()
    asking = {myself.pid, *(parent.pid for parent in myself.parents())}
    return [process for process in _marked(str(var)) if process.pid not in asking]


def of_part(var: Path, part: str) -> list[psutil.Process]:
    """Every living process that a process of the Procfile has started, directly or not, and that process itself."""
    found = []
    for process in members(var):
        with suppress(psutil.Error):
            if process.environ().get(PART) == part:
                found.append(process)
    return found


def with_words(var: Path, words: set[str]) -> psutil.Process | None:
    """The oldest process of the stack whose command line has all these words; it may be the one that asks.

    The oldest, because a process that has just been forked still has the command line of its parent.
    """
    found = []
    for process in _marked(str(var)):
        with suppress(psutil.Error):
            if words <= set(process.cmdline()):
                found.append((process.create_time(), process))
    return min(found, key=lambda each: each[0])[1] if found else None


def signal_all(processes: list[psutil.Process], number: int) -> None:
    """Send a signal to each; one that has ended meanwhile is passed over."""
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            process.send_signal(number)


def commands(var: Path) -> list[list[str]]:
    """The command line of each of them, in words."""
    found = []
    for process in members(var):
        with suppress(psutil.Error):
            found.append(process.cmdline())
    return found


def listening() -> dict[int, str]:
    """The ports on which processes of a stack listen, whichever it is, each with that stack's folder."""
    found: dict[int, str] = {}
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            if var := process.environ().get(MARK):
                sockets = process.net_connections(kind="tcp")
                found |= {each.laddr.port: var for each in sockets if each.status == psutil.CONN_LISTEN}
    return found


def end(find: Callable[[], list[psutil.Process]], *, grace: float) -> int:
    """Ask all that `find` finds to end, kill what is left after `grace` seconds; how many had to be killed.

    It looks again until nothing is found: a process that is being ended may start another.
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


def _marked(var: str) -> Iterator[psutil.Process]:
    return (process for process in psutil.process_iter() if _carries_mark(process, var))


def _carries_mark(process: psutil.Process, var: str) -> bool:
    try:
        return bool(process.environ().get(MARK) == var and process.status() != psutil.STATUS_ZOMBIE)
    except psutil.Error:
        return False  # ended meanwhile, or somebody else's
