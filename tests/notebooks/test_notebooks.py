"""The notebooks run from their first cell to their last one, and carry no outputs."""

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import nbformat
import pytest

from tests.hunts import hunt_cases

FOLDER = Path(__file__).parents[2] / "notebooks"
NAMES = ["from-keras-to-served", "which-pixels-matter"]


def read(path: Path) -> Any:
    return nbformat.read(path, as_version=4)  # type: ignore[no-untyped-call]


def stored(name: str) -> Any:
    return read(FOLDER / f"{name}.ipynb")


def test_every_notebook_is_tested() -> None:
    assert NAMES == sorted(path.stem for path in FOLDER.glob("*.ipynb"))


@pytest.mark.parametrize("name", NAMES)
def test_a_notebook_is_stored_without_outputs(name: str) -> None:
    cells = [cell for cell in stored(name).cells if cell.cell_type == "code"]

    assert [] == [cell.source for cell in cells if cell.outputs or cell.execution_count is not None]
    assert (FOLDER / f"{name}.ipynb").stat().st_size < 50_000


@pytest.mark.parametrize("name", hunt_cases(NAMES, in_make_test=NAMES[:1]))
def test_a_notebook_runs_with_the_command_in_its_first_cell(name: str, tmp_path: Path) -> None:
    """What it shows is checked by its own asserts; here, that it shows a picture."""
    command = re.findall(r"```\n\.venv/bin/(.*)\n```", stored(name).cells[0].source)[0].split()
    program, *arguments = [word.replace("/tmp/", f"{tmp_path}/") for word in command]
    beside = Path(sys.executable).parent / program
    done = subprocess.run(
        [beside, *arguments], cwd=FOLDER.parent, capture_output=True, text=True, timeout=100, check=False
    )
    assert 0 == done.returncode, done.stderr
    executed = read(tmp_path / "executed.ipynb")
    shown = [output for cell in executed.cells for output in cell.get("outputs", ()) if "data" in output]

    assert [output for output in shown if "image/png" in output["data"]]
