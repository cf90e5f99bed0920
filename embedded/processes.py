"""Which processes belong to a stack, and how they end.

A stack's processes are not one tree: Airflow's workers and the verbs they run live in sessions of their own and outlive
a parent that is killed. What they all keep is the environment they were started with, so that is how they are found.
"""

from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import psutil

from embedded.environment import MARK


def members(var: Path) -> list[psutil.Process]:
    """Every living process of the stack whose folder is `var`, except the one that asks and its ancestors."""
    myself = psutil.Process()
    asking = {myself.pid, *(parent.pid for parent in myself.parents())}
    return [process for process in _marked(str(var)) if process.pid not in asking]


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
    for process in asked:
        _quietly(process.terminate)
    psutil.wait_procs(asked, timeout=grace)
    killed = 0
    while left := find():
        for process in left:
            _quietly(process.kill)
        psutil.wait_procs(left, timeout=5)
        killed += len(left)
    return killed


def is_member(pid: int, var: Path) -> bool:
    """Whether `pid` lives and is one of the stack's. A number from before a crash may be anybody's by now."""
    try:
        return _carries_mark(psutil.Process(pid), str(var))
    except psutil.NoSuchProcess:
        return False


def _marked(var: str) -> Iterator[psutil.Process]:
    return (process for process in psutil.process_iter() if _carries_mark(process, var))


def _carries_mark(process: psutil.Process, var: str) -> bool:
    try:
        return bool(process.environ().get(MARK) == var and process.status() != psutil.STATUS_ZOMBIE)
    except psutil.Error:
        return False  # ended meanwhile, or somebody else's


def _quietly(action: Callable[[], None]) -> None:
    """A process that ended before it was told to has done what we want."""
    with suppress(psutil.NoSuchProcess):
        action()
