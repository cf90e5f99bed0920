"""What a snapshot takes from a source, what it knows the next time, and what it must notice."""

import hashlib
import os
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from pipeline import layout
from pipeline.data.snapshot import parts
from pipeline.data.snapshot.importing import examined
from pipeline.data.snapshot.splits import split_of
from pipeline.errors import BadInputError, FailedError, StorageError
from pipeline.spec import Image
from pipeline.storage.local import LocalBucket
from pipeline.storage.objects import THREADS
from tests.pipeline.data.pictures import png, write_old
from tests.pipeline.data.snapshots import NOON, CountingBucket, contents_of, rows, snapshot, spec, splits, stored_files


def test_every_image_is_stored_and_listed_with_its_content_and_split(bucket: CountingBucket, folder: Path) -> None:
    found = snapshot(bucket, spec(folder))
    listed = {str(row["name"]): row for row in rows(bucket, found)}

    content = png(7)
    digest = hashlib.sha256(content)
    assert 80 == len(listed) == found.found.images()
    assert {"cat": 40, "dog": 40} == {label: sum(of.values()) for label, of in found.found.counts.items()}
    assert {
        "size": len(content),
        "label": "cat",
        "digest": digest.digest(),
        "split": split_of(digest.hexdigest(), spec(folder).data),
        "status": "used",
        "since": NOON.isoformat(),
    }.items() <= listed["cat/7.png"].items()
    assert content == bucket.read(layout.image("digits", digest.hexdigest(), ".png"))


def test_the_digest_is_that_of_earlier_releases(bucket: CountingBucket, folder: Path) -> None:
    """Their baselines and decided runs are compared with it."""
    data = spec(folder).data
    lines = sorted(
        f"{digest} {split_of(digest, data)} {label}"
        for label, shades in {"cat": range(40), "dog": range(100, 140)}.items()
        for digest in (hashlib.sha256(png(shade)).hexdigest() for shade in shades)
    )

    assert hashlib.sha256("\n".join(lines).encode()).hexdigest() == snapshot(bucket, spec(folder)).digest


def test_the_later_steps_read_the_images_of_a_split_in_the_order_of_their_contents(
    bucket: CountingBucket, folder: Path
) -> None:
    found = snapshot(bucket, spec(folder))
    digests = [hashlib.sha256(content).hexdigest() for content in contents_of(bucket, found)]

    assert found.found.images("train") == len(digests)
    assert sorted(digests) == digests
    assert digests == [path.stem for path in stored_files(bucket, found)]


def test_a_snapshot_of_an_unchanged_folder_stores_nothing_and_keeps_the_manifest(
    bucket: CountingBucket, folder: Path
) -> None:
    first = snapshot(bucket, spec(folder))
    stored = bucket.stored

    assert first == snapshot(bucket, spec(folder), day=1)
    assert stored == bucket.stored
    assert 1 == len(bucket.names(layout.snapshots("digits")))


def test_a_known_file_is_not_read(bucket: CountingBucket, folder: Path) -> None:
    """It is known by its name, size and time; a content that was changed behind them is not looked for."""
    first = snapshot(bucket, spec(folder))
    path = folder / "cat" / "7.png"
    before = path.stat()
    path.write_bytes(png(77))
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    write_old(folder / "cat" / "new.png", png(200))

    second = snapshot(bucket, spec(folder), day=1)
    assert {**splits(bucket, first), "cat/new.png": splits(bucket, second)["cat/new.png"]} == splits(bucket, second)
    assert 81 == bucket.stored


def test_a_file_with_another_time_is_read_again(bucket: CountingBucket, folder: Path) -> None:
    first = snapshot(bucket, spec(folder))
    path = folder / "cat" / "7.png"
    path.write_bytes(png(77))
    os.utime(path, (path.stat().st_mtime - 60, path.stat().st_mtime - 60))

    assert first.digest != snapshot(bucket, spec(folder), day=1).digest
    assert 81 == bucket.stored


def test_a_file_that_was_changed_a_moment_ago_is_read_until_its_time_can_be_trusted(
    bucket: CountingBucket, folder: Path
) -> None:
    (folder / "cat" / "7.png").write_bytes(png(77))
    snapshot(bucket, spec(folder))
    snapshot(bucket, spec(folder), day=1)

    assert 81 == bucket.stored


def test_an_image_that_is_gone_is_in_no_list_any_more(bucket: CountingBucket, folder: Path) -> None:
    first = snapshot(bucket, spec(folder))
    (folder / "cat" / "7.png").unlink()
    (folder / "dog" / "139.png").unlink()
    second = snapshot(bucket, spec(folder), day=1)

    assert set(splits(bucket, first)) - {"cat/7.png", "dog/139.png"} == set(splits(bucket, second))
    assert 78 == second.found.images()


