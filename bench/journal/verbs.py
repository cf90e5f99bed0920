"""The verbs that are measured, as the command line carries them out; in this process, or as whole commands."""

import io
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any

import typer.main

from pipeline.cli import app
from tests.releases import MODEL, NO_MLFLOW

_PROJECT = Path(__file__).parents[2]
# No replica answers, so what servers take is in no figure.
_NOBODY = "127.0.0.1:9"

VERBS: Mapping[str, tuple[str, ...]] = {
    "rollback --plan": ("rollback", "--to", "previous", "--reason", "it is bad", "--plan"),
    "status": ("status",),
    "history --last 20": ("history", "--last", "20"),
    "retain --dry-run": ("retain", "--dry-run"),
    "announce": ("announce",),
}
# What `status` ends with, because no replica agrees.
_ENDS = (0, 3)


def environment(root: str) -> dict[str, str]:
    return {
        "UNDERSTUDY_ROOT": root,
        "UNDERSTUDY_REPLICAS": _NOBODY,
        "UNDERSTUDY_MLFLOW_URL": NO_MLFLOW,
        "UNDERSTUDY_MODELS": str(_PROJECT / "models"),
        "UNDERSTUDY_ACTOR": "ann",
    }


@contextmanager
def set_to(values: Mapping[str, str]) -> Iterator[None]:
    """Variables of the environment, until the block ends."""
    before = dict(os.environ)
    os.environ.update(values)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def seconds_of(verb: str) -> float:
    """The time of a verb in this process, from the words of its command to the end of its output."""
    command: Any = typer.main.get_command(app)
    output = io.StringIO()
    began = time.perf_counter()
    with redirect_stdout(output), redirect_stderr(output):
        try:
            ended = command.main([*VERBS[verb], "--model", MODEL], standalone_mode=False) or 0
        except SystemExit as end:
            ended = int(end.code or 0)
    seconds = time.perf_counter() - began
    if ended not in _ENDS:
        raise RuntimeError(f"`{verb}` ended with {ended}: {output.getvalue()[-2000:]}")
    return seconds


def seconds_of_command(verb: str, root: str) -> float:
    """The same of a process of its own, with the start of Python."""
    command = [sys.executable, "-m", "pipeline", *VERBS[verb], "--model", MODEL]
    env = {**os.environ, **environment(root), "PYTHONPATH": str(_PROJECT)}
    began = time.perf_counter()
    ended = subprocess.run(command, cwd=_PROJECT, env=env, capture_output=True, text=True, check=False)
    seconds = time.perf_counter() - began
    if ended.returncode not in _ENDS:
        raise RuntimeError(f"`{verb}` ended with {ended.returncode}: {ended.stderr[-2000:]}")
    return seconds
