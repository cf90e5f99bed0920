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
from pipeline.cli.options import run_context, run_key_of
from pipeline.commands import naming
from pipeline.errors import UnderstudyError

if TYPE_CHECKING:
    from rich.console import Console

    from pipeline.context import RunContext
    from pipeline.runs.run_key import Kind


@contextmanager
def canonical_line(
    verb: str, model: str, run: str | None, *, kind: "Kind | None" = None, without_bucket: bool = False
) -> "Iterator[tuple[RunContext, dict[str, Any]]]":
    """What a verb of a run works with, and one line on standard output when it ends, however it ends.

    The line is for people at a terminal, and JSON elsewhere. The arguments are those of `written_result`.
    """
    line: dict[str, Any] = {}
    try:
        with _written(line, verb, model, run, kind=kind, without_bucket=without_bucket) as context:
            yield context, line
    finally:
        if sys.stdout.isatty():
            typer.echo(" ".join(f"{name}={value}" for name, value in line.items()))
        else:
            typer.echo(json.dumps(line, default=str))


@contextmanager
def written_result(
    verb: str, model: str, run: str | None, *, kind: "Kind | None" = None, without_bucket: bool = False
) -> "Iterator[tuple[RunContext, dict[str, Any]]]":
    """What a verb of a run works with; writes the result file for the calling program, however the verb ends.

    Observers are called before that.

    Args:
        verb: its name.
        model: the name of the model.
        run: the run key; None for a new one of `kind`.
        kind: of a new run key.
        without_bucket: see `pipeline.context.make_run_context`.
    """
    line: dict[str, Any] = {}
    with _written(line, verb, model, run, kind=kind, without_bucket=without_bucket) as context:
        yield context, line


@contextmanager
def _written(
    line: dict[str, Any], verb: str, model: str, run: str | None, *, kind: "Kind | None", without_bucket: bool
) -> "Iterator[RunContext]":
    from pipeline.context import observed

    key = run_key_of(run, kind=kind)
    line.update({"verb": verb, "model": model, "run": key, "outcome": "crashed"})
    context: RunContext | None = None
    start = time.monotonic()
    try:
        with naming(model):
            context = run_context(model, key, without_bucket=without_bucket)
            with observed(context):
                yield context
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
        known = context.journal.known if context else None
        result.write(line | {"serving": known.state.serving} if known and known.seq else line)


def whole_lines() -> "Console":
    """A console that breaks no line of a table that is read through a pipe or in a log."""
    from rich.console import Console

    return Console(width=None if sys.stdout.isatty() else 400)
