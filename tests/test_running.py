"""How the tests themselves are run."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[1]
REASON = "needs a browser: install chromium"
# Every way to skip a test.
SKIPPED = {
    "test": f"""
import pytest

def test_it() -> None:
    pytest.skip("{REASON}")
""",
    "fixture": f"""
import pytest

@pytest.fixture
def browser() -> None:
    pytest.skip("{REASON}")

def test_it(browser: None) -> None:
    pass
""",
    "mark": f"""
import pytest

@pytest.mark.skipif(True, reason="{REASON}")
def test_it() -> None:
    pass
""",
    "module": f"""
import pytest

pytest.skip("{REASON}", allow_module_level=True)
""",
}


@pytest.mark.parametrize("how", SKIPPED)
def test_a_skipped_test_says_why_and_fails_in_ci(how: str, tmp_path: Path) -> None:
    test = tmp_path / "test_it.py"
    test.write_text(SKIPPED[how])

    here, in_ci = _run(test, ci=""), _run(test, ci="true")

    assert here.returncode in (0, 5), here.stdout  # 5: pytest found no test
    assert REASON in here.stdout
    assert in_ci.returncode in (1, 2), in_ci.stdout  # 2: a module could not be collected
    assert REASON in in_ci.stdout


def _run(test: Path, *, ci: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-c", str(PROJECT / "pyproject.toml"), "-p", "tests.conftest", str(test)],
        cwd=PROJECT,
        env={**os.environ, "CI": ci},
        capture_output=True,
        text=True,
        check=False,
    )
