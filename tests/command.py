"""The command `understudy` as the set-up installs it: beside the Python that runs the tests, for this checkout."""

import os
import shlex
import shutil
import sys
from pathlib import Path

PROJECT = Path(__file__).parents[1]
SCRIPT = PROJECT / "bin" / "understudy"


def installed(folder: Path) -> dict[str, str]:
    """Install it into a folder; the variables by which a shell finds it there, and it the code of this checkout."""
    folder.mkdir(exist_ok=True)
    shutil.copy(SCRIPT, folder / "understudy")
    python = folder / "python"
    python.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} "$@"\n')
    python.chmod(0o755)
    return {"PATH": f"{folder}:{os.environ['PATH']}", "PYTHONPATH": str(PROJECT)}
