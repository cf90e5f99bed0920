from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.serving.model_server.world import World

MakeWorld = Callable[..., World]


@pytest.fixture
def make_world(tmp_path: Path) -> Iterator[MakeWorld]:
    """Worlds over `tmp_path/m`; their threads end with the test."""
    made: list[World] = []

    def make(**options: Any) -> World:
        base = tmp_path / "m"
        base.mkdir(exist_ok=True)
        made.append(World(base, **options))
        return made[-1]

    yield make
    for world in made:
        for gate in world.shelf.gates.values():
            gate.set()
        world.core.stop()


@pytest.fixture
def world(make_world: MakeWorld) -> World:
    return make_world()
