from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.releases import World


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    """A bucket and two replicas that poll it."""
    made = World(tmp_path)
    made.start()
    yield made
    made.stop()
