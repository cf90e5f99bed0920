"""The preparation and the batches of a training, as `train` uses them."""

from pathlib import Path
from typing import Any

from bench.training.images import LABELS
from pipeline.spec import Augmentation
from pipeline.training.inputs.batches import training_batches
from pipeline.training.inputs.prepared import Prepared

BATCH = 32
PLENTY = 50 * 10**9
AUGMENTATION = Augmentation.model_validate({"flip": "horizontal", "crop": 0.1, "colour": {"brightness": 0.1}})


def batches_of(images: Prepared, *, epochs: int, augmentation: Augmentation = AUGMENTATION) -> Any:
    return training_batches(
        images,
        batch_size=BATCH,
        seed=1,
        first_epoch=0,
        epochs=epochs,
        augmentation=augmentation,
        class_weights="none",
        labels=LABELS,
    )


def count_of(data: Any) -> int:
    """Read a data set of batches to its end; the number of images."""
    return sum(int(batch[0].shape[0]) for batch in data)


def bytes_below(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
