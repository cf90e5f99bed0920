"""The images of a model: where they are, how they are split, and the size that they are brought to."""

from typing import Annotated, Literal

from pydantic import AfterValidator, Field, ValidationInfo

from pipeline.spec.base import FROM_A_FILE, Frozen, Share


def _channels(number: int, info: ValidationInfo) -> int:
    if info.context == FROM_A_FILE and number not in (1, 3):
        raise ValueError("give 1 for grey images or 3 for images in colour")
    return number


class DataChecks(Frozen):
    """Above which limits a snapshot is refused. A limit that is null is not checked; the figure is still reported.

    Attributes:
        unusable: the share of files that may be unusable and are skipped. 0: each one stops the snapshot.
        class_images: how many images each label needs.
        imbalance: images of the most frequent label / images of the rarest one.
        class_change: the share by which the images of a label may shrink or grow, compared with the snapshot before.
        blank: the share of images that may be blank: every pixel nearly the same.
        tiny: the share of images that may be tiny: a side shorter than `tiny_edge` pixels.
        label_errors: the share of suspected label errors among the images that were examined for them.
        examined: at most so many images are shown to the serving model to find label errors; 0: none.
    """

    example = "{class_images: 50}"

    unusable: Share = 0
    class_images: Annotated[int, Field(ge=1)] | None = None
    imbalance: Annotated[float, Field(ge=1)] | None = None
    class_change: Annotated[float, Field(gt=0)] | None = None
    blank: Share | None = 0.1
    tiny: Share | None = 0.1
    tiny_edge: Annotated[int, Field(ge=1)] = 8
    label_errors: Share | None = 0.2
    examined: Annotated[int, Field(ge=0)] = 1000


class Data(Frozen):
    """Labelled images, see `docs/data.md`.

    Attributes:
        images: a folder with one folder of images per label, a manifest (`.csv`, `.parquet`), a folder or file of
            TFRecord shards, on this machine, in `gs://` or `s3://`; or a built-in data set, `builtin:digits`.
        format: what is there; null: found out from the names.
        file: a built-in data set that was downloaded before; null: download it.
        splits: `content`: the split of an image follows from its content; `given`: folders or a column name it.
        validation: the share for validation, where no split is given.
        holdout: the share that is held out for the gate, where no split is given.
        slices: columns of a manifest, or features of TFRecord shards, that are kept with each image.
        columns: other names of the columns or features. `image`: of a manifest's paths (`path`), or of the content in
            TFRecord shards; `label`; `split`.
        near_duplicates: how many of the 64 bits of the perceptual hash of two near-duplicates may differ; null: no
            near-duplicates are looked for.
        checks: limits for the whole data set.
    """

    example = "{images: /data/pets}"

    images: str
    format: Literal["folders", "manifest", "tfrecord"] | None = None
    file: str | None = None
    splits: Literal["content", "given"] = "content"
    validation: Annotated[float, Field(gt=0, lt=0.5)] = 0.1
    holdout: Annotated[float, Field(gt=0, lt=0.9)] = 0.25
    slices: tuple[Annotated[str, Field(min_length=1)], ...] = ()
    columns: dict[Literal["image", "label", "split"], str] = Field(default_factory=dict)
    near_duplicates: Annotated[int, Field(ge=0, le=3)] | None = 3
    checks: DataChecks = DataChecks()


class Image(Frozen):
    """The size every image is brought to before the network sees it, in pixels."""

    example = "{height: 64, width: 64, channels: 3}"

    height: Annotated[int, Field(ge=1, le=1024)]
    width: Annotated[int, Field(ge=1, le=1024)]
    # Grey or colour: TensorFlow decodes images into nothing between.
    channels: Annotated[int, Field(ge=1, le=3), AfterValidator(_channels)] = 3
