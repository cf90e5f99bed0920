"""The figures of exported models, as the gate gets them and as they are stored. Shapes only; see `verdicts.gate`."""

from pydantic import BaseModel, ConfigDict


class Stored(BaseModel):
    """A frozen value that is stored as JSON and read by a later verb."""

    # A training that diverged has NaN among its metrics; as `null`, the default, the record could not be read again.
    model_config = ConfigDict(frozen=True, extra="forbid", ser_json_inf_nan="strings")


class Performance(Stored):
    """The figures of one exported model on one set of examples.

    Attributes:
        model_digest: identifies the model.
        data_digest: identifies the examples.
        examples: how many there are.
        accuracy: the share of right answers, 0 to 1.
        class_recall: the same for each label.
        calibration_error: see `pipeline.training.scoring.calibration_error`.
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
