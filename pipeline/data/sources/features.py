"""The features of a `tf.train.Example` that describe an image.

Names without a setting are those of TensorFlow's own scripts (`image/encoded`, `image/class/text`, `image/class/label`)
and of TensorFlow Datasets (`image`, `label`).
"""

from typing import TYPE_CHECKING, NamedTuple

from pipeline.data.sources.shown_columns import shown_columns
from pipeline.data.sources.split_words import EXPECTED, split_of_word
from pipeline.spec import Data
from pipeline.verdicts.measurements import Split

if TYPE_CHECKING:
    from serving.apis import example_pb2, feature_pb2

_IMAGES = ("image/encoded", "image")
_LABELS = ("image/class/text", "image/class/label", "label")
_SPLIT = "split"


class FeatureError(Exception):
    """A record that is not a labelled image; the text is the end of a sentence."""


class Features(NamedTuple):
    """The names of the features to look for, the first that has a value counts."""

    images: tuple[str, ...]
    labels: tuple[str, ...]
    split: str | None
    is_split_required: bool
    slices: tuple[str, ...]


class Described(NamedTuple):
    content: bytes
    label: str
    split: Split | None
    slices: tuple[str, ...]


def features_of(data: Data) -> Features:
    """The features that `data` names, or the usual ones."""
    names = data.columns
    return Features(
        images=(names["image"],) if "image" in names else _IMAGES,
        labels=(names["label"],) if "label" in names else _LABELS,
        split=names.get("split", _SPLIT) if data.splits == "given" else None,
        is_split_required="split" in names,
        slices=data.slices,
    )


def describe(record: bytes, features: Features) -> Described:
    """The image, label, split and slices of a serialized `tf.train.Example`.

    Raises:
        FeatureError: it is not such a message, or a feature is missing or has no usable value.
    """
    from google.protobuf.message import DecodeError  # noqa: PLC0415 - only this source needs messages

    from serving.apis import example_pb2  # noqa: PLC0415 - only this source needs messages

    try:
        example = example_pb2.Example.FromString(record)
    except DecodeError as error:
        raise FeatureError("is not a tf.train.Example") from error
    return Described(
        content=_content(example, features),
        label=_label(example, features),
        split=_split(example, features),
        slices=tuple(", ".join(_texts(example, name)) for name in features.slices),
    )


def _content(example: "example_pb2.Example", features: Features) -> bytes:
    name, feature = _first(example, features.images)
    contents = feature.bytes_list.value
    if len(contents) != 1:
        raise FeatureError(f"has {len(contents)} encoded images in its feature {name!r}, and should have one")
    return bytes(contents[0])


def _label(example: "example_pb2.Example", features: Features) -> str:
    name, _ = _first(example, features.labels)
    labels = _texts(example, name)
    if len(labels) != 1:
        raise FeatureError(f"has {len(labels)} labels in its feature {name!r}, and should have one")
    (label,) = labels
    if not label:
        raise FeatureError(f"has an empty label in its feature {name!r}")
    if "\0" in label:
        raise FeatureError(f"has the label {label!r} in its feature {name!r}, which contains a NUL character")
    return label


def _split(example: "example_pb2.Example", features: Features) -> Split | None:
    if features.split is None:
        return None
    words = [word for word in _texts(example, features.split) if word]
    if not words:
        if features.is_split_required:
            raise FeatureError(f"has no feature {features.split!r}, which data.columns names for the split")
        return None
    split = split_of_word(words[0])
    if split is None:
        raise FeatureError(f"has the split {words[0]!r}; use one of {EXPECTED}")
    return split


def _first(example: "example_pb2.Example", names: tuple[str, ...]) -> tuple[str, "feature_pb2.Feature"]:
    """The first of the features that has a value that is not an empty text."""
    present = example.features.feature
    filled = [name for name in names if name in present and _is_filled(present[name])]
    if filled:
        return filled[0], present[filled[0]]
    wanted = " or ".join(repr(name) for name in names)
    raise FeatureError(f"has no value in {wanted}; its features are {shown_columns(sorted(present))}")


def _is_filled(feature: "feature_pb2.Feature") -> bool:
    return bool(feature.int64_list.value or feature.float_list.value or any(feature.bytes_list.value))


def _texts(example: "example_pb2.Example", name: str) -> list[str]:
    """The values of a feature as text, without blanks around them; none if it is missing.

    A map of protobuf would add what is looked up.
    """
    if name not in example.features.feature:
        return []
    feature = example.features.feature[name]
    try:
        texts = [value.decode().strip() for value in feature.bytes_list.value]
    except UnicodeDecodeError as error:
        raise FeatureError(f"has a value in its feature {name!r} that is not UTF-8") from error
    return texts + [str(value) for value in feature.int64_list.value] + _numbers(feature)


def _numbers(feature: "feature_pb2.Feature") -> list[str]:
    """Numbers of 32 bits, in as few digits as tell them apart: 0.1 and not 0.10000000149011612."""
    import numpy as np  # noqa: PLC0415 - only for features of this kind

    return [str(np.float32(value)) for value in feature.float_list.value]
