"""The labelled images of a model: where they come from, how they are frozen, and which split each one is in."""

import hashlib
import io
import itertools
import logging
import os
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Literal

from pipeline import layout
from pipeline.errors import BadInputError, FailedError
from pipeline.progress import told
from pipeline.records import Example, SnapshotRecord
from pipeline.spec import Data, ModelSpec
from pipeline.storage.bucket import Bucket

log = logging.getLogger(__name__)

# What the graph that is served can decode into any number of channels; TensorFlow's BMP and GIF cannot do grey.
SUFFIXES = (".png", ".jpg", ".jpeg")
_BUILTIN = "builtin:"
_AT_ONCE = 16

# Label, suffix and content.
Found = tuple[str, str, bytes]


def import_images(bucket: Bucket, spec: ModelSpec) -> SnapshotRecord:
    """Bring every image of the model into the bucket, once per content, and list them.

    Raises:
        BadInputError: the source does not exist, holds fewer than two labels or a label of two lines, shows one image
            under two labels, or leaves a split of a label empty.
    """
    known: dict[str, Example] = {}
    present = set(bucket.names(layout.images(spec.name)))

    def store(example: Example, content: bytes) -> None:
        if f"{example.sha256}{example.suffix}" not in present:
            _require_image(content, name=f"an image of {example.label!r} (sha256 {example.sha256[:12]})")
            bucket.create(layout.image(spec.name, example.sha256, example.suffix), content)

    # A few at a time: in a bucket each costs a journey, and all of them at once would not fit into memory.
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        for batch in _batches(told(_source(spec.data.images), "images stored")):
            examples_of_batch = [_example(each, spec.data, known) for each in batch]
            list(pool.map(store, examples_of_batch, [content for _, _, content in batch]))
    examples = tuple(known[digest] for digest in sorted(known))
    _require_every_split(examples, spec)
    log.info("%d images of %d labels: %s", len(examples), len({e.label for e in examples}), _sizes(examples))
    return SnapshotRecord(
        digest=_digest(examples), labels=tuple(sorted({e.label for e in examples})), examples=examples
    )


def split_of(digest: str, data: Data) -> Literal["train", "validation", "holdout"]:
    """The split of an image, by its content alone: it keeps it for ever, however much data comes."""
    position = int(digest[:12], 16) / 16**12
    if position < data.holdout:
        return "holdout"
    return "validation" if position < data.holdout + data.validation else "train"


def read_images(bucket: Bucket, model: str, examples: Sequence[Example]) -> list[bytes]:
    """The encoded images, in the order of the examples.

    Raises:
        MissingError: one is gone from the bucket.
        FailedError: the content of one is not what the snapshot saw.
    """
    keys = [layout.image(model, example.sha256, example.suffix) for example in examples]
    contents = bucket.read_all(keys)
    for key, example, content in zip(keys, examples, contents, strict=True):
        if hashlib.sha256(content).hexdigest() != example.sha256:
            raise FailedError(f"{key} has changed since it was stored; remove it and take the snapshot again")
    return contents


def _example(found: Found, data: Data, known: dict[str, Example]) -> Example:
    """Take an image into the known ones."""
    label, suffix, content = found
    digest = hashlib.sha256(content).hexdigest()
    if digest in known and known[digest].label != label:
        raise BadInputError(
            f"one image is in two folders, {known[digest].label!r} and {label!r} (sha256 {digest[:12]}); keep one"
        )
    known[digest] = Example(sha256=digest, suffix=suffix, label=label, split=split_of(digest, data))
    return known[digest]


def _batches(found: Iterable[Found]) -> Iterator[list[Found]]:
    rest = iter(found)
    while batch := list(itertools.islice(rest, _AT_ONCE)):
        yield batch


def _source(images: str) -> Iterator[Found]:
    """Every image."""
    if images == f"{_BUILTIN}digits":
        return _digits()
    if images.startswith(_BUILTIN):
        raise BadInputError(f"data.images: no data set {images!r} is built in; there is {_BUILTIN}digits")
    return _folder(Path(images))


def _folder(folder: Path) -> Iterator[Found]:
    if not folder.is_dir():
        raise BadInputError(f"data.images: {folder} is not a folder; it should hold one folder of images per label")
    folders = sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))
    for label in folders:
        _require_text(label)
    empty = {path.name for path in folders}
    for path in sorted(folder.glob("*/*")):
        if path.name.startswith("."):
            continue  # what file managers leave behind
        empty.discard(path.parent.name)
        if path.suffix.lower() not in SUFFIXES:
            raise BadInputError(f"{path} is not one of {', '.join(SUFFIXES)}; convert it or take it away")
        yield path.parent.name, path.suffix.lower(), path.read_bytes()
    for name in sorted(empty):
        log.warning("%s/%s holds no image, so nothing is learned about the label %r", folder, name, name)


def _require_text(folder: Path) -> None:
    """On Linux the name of a folder may be any bytes; a label is text."""
    try:
        folder.name.encode()
    except UnicodeEncodeError as error:
        raise BadInputError(
            f"data.images: the name of the folder {os.fsencode(folder.name)!r} in {folder.parent} is not UTF-8, so it "
            f"cannot be a label; rename the folder"
        ) from error


def _digits() -> Iterator[Found]:
    """The handwritten digits of the UCI machine learning repository that come with scikit-learn, as 8x8 PNG files."""
    from PIL import Image  # noqa: PLC0415 - only this source draws
    from sklearn.datasets import load_digits

    digits = load_digits()
    for pixels, target in zip(digits.images, digits.target, strict=True):
        stream = io.BytesIO()
        Image.fromarray((pixels * (255 / 16)).astype("uint8")).save(stream, format="PNG")
        yield str(target), ".png", stream.getvalue()


def _require_image(content: bytes, *, name: str) -> None:
    """Better said here, with a name, than by the hundredth batch of a training."""
    from PIL import Image, UnidentifiedImageError  # noqa: PLC0415 - only new images are looked at

    try:
        with Image.open(io.BytesIO(content), formats=("PNG", "JPEG")) as image:
            image.verify()
    except (UnidentifiedImageError, OSError, SyntaxError) as error:
        raise BadInputError(f"{name} is no readable PNG or JPEG: {error}") from error


def _require_every_split(examples: tuple[Example, ...], spec: ModelSpec) -> None:
    counts = Counter((example.label, example.split) for example in examples)
    labels = sorted({example.label for example in examples})
    if len(labels) < 2:
        raise BadInputError(f"data.images: {spec.data.images} holds {len(labels)} labels; a classifier needs two")
    for label in labels:
        for split in ("train", "holdout"):
            if not counts[label, split]:
                raise BadInputError(f"label {label!r} has no image in the {split} split; add images of it")


def _sizes(examples: tuple[Example, ...]) -> str:
    return ", ".join(f"{count} {split}" for split, count in sorted(Counter(e.split for e in examples).items()))


def _digest(examples: tuple[Example, ...]) -> str:
    lines = "\n".join(f"{e.sha256} {e.split} {e.label}" for e in examples)
    return hashlib.sha256(lines.encode()).hexdigest()
