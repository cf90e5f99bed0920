"""Copies of the buckets in `tests/fixtures/buckets`, and the command line over them."""

import contextlib
import io
import json
import logging
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from pipeline.__main__ import main
from tests.fixtures.write_buckets import ADDRESS, BUCKETS
from tests.releases import MODEL, NO_MLFLOW, World

OLD_BUCKETS = sorted(path.name for path in BUCKETS.iterdir() if path.is_dir())


def old_bucket(name: str, folder: Path) -> World:
    """A copy of a fixture, as if it had always been there. No replica is started."""
    world = World(folder, rollout="latest" if name.startswith("latest") else "pinned")
    shutil.copytree(BUCKETS / name, world.bucket)
    world.config.write_text(world.config.read_text().replace(ADDRESS, str(world.bucket)))
    return world


def contents(world: World) -> dict[str, bytes]:
    """Every object of a bucket."""
    files = (path for path in world.bucket.rglob("*") if path.is_file() and not path.is_symlink())
    return {str(path.relative_to(world.bucket)): path.read_bytes() for path in files}


def change(world: World, key: str, edit: Callable[[dict[str, Any]], object]) -> None:
    """Edit a stored JSON as a newer version might have written it."""
    path = world.bucket / key
    content = json.loads(path.read_bytes())
    edit(content)
    path.write_text(json.dumps(content))


@dataclass(frozen=True)
class Ended:
    """How a command ended: its exit code, and everything that a person sees, in one line."""

    code: int
    text: str


def understudy(world: World, monkeypatch: pytest.MonkeyPatch, verb: str, *words: str) -> Ended:
    """The command `understudy` in this process, with nothing listening anywhere."""
    settings = {"ROOT": str(world.bucket), "ROLLOUT": world.rollout, "REPLICAS": "127.0.0.1:9", "MLFLOW_URL": NO_MLFLOW}
    settings |= {"RPC_SECONDS": "1", "ACTOR": "ann", "CODE_VERSION": "test"}
    seen = io.StringIO()
    handler = logging.StreamHandler(seen)
    with monkeypatch.context() as patch, contextlib.redirect_stdout(seen), contextlib.redirect_stderr(seen):
        for name, value in settings.items():
            patch.setenv(f"UNDERSTUDY_{name}", value)
        patch.setenv("COLUMNS", "1000")
        patch.setattr(sys, "argv", ["understudy", verb, "--model", MODEL, *words])
        logging.getLogger().addHandler(handler)
        try:
            code = main()
        except SystemExit as ended:
            code = int(ended.code or 0)
        finally:
            logging.getLogger().removeHandler(handler)
    return Ended(code, " ".join(seen.getvalue().split()))
