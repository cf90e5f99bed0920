"""What the verbs of one run leave for each other and for later readers: the shapes of it."""

from datetime import UTC, datetime
from typing import Any, Literal

from pydantic import Field

from pipeline.spec import RunSpec
from pipeline.storage.sums import FileSum
from pipeline.verdicts.measurements import Evaluation, Stored
from pipeline.verdicts.verdict import Verdict


class Record(Stored):
    """The answer of a verb. `declined` records why a rule said no.

    `code_version` is the code that a verb of a run has answered with; None in records of before 2026-12, and in those
    that are not the answer of such a verb.
    """

    outcome: Literal["done", "declined"] = "done"
    reason: str = ""
    at: datetime = Field(default_factory=lambda: datetime.now(UTC))
    code_version: str | None = None

    def summary(self) -> dict[str, Any]:
        """What the verb's one log line says of it."""
        return {}


class Example(Stored):
    """One image of a data set, by content."""

    sha256: str
    suffix: str
    label: str
    split: Literal["train", "validation", "holdout"]


class SnapshotRecord(Record):
    """The data as this run sees it. `digest` covers every example, its label and its split.

    `labels` are in the order of their indices: those of `serving_version`, which served at that time, keep theirs. Of
    these no image shows the `missing` ones; the `new` ones are unknown to that version.
    """

    digest: str
    labels: tuple[str, ...]
    examples: tuple[Example, ...]
    serving_version: int | None = None
    missing: tuple[str, ...] = ()
    new: tuple[str, ...] = ()

    def summary(self) -> dict[str, Any]:
        changed = {"missing_labels": self.missing, "new_labels": self.new}
        return {
            "images": len(self.examples),
            "labels": len(self.labels),
            **{name: labels for name, labels in changed.items() if labels},
            "data_digest": self.digest[:12],
        }

    def present(self) -> frozenset[str]:
        """The labels that at least one image shows."""
        return frozenset(example.label for example in self.examples)

    def split(self, name: Literal["train", "validation", "holdout"]) -> list[Example]:
        return [example for example in self.examples if example.split == name]


class Epoch(Stored):
    """The metrics of one epoch, and when it ended."""

    at: datetime
    metrics: dict[str, float]


class ExportRecord(Record):
    """A trained and stored SavedModel that MLflow may not know completely yet: a repeated `train` begins here."""

    model_key: str
    files: dict[str, FileSum]
    epochs: tuple[Epoch, ...]


class TrainRecord(Record):
    """Where the exported SavedModel is; `model_digest` covers every one of its `files`."""

    model_key: str
    files: dict[str, FileSum]
    model_digest: str
    mlflow_run: str
    mlflow_model: str
    metrics: dict[str, float]

    def summary(self) -> dict[str, Any]:
        return {"model_digest": self.model_digest[:12], **{k: round(v, 4) for k, v in self.metrics.items()}}


class EvaluateRecord(Record):
    evaluation: Evaluation

    def summary(self) -> dict[str, Any]:
        accuracies = self.evaluation.accuracies() or (self.evaluation.candidate.accuracy, None)
        return {
            "accuracy": round(accuracies[0], 4),
            "serving": self.evaluation.serving_version,
            "serving_accuracy": None if accuracies[1] is None else round(accuracies[1], 4),
        }


class GoldenAnswer(Stored):
    """One encoded image (base64) and the exact answer of the exported model."""

    image: str
    label: str
    probabilities: tuple[float, ...]


class LabelledImage(Stored):
    image: str
    label: str


class ProbeSet(Record):
    """What the canary asks: answers that must be repeated, and labelled images that must be recognised."""

    golden: tuple[GoldenAnswer, ...]
    fresh: tuple[LabelledImage, ...]


class GateRecord(Record):
    """`serving_version` is what the candidate was compared with: promotion holds only while that still serves.

    `serving_labels` are its labels; None where nothing served, and in records of before 2026-12.
    """

    verdict: Verdict
    serving_version: int | None
    serving_labels: tuple[str, ...] | None = None
    forced_by: str | None = None

    def summary(self) -> dict[str, Any]:
        return {"verdict": str(self.verdict), "forced_by": self.forced_by}


class PublishRecord(Record):
    """`manifest` is the SHA-256 of what was written about the version, see `pipeline.journal.manifests`."""

    version: int
    files: int = 0
    manifest: str = ""

    def summary(self) -> dict[str, Any]:
        return {"version": self.version, "files": self.files, "manifest": self.manifest[:12]}


class BaselineRecord(Record):
    """What the version that served answered before a candidate took its place (latest roll-out).

    `fresh_right` of the run's labelled images whose label it knows, None where it knows none of them, and the median of
    single-image requests in milliseconds.
    """

    version: int
    fresh_right: int | None
    latency_ms: float


class CanaryRecord(Record):
    """`load_seconds` is how long the slowest replica took to load the version, polling included."""

    version: int
    verdict: Verdict | None
    load_seconds: float | None = None

    def summary(self) -> dict[str, Any]:
        return {"version": self.version, "verdict": str(self.verdict), "load_seconds": self.load_seconds}


class PromoteRecord(Record):
    version: int
    replicas: tuple[str, ...] = ()

    def summary(self) -> dict[str, Any]:
        return {"version": self.version, "replicas": len(self.replicas)}


class WithdrawRecord(Record):
    version: int | None = None

    def summary(self) -> dict[str, Any]:
        return {"version": self.version, "reason": self.reason}


class RollbackRecord(Record):
    """`seconds` is from the request to the last replica's answer."""

    version: int
    left: int | None
    seconds: float
    replicas: tuple[str, ...]

    def summary(self) -> dict[str, Any]:
        return {"version": self.version, "left": self.left, "replicas": self.replicas, "moved_in_seconds": self.seconds}


class SpecRecord(Record):
    spec: RunSpec


# The file of each.
NAMES: dict[type[Record], str] = {
    SpecRecord: "spec",
    SnapshotRecord: "snapshot",
    ExportRecord: "export",
    TrainRecord: "train",
    EvaluateRecord: "evaluate",
    ProbeSet: "probes",
    GateRecord: "gate",
    PublishRecord: "publish",
    BaselineRecord: "baseline",
    CanaryRecord: "canary",
    PromoteRecord: "promote",
    WithdrawRecord: "withdraw",
    RollbackRecord: "rollback",
}


# The others are left by the verb they are named after.
LEFT_BY: dict[type[Record], str] = {
    SpecRecord: "snapshot",
    ExportRecord: "train",
    ProbeSet: "evaluate",
    BaselineRecord: "canary",
}
