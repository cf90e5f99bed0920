"""`sync`: servers that cannot read the bucket follow all the same, from a folder that is kept like it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline import layout
from pipeline.deployment import RolloutName
from pipeline.errors import BadInputError, FailedError, StorageError
from pipeline.journal.state import State
from pipeline.rollout import config
from pipeline.settings import Settings
from pipeline.storage.local import LocalBucket
from pipeline.verbs.sync import server_folder, sync
from tests.pipeline.storage.s3_store import S3TestBucket, s3_bucket, s3_store
from tests.pipeline.test_cli import pipeline
from tests.releases import MODEL, World
from tests.synced import SyncedWorld

__all__ = ["s3_bucket", "s3_store"]
from tests.hunts import hunt


@pytest.fixture
def synced(s3_bucket: S3TestBucket, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[SyncedWorld]:
    rollout: RolloutName = getattr(request, "param", "pinned")
    made = SyncedWorld(tmp_path, rollout=rollout, cloud=s3_bucket.uri("models"), follow_seconds=20.0)
    made.start()
    yield made
    made.stop()


@hunt
@pytest.mark.parametrize("synced", ["pinned", "latest"], indirect=True)
def test_releases_a_refusal_and_roll_backs_on_s3_with_servers_that_cannot_read_it(synced: SyncedWorld) -> None:
    synced.release_three()
    assert [3, 3] == synced.answering()

    synced.publish("retrain-4", shift=1)
    with pytest.raises(FailedError, match="12 of 12 golden answers differ"):
        synced.run("canary", "retrain-4")
    synced.run("withdraw", "retrain-4")
    assert [3, 3] == synced.answering()

    assert 2 == synced.roll_back("previous").version
    assert [2, 2] == synced.answering()
    assert 1 == synced.roll_back("1").version
    assert [1, 1] == synced.answering()
    if synced.rollout == "pinned":
        assert State(serving=1, next_version=5) == synced.history().state


@pytest.fixture
def made(tmp_path: Path) -> World:
    """A bucket on a disk that was never released to, without any server; the servers would read `seen`."""
    world = World(tmp_path, extra={"server_root": str(tmp_path / "seen")})
    world.start(count=0)
    return world


def seen(world: World) -> list[str]:
    folder = world.folder / "seen"
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def test_a_folder_gets_the_versions_before_the_config_and_nothing_twice(made: World) -> None:
    made.publish("retrain-1")
    context = made.context("look-0")
    written = '# journal entry 9\nmodel_config_list { config { base_path: "x" versions: 1 } }'
    context.bucket.replace(layout.config(MODEL), written.encode(), instead_of=context.bucket.read(layout.config(MODEL)))
    root = made.folder / "seen"

    assert ["v1 added", "config written"] == sync(context.bucket, MODEL, root)
    assert [] == sync(context.bucket, MODEL, root)
    assert ["serve/digits.config", "serve/digits/1/classifier.json", "serve/digits/1/saved_model.pb"] == seen(made)


def test_a_version_that_the_config_does_not_name_any_more_goes_last(made: World) -> None:
    made.publish("retrain-1")
    bucket = made.context("look-0").bucket
    key = layout.config(MODEL)
    bucket.replace(key, b"versions: 1", instead_of=bucket.read(key))
    sync(bucket, MODEL, made.folder / "seen")
    bucket.replace(key, b"# none", instead_of=b"versions: 1")

    assert ["config written", "v1 removed"] == sync(bucket, MODEL, made.folder / "seen")
    assert ["serve/digits.config"] == seen(made)


def test_what_a_killed_sync_has_left_is_no_version_and_is_replaced(made: World) -> None:
    bucket = made.context("look-0").bucket
    left = made.folder / "seen" / "serve" / "digits.sync"
    left.mkdir(parents=True)
    (left / "half").write_bytes(b"any")
    sync(bucket, MODEL, made.folder / "seen")

    assert ["serve/digits.config"] == seen(made)


def test_a_config_that_names_a_missing_version_does_not_reach_the_servers(made: World) -> None:
    bucket = made.context("look-0").bucket
    sync(bucket, MODEL, made.folder / "seen")
    before = (made.folder / "seen" / layout.config(MODEL)).read_bytes()
    bucket.replace(layout.config(MODEL), b"versions: 7", instead_of=before)

    with pytest.raises(StorageError, match="no folder serve/digits/7"):
        sync(bucket, MODEL, made.folder / "seen")
    assert before == (made.folder / "seen" / layout.config(MODEL)).read_bytes()


def test_the_versions_of_both_configs_come_before_them_and_go_after_them(made: World) -> None:
    """A candidate is named by the config of the first ring alone."""
    made.publish("retrain-1")
    made.publish("retrain-2")
    bucket = made.context("look-0").bucket
    rest, ring = layout.config(MODEL), layout.first_ring_config(MODEL)
    bucket.replace(rest, b"versions: 1", instead_of=bucket.read(rest))
    bucket.replace(ring, b"versions: 1 versions: 2", instead_of=None)
    root = made.folder / "seen"

    assert ["v1 added", "v2 added", "config of the first ring written", "config written"] == sync(bucket, MODEL, root)
    assert [] == sync(bucket, MODEL, root)
    bucket.replace(ring, b"versions: 1", instead_of=bucket.read(ring))
    assert ["config of the first ring written", "v2 removed"] == sync(bucket, MODEL, root)
    assert {"first_ring/digits.config", "serve/digits.config"} == {each for each in seen(made) if "config" in each}


def test_the_base_path_of_the_first_ring_is_kept_too(tmp_path: Path) -> None:
    bucket = LocalBucket(tmp_path / "bucket")
    header = config.render_latest(model=MODEL, base_path="/x", seq=9).encode()
    for folder, versions in ((layout.versions(MODEL), (1,)), (layout.first_ring_versions(MODEL), (1, 2))):
        for version in versions:
            bucket.create(f"{folder}/{version}/saved_model.pb", b"graph")
    bucket.create(layout.config(MODEL), header)
    bucket.create(layout.first_ring_config(MODEL), header)
    changed = sync(bucket, MODEL, tmp_path / "seen")

    assert {
        "v1 added",
        "v1 of the first ring added",
        "v2 of the first ring added",
        "config of the first ring written",
        "config written",
    } == set(changed)
    bucket.remove(layout.first_ring_version(MODEL, 2))
    assert ["v2 of the first ring removed"] == sync(bucket, MODEL, tmp_path / "seen")


def test_a_folder_that_cannot_be_written_is_said_in_a_sentence(made: World, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("any")

    with pytest.raises(StorageError, match=r"cannot write .*/file.*: Not a directory"):
        sync(LocalBucket(made.bucket), MODEL, tmp_path / "file")


@pytest.mark.parametrize("root", [None, "s3://models/understudy"])
def test_without_a_folder_the_variable_is_named(root: str | None) -> None:
    with pytest.raises(BadInputError, match="no folder that `sync` could keep"):
        server_folder(Settings(root="s3://models/understudy", server_root=root))


def test_the_command_copies_what_init_has_written(tmp_path: Path) -> None:
    pipeline(tmp_path, "init", UNDERSTUDY_SERVER_ROOT=str(tmp_path / "seen"))
    done = pipeline(tmp_path, "sync")

    assert 0 == done.returncode, done.stderr
    assert f"{tmp_path}/seen: config written" in done.stdout
    assert (tmp_path / "seen" / "serve" / "digits.config").exists()
