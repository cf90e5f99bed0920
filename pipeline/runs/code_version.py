"""Which version of the code runs: for the records of a run, and to notice a change between two verbs of a run."""

import logging
import os
import subprocess
from functools import cache
from pathlib import Path

from pipeline.stack_file import PROJECT

log = logging.getLogger(__name__)

UNKNOWN = "unknown"
# What git appends where files differ from the commit.
_DIRTY = "-dirty"

# Git answers in milliseconds; a file system that hangs must not block a verb.
_SECONDS = 10.0


def code_version(named: str | None) -> str:
    """`named` (UNDERSTUDY_CODE_VERSION, which images set); without it the commit of this checkout; else `unknown`."""
    return named or describe(PROJECT)


def is_exact(version: str) -> bool:
    """Whether two processes with this version run the same code. Changes that no commit has are not in a version."""
    return version != UNKNOWN and not version.endswith(_DIRTY)


@cache
def describe(checkout: Path) -> str:
    """The commit of a checkout from `git describe --always --dirty`; `unknown` without git or a checkout.

    It starts a process, so call it only where the answer is recorded. The answer is cached: a process runs the code
    that it has imported.
    """
    # Inside a hook of git, variables in the environment name another repository.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    # Without --git-dir it would search the folders above, and might find another repository.
    command = ["git", f"--git-dir={checkout}/.git", f"--work-tree={checkout}", "describe", "--always", "--dirty"]
    try:
        done = subprocess.run(
            command,
            cwd=checkout,
            env=environment | {"GIT_OPTIONAL_LOCKS": "0"},
            capture_output=True,
            text=True,
            timeout=_SECONDS,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return UNKNOWN
    return done.stdout.strip() or UNKNOWN


def warn_of_change(verb: str, *, recorded: str, now: str) -> None:
    """Log a warning if `verb` runs other code than `snapshot` of the same run recorded; nothing if one is unknown."""
    if UNKNOWN in (recorded, now) or recorded == now:
        return
    log.warning(
        "the code has changed during this run: `snapshot` ran version %s, and `%s` runs version %s. The run goes on, "
        "and the record of each verb names its version. If the change matters, trigger a new run",
        recorded,
        verb,
        now,
    )
