"""A snapshot refuses what the graph that is served cannot decode, and nothing else: images are damaged at random."""

import json
import os
import subprocess
import sys
from typing import Any

import pytest

from tests.hunts import hunt_cases
from tests.once import once

SEEDS = range(12)
TURNS = 15


@pytest.fixture(scope="module", params=hunt_cases(SEEDS, in_make_test=(1,)))
def seen(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Any:
    return once(tmp_path_factory, f"decoding-{request.param}", lambda: compare(request.param))


def compare(seed: int) -> Any:
    command = [sys.executable, "-m", "tests.pipeline.data.decoding", str(seed), str(TURNS)]
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"}
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def test_a_snapshot_refuses_what_the_served_graph_cannot_decode_and_nothing_else(seen: Any) -> None:
    assert [] == seen["differing"]


def test_the_hunt_meets_both(seen: Any) -> None:
    assert seen["refused"] > 300
    assert seen["usable"] > 100


def test_a_snapshot_decodes_with_the_operation_of_the_served_graph(seen: Any) -> None:
    served, used = seen["attributes"]

    assert served == used


def test_the_served_graph_sees_the_pixels_of_what_was_prepared(seen: Any) -> None:
    """Two builds of libjpeg round differently."""
    assert 0 == seen["pixels"]["PNG"]
    assert seen["pixels"]["JPEG"] <= 8


def test_the_limit_on_pixels_changes_no_pixel(seen: Any) -> None:
    assert seen["is_bounded_only"]
