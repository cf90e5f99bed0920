"""What `retain` deletes of the lists of images: what no kept run names and no later snapshot needs."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from pipeline import layout
from pipeline.data.snapshot import manifest_file, manifests
from pipeline.data.snapshot.rows import Row
from pipeline.runs.records import SnapshotRecord
from pipeline.runs.run_records import RunRecords
from tests.pipeline.verbs.test_retain import Releases
from tests.releases import MODEL

DIGEST = "0123456789abcdef" * 4


@pytest.fixture
def releases(tmp_path: Path) -> Releases:
    """v1 was released and serves."""
    made = Releases(tmp_path)
    made.release("retrain-1")
    return made


def list_images(releases: Releases, *run_keys: str) -> str:
    """A manifest of now, and runs of now that name it; the name of its folder."""
    key = layout.snapshot_manifest(MODEL, f"{releases.clock.now():%Y%m%dT%H%M%S%fZ}", DIGEST)
    releases.memory.create(f"{key}/images.parquet", b"PAR1")
    for run_key in run_keys:
        snapshot_of(releases, run_key, key)
    return key.rpartition("/")[2]


def snapshot_of(releases: Releases, run_key: str, key: str) -> None:
    record = SnapshotRecord(digest=DIGEST, labels=("a", "b"), manifest=key, at=releases.clock.now())
    RunRecords(releases.memory, MODEL, run_key).finish(record)


def interrupt(releases: Releases, folder: Path) -> str:
    """A part that an interrupted snapshot of now has left; its name."""
    now = releases.clock.now().isoformat()
    digest = bytes.fromhex(DIGEST)
    row = Row("a/1.png", 1, "1", "a", None, "[]", digest, digest, ".png", 8, 8, 0, None, now, "used", "train", None)
    (folder / "part").mkdir(exist_ok=True)
    sha256 = manifest_file.write(folder / "part" / manifests.FILE, [row], slices=(), settings={}, shards=())
    return manifests.store_part(releases.memory, MODEL, folder / "part", digest=sha256)


def listed(releases: Releases) -> list[str]:
    return releases.below(layout.snapshots(MODEL))


def test_an_old_list_that_no_kept_run_names_is_deleted(releases: Releases) -> None:
    old = list_images(releases, "retrain-declined")
    releases.days(31)
    newest = list_images(releases)
    done = releases.retain()

    assert [newest] == listed(releases)
    assert (f"snapshots/digits/{old}",) == done.snapshots
    assert ("retrain-declined",) == done.runs


def test_a_dry_run_only_says_so(releases: Releases) -> None:
    old = list_images(releases)
    releases.days(31)
    newest = list_images(releases)

    assert (f"snapshots/digits/{old}",) == releases.retain(dry_run=True).snapshots
    assert [old, newest] == listed(releases)


def test_the_list_of_the_run_that_serves_stays(releases: Releases) -> None:
    """Its records stay, whatever their age."""
    old = list_images(releases, "retrain-1")
    releases.days(31)
    newest = list_images(releases)
    releases.retain()

    assert [old, newest] == listed(releases)


def test_an_old_list_that_a_young_run_has_used_again_stays(releases: Releases) -> None:
    old = list_images(releases)
    releases.days(31)
    newest = list_images(releases)
    snapshot_of(releases, "retrain-2", f"snapshots/digits/{old}")
    releases.retain()

    assert [old, newest] == listed(releases)


def test_the_newest_list_stays_for_the_next_snapshot_whatever_its_age(releases: Releases) -> None:
    list_images(releases)
    releases.days(1)
    newest = list_images(releases)
    releases.days(400)
    releases.retain()

    assert [newest] == listed(releases)


def test_a_young_list_stays_because_its_run_may_be_about_to_name_it(releases: Releases) -> None:
    young = list_images(releases)
    releases.days(29)
    newest = list_images(releases)
    releases.retain()

    assert [young, newest] == listed(releases)


@pytest.mark.parametrize("content", [b"{", b'{"digest": "d", "labels": [], "from_the_future": 1}'])
def test_a_record_that_cannot_be_read_may_name_any_list_so_none_is_deleted(
    releases: Releases, caplog: pytest.LogCaptureFixture, content: bytes
) -> None:
    old = list_images(releases)
    releases.days(31)
    newest = list_images(releases)
    releases.memory.create(layout.record(MODEL, "retrain-2", "snapshot"), content)
    done = releases.retain()

    assert [old, newest] == listed(releases)
    assert () == done.snapshots
    assert "it is not known which list of images that run needs" in caplog.text


def test_what_is_no_list_stays(releases: Releases) -> None:
    for name in ("notes", "lost"):
        releases.memory.create(f"snapshots/digits/{name}/file", b"")
    releases.days(400)
    releases.retain()

    assert ["lost", "notes"] == listed(releases)


def test_parts_of_an_interrupted_snapshot_are_deleted_when_they_are_old(releases: Releases, tmp_path: Path) -> None:
    old = interrupt(releases, tmp_path)
    releases.days(31)
    young = interrupt(releases, tmp_path)
    releases.memory.create(f"{layout.snapshot_parts(MODEL)}/damaged/images.parquet", b"PAR1")
    done = releases.retain()

    assert sorted([young, "damaged"]) == releases.below(layout.snapshot_parts(MODEL))
    assert (f"snapshots/digits/parts/{old}",) == done.snapshots


def test_a_second_retention_finds_nothing_to_do(releases: Releases) -> None:
    list_images(releases)
    releases.days(31)
    list_images(releases)
    releases.retain()

    assert () == releases.retain(run_key="retain-2").snapshots


def test_the_moment_in_a_name_is_that_of_utc() -> None:
    assert datetime(2026, 11, 29, 3, 4, 5, 6, tzinfo=UTC) == layout.snapshot_moment(
        "20261129T030405000006Z-0123456789abcdef"
    )
