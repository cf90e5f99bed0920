"""Progress of what takes long: a line that changes on a terminal, log lines elsewhere; always on standard error."""

import logging
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

_LOG_SECONDS = 5.0

log = logging.getLogger("pipeline")


class Live:
    """Counts what is done."""

    def __init__(self, what: str, total: int | None, shown: "tuple[Progress, TaskID] | None") -> None:
        self._what = what
        self._total = total
        self._shown = shown
        self._log_at = time.monotonic() + _LOG_SECONDS
        self.done = 0

    def advance(self, text: str = "") -> None:
        """One more is done; `text` says which."""
        self.done += 1
        if self._shown is not None:
            progress, task = self._shown
            progress.update(task, advance=1, text=text)
        elif time.monotonic() >= self._log_at:
            of_all = f" of {self._total}" if self._total is not None else ""
            log.info("%s: %d%s", self._what, self.done, of_all)
            self._log_at = time.monotonic() + _LOG_SECONDS

    def say(self, text: str) -> None:
        """Write a line to standard error, of printable characters: names of files may have others."""
        line = "".join(each if each.isprintable() else " " for each in text)
        if self._shown is None:
            typer.echo(line, err=True)
        else:
            self._shown[0].console.print(line, markup=False, highlight=False, soft_wrap=True)

    @contextmanager
    def paused(self) -> Iterator[None]:
        """While something is printed on standard output, which may be the same terminal."""
        if self._shown is None or not sys.stdout.isatty():
            yield
            return
        progress, _ = self._shown
        progress.stop()
        try:
            yield
        finally:
            progress.start()


@contextmanager
def live(what: str, *, total: int | None = None, hidden: bool = False) -> Iterator[Live]:
    """Show progress during the block, and nothing of it afterwards.

    Args:
        what: is counted.
        total: how many there are; None if that is not known.
        hidden: write log lines on a terminal, too.
    """
    if hidden or not sys.stderr.isatty():
        yield Live(what, total, None)
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    columns = [SpinnerColumn(), TextColumn("{task.description}"), MofNCompleteColumn(), TimeElapsedColumn()]
    if total is not None:
        columns.insert(2, BarColumn())
    shown = Progress(*columns, TextColumn("{task.fields[text]}"), console=Console(stderr=True), transient=True)
    with shown:
        yield Live(what, total, (shown, shown.add_task(what, total=total, text="")))
