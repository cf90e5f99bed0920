"""How a network is trained, see `docs/training.md`."""

from typing import Annotated, Any, Literal, get_args

from pydantic import BeforeValidator, Discriminator, Field, Tag, ValidationInfo, model_validator

from pipeline.spec.base import FROM_A_FILE, Digest, Frozen, Share, wrong_field
from pipeline.spec.networks import Application, Network, SmallNetwork

Metric = Literal["train/loss", "train/accuracy", "validation/loss", "validation/accuracy"]
Rate = Annotated[float, Field(gt=0, le=1)]


class FineTuning(Frozen):
    """The second phase of transfer learning: after the head, the layers below it, with batch normalisation frozen.

    Attributes:
        epochs: of this phase, after `training.epochs` of the head.
        learning_rate: of this phase; well below that of the head.
        layers: only the last so many layers of the network below the head; null: all of them.
    """

    example = "{epochs: 5, learning_rate: 0.00001}"

    epochs: Annotated[int, Field(ge=1, le=1000)]
    learning_rate: Rate = 1e-5
    layers: Annotated[int, Field(ge=1)] | None = None


class LearningRateSchedule(Frozen):
    """How the learning rate changes within a phase, from the one that is given.

    Attributes:
        kind: `constant`; `cosine`: down to zero along half a cosine; `exponential`: times `factor` after each epoch;
            `steps`: times `factor` after each of the epochs in `at`.
        warmup: over this share of the phase the rate first grows linearly from zero.
        factor: of `exponential` and `steps`.
        at: epochs of the phase, counted from 1, in ascending order.
    """

    example = "{kind: cosine}"

    kind: Literal["constant", "cosine", "exponential", "steps"] = "constant"
    warmup: Annotated[float, Field(ge=0, lt=1)] = 0
    factor: Rate = 0.5
    at: tuple[Annotated[int, Field(ge=1)], ...] = ()

    @model_validator(mode="after")
    def _steps(self, info: ValidationInfo) -> "LearningRateSchedule":
        if info.context != FROM_A_FILE:
            return self
        if (self.kind == "steps") != bool(self.at):
            raise ValueError("`at` names the epochs of the kind `steps`, and of no other")
        if list(self.at) != sorted(set(self.at)):
            raise ValueError("`at` must name epochs in ascending order, each once")
        return self


class EarlyStopping(Frozen):
    """When a phase ends before its last epoch.

    Attributes:
        patience: after so many epochs in a row in which `training.metric` was no better than in the best one.
        min_delta: what counts as better.
    """

    example = "{patience: 5}"

    patience: Annotated[int, Field(ge=1)] = 5
    min_delta: Annotated[float, Field(ge=0)] = 0


class Colour(Frozen):
    """By how much at most colours change: 0.1 is up to 10 % more or less. `hue` is a share of the circle of colours."""

    example = "{brightness: 0.1}"

    brightness: Share = 0
    contrast: Annotated[float, Field(ge=0, lt=1)] = 0
    saturation: Annotated[float, Field(ge=0, lt=1)] = 0
    hue: Annotated[float, Field(ge=0, le=0.5)] = 0


class Augmentation(Frozen):
    """Random changes of the training images, others in each epoch. Validation and held-out images stay as they are.

    Attributes:
        flip: mirror every second image, on average: left and right, top and bottom, or both.
        crop: cut off up to this share of each side, and scale what is left to the size of before.
        colour: change the colours.
        mixup: mix pairs of images and their labels, with a share drawn from Beta(mixup, mixup); 0: no mixing. H. Zhang
            et al., "mixup: Beyond empirical risk minimization", ICLR 2018.
    """

    example = "{flip: horizontal, crop: 0.1}"

    flip: Literal["none", "horizontal", "vertical", "both"] = "none"
    crop: Annotated[float, Field(ge=0, lt=1)] = 0
    colour: Colour = Colour()
    mixup: Annotated[float, Field(ge=0)] = 0


def _weights(given: Any) -> Any:
    if isinstance(given, dict):
        numbers = [key for key in given if not isinstance(key, str)]
        if numbers:
            raise ValueError(f'labels are text: write {numbers[0]} as "{numbers[0]}"')
    elif given not in get_args(_Weighting):
        raise ValueError("give none, balanced, or a weight for each label, for example {cat: 1, dog: 2.5}")
    return given


