"""Batches: every image once in an epoch, in an order that follows from the seed, wherever a training begins."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipeline.errors import BadInputError, FailedError
from pipeline.spec import Augmentation
from pipeline.training.inputs.batches import plain_batches, steps_of, training_batches
from pipeline.training.inputs.fetching import Positions
from pipeline.training.inputs.prepared import Prepared, prepared
from tests.pipeline.training.inputs.stored import IMAGE, LABELS, PLENTY, Stored

COUNT, BATCH = 22, 8
STEPS = 3
EVERYTHING = Augmentation.model_validate(
    {
        "flip": "both",
        "crop": 0.4,
        "colour": {"brightness": 0.3, "contrast": 0.3, "saturation": 0.5, "hue": 0.2},
        "mixup": 0.4,
    }
)


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prepared]:
    stored = Stored(COUNT)
    folder = tmp_path_factory.mktemp("cache")
    with prepared(stored.rows(), stored.fetch, image=IMAGE, folder=folder, most_bytes=PLENTY) as found:
        yield found


def batches(images: Prepared, **changes: Any) -> list[tuple[Any, Any, Any]]:
    arguments: dict[str, Any] = {
        "batch_size": BATCH,
        "seed": 3,
        "first_epoch": 0,
        "epochs": 2,
        "augmentation": Augmentation(),
        "class_weights": "none",
        "labels": LABELS,
    } | changes
    return [tuple(part.numpy() for part in batch) for batch in training_batches(images, **arguments)]


def same(expected: list[tuple[Any, Any, Any]], found: list[tuple[Any, Any, Any]]) -> bool:
    return len(expected) == len(found) and all(
        np.array_equal(one, other)
        for a, b in zip(expected, found, strict=True)
        for one, other in zip(a, b, strict=True)
    )


def pictures(found: list[tuple[Any, Any, Any]]) -> list[bytes]:
    return [picture.tobytes() for pixels, _, _ in found for picture in np.round(pixels * 255).astype(np.uint8)]


def test_every_image_comes_once_in_each_epoch_in_another_order(images: Prepared) -> None:
    found = batches(images)
    epochs = [pictures(found[:STEPS]), pictures(found[STEPS:])]

    everything = sorted(picture.tobytes() for picture in images.read(np.arange(COUNT)))
    assert [everything] * 2 == [sorted(epoch) for epoch in epochs]
    assert epochs[0] != epochs[1]
    assert [8, 8, 6, 8, 8, 6] == [len(targets) for _, targets, _ in found]
    assert STEPS == steps_of(images, BATCH)


def test_each_image_comes_with_its_class(images: Prepared) -> None:
    number = {picture.tobytes(): at for at, picture in enumerate(images.read(np.arange(COUNT)))}
    found = batches(images, epochs=1)

    targets = [int(target) for _, each, _ in found for target in each]
    assert [number[picture] % 3 for picture in pictures(found)] == targets
    assert ["float32", "int32", "float32"] == [str(part.dtype) for part in found[0]]


@pytest.mark.parametrize("augmentation", [Augmentation(), EVERYTHING], ids=["plain", "augmented"])
def test_a_resumed_training_sees_the_same_batches(images: Prepared, augmentation: Augmentation) -> None:
    whole = batches(images, epochs=5, augmentation=augmentation)
    resumed = batches(images, first_epoch=3, epochs=5, augmentation=augmentation)

    assert same(whole[3 * STEPS :], resumed)
    assert not same(whole[:STEPS], whole[STEPS : 2 * STEPS])


def test_more_batches_than_are_read_at_once(tmp_path: Path) -> None:
    """67 batches of 3, the last one of 2."""
    stored = Stored(200)
    with prepared(stored.rows(), stored.fetch, image=IMAGE, folder=tmp_path, most_bytes=PLENTY) as images:
        found = batches(images, batch_size=3, epochs=3)
        everything = sorted(picture.tobytes() for picture in images.read(np.arange(200)))

        assert ([3] * 66 + [2]) * 3 == [len(targets) for _, targets, _ in found]
        assert all(everything == sorted(pictures(found[epoch * 67 : (epoch + 1) * 67])) for epoch in range(3))
        assert same(found[134:], batches(images, batch_size=3, first_epoch=2, epochs=3))
        plain = [int(each) for _, targets in plain_batches(images, batch_size=3) for each in targets]
        assert images.classes.tolist() == plain


def test_another_seed_gives_other_batches(images: Prepared) -> None:
    assert not same(batches(images), batches(images, seed=4))
    assert not same(batches(images, augmentation=EVERYTHING), batches(images, augmentation=EVERYTHING, seed=4))


def test_validation_is_in_order_and_unchanged(images: Prepared) -> None:
    found = [(pixels.numpy(), targets.numpy()) for pixels, targets in plain_batches(images, batch_size=BATCH)]

    expected = images.read(np.arange(COUNT)).astype(np.float32) / np.float32(255)
    assert np.array_equal(expected, np.concatenate([pixels for pixels, _ in found]))
    assert images.classes.tolist() == [int(each) for _, targets in found for each in targets]


def test_weights_are_those_of_the_classes(images: Prepared) -> None:
    found = batches(images, class_weights={"b": 4.0, "c": 0.5})

    assert all(np.array_equal(np.array([1, 4, 0.5])[targets], weights) for _, targets, weights in found)


def test_mixup_mixes_pixels_by_a_share_and_each_loss_keeps_its_own_weight(images: Prepared) -> None:
    plain = batches(images, class_weights={"b": 4.0})
    mixed = batches(images, class_weights={"b": 4.0}, augmentation=Augmentation(mixup=0.7))

    shares = []
    for (pixels, targets, weights), (mixed_pixels, mixed_targets, mixed_weights) in zip(plain, mixed, strict=True):
        for at in range(len(targets)):
            other = at - 1
            difference = pixels[other] - pixels[at]
            share = 1 - np.sum((mixed_pixels[at] - pixels[at]) * difference) / np.sum(difference**2)
            own, others = share * weights[at], (1 - share) * weights[other]
            # The loss is linear in the targets, so this is what both images would count by themselves.
            expected = own * np.eye(3)[targets[at]] + others * np.eye(3)[targets[other]]
            shares.append(share)
            assert expected == pytest.approx(mixed_weights[at] * mixed_targets[at], abs=1e-5)
            assert pytest.approx(own + others, abs=1e-5) == mixed_weights[at]
            assert (pixels[at] + (1 - share) * difference).ravel() == pytest.approx(mixed_pixels[at].ravel(), abs=1e-5)
    assert all(-1e-5 <= share <= 1 + 1e-5 for share in shares)
    assert np.std(shares) > 0.2


@pytest.mark.parametrize("mixup", [1e-9, 100.0])
def test_mixup_of_any_strength_gives_numbers(images: Prepared, mixup: float) -> None:
    """Draws from Gamma(1e-9) are all too small for a number of 64 bits."""
    found = batches(images, augmentation=Augmentation(mixup=mixup))

    assert all(np.isfinite(part).all() for batch in found for part in batch)
    assert all(targets.sum(axis=1) == pytest.approx(np.ones(len(targets))) for _, targets, _ in found)
    halves = [abs(float(target) - 0.5) < 0.5 - 1e-6 for _, targets, _ in found for target in targets.ravel()]
    assert any(halves) == (mixup > 1)


def test_one_image_is_a_training_and_none_is_not(tmp_path: Path) -> None:
    one, none = Stored(1), Stored(0)
    with prepared(one.rows(), one.fetch, image=IMAGE, folder=tmp_path, most_bytes=PLENTY) as images:
        assert [1, 1] == [len(targets) for _, targets, _ in batches(images, augmentation=EVERYTHING)]
    with prepared(none.rows(), none.fetch, image=IMAGE, folder=tmp_path, most_bytes=PLENTY) as images:
        assert [] == list(plain_batches(images, batch_size=BATCH))
        with pytest.raises(BadInputError, match="no image is in the split `train`"):
            batches(images)


def test_the_data_set_knows_its_shapes_and_its_length(images: Prepared) -> None:
    """A network is built from them, and Keras shows how far an epoch is."""
    data = plain_batches(images, batch_size=BATCH)

    assert [None, 4, 5, 3] == data.element_spec[0].shape.as_list()
    assert STEPS == data.cardinality().numpy()


def test_an_error_of_the_bucket_is_raised_as_it_was(tmp_path: Path) -> None:
    """TensorFlow would give one of its own, with a traceback in its text."""
    stored = Stored(20)
    with prepared(stored.rows(), stored.fetch, image=IMAGE, folder=tmp_path, most_bytes=PLENTY) as images:
        (path,) = tmp_path.glob("pixels/*/*.pixels")
        path.write_bytes(b"")

        def fetch(_: Positions) -> list[bytes]:
            raise FailedError("the bucket lost it")

        images._fetch = fetch
        with pytest.raises(FailedError, match=r"^the bucket lost it$"), images.own_errors():
            batches(images)


def test_every_image_is_decoded_again_while_batches_are_read(tmp_path: Path) -> None:
    stored = Stored(200)
    with prepared(stored.rows(), stored.fetch, image=IMAGE, folder=tmp_path, most_bytes=PLENTY) as images:
        expected = batches(images, epochs=1)
        (path,) = tmp_path.glob("pixels/*/*.pixels")
        content = path.read_bytes()
        path.write_bytes(bytes(len(content)))

        assert same(expected, batches(images, epochs=1))
