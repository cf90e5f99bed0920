"""What was measured of exported models, as the gate gets it and as it is stored. Shapes only; see `verdicts.gate`."""

from pydantic import BaseModel, ConfigDict


class Stored(BaseModel):
    """A frozen value that is kept as JSON, and read again by a later verb."""

    # A training that diverged has NaN among its metrics; as `null`, the default, the record could not be read again.
    model_config = ConfigDict(frozen=True, extra="forbid", ser_json_inf_nan="strings")


class Performance(Stored):
    """One exported model on one set of examples.

    `right` holds one character per example in the set's order, 1 where the answer was right. `size_mb` is the folder's
    size in 10^6 bytes, `latency_ms` the median of single-image calls in the evaluating process.
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
    """The candidate against the version that served when it was evaluated; None where nothing served.

    `comparable` holds one character per example in the set's order, 1 where both models know its label; it is empty
    where all of them do. `serving_labels` is None also in records of before 2026-12.
    """

    candidate: Performance
    serving_version: int | None
    serving: Performance | None
    serving_labels: tuple[str, ...] | None = None
    comparable: str = ""

    def compared(self) -> list[tuple[bool, bool]]:
        """Per example whose label both models know: whether the candidate was right, and the serving version."""
        if self.serving is None:
            return []
        right = zip(self.candidate.right, self.serving.right, strict=True)
        counted = self.comparable or "1" * len(self.candidate.right)
        return [(c == "1", s == "1") for (c, s), each in zip(right, counted, strict=True) if each == "1"]

    def accuracies(self) -> tuple[float, float] | None:
        """Of the candidate and of the serving version on these examples; None where there are none."""
        compared = self.compared()
        if not compared:
            return None
        candidate, serving = (sum(right) / len(compared) for right in zip(*compared, strict=True))
        return candidate, serving
