"""What one classifier is: the YAML file in `models/`, checked, and with the overrides of one run."""

from datetime import UTC, datetime
from typing import Annotated, Any, Literal, TypeVar

from croniter import CroniterBadDateError, croniter
from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)

from pipeline.errors import BadInputError
from pipeline.layout import MODEL_PATTERN
from pipeline.new_images import NewImages
from pipeline.validation import problems

Name = Annotated[str, StringConstraints(pattern=f"^{MODEL_PATTERN}$")]
Share = Annotated[float, Field(ge=0, le=1)]
T = TypeVar("T", bound=BaseModel)


# A file is checked for more than a record of it: what was taken once must be readable for ever.
FROM_A_FILE = {"from a file": True}


def _cron(text: str, info: ValidationInfo) -> str:
    """Read as Airflow reads it, which would otherwise find out when it makes a DAG of it."""
    if info.context != FROM_A_FILE:
        return text
    if len(text.split()) not in (1, 5) or not croniter.is_valid(text):
        raise ValueError('give a cron expression in UTC, for example "0 3 * * 1" for Mondays at 03:00, or null')
    try:
        croniter(text, datetime.now(UTC)).get_next()
    except CroniterBadDateError as error:
        raise ValueError("this moment never comes; give another cron expression, or null") from error
    return text


def _channels(number: int, info: ValidationInfo) -> int:
    if info.context == FROM_A_FILE and number not in (1, 3):
        raise ValueError("give 1 for grey images or 3 for images in colour")
    return number


Schedule = Annotated[str, AfterValidator(_cron)]


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class DataChecks(_Frozen):
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

    unusable: Share = 0
    class_images: Annotated[int, Field(ge=1)] | None = None
    imbalance: Annotated[float, Field(ge=1)] | None = None
    class_change: Annotated[float, Field(gt=0)] | None = None
    blank: Share | None = 0.1
    tiny: Share | None = 0.1
    tiny_edge: Annotated[int, Field(ge=1)] = 8
    label_errors: Share | None = 0.2
    examined: Annotated[int, Field(ge=0)] = 1000


class Data(_Frozen):
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

    images: str
    format: Literal["folders", "manifest", "tfrecord"] | None = None
    file: str | None = None
    splits: Literal["content", "given"] = "content"
    validation: Annotated[float, Field(gt=0, lt=0.5)] = 0.1
    holdout: Annotated[float, Field(gt=0, lt=0.9)] = 0.25
    slices: tuple[Annotated[str, Field(min_length=1)], ...] = ()
    columns: dict[Literal["image", "label", "split"], str] = {}
    near_duplicates: Annotated[int, Field(ge=0, le=3)] | None = 3
    checks: DataChecks = DataChecks()


class Image(_Frozen):
    """The size every image is brought to before the network sees it, in pixels."""

    height: Annotated[int, Field(ge=1, le=1024)]
    width: Annotated[int, Field(ge=1, le=1024)]
    # Grey or colour: TensorFlow decodes images into nothing between.
    channels: Annotated[int, Field(ge=1, le=3), AfterValidator(_channels)] = 3


class Network(_Frozen):
    """A small convolutional network: one 3x3 layer with pooling per entry of `filters`, then one dense layer."""

    filters: tuple[Annotated[int, Field(ge=1)], ...] = (16, 32)
    dense: Annotated[int, Field(ge=1)] = 64
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.2


class Training(_Frozen):
    epochs: Annotated[int, Field(ge=1, le=1000)]
    batch_size: Annotated[int, Field(ge=1)] = 32
    learning_rate: Annotated[float, Field(gt=0, le=1)] = 0.001
    seed: Annotated[int, Field(ge=0, lt=2**31)] | None = None
    network: Network = Network()


class GatePolicy(_Frozen):
    """What a candidate must show on the held-out images before anything is published."""

    margin: Annotated[float, Field(gt=0, lt=1)] = 0.02
    confidence: Annotated[float, Field(gt=0.5, lt=1)] = 0.95
    min_accuracy: Share = 0.5
    min_class_recall: Share = 0.2
    max_calibration_error: Share = 0.2
    max_size_mb: Annotated[float, Field(gt=0)] = 500
    max_latency_ms: Annotated[float, Field(gt=0)] = 200


