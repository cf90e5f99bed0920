"""The notebooks run from their first cell to their last one, and carry no outputs."""

from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient

from tests.hunts import hunt_cases

FOLDER = Path(__file__).parents[2] / "notebooks"
NAMES = ["from-keras-to-served", "which-pixels-matter"]


def read(name: str) -> Any:
    return nbformat.read(FOLDER / f"{name}.ipynb", as_version=4)  # type: ignore[no-untyped-call]


def test_every_notebook_is_tested() -> None:
    assert NAMES == sorted(path.stem for path in FOLDER.glob("*.ipynb"))


@pytest.mark.parametrize("name", NAMES)
def test_a_notebook_is_stored_without_outputs(name: str) -> None:
    cells = [cell for cell in read(name).cells if cell.cell_type == "code"]

    assert [] == [cell.source for cell in cells if cell.outputs or cell.execution_count is not None]
    assert (FOLDER / f"{name}.ipynb").stat().st_size < 50_000


@pytest.mark.parametrize("name", hunt_cases(NAMES, in_make_test=NAMES[:1]))
def test_a_notebook_runs(name: str) -> None:
    """What it shows is checked by its own asserts; here, that it shows a picture."""
    notebook = read(name)
    NotebookClient(notebook, timeout=100, resources={"metadata": {"path": str(FOLDER)}}).execute()
    shown = [output for cell in notebook.cells for output in cell.get("outputs", ()) if "data" in output]

    assert [output for output in shown if "image/png" in output["data"]]
