"""Run a program that imports Keras, which takes seconds, and read what it saw."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any


def seen_by(program: str, *arguments: str | Path) -> Any:
    """What a program beside this file prints as JSON in its last line."""
    command = [sys.executable, "-m", f"tests.pipeline.training.networks.{program}", *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])
