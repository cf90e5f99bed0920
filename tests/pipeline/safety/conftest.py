import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of SavedModels, exported by one program for all tests."""
    folder = tmp_path_factory.mktemp("models")
    command = [sys.executable, "-m", "tests.pipeline.safety.unsafe_models", str(folder), str(folder / "written.txt")]
    subprocess.run(command, cwd=ROOT, check=True, timeout=110)
    return folder