_Weighting = Literal["none", "balanced"]
# The tags stand in no message, see `pipeline.validation`.
ClassWeights = Annotated[
    Annotated[_Weighting, Tag("<word>")] | Annotated[dict[str, Annotated[float, Field(gt=0)]], Tag("<weights>")],
    Discriminator(lambda given: "<weights>" if isinstance(given, dict) else "<word>"),
    BeforeValidator(_weights),
]


class Training(Frozen):
    """How a network is trained.

    Attributes:
        epochs: how often training sees every image; with pretrained weights, those of the head alone.
        batch_size: images per step, over all devices.
        learning_rate: of Adam.
        seed: of the weights, of dropout, of the order of the images and of their changes; null: drawn from the run key.
        network: which network.
        fine_tuning: the second phase, for a network with pretrained weights.
        schedule: how the learning rate changes.
        metric: which epoch is the best one; the best one is exported.
        early_stopping: when a phase ends early; null: it does not.
        class_weights: what an image of a label counts in the loss: `none`: 1; `balanced`: in inverse proportion to the
            label's share of the images; or a weight for each label, 1 where none is given.
        augmentation: random changes of the training images.
        warm_start: `serving`: begin with the weights of the version that serves, where it has the same network.
        mixed_precision: `auto`: compute in 16 bits where every visible GPU can; `never`; `always`.
        hours: after how many hours Airflow ends the task `train`; cleared, it resumes after its last epoch. It has no
            effect on the weights, so it is in no record of a run.
    """

    example = "{epochs: 20}"

    epochs: Annotated[int, Field(ge=1, le=1000)]
    batch_size: Annotated[int, Field(ge=1)] = 32
    learning_rate: Rate = 0.001
    seed: Annotated[int, Field(ge=0, lt=2**31)] | None = None
    network: Network = SmallNetwork()
    fine_tuning: FineTuning | None = None
    schedule: LearningRateSchedule = LearningRateSchedule()
    metric: Metric = "validation/loss"
    early_stopping: EarlyStopping | None = None
    class_weights: ClassWeights = "none"
    augmentation: Augmentation = Augmentation()
    warm_start: Literal["none", "serving"] = "none"
    mixed_precision: Literal["auto", "never", "always"] = "auto"
    hours: Annotated[float, Field(gt=0, le=1000, exclude=True)] = 6

    @model_validator(mode="after")
    def _two_phases(self, info: ValidationInfo) -> "Training":
        pretrained = isinstance(self.network, Application) and self.network.weights is not None
        if info.context == FROM_A_FILE and self.fine_tuning and not pretrained:
            raise wrong_field(
                "it is the second phase of a network with pretrained weights: give training.network.name and "
                "training.network.weights, or leave it out",
                "fine_tuning",
                given=self.fine_tuning.model_dump(),
            )
        return self

    def all_epochs(self) -> int:
        """The epochs of all phases, if none ends early."""
        return self.epochs + (self.fine_tuning.epochs if self.fine_tuning else 0)


class Imported(Frozen):
    """A network that was trained elsewhere. It is wrapped with decoding and labels, and judged like any candidate.

    Attributes:
        model: a `.keras` file, or the folder of a SavedModel, of this machine, `gs://` or `s3://`.
        sha256: of the `.keras` file; of a SavedModel, of all its files together. A message names the one that is found.
        labels: in the order of the outputs.
        pixels: what the network takes, of [0, 1], [0, 255] or [-1, 1].
        outputs: what it gives.
        signature: of a SavedModel: which one takes a float32 batch (batch, height, width, channels).
    """

    example = "{model: /data/pets.keras, labels: [cat, dog]}"

    model: Annotated[str, Field(min_length=1)]
    sha256: Digest | None = None
    labels: Annotated[tuple[Annotated[str, Field(min_length=1)], ...], Field(min_length=2)]
    pixels: Literal["0..1", "0..255", "-1..1"] = "0..1"
    outputs: Literal["probabilities", "logits"] = "probabilities"
    signature: str = "serving_default"

    @model_validator(mode="after")
    def _each_label_once(self, info: ValidationInfo) -> "Imported":
        if info.context == FROM_A_FILE and len(set(self.labels)) != len(self.labels):
            raise wrong_field("a label may stand there only once", "labels", given=list(self.labels))
        return self
