"""A command of this project in the process of a test: quicker than a process, and the same code from the first line."""

import contextlib
import io
import logging
import sys
from dataclasses import dataclass

import pytest

from pipeline.__main__ import main


@dataclass(frozen=True)
class Done:
    """What a command has written, and its exit code."""

    code: int
    out: str
    err: str


def command(monkeypatch: pytest.MonkeyPatch, *words: str) -> Done:
    """Run it with its own handlers of log lines."""
    monkeypatch.setattr(sys, "argv", ["understudy", *words])
    monkeypatch.setattr(logging.getLogger(), "handlers", [])
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            code = int(main())
        except SystemExit as ended:
            code = int(ended.code or 0)
    return Done(code, out.getvalue(), err.getvalue())
