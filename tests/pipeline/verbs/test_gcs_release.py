"""Releases with everything in Google Cloud Storage: an emulator of it, and model servers that read from it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline import layout
from pipeline.deployment import RolloutName
from pipeline.errors import CouldNotTellError, DamagedError, FailedError, StorageError
from pipeline.journal.state import State
from pipeline.verbs.rollback import request_for
from pipeline.verbs.status import status
from tests.object_storage import Bucket, ObjectStore, bucket, lasting_store, store
from tests.releases import MODEL, World, eventually

__all__ = ["bucket", "lasting_store", "store"]


@pytest.fixture
def cloud(bucket: Bucket, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[World]:
    """Two replicas that poll a config in the bucket, or their model's base path there."""
    rollout: RolloutName = getattr(request, "param", "pinned")
    made = World(tmp_path, rollout=rollout, cloud=bucket.uri(), follow_seconds=20.0)
    made.start()
    yield made
    made.stop()


def differences(world: World) -> list[str]:
    return status(world.context("look-1")).differences


@pytest.mark.parametrize("cloud", ["pinned", "latest"], indirect=True)
def test_releases_a_refusal_and_roll_backs(cloud: World) -> None:
    cloud.release_three()
    assert [3, 3] == cloud.answering()

    cloud.publish("retrain-4", shift=1)
    with pytest.raises(FailedError, match="12 of 12 golden answers differ"):
        cloud.run("canary", "retrain-4")
    cloud.run("withdraw", "retrain-4")
    assert [3, 3] == cloud.answering()

    assert 2 == cloud.roll_back("previous").version
    assert 1 == cloud.roll_back("1").version
    assert [1, 1] == cloud.answering()
    assert State(serving=1, next_version=5) == cloud.history().state
    assert eventually(lambda: [] == [told for told in differences(cloud) if "MLflow" not in told]), differences(cloud)


def test_a_candidate_damaged_after_publish_meets_no_replica(cloud: World, bucket: Bucket) -> None:
    """F13."""
    cloud.release("retrain-1")
    cloud.publish("retrain-2")
    bucket.write(f"{layout.version(MODEL, 2)}/classifier.json", '{"shift": 2}')

    with pytest.raises(DamagedError, match=r"serve/digits/2 is not what was approved: classifier\.json differs"):
        cloud.run("canary", "retrain-2")
    assert [1, 1] == cloud.answering()


def test_a_roll_back_without_the_bucket_says_what_was_done_and_what_was_not(
    lasting_store: ObjectStore, tmp_path: Path
) -> None:
    """F37: replicas go on serving; asked to, they move the label without it; and later it is made to last."""
    world = World(tmp_path, cloud=lasting_store.bucket().uri(), follow_seconds=20.0)
    world.start()
    try:
        world.release("retrain-1")
        world.release("retrain-2")
        context = world.context("rollback-3")
        lasting_store.stop()
        with pytest.raises(StorageError) as raised:
            request_for(context, to="previous", reason="it is bad", asked_at=None)
        told = str(raised.value)
        assert "The bucket contains these entries of this roll-back, as far as is known: none" in told
        assert f"Each replica answers now: {world.replicas[0].address}: v2, {world.replicas[1].address}: v2" in told
        assert "--run rollback-3" in told

        with pytest.raises(
            CouldNotTellError,
            match=r"requested to point at v1\. Each replica answers now: .*: v1, .*: v1\. This is not recorded",
        ):
            world.context("rollback-3", without_bucket=True).strategy.move_without_bucket("1")
        assert [1, 1] == world.answering()

        lasting_store.start()
        assert 1 == world.roll_back("previous", run_key="rollback-3").version
        assert State(serving=1, next_version=3) == world.history().state
        assert [1, 1] == world.answering()
    finally:
        world.stop()
