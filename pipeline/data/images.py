"""The labelled images of a model: how they are checked and stored, and which split each one is in."""

import hashlib
import itertools
import logging
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Literal

from pipeline import layout
from pipeline.data.image_files import decoding_problem
from pipeline.data.old_sources import ImageFile, find_images
from pipeline.errors import BadInputError, FailedError
from pipeline.problems import Problems
from pipeline.progress import logged
from pipeline.runs.records import Example, SnapshotRecord
from pipeline.spec import Data, ModelSpec
from pipeline.storage.bucket import Bucket

log = logging.getLogger(__name__)

_AT_ONCE = 16


def import_images(bucket: Bucket, spec: ModelSpec) -> SnapshotRecord:
    """Store every image of the model in the bucket, once per content, and list them.

    Only images that the bucket does not have yet are decoded. After the first problem no more images are stored.

    Raises:
        BadInputError: the source cannot be read, or `examine` found problems; names all of them, up to a limit.
    """
    present = set(bucket.names(layout.images(spec.name)))
    problems = Problems()

    def store(example: Example, content: bytes) -> None:
        if not problems:
            bucket.create(layout.image(spec.name, example.sha256, example.suffix), content)

    def is_stored(example: Example) -> bool:
        return f"{example.sha256}{example.suffix}" in present

    examples = examine(spec.data, channels=spec.image.channels, problems=problems, store=store, is_stored=is_stored)
    if problems:
        raise BadInputError(f"data.images: {problems}")
    log.info("%s", summary(examples))
    return SnapshotRecord(
        digest=_digest(examples), labels=tuple(sorted({e.label for e in examples})), examples=examples
    )


def examine(
    data: Data,
    *,
    channels: int,
    problems: Problems,
    store: Callable[[Example, bytes], None] | None = None,
    is_stored: Callable[[Example], bool] = lambda _: False,
) -> tuple[Example, ...]:
    """Read every image of the source; the usable ones, sorted by their content.

    Args:
        data: where the images are, and how they are split.
        channels: the channels they are decoded into, 1 or 3.
        problems: collects every unusable file, every image with two labels, and every label without an image in a split
            that needs one.
        store: called for each new image that can be decoded, from several threads at once.
        is_stored: whether an image was decoded and stored before.

    Raises:
        BadInputError: the source as a whole cannot be read.
    """

    def check(found: ImageFile) -> _Checked:
        example = _example(found, data)
        if is_stored(example):
            return _Checked(example, found.path, None)
        problem = decoding_problem(found.content, channels=channels)
        if problem is None and store is not None:
            store(example, found.content)
        return _Checked(example, found.path, problem)

    known: dict[str, _Checked] = {}
    # A few at a time: each needs a request to the bucket, and all of them together do not fit into memory.
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        for batch in _batches(logged(find_images(data.images, problems.add), "images read")):
            for checked in pool.map(check, batch):
                _take(checked, known, problems)
    examples = tuple(known[digest].example for digest in sorted(known))
    _check_splits(examples, data, problems)
    return examples


@dataclass(frozen=True)
class _Checked:
    """An image, its path for people, and why it cannot be decoded."""

    example: Example
    path: str
    problem: str | None


def _take(checked: _Checked, known: dict[str, _Checked], problems: Problems) -> None:
    """Add an image to the known ones, or add a problem."""
    if checked.problem is not None:
        problems.add(f"{checked.path} {checked.problem}")
        return
    first = known.setdefault(checked.example.sha256, checked)
    if first.example.label != checked.example.label:
        problems.add(
            f"one image is in two folders, {first.example.label!r} and {checked.example.label!r}: {first.path} and "
            f"{checked.path}; keep one"
        )


def split_of(digest: str, data: Data) -> Literal["train", "validation", "holdout"]:
    """The split of an image. It depends on the content alone, so it never changes when images are added.

    Args:
        digest: the SHA-256 of the file, in hexadecimal. Its first 48 bits, as a share of 2**48, decide.
        data: the shares of the splits.
    """
    position = int(digest[:12], 16) / 16**12
    if position < data.holdout:
        return "holdout"
    return "validation" if position < data.holdout + data.validation else "train"


def read_images(bucket: Bucket, model: str, examples: Sequence[Example]) -> list[bytes]:
    """The encoded images, in the order of the examples.

    Raises:
        MissingError: the bucket does not have one any more.
        FailedError: the content of one differs from the snapshot.
    """
    keys = [layout.image(model, example.sha256, example.suffix) for example in examples]
    contents = bucket.read_all(keys)
    for key, example, content in zip(keys, examples, contents, strict=True):
        if hashlib.sha256(content).hexdigest() != example.sha256:
            raise FailedError(
                f"the stored image {key} has changed, so this run cannot use it. Remove it from the bucket, then "
                f"trigger a new run, which stores it again"
            )
    return contents


def _example(found: ImageFile, data: Data) -> Example:
    digest = hashlib.sha256(found.content).hexdigest()
    return Example(sha256=digest, suffix=found.suffix, label=found.label, split=split_of(digest, data))


def _batches(found: Iterable[ImageFile]) -> Iterator[list[ImageFile]]:
    rest = iter(found)
    while batch := list(itertools.islice(rest, _AT_ONCE)):
        yield batch


def _check_splits(examples: tuple[Example, ...], data: Data, problems: Problems) -> None:
    counts = Counter((example.label, example.split) for example in examples)
    labels = sorted({example.label for example in examples})
    if len(labels) < 2:
        problems.add(f"{data.images} holds usable images of {len(labels)} labels; a classifier needs two")
    for label in labels:
        for split in ("train", "holdout"):
            if not counts[label, split]:
                problems.add(f"label {label!r} has no image in the {split} split; add images of it")


def summary(examples: tuple[Example, ...]) -> str:
    """A sentence: how many images and labels there are, and how many images in each split."""
    splits = ", ".join(f"{count} {split}" for split, count in sorted(Counter(e.split for e in examples).items()))
    return f"{len(examples)} images of {len({e.label for e in examples})} labels: {splits}"


def _digest(examples: tuple[Example, ...]) -> str:
    lines = "\n".join(f"{e.sha256} {e.split} {e.label}" for e in examples)
    return hashlib.sha256(lines.encode()).hexdigest()
