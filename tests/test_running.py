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


@pytest.fixture(scope="module")
def endings(tmp_path_factory: pytest.TempPathFactory) -> dict[str, subprocess.CompletedProcess[str]]:
    """How a run of all of them ends, by the value of CI."""
    folder = tmp_path_factory.mktemp("skipped")
    for how, text in SKIPPED.items():
        (folder / f"test_{how}.py").write_text(text)
    return {ci: _run(folder, ci=ci) for ci in ("", "true")}


@pytest.mark.parametrize("how", SKIPPED)
def test_a_skipped_test_says_why_and_fails_in_ci(
    how: str, endings: dict[str, subprocess.CompletedProcess[str]]
) -> None:
    here, in_ci = (_summary(ending.stdout, f"test_{how}.py") for ending in endings.values())

    assert here.startswith("SKIPPED"), endings[""].stdout
    assert here.endswith(REASON)
    assert in_ci.startswith(("FAILED", "ERROR")), endings["true"].stdout
    assert in_ci.endswith(REASON)


def test_skipped_tests_end_a_run_in_ci_with_an_error_and_no_other(
    endings: dict[str, subprocess.CompletedProcess[str]],
) -> None:
    assert {"": 0, "true": 1} == {ci: ending.returncode for ci, ending in endings.items()}


def _summary(output: str, file: str) -> str:
    """The line about a file at the end of a run."""
    _, _, summary = output.partition("short test summary info")
    (line,) = (line for line in summary.splitlines() if file in line)
    return line


def _run(folder: Path, *, ci: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [
            *(sys.executable, "-m", "pytest", "-c", str(PROJECT / "pyproject.toml"), "-p", "tests.conftest"),
            *("--continue-on-collection-errors", str(folder)),
        ],
        cwd=PROJECT,
        env={**os.environ, "CI": ci},
        capture_output=True,
        text=True,
        check=False,
    )