def test_a_listing_that_lost_its_last_files_only_is_noticed(bucket: CountingBucket, folder: Path) -> None:
    snapshot(bucket, spec(folder))
    last = max((folder / "dog").iterdir())
    last.unlink()

    assert 79 == snapshot(bucket, spec(folder), day=1).found.images()


def test_an_image_keeps_its_split_and_its_age_when_it_moves(bucket: CountingBucket, folder: Path) -> None:
    first = snapshot(bucket, spec(folder))
    (folder / "cat" / "7.png").rename(folder / "cat" / "renamed.png")
    second = snapshot(bucket, spec(folder), day=1)
    moved = next(row for row in rows(bucket, second) if row["name"] == "cat/renamed.png")

    assert first.digest == second.digest
    assert (splits(bucket, first)["cat/7.png"], NOON.isoformat()) == (moved["split"], moved["since"])


def test_an_image_keeps_its_split_when_data_comes(bucket: CountingBucket, folder: Path) -> None:
    """F20: what was held out is held out for ever, so models of different days are comparable and nothing leaks."""
    before = splits(bucket, snapshot(bucket, spec(folder)))
    for shade in range(200, 240):
        write_old(folder / "dog" / f"{shade}.png", png(shade))
    after = splits(bucket, snapshot(bucket, spec(folder), day=1))

    assert 120 == len(after)
    assert before == {name: after[name] for name in before}


def test_other_shares_decide_every_split_again(bucket: CountingBucket, folder: Path) -> None:
    snapshot(bucket, spec(folder))
    more = snapshot(bucket, spec(folder, holdout=0.6), day=1)

    assert {
        split_of(hashlib.sha256(png(shade)).hexdigest(), spec(folder, holdout=0.6).data) for shade in range(40)
    } == {row["split"] for row in rows(bucket, more) if row["label"] == "cat"}
    assert more.found.images("holdout") > 35
    assert 80 == bucket.stored


def test_one_image_under_two_labels_is_named_with_both_paths(bucket: CountingBucket, folder: Path) -> None:
    write_old(folder / "dog" / "copy.png", png(7))

    with pytest.raises(BadInputError) as raised:
        snapshot(bucket, spec(folder))
    assert f"{folder}/cat/7.png is the same image as {folder}/dog/copy.png" in str(raised.value)
    assert f"{folder}/dog/copy.png is the same image as {folder}/cat/7.png" in str(raised.value)


def test_where_unusable_files_are_skipped_an_image_with_two_labels_is_in_no_split(
    bucket: CountingBucket, folder: Path
) -> None:
    write_old(folder / "dog" / "copy.png", png(7))
    found = snapshot(bucket, spec(folder, checks={"unusable": 0.1}))

    assert (None, None) == (splits(bucket, found)["cat/7.png"], splits(bucket, found)["dog/copy.png"])
    assert (2, 79) == (found.found.unusable, found.found.images())

    (folder / "dog" / "copy.png").unlink()
    again = snapshot(bucket, spec(folder, checks={"unusable": 0.1}), day=1)
    assert splits(bucket, again)["cat/7.png"] is not None


def test_one_image_twice_under_one_label_counts_once(bucket: CountingBucket, folder: Path) -> None:
    write_old(folder / "cat" / "copy.png", png(7))
    found = snapshot(bucket, spec(folder))

    assert (80, 1) == (found.found.images(), found.found.duplicates)
    (folder / "cat" / "7.png").unlink()
    assert found.digest == snapshot(bucket, spec(folder), day=1).digest


def test_unusable_files_are_all_named_with_path_and_reason(bucket: CountingBucket, folder: Path) -> None:
    for number in range(60):
        write_old(folder / "cat" / f"bad {number:02}.png", png(number)[:-4])

    with pytest.raises(BadInputError) as raised:
        snapshot(bucket, spec(folder))
    first, *lines = str(raised.value).splitlines()
    assert "data.images: 60 problems:" == first
    assert [f"  {folder}/cat/bad {number:02}.png is cut off" for number in range(50)] == [
        line.partition(":")[0] for line in lines[:50]
    ]
    assert ["  and 10 more", "  unusable files 60 of 140 > 0% (data.checks.unusable)"] == lines[50:]


def test_a_file_that_is_larger_than_memory_is_refused_before_it_is_read(bucket: CountingBucket, folder: Path) -> None:
    write_old(folder / "cat" / "movie.jpg", b"")
    os.truncate(folder / "cat" / "movie.jpg", 20_000_000_000)

    with pytest.raises(BadInputError) as raised:
        snapshot(bucket, spec(folder))
    assert f"{folder}/cat/movie.jpg has 20,000 MB, and an image may have 256; make it smaller or remove it" in str(
        raised.value
    )
    assert 80 == snapshot(bucket, spec(folder, checks={"unusable": 0.1})).found.images()


