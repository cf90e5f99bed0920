"""Run programs that import Keras, which takes seconds, and read what they saw."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.once import once


def seen_once(tmp_path_factory: pytest.TempPathFactory, program: str, *arguments: str | Path) -> Any:
    """As `seen_by`; the program runs once in a test run."""
    return once(tmp_path_factory, f"networks-{program}", lambda: seen_by(program, *arguments))


def seen_by(program: str, *arguments: str | Path) -> Any:
    """What a program beside this file prints as JSON in its last line."""
    command = [sys.executable, "-m", f"tests.pipeline.training.networks.{program}", *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])
