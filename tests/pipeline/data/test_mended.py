"""What is damaged, lost, or was interrupted at a bad moment: the next snapshot is as one that begins anew."""

from collections.abc import Callable
from pathlib import Path

import pytest

from pipeline import layout
from pipeline.data.snapshot import parts
from pipeline.errors import BadInputError, FailedError, StorageError
from pipeline.storage.local import LocalBucket
from tests.pipeline.data.pictures import encoded, photograph, png, write_old
from tests.pipeline.data.snapshots import CountingBucket, contents_of, rows, snapshot, spec, splits
from tests.pipeline.data.sources.test_tfrecord import example, framed


def anew(tmp_path: Path, images: Path) -> str:
    """The digest of a snapshot that knows nothing."""
    (tmp_path / "fresh").mkdir()
    return snapshot(LocalBucket(tmp_path / "fresh"), spec(images)).digest


def write_shard(path: Path, shades: range, *extra: bytes) -> None:
    records = [framed(example(image=png(shade), label=b"cat" if shade % 2 else b"dog")) for shade in shades]
    write_old(path, b"".join([*records, *extra]))


class TestShards:
    def test_a_shard_that_became_shorter_has_no_records_of_before(
        self, bucket: CountingBucket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Also if the snapshot that read it again was interrupted after its last record."""
        monkeypatch.setattr(parts, "_ROWS", 10)
        shards = tmp_path / "shards"
        write_shard(shards / "a.tfrecord", range(60))
        write_shard(shards / "b.tfrecord", range(100, 140))
        snapshot(bucket, spec(shards))
        write_shard(shards / "a.tfrecord", range(30))
        write_shard(shards / "b.tfrecord", range(140, 180))
        bucket.stored, bucket.fails_after = 0, 55
        with pytest.raises(StorageError):
            snapshot(bucket, spec(shards), day=1)
        bucket.fails_after = 10**9
        found = snapshot(bucket, spec(shards), day=2)

        assert 70 == found.found.images()
        assert anew(tmp_path, shards) == found.digest

    def test_parts_of_a_shard_that_was_written_again_meanwhile_are_not_mixed(
        self, bucket: CountingBucket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(parts, "_ROWS", 10)
        shards = tmp_path / "shards"
        for first in (0, 100):
            write_shard(shards / "a.tfrecord", range(first, first + 60, 1))
            bucket.stored, bucket.fails_after = 0, 35
            with pytest.raises(StorageError):
                snapshot(bucket, spec(shards))
        bucket.fails_after = 10**9

        assert anew(tmp_path, shards) == snapshot(bucket, spec(shards), day=1).digest

    def test_a_shard_that_was_written_a_moment_ago_is_read_until_its_time_can_be_trusted(
        self, bucket: CountingBucket, tmp_path: Path
    ) -> None:
        shards = tmp_path / "shards"
        write_shard(shards / "a.tfrecord", range(60))
        (shards / "a.tfrecord").write_bytes((shards / "a.tfrecord").read_bytes())
        snapshot(bucket, spec(shards))
        (shards / "a.tfrecord").write_bytes((shards / "a.tfrecord").read_bytes())
        snapshot(bucket, spec(shards), day=1)

        assert 120 == bucket.stored

    def test_a_damaged_record_is_named_each_time(
        self, bucket: CountingBucket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(parts, "_ROWS", 10)
        shards = tmp_path / "shards"
        damaged = bytearray(framed(example(image=png(99), label=b"cat")))
        damaged[20] ^= 1
        write_shard(shards / "a.tfrecord", range(60), bytes(damaged))
        for day in range(2):
            with pytest.raises(BadInputError, match=r"record 60 of .*a\.tfrecord is damaged"):
                snapshot(bucket, spec(shards), day=day)
        found = snapshot(bucket, spec(shards, checks={"unusable": 0.5}), day=3)

        assert (60, 1) == (found.found.images(), found.found.unusable)
        assert 1 == snapshot(bucket, spec(shards, checks={"unusable": 0.5}), day=4).found.unusable


class TestDamage:
    def damaged(self, path: Path) -> None:
        content = bytearray(path.read_bytes())
        content[4 : len(content) // 2] = bytes(len(content) // 2 - 4)
        path.write_bytes(content)

    @pytest.mark.parametrize("damage", [damaged, lambda _, path: path.unlink()])
    def test_a_manifest_without_its_rows_is_made_again(
        self, bucket: CountingBucket, folder: Path, damage: Callable[[object, Path], None]
    ) -> None:
        found = snapshot(bucket, spec(folder))
        damage(self, Path(bucket.uri(found.manifest)) / "images.parquet")
        with pytest.raises(FailedError, match="Trigger a new run"):
            contents_of(bucket, found)
        again = snapshot(bucket, spec(folder), day=1)

        assert found.digest == again.digest
        assert found.manifest != again.manifest
        assert contents_of(bucket, again)
        assert again == snapshot(bucket, spec(folder), day=2)

    def test_a_manifest_that_turns_out_to_be_damaged_is_not_used_for_a_changed_folder(
        self, bucket: CountingBucket, folder: Path, tmp_path: Path
    ) -> None:
        found = snapshot(bucket, spec(folder))
        self.damaged(Path(bucket.uri(found.manifest)) / "images.parquet")
        write_old(folder / "dog" / "new.png", png(200))

        assert anew(tmp_path, folder) == snapshot(bucket, spec(folder), day=1).digest

    def test_a_part_that_is_damaged_costs_its_images_and_nothing_else(
        self, bucket: CountingBucket, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(parts, "_ROWS", 10)
        bucket.fails_after = 55
        with pytest.raises(StorageError):
            snapshot(bucket, spec(folder))
        first = bucket.names(layout.snapshot_parts("digits"))[0]
        self.damaged(Path(bucket.uri(layout.snapshot_parts("digits"))) / first / "images.parquet")
        bucket.stored, bucket.fails_after = 0, 10**9

        assert anew(tmp_path, folder) == snapshot(bucket, spec(folder), day=1).digest
        assert 30 <= bucket.stored <= 45

    def test_a_note_about_a_lost_image_that_comes_meanwhile_stays(self, bucket: CountingBucket, folder: Path) -> None:
        """Also beside files that people leave there."""
        found = snapshot(bucket, spec(folder))
        bucket.create(layout.lost_note("digits", "a" * 64), b"")
        (Path(bucket.uri(layout.all_lost("digits"))) / ".DS_Store").write_bytes(b"any")
        snapshot(bucket, spec(folder), day=1)

        assert "a" * 64 not in bucket.names(layout.all_lost("digits"))
        assert found.digest == snapshot(bucket, spec(folder), day=2).digest


class TestSplits:
    def test_images_that_vanish_and_come_back_keep_their_splits(self, bucket: CountingBucket, folder: Path) -> None:
        """A sync that was under way; the serving version was trained on them."""
        for seed in range(12):
            write_old(folder / "cat" / f"photograph {seed}.png", encoded(photograph(seed)))
        snapshot(bucket, spec(folder))
        for seed in range(12):
            write_old(folder / "cat" / f"again {seed}.jpg", encoded(photograph(seed), "JPEG", quality=95))
        before = splits(bucket, snapshot(bucket, spec(folder), day=1))
        away = {path: path.read_bytes() for path in (folder / "cat").glob("[pa]*")}
        for path in away:
            path.unlink()
        snapshot(bucket, spec(folder), day=2)
        write_old(folder / "dog" / "new.png", png(250))
        snapshot(bucket, spec(folder), day=3)
        for path, content in away.items():
            write_old(path, content)

        assert before.items() <= splits(bucket, snapshot(bucket, spec(folder), day=4)).items()

    def test_pictures_of_a_camera_that_does_not_move_are_in_one_split(
        self, bucket: CountingBucket, folder: Path
    ) -> None:
        still = photograph(3)
        for number in range(300):
            still.putpixel((number % 96, number // 96), (number % 256, 0, 0))
            write_old(folder / "still" / f"{number}.png", encoded(still))

        with pytest.raises(BadInputError, match=r"29[0-9] images are in the split of one that looks like them"):
            snapshot(bucket, spec(folder))

    def test_a_split_that_is_given_counts_more_than_a_copy_without_one(
        self, bucket: CountingBucket, tmp_path: Path
    ) -> None:
        folder = tmp_path / "images"
        lines = ["path,label,split"]
        for shade in range(80):
            label, split = ("cat", "dog")[shade % 2], "test" if shade < 20 else "train"
            write_old(folder / f"b{shade}.png", png(shade))
            lines.append(f"b{shade}.png,{label},{split}")
            if shade < 20:
                write_old(folder / f"a{shade}.png", png(shade))
                lines.append(f"a{shade}.png,{label},")
        write_old(folder / "labels.csv", "\n".join(lines).encode())
        found = splits(bucket, snapshot(bucket, spec(folder / "labels.csv", splits="given")))

        assert {"holdout"} == {found[f"b{shade}.png"] for shade in range(20)}
        assert {None} == {found[f"a{shade}.png"] for shade in range(20)}

    def test_an_empty_folder_for_the_gate_does_not_make_it_judge_by_the_validation_images(
        self, bucket: CountingBucket, tmp_path: Path
    ) -> None:
        folder = tmp_path / "given"
        for split, first in {"train": 0, "val": 100}.items():
            for shade in range(first, first + 40):
                write_old(folder / split / ("cat", "dog")[shade % 2] / f"{shade}.png", png(shade))
        (folder / "test" / "cat").mkdir(parents=True)

        with pytest.raises(BadInputError, match="label 'cat' has no image in the holdout split"):
            snapshot(bucket, spec(folder, splits="given"))

    def test_labels_that_look_the_same_are_refused_from_any_source(
        self, bucket: CountingBucket, tmp_path: Path
    ) -> None:
        folder = tmp_path / "images"
        lines = ["path,label"]
        spellings = ("caf\u00e9", "cafe\u0301")
        for shade in range(80):
            write_old(folder / f"{shade}.png", png(shade))
            lines.append(f"{shade}.png,{spellings[shade % 2]}")
        write_old(folder / "labels.csv", "\n".join(lines).encode())

        with pytest.raises(BadInputError, match="look the same: they differ only in how Unicode composes letters"):
            snapshot(bucket, spec(folder / "labels.csv"))

    def test_the_notes_of_rows_say_which_label_each_has(self, bucket: CountingBucket, folder: Path) -> None:
        write_old(folder / "dog" / "copy.png", png(7))
        found = snapshot(bucket, spec(folder, checks={"unusable": 0.1}))
        notes = {row["name"]: row["note"] for row in rows(bucket, found) if row["status"] == "unusable"}

        path = f"{folder}/cat/7.png"
        assert (
            f"is the same image as {path}, which has the label 'cat', and this one 'dog'; keep one"
            == (notes["dog/copy.png"])
        )
