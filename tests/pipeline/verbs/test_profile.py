"""`profile` of a published version: in two servers of its own, with and without batching."""

from pathlib import Path

import pytest

from pipeline.context import make_model_context
from pipeline.errors import BadInputError, FailedError
from pipeline.profiling.measurement import Batching, Measurement
from pipeline.profiling.plan import Plan
from pipeline.verbs.profile import Profile, profile_version
from tests.hunts import hunt
from tests.pipeline.profiling.test_embedded_server import PROGRAM
from tests.releases import MODEL, World

PLAN = Plan(batches=(1, 2), concurrencies=(1,), rates=(20.0,), seconds=0.1, latency_limit=5.0, minutes=1.0)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    """One version is published and serves nowhere."""
    found = World(tmp_path_factory.mktemp("world"))
    found.publish("retrain-1")
    return found


def profiled(world: World, *, version: str = "1", image: bytes = b"2", batching: Path | None = None) -> Profile:
    context = world.context("profile-1")
    found: list[Measurement] = []
    profile = profile_version(
        make_model_context(context.settings, model=MODEL),
        PLAN,
        version=version,
        images=[image],
        batching=batching,
        found=found.append,
        command=PROGRAM,
    )
    assert found == list(profile.measurements)
    return profile


def test_both_servers_are_measured_at_each_point_and_compared(world: World) -> None:
    profile = profiled(world)

    assert [Batching.OFF, Batching.ON] * 3 == [each.point.batching for each in profile.measurements]
    assert 1 == profile.version
    assert [{}] * 6 == [dict(each.errors) for each in profile.measurements]
    assert profile.choice.batch is not None
    assert not profile.out_of_time


@hunt
def test_a_file_of_batching_parameters_is_that_of_the_server_that_batches(world: World, tmp_path: Path) -> None:
    """A batch of two is too large for this one."""
    (tmp_path / "few").write_text("max_batch_size { value: 1 }")
    profile = profiled(world, batching=tmp_path / "few")
    refused = {each.point.batching for each in profile.measurements if each.errors}

    assert {Batching.ON} == refused
    assert {"INVALID_ARGUMENT"} == {kind for each in profile.measurements for kind in each.errors}


@hunt
def test_images_that_the_model_refuses_are_an_error(world: World) -> None:
    with pytest.raises(FailedError, match=r"Unknown image file format.*Check that the server has the model 'digits'"):
        profiled(world, image=b"x")


def test_only_a_published_version_is_measured(world: World) -> None:
    with pytest.raises(BadInputError, match="v7 was never published"):
        profiled(world, version="7")
    with pytest.raises(BadInputError, match="no version serves"):
        profiled(world, version="serving")
