"""Prometheus' own programs, for tests that run them."""

import shutil
import subprocess
from pathlib import Path

import pytest

needs_prometheus = pytest.mark.skipif(
    shutil.which("promtool") is None or shutil.which("prometheus") is None,
    reason="needs prometheus and promtool: on Debian, `apt-get install prometheus`",
)


def promtool(*words: str | Path) -> None:
    """Fails with what promtool says where it finds a fault."""
    done = subprocess.run(
        ["promtool", *map(str, words)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        stdin=subprocess.DEVNULL,
    )

    assert done.returncode == 0, f"promtool {words[0]} {words[1]} found:\n{done.stdout}{done.stderr}"
