"""Train a network on a few encoded images, with all that a training has: the cache, and checkpoints in a bucket."""

import hashlib
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

import numpy as np

from pipeline.runs.records import Epoch
from pipeline.runs.rows import Rows
from pipeline.spec import Image, Training
from pipeline.storage.local import LocalBucket
from pipeline.training.fitting.checkpoints import Checkpoints
from pipeline.training.fitting.fit import Fitted, fit
from pipeline.training.fitting.plan import Plan
from pipeline.training.inputs.prepared import Prepared, prepared

# Encoded images with their class numbers.
Images = Sequence[tuple[bytes, int]]


@contextmanager
def prepared_images(images: Images, image: Image, cache: Path) -> Iterator[Prepared]:
    digests = [np.frombuffer(hashlib.sha256(content).digest(), np.uint8) for content, _ in images]
    rows = Rows(
        np.array(digests, np.uint8).reshape(len(images), 32),
        np.array([b".png"] * len(images), "S8"),
        np.array([number for _, number in images], np.int32),
    )
    with prepared(
        rows, lambda positions: [images[each][0] for each in positions], image=image, folder=cache, most_bytes=10**9
    ) as found:
        yield found


def trained(
    training: Training,
    image: Image,
    labels: Sequence[str],
    *,
    seed: int,
    images: Images,
    validation: Images = (),
    folder: Path | None = None,
    cache: Path | None = None,
    on_epoch: Callable[[int, Epoch], None] = lambda *_: None,
    replicas: tuple[str, ...] = (),
    weights: Path | None = None,
    of: str | None = None,
) -> Fitted:
    """Train in a folder, which has the bucket; by default in a temporary one.

    `of` is what a checkpoint must have been stored with to be taken; None: the same settings.
    """
    with ExitStack() as stack:
        folder = folder or Path(stack.enter_context(tempfile.TemporaryDirectory()))
        bucket = folder / "bucket"
        bucket.mkdir(parents=True, exist_ok=True)
        of = training.model_dump_json() if of is None else of
        checkpoints = Checkpoints(LocalBucket(bucket), "tried", "retrain-1", of=of)
        first = stack.enter_context(prepared_images(images, image, cache or folder / "cache"))
        second = stack.enter_context(prepared_images(validation, image, cache or folder / "cache"))
        plan = Plan(training, image, tuple(labels), seed, weights=weights, replicas=replicas)
        return fit(plan, train=first, validation=second, checkpoints=checkpoints, on_epoch=on_epoch)
