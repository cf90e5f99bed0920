"""What a command prints: one line when a verb has ended, and tables whose lines stay whole in a pipe."""

import json
import sys
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import typer

from pipeline import result
from pipeline.commands import naming
from pipeline.errors import UnderstudyError

if TYPE_CHECKING:
    from rich.console import Console

    from pipeline.context import RunContext


@contextmanager
def canonical_line(verb: str, context: "RunContext") -> Iterator[dict[str, Any]]:
    """One line on standard output when a verb ends, however it ends: for people at a terminal, JSON elsewhere."""
    line: dict[str, Any] = {}
    try:
        with written_result(verb, context) as line:
            yield line
    finally:
        if sys.stdout.isatty():
            typer.echo(" ".join(f"{name}={value}" for name, value in line.items()))
        else:
            typer.echo(json.dumps(line, default=str))


@contextmanager
def written_result(verb: str, context: "RunContext") -> Iterator[dict[str, Any]]:
    """Write the result file for the calling program, however the verb ends. Observers are called before that."""
    from pipeline.context import observed

    line: dict[str, Any] = {"verb": verb, "model": context.model, "run": context.run_key, "outcome": "crashed"}
    start = time.monotonic()
    try:
        with naming(context.model), observed(context):
            yield line
        line["outcome"] = "done"
    except UnderstudyError as error:
        line["outcome"] = error.outcome
        line["reason"] = str(error)
        raise
    except Exception as error:
        line["reason"] = f"{type(error).__name__}: {error}"
        if not sys.stdout.isatty():
            line["traceback"] = traceback.format_exc()
        raise
    finally:
        line["seconds"] = round(time.monotonic() - start, 2)
        known = context.journal.known
        result.write(line | {"serving": known.state.serving} if known.entries else line)


def whole_lines() -> "Console":
    """A console that breaks no line of a table that is read through a pipe or in a log."""
    from rich.console import Console

    return Console(width=None if sys.stdout.isatty() else 400)
