import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.platform.compose_file import Checkout


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    """Short, because of the socket of PostgreSQL, and open to its user."""
    made = Path(tempfile.mkdtemp(prefix="platform-"))
    made.chmod(0o755)
    yield made
    shutil.rmtree(made)


@pytest.fixture(scope="module")
def checkout(folder: Path) -> Checkout:
    """With the `.env` that `sh docker/make-env` writes."""
    made = Checkout(folder / "checkout")
    made.folder.mkdir()
    assert 0 == made.make_env().returncode
    return made
