"""The figures of data sets and of exported models, as verdicts get them and as they are stored. Shapes only."""

import math
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

Split = Literal["train", "validation", "holdout"]


class Stored(BaseModel):
    """A frozen value that is stored as JSON and read by a later verb."""

    # A training that diverged has NaN among its metrics; as `null`, the default, the record could not be read again.
    model_config = ConfigDict(frozen=True, extra="forbid", ser_json_inf_nan="strings")


class DataSummary(Stored):
    """What a snapshot has found, in figures.

    Attributes:
        files: files, or records of shards, that should be images.
        unusable: those that were skipped, or stopped the snapshot.
        duplicates: files with the content of another file.
        near_duplicates: images that are in the split of an older one that looks the same.
        left_out: usable files that are in no split: an image with two labels or in two splits, or one that looks like
            images of several splits.
        converted: images that are stored in another encoding than that of their file.
        blank: images of which every pixel is nearly the same.
        tiny: images with a side shorter than `data.checks.tiny_edge`.
        counts: the images by label and split.
    """

    files: int = 0
    unusable: int = 0
    duplicates: int = 0
    near_duplicates: int = 0
    left_out: int = 0
    converted: int = 0
    blank: int = 0
    tiny: int = 0
    counts: dict[str, dict[Split, int]] = Field(default_factory=dict)

    def images(self, split: Split | None = None) -> int:
        """The number of images in a split, or in all of them."""
        return sum(sum(of.values()) if split is None else of.get(split, 0) for of in self.counts.values())

    def totals(self) -> dict[str, int]:
        """The number of images by label, in all splits."""
        return {label: sum(of.values()) for label, of in self.counts.items()}

    def imbalance(self) -> float:
        """Images of the most frequent label / images of the rarest one; 1 if there are fewer than two labels."""
        totals = self.totals().values()
        if len(totals) < 2:
            return 1.0
        return max(totals) / min(totals) if min(totals) else math.inf


class Suspect(Stored):
    """An image whose label is perhaps wrong.

    Attributes:
        path: where it is, as people know it.
        label: the label that it was given.
        suggested: what the serving model says.
        probability: how sure the model is of `suggested`, 0 to 1.
        given_probability: the same of `label`.
    """

    path: str
    label: str
    suggested: str
    probability: float
    given_probability: float


class LabelErrors(Stored):
    """Suspected label errors.

    Attributes:
        version: the model that was asked.
        examined: how many images it was asked about.
        suspects: the most certain errors first.
    """

    version: int
    examined: int
    suspects: tuple[Suspect, ...]

    @property
    def share(self) -> float:
        """Of the images that were examined, 0 to 1."""
        return len(self.suspects) / self.examined if self.examined else 0.0


class Performance(Stored):
    """The figures of one exported model on one set of examples.

    Attributes:
        model_digest: identifies the model.
        data_digest: identifies the examples.
        examples: how many there are.
        accuracy: the share of right answers, 0 to 1.
        class_recall: the same for each label.
        calibration_error: see `pipeline.training.scoring.performance.calibration_error`.
        finite: whether all probabilities are finite.
        size_mb: the size of the exported folder in 10^6 bytes.
        latency_ms: the median of single-image calls in the evaluating process, in milliseconds.
        right: one character per example, in the set's order: 1 if the answer was right, otherwise 0.
    """

    model_digest: str
    data_digest: str
    examples: int
    accuracy: float
    class_recall: dict[str, float]
    calibration_error: float
    finite: bool
    size_mb: float
    latency_ms: float
    right: str


class Evaluation(Stored):
    """The candidate against the version that served when it was evaluated.

    Attributes:
        candidate: its figures.
        serving_version: None if nothing served.
        serving: the figures of that version; None if nothing served.
        serving_labels: its labels; None also in records from before 2026-12.
        comparable: one character per example, in the set's order: 1 if both models know its label. Empty if they know
            all.
    """

    candidate: Performance
    serving_version: int | None
    serving: Performance | None
    serving_labels: tuple[str, ...] | None = None
    comparable: str = ""

    def compared(self) -> list[tuple[bool, bool]]:
        """Whether the candidate and the serving version were right, for each example whose label both know."""
        if self.serving is None:
            return []
        right = zip(self.candidate.right, self.serving.right, strict=True)
        counted = self.comparable or "1" * len(self.candidate.right)
        return [(c == "1", s == "1") for (c, s), each in zip(right, counted, strict=True) if each == "1"]

    def accuracies(self) -> tuple[float, float] | None:
        """The accuracy of the candidate and of the serving version on these examples; None if there are none."""
        compared = self.compared()
        if not compared:
            return None
        candidate, serving = (sum(right) / len(compared) for right in zip(*compared, strict=True))
        return candidate, serving
