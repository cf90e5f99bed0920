"""How the tests themselves are run."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[1]
A_SKIPPED_TEST = """
import pytest

def test_it() -> None:
    pytest.skip("needs a browser: install chromium")
"""


@pytest.mark.parametrize(("ci", "code"), [("", 0), ("true", 1)])
def test_a_skipped_test_says_why_and_fails_in_ci(ci: str, code: int, tmp_path: Path) -> None:
    test = tmp_path / "test_it.py"
    test.write_text(A_SKIPPED_TEST)

    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-c", str(PROJECT / "pyproject.toml"), "-p", "tests.conftest", str(test)],
        cwd=PROJECT,
        env={**os.environ, "CI": ci},
        capture_output=True,
        text=True,
        check=False,
    )

    assert code == done.returncode, done.stdout
    assert "needs a browser: install chromium" in done.stdout
