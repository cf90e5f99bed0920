"""What `snapshot` and `canary` make of labels that are missing, new or moved, against what really serves."""

import hashlib
import io
import json
import logging
from pathlib import Path

import pytest
from PIL import Image

from pipeline import layout
from pipeline.errors import BadInputError, CouldNotTellError, DamagedError, FailedError
from pipeline.journal.entries import Event
from pipeline.runs.records import CanaryRecord, SnapshotRecord
from tests.fleet import LABELS, Classifier
from tests.released import start_released
from tests.releases import MODEL, SPEC, World, over_both


def draw(folder: Path, label: str, *, first: int, count: int = 40) -> None:
    (folder / label).mkdir(parents=True)
    for number in range(first, first + count):
        stream = io.BytesIO()
        Image.new("L", (4, 4), number).save(stream, format="PNG")
        (folder / label / f"{number}.png").write_bytes(stream.getvalue())


@pytest.fixture
def images(world: World) -> Path:
    """Images of three of the labels that v1 serves, which is there; the model file that names them."""
    folder = world.folder / "images"
    for number, label in enumerate(LABELS[:3]):
        draw(folder, label, first=40 * number)
    content = SPEC.model_dump(mode="json")
    content["data"] |= {"images": str(folder), "holdout": 0.3}
    (world.folder / f"{MODEL}.yaml").write_text(json.dumps(content))
    world.release("retrain-1")
    return folder


def snapshot(world: World, *accept: str) -> SnapshotRecord:
    world.extra["params"] = json.dumps({"accept_labels": accept, "note": "wanted"})
    record = world.run("snapshot", "retrain-2")
    assert isinstance(record, SnapshotRecord)
    return record


def without_labels_in_the_manifest(world: World) -> Path:
    """v1 as it was published before manifests had the labels; its folder."""
    key = world.bucket / layout.manifest(MODEL, 1)
    before = key.read_bytes()
    old = json.loads(before)
    del old["labels"]
    key.write_text(json.dumps(old))
    for entry in (world.bucket / layout.journal(MODEL)).iterdir():
        seen = hashlib.sha256(before).hexdigest()
        entry.write_text(entry.read_text().replace(seen, hashlib.sha256(key.read_bytes()).hexdigest()))
    folder = world.bucket / layout.version(MODEL, 1)
    (folder / "assets").mkdir()
    (folder / "assets" / "labels.txt").write_text("\n".join(LABELS) + "\n")
    return folder


def test_a_label_without_images_keeps_its_index_and_is_named_at_once(
    world: World, images: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A sync is in progress: the folder is there and empty."""
    (images / "3").mkdir()
    with caplog.at_level(logging.WARNING):
        data = snapshot(world)

    assert LABELS == data.labels
    assert ("3",) == data.missing == data.summary()["missing_labels"]
    assert "/images/3 holds no image" in caplog.text
    assert "label '3' of v1 is missing from the images; `gate` will decline this run" in caplog.text
    assert 'trigger a run with accept_labels ["3"]' in caplog.text


def test_a_new_label_comes_last_and_is_named_at_once(
    world: World, images: Path, caplog: pytest.LogCaptureFixture
) -> None:
    draw(images, "3", first=120)
    draw(images, "Pepper,_bell (\N{LATIN SMALL LETTER E WITH ACUTE})", first=160)
    draw(images, "+", first=200)
    with caplog.at_level(logging.WARNING):
        data = snapshot(world, "+")

    assert (*LABELS, "+", "Pepper,_bell (é)") == data.labels
    assert ("+", "Pepper,_bell (é)") == data.new
    assert "label 'Pepper,_bell (é)' is new; `gate` will decline this run" in caplog.text


def test_an_accepted_removal_takes_the_label_out(world: World, images: Path) -> None:
    assert LABELS[:3] == snapshot(world, "3").labels


@pytest.mark.parametrize("name", ["2", "owl"])
def test_an_accepted_label_that_did_not_change_is_refused(world: World, images: Path, name: str) -> None:
    """It was mistyped, and would let nothing pass."""
    with pytest.raises(BadInputError, match=f"'{name}' is neither missing from the images nor new. Missing: '3'; new:"):
        snapshot(world, "3", name)
    assert world.context("retrain-2").records.find(SnapshotRecord) is None


def test_labels_of_a_version_with_an_old_manifest_are_read_from_its_model(world: World, images: Path) -> None:
    without_labels_in_the_manifest(world)

    assert LABELS == snapshot(world).labels


def test_labels_that_cannot_be_known_stop_the_snapshot(world: World, images: Path) -> None:
    """Never guessed: a wrong order would reach users."""
    asset = without_labels_in_the_manifest(world) / "assets" / "labels.txt"
    asset.write_text("\n".join(reversed(LABELS)) + "\n")
    with pytest.raises(CouldNotTellError, match=r"the labels of v1 cannot be read: .*labels\.txt does not list"):
        snapshot(world)
    asset.unlink()
    with pytest.raises(CouldNotTellError, match="v1 still serves"):
        snapshot(world)
    assert world.context("retrain-2").records.find(SnapshotRecord) is None


def test_a_list_in_the_model_that_is_not_the_approved_one_is_damage(world: World, images: Path) -> None:
    (without_labels_in_the_manifest(world) / "assets" / "labels.txt").write_bytes(b"\xff\n")
    with pytest.raises(DamagedError, match=r"does not list the labels that v1 was approved with"):
        world.context("look-0").manifests.labels(1, world.history())


@over_both
def test_a_candidate_whose_labels_are_permuted_is_found_on_every_replica(world: World) -> None:
    """Its names are right, its golden answers are its own, and each name has moved to another index."""
    start_released(world, 1)
    world.approve("retrain-2", moved=1, golden=Classifier(moved=1))
    world.run("publish", "retrain-2")
    with pytest.raises(FailedError, match="v2 answers '0' at index 1, where '1' was approved"):
        world.run("canary", "retrain-2")
    world.run("withdraw", "retrain-2")

    assert [1, 1] == world.answering()


@over_both
def test_a_candidate_approved_with_another_order_than_what_serves_is_found(world: World) -> None:
    """Nobody has accepted that a label goes, so what serves must answer as the candidate's list says."""
    start_released(world, 1)
    world.approve("retrain-2", moved=1, golden=Classifier(moved=1), labels=("3", "0", "1", "2"))
    world.run("publish", "retrain-2")
    with pytest.raises(FailedError, match="v1 answers '0' at index 0, where '3' was approved"):
        world.run("canary", "retrain-2")

    assert (Event.EXPOSED, 2) not in world.events() or world.rollout == "pinned"
    assert [1, 1] == world.answering()


@over_both
def test_images_of_a_new_label_are_no_mistakes_of_what_serves(world: World) -> None:
    world.approve("retrain-1", labels=LABELS[:3], known=3)
    for verb in ("publish", "canary", "promote"):
        world.run(verb, "retrain-1")
    world.approve("retrain-2", serving_labels=LABELS[:3])
    world.run("publish", "retrain-2")
    record = world.run("canary", "retrain-2")

    assert isinstance(record, CanaryRecord)
    assert record.verdict is not None
    assert 2 == sum("fresh accuracy 1.000 >= serving 1.000 - 0.05" in each for each in record.verdict.reasons)


@over_both
def test_what_serves_may_know_a_label_that_was_removed(world: World) -> None:
    start_released(world, 1)
    world.approve("retrain-2", labels=LABELS[:3], known=3)
    world.run("publish", "retrain-2")

    assert "done" == world.run("canary", "retrain-2").outcome