class CanaryPolicy(_Frozen):
    """What every replica must show of the candidate before it is promoted."""

    golden: Annotated[int, Field(ge=1, le=500)] = 20
    tolerance: Annotated[float, Field(gt=0, lt=1)] = 0.001
    fresh: Annotated[int, Field(ge=1, le=1000)] = 60
    max_accuracy_drop: Share = 0.05
    latency_rounds: Annotated[int, Field(ge=3, le=1000)] = 25
    max_latency_ratio: Annotated[float, Field(ge=1)] = 3
    latency_slack_ms: Annotated[float, Field(ge=0)] = 20


class RetentionPolicy(_Frozen):
    """What `retain` leaves beyond the versions that have a role.

    `keep` is how many good versions before the one that serves, `days` the age of what is too young to go, counted from
    a version's last journal entry, and `run_days` that of a run's records. `schedule` is in UTC; null: only by hand.
    """

    keep: Annotated[int, Field(ge=0)] = 3
    days: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 14
    # A run that trains leaves no word for hours.
    run_days: Annotated[float, Field(ge=1, allow_inf_nan=False)] = 30
    schedule: Schedule | None = "0 5 * * 1"

    def __str__(self) -> str:
        return f"keep {self.keep}, {self.days:g} days"


class AutomaticRollback(_Frozen):
    """What an automatic roll-back does beside giving traffic back: a promotion that stopped half-way is undone by one.

    `hold`: for how long nothing is promoted after it, as `--hold` of a manual one.
    """

    hold: Annotated[str, StringConstraints(pattern=r"^(none|until lifted|[1-9][0-9]{0,4}[mhd])$")] = "none"


class ModelSpec(_Frozen):
    """A model file. `new_images` says only when a run begins, so it is in no record of a run."""

    name: Name
    description: str
    owner: str
    schedule: Schedule | None = None
    data: Data
    image: Image
    training: Training
    gate: GatePolicy = GatePolicy()
    canary: CanaryPolicy = CanaryPolicy()
    retention: RetentionPolicy = RetentionPolicy()
    automatic_rollback: AutomaticRollback = AutomaticRollback()
    new_images: Annotated[NewImages | None, Field(exclude=True)] = None


class Overrides(_Frozen):
    """What a person may change for one run: the trigger form of the `retrain` DAG.

    `accept_labels` names the labels that this run may add or remove, in comparison with the version that serves.
    """

    epochs: int | None = None
    learning_rate: float | None = None
    seed: int | None = None
    note: str = ""
    force: bool = False
    accept_labels: tuple[str, ...] = ()

    @field_validator("accept_labels")
    @classmethod
    def _without_empty_lines(cls, labels: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(dict.fromkeys(label for label in labels if label))

    @model_validator(mode="after")
    def _need_a_reason(self) -> "Overrides":
        if self.force and not self.note.strip():
            raise ValueError("force overrules the gate and needs a note that says why")
        if self.accept_labels and not self.note.strip():
            raise ValueError("accept_labels changes the labels that clients get and needs a note that says why")
        return self


class RunSpec(_Frozen):
    """`spec.json` of a run: all that later verbs read about what was asked for.

    `installed` is the digest of the packages that `snapshot` found, see `pipeline.runs.installed`; empty in records
    from before 2026-12.
    """

    model: ModelSpec
    run_key: str
    requested_by: str
    note: str
    force: bool
    code_version: str
    accept_labels: tuple[str, ...] = ()
    installed: str = ""


def with_overrides(spec: ModelSpec, overrides: Overrides) -> ModelSpec:
    """The model as this run trains it.

    Raises:
        BadInputError: an overridden value is out of its range.
    """
    changed = {
        name: value for name in ("epochs", "learning_rate", "seed") if (value := getattr(overrides, name)) is not None
    }
    training = parse(Training, spec.training.model_dump() | changed, source="the overrides of this run")
    return spec.model_copy(update={"training": training})


def parse(kind: type[T], content: Any, *, source: str) -> T:
    """Check `content` against a model of ours.

    Raises:
        BadInputError: names the source and every wrong field with its value.
    """
    try:
        return kind.model_validate(content)
    except ValidationError as error:
        raise BadInputError(f"{source}: {problems(error)}") from error