def test_unusable_files_up_to_the_limit_are_skipped_and_known(
    bucket: CountingBucket, folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    good = snapshot(bucket, spec(folder)).digest
    write_old(folder / "cat" / "bad.png", png(7)[:-4])
    write_old(folder / "cat" / "notes.doc", b"any")
    lenient = spec(folder, checks={"unusable": 0.05})
    first = snapshot(bucket, lenient, day=1)

    assert (good, 2, 82) == (first.digest, first.found.unusable, first.found.files)
    assert "2 of 82 files are unusable" in caplog.text
    assert first == snapshot(bucket, lenient, day=2)
    with (
        pytest.raises(BadInputError, match=r"2 problems:(.|\n)*bad\.png is cut off"),
        examined(spec(folder), at=NOON + timedelta(days=3), bucket=bucket),
    ):
        snapshot(bucket, spec(folder), day=3)


def test_a_label_without_images_in_a_split_is_named(bucket: CountingBucket, folder: Path) -> None:
    write_old(folder / "rat" / "only.png", png(250))

    with pytest.raises(BadInputError, match=r"label 'rat' has no image in the (train|holdout) split"):
        snapshot(bucket, spec(folder))


def test_a_snapshot_that_was_refused_is_not_what_the_next_one_is_compared_with(
    bucket: CountingBucket, folder: Path
) -> None:
    first = snapshot(bucket, spec(folder))
    write_old(folder / "cat" / "bad.png", png(7)[:-4])
    with pytest.raises(BadInputError):
        snapshot(bucket, spec(folder), day=1)

    with examined(spec(folder), at=NOON + timedelta(days=2), bucket=bucket) as found:
        assert found.newest is not None
        assert first.manifest == found.newest.key


def test_a_snapshot_that_was_interrupted_goes_on_where_it_stopped(
    bucket: CountingBucket, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parts, "_ROWS", 10)
    bucket.fails_after = 55
    with pytest.raises(StorageError):
        snapshot(bucket, spec(folder))
    kept = bucket.names(layout.snapshot_parts("digits"))
    bucket.stored, bucket.fails_after = 0, 10**9
    found = snapshot(bucket, spec(folder), day=1)

    assert 5 <= len(kept) <= 6
    # The results are taken in order, and each thread may have been ahead of the one that failed.
    assert bucket.stored <= 80 - (55 - THREADS)
    assert [] == bucket.names(layout.snapshot_parts("digits"))
    (tmp_path / "other").mkdir()
    assert snapshot(LocalBucket(tmp_path / "other"), spec(folder)).digest == found.digest


def test_what_an_interrupted_snapshot_has_read_with_other_settings_is_read_again(
    bucket: CountingBucket, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parts, "_ROWS", 10)
    bucket.fails_after = 55
    with pytest.raises(StorageError):
        snapshot(bucket, spec(folder))
    bucket.stored, bucket.fails_after = 0, 10**9
    in_colour = Image(height=8, width=8, channels=3)
    found = snapshot(bucket, spec(folder).model_copy(update={"image": in_colour}), day=1)

    assert (80, 80) == (bucket.stored, found.found.images())
    assert [] == bucket.names(layout.snapshot_parts("digits"))


@pytest.mark.parametrize("damage", [lambda path: path.write_bytes(b"something else"), Path.unlink])
def test_an_image_that_was_lost_in_the_bucket_is_stored_again_by_the_next_snapshot(
    bucket: CountingBucket, folder: Path, damage: Callable[[Path], object]
) -> None:
    found = snapshot(bucket, spec(folder))
    before = contents_of(bucket, found)
    damage(stored_files(bucket, found)[3])

    with pytest.raises(FailedError, match=r"so this run cannot use it\. Trigger a new run"):
        contents_of(bucket, found)
    again = snapshot(bucket, spec(folder), day=1)
    assert found.digest == again.digest
    assert 81 == bucket.stored
    assert before == contents_of(bucket, again)
    assert again == snapshot(bucket, spec(folder), day=2)


def test_a_manifest_that_cannot_be_read_costs_time_and_nothing_else(
    bucket: CountingBucket, folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    found = snapshot(bucket, spec(folder))
    (Path(bucket.uri(found.manifest)) / "images.parquet").write_bytes(b"PAR1 something else")

    assert found.digest == snapshot(bucket, spec(folder), day=1).digest
    assert 160 == bucket.stored
    assert f"{found.manifest} is not a manifest of images" in caplog.text


def test_images_in_another_place_are_read(bucket: CountingBucket, folder: Path) -> None:
    """The same names, sizes and times may belong to other contents there."""
    found = snapshot(bucket, spec(folder))
    folder.rename(folder.parent / "moved")

    assert found.digest == snapshot(bucket, spec(folder.parent / "moved"), day=1).digest
    assert 160 == bucket.stored
