"""Progress of what takes long: a line that changes on a terminal, log lines elsewhere; always on standard error."""

import logging
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

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

    @contextmanager
    def hidden(self) -> Iterator[None]:
        """While something else is printed, which may go to the same terminal."""
        if self._shown is None:
            yield
            return
        progress, _ = self._shown
        progress.stop()
        try:
            yield
        finally:
            progress.start()


@contextmanager
def live(what: str, *, total: int | None = None) -> Iterator[Live]:
    """Show progress during the block, and nothing of it afterwards."""
    if not sys.stderr.isatty():
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
