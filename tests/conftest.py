from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.releases import World


@pytest.fixture
def world(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[World]:
    """A bucket and two replicas that poll it: of the pinned roll-out, unless a test is for both (`over_both`)."""
    made = World(tmp_path, rollout=getattr(request, "param", "pinned"))
    made.start()
    yield made
    made.stop()
