"""The process that stays behind after `make up`: honcho over the Procfile, one log file per process.

When one process ends, honcho ends the others: half a stack only looks like one.
"""

import subprocess
import sys
from pathlib import Path
from typing import Any

from honcho.manager import Manager

from embedded.environment import stack_environment
from embedded.processes import is_member
from embedded.procfile import Entry
from embedded.settings import PROJECT, StackSettings


def supervise(settings: StackSettings, processes: list[Entry]) -> int:
    """Run them until one of them ends or a signal comes; the exit code of what ended first."""
    manager = Manager(printer=LogFiles(settings.logs))
    environment = stack_environment(settings)
    for entry in processes:
        manager.add_process(entry.name, entry.command, env=environment | entry.extra, cwd=str(PROJECT))
    manager.loop()
    return int(manager.returncode or 0)


def launch(settings: StackSettings) -> None:
    """Start the supervisor, detached, and note its number."""
    with (settings.logs / "supervisor.log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "embedded", "supervise"],
            cwd=PROJECT,
            env=stack_environment(settings),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,  # Ctrl-C in the terminal of `make up` is not meant for it
            umask=0o077,  # Airflow writes its passwords and keys with the default mode
        )
    pid_file(settings).write_text(f"{process.pid}\n", encoding="ascii")


def running(settings: StackSettings) -> bool:
    """Whether this stack's supervisor lives."""
    try:
        pid = int(pid_file(settings).read_text(encoding="ascii"))
    except (FileNotFoundError, ValueError):
        return False
    return is_member(pid, settings.var)


def pid_file(settings: StackSettings) -> Path:
    return settings.run / "supervisor.pid"


class LogFiles:
    """honcho's printer, writing each process's lines to `<folder>/<process>.log`; its own go to `system.log`."""

    width = 0  # honcho sets it to align names on a screen; files need no names

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def write(self, message: Any) -> None:
        content = message.data if isinstance(message.data, bytes) else str(message.data).encode()
        with (self._folder / f"{message.name}.log").open("ab") as stream:
            stream.write(content)
