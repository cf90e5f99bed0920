"""Models and their config in a bucket: the rules of a world on disk hold there, and while the bucket is away."""

import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from serving.apis import model_pb2
from serving.model_server.config_file import ConfigFile, read_config
from serving.model_server.lifecycle.periodic_function import PeriodicFunction
from serving.status import InvalidArgumentError
from tests.object_storage import Bucket, ObjectStore, bucket, lasting_store, store
from tests.serving.model_server.conftest import MakeWorld
from tests.serving.model_server.world import World, config, eventually

__all__ = ["bucket", "lasting_store", "store"]

ANY = model_pb2.ModelSpec(name="m")
STABLE = model_pb2.ModelSpec(name="m", version_label="stable")


def add(bucket: Bucket, *versions: int) -> None:
    for version in versions:
        bucket.write(f"m/{version}/factor", str(version))


def test_a_version_that_appears_is_served_and_one_that_goes_is_not(world: World, bucket: Bucket) -> None:
    add(bucket, 1)
    world.core.reload(config(bucket.uri("m")))
    assert world.answering(ANY) == 1
    add(bucket, 2)
    eventually(lambda: world.states() == {2: "AVAILABLE", 1: "END"})
    bucket.remove("m/2")
    eventually(lambda: world.states() == {2: "END", 1: "AVAILABLE"})

    assert world.answering(ANY) == 1


def test_an_emptied_prefix_does_not_exist_so_what_is_served_stays(
    world: World, bucket: Bucket, caplog: pytest.LogCaptureFixture
) -> None:
    """Unlike an empty directory, which unloads everything."""
    add(bucket, 1)
    world.core.reload(config(bucket.uri("m")))
    bucket.remove("m/1")
    eventually(lambda: f"Could not find base path {bucket.uri('m')} for servable m with error NOT_FOUND" in caplog.text)

    assert world.answering(ANY) == 1
    assert world.states() == {1: "AVAILABLE"}


def test_a_prefix_that_holds_no_version_unloads_everything(world: World, bucket: Bucket) -> None:
    add(bucket, 1)
    world.core.reload(config(bucket.uri("m")))
    bucket.write("m/README", "no version")
    bucket.remove("m/1")

    eventually(lambda: world.states() == {1: "END"})


def test_specific_versions_are_found_without_their_neighbours(world: World, bucket: Bucket) -> None:
    add(bucket, 1, 2, 11)
    world.core.reload(config(bucket.uri("m"), versions=[1, 2]))

    eventually(lambda: world.states() == {1: "AVAILABLE", 2: "AVAILABLE"})


def test_a_version_without_a_model_fails_by_the_name_of_its_uri(world: World, bucket: Bucket) -> None:
    add(bucket, 1)
    world.core.reload(config(bucket.uri("m")))
    bucket.write("m/2/other", "")
    eventually(lambda: world.states().get(2) == "END NOT_FOUND")

    error = world.monitor.versions("m")[2].error
    assert str(error) == f"NOT_FOUND: no model in {bucket.uri('m/2')}"
    assert world.answering(ANY) == 1


def test_a_config_in_a_bucket_is_polled(make_world: MakeWorld, bucket: Bucket) -> None:
    world = make_world(allow_labels_for_unavailable=True)
    add(bucket, 1, 2)
    uri = bucket.uri("m.config")
    bucket.write("m.config", str(config(bucket.uri("m"), versions=[1], stable=1)))
    world.core.reload(read_config(uri))
    polling = PeriodicFunction(ConfigFile(uri, world.core).apply, seconds=0.05, name="config poll")
    polling.start()
    try:
        assert world.answering(STABLE) == 1
        bucket.write("m.config", str(config(bucket.uri("m"), versions=[1, 2], stable=1)))
        eventually(lambda: world.states() == {2: "AVAILABLE", 1: "AVAILABLE"})
        bucket.write("m.config", str(config(bucket.uri("m"), versions=[1, 2], stable=2)))
        eventually(lambda: world.answering(STABLE) == 2)
    finally:
        polling.stop()


@pytest.fixture
def lasting_bucket(lasting_store: ObjectStore) -> Iterator[Bucket]:
    made = lasting_store.bucket()
    yield made
    made.close()


def test_while_the_bucket_is_silent_requests_and_reloads_are_answered_and_afterwards_news_are_taken_in(
    world: World, lasting_store: ObjectStore, lasting_bucket: Bucket
) -> None:
    """Nothing is unloaded and no loop ends: two polls are stuck, and nobody waits for them."""
    add(lasting_bucket, 1)
    uri, base = lasting_bucket.uri("m.config"), lasting_bucket.uri("m")
    lasting_bucket.write("m.config", str(config(base)))
    world.core.reload(read_config(uri))
    lasting_store.stop()
    with socket.create_server(("127.0.0.1", lasting_store.port)) as silent, ExitStack() as stuck:
        silent.settimeout(30)
        polled = threading.Thread(target=ConfigFile(uri, world.core).apply, daemon=True)
        polled.start()
        for _ in ("storage poll", "config poll"):
            stuck.enter_context(silent.accept()[0])
        reload = threading.Thread(target=world.core.reload, args=[config(base)], daemon=True)
        reload.start()
        for _ in range(100):
            assert world.answering(ANY) == 1
        reload.join(10)
        assert (reload.is_alive(), polled.is_alive()) == (False, True)
        assert world.states() == {1: "AVAILABLE"}
    lasting_store.start()
    add(lasting_bucket, 2)
    polled.join(60)
    eventually(lambda: world.states() == {2: "AVAILABLE", 1: "END"}, seconds=60)

    assert world.answering(ANY) == 2


def test_a_config_that_is_no_text_proto_names_its_uri(bucket: Bucket) -> None:
    bucket.write("m.config", "model_config_list { oops")

    with pytest.raises(InvalidArgumentError, match=f"Invalid protobuf file: '{bucket.uri('m.config')}'"):
        read_config(bucket.uri("m.config"))


def test_a_new_model_is_awaited_where_it_is(world: World, bucket: Bucket, tmp_path: Path) -> None:
    """One model on the local disk and one in a bucket, side by side."""
    world.add(1)
    both = config(world.base)
    both.MergeFrom(config(bucket.uri("m"), name="other"))
    add(bucket, 7)
    world.core.reload(both)

    assert (world.states(), world.states("other")) == ({1: "AVAILABLE"}, {7: "AVAILABLE"})
