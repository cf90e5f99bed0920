"""The shapes of what the verbs of one run leave for each other and for later readers.

Every record is one JSON file, see `NAMES`. A field that was added later has a default, so that older records can be
read.
"""

from datetime import UTC, datetime
from typing import Any, Literal

from pydantic import Field

from pipeline.spec import RunSpec
from pipeline.storage.sums import FileSum
from pipeline.verdicts.measurements import DataSummary, Evaluation, Split, Stored
from pipeline.verdicts.verdict import Verdict


class Record(Stored):
    """The answer of a verb.

    Attributes:
        outcome: `done`, or `declined` if a rule refused.
        reason: why it declined; empty if it is done.
        at: when the record was made, in UTC.
        code_version: the code that the verb ran. None in records from before 2026-12, and in those that are not the
            answer of a verb.
    """

    outcome: Literal["done", "declined"] = "done"
    reason: str = ""
    at: datetime = Field(default_factory=lambda: datetime.now(UTC))
    code_version: str | None = None

    def summary(self) -> dict[str, Any]:
        """The fields for the verb's log line."""
        return {}


class Example(Stored):
    """One image of a data set, identified by its content.

    Attributes:
        sha256: the SHA-256 of the encoded image, in hexadecimal.
        suffix: the suffix of its file, with the dot.
        label: what it shows.
        split: which part of the data set it is in, see `pipeline.data.snapshot.splits`.
    """

    sha256: str
    suffix: str
    label: str
    split: Split


class SnapshotRecord(Record):
    """The data as this run sees it.

    Attributes:
        digest: covers every image, its label and its split.
        labels: in the order of their indices. Those of `serving_version` keep their index.
        examples: every image, sorted by content; in records from before 2026-12 only.
        manifest: the folder in the bucket with the list of all images, see `pipeline.data.snapshot.manifests`; empty in
            records that have `examples`.
        found: the figures; None in records that have `examples`.
        report: the folder in the bucket with the report about the data; empty if there is none.
        serving_version: the version that served at that time; None if none did.
        missing: labels of the serving version that no image shows.
        new: labels that the serving version does not know.
    """

    digest: str
    labels: tuple[str, ...]
    examples: tuple[Example, ...] = ()
    manifest: str = ""
    found: DataSummary | None = None
    report: str = ""
    serving_version: int | None = None
    missing: tuple[str, ...] = ()
    new: tuple[str, ...] = ()

    def summary(self) -> dict[str, Any]:
        changed = {"missing_labels": self.missing, "new_labels": self.new}
        return {
            "images": self.count(),
            "labels": len(self.labels),
            **{name: labels for name, labels in changed.items() if labels},
            "data_digest": self.digest[:12],
        }

    def present(self) -> frozenset[str]:
        """The labels that at least one image shows."""
        if self.found is not None:
            return frozenset(self.found.counts)
        return frozenset(example.label for example in self.examples)

    def count(self, split: Split | None = None) -> int:
        """The number of images in a split, or in all of them."""
        if self.found is not None:
            return self.found.images(split)
        return sum(1 for example in self.examples if split in (None, example.split))


class Epoch(Stored):
    """The metrics of one epoch by name, and when it ended."""

    at: datetime
    metrics: dict[str, float]


class ExportRecord(Record):
    """A SavedModel that is trained and stored, and that MLflow may not know completely.

    A repeated `train` begins here.

    Attributes:
        model_key: its folder in the bucket.
        files: the sums of every file, by its path in that folder.
        epochs: of all phases, in their order; none for an imported model.
        best: the number of the epoch that was exported, from 1; 0: the last one, as in records from before 2026-12.
        phase_ends: the numbers of the last epochs of the phases but the last one.
        facts: what else decides about the weights, by name, for MLflow: the device, the precision, whether the same run
            would give the same weights again, what it began with.
    """

    model_key: str
    files: dict[str, FileSum]
    epochs: tuple[Epoch, ...]
    best: int = 0
    phase_ends: tuple[int, ...] = ()
    facts: dict[str, str] = Field(default_factory=dict)

    def metrics(self) -> dict[str, float]:
        """Those of the exported epoch; none of an imported model."""
        return self.epochs[self.best - 1].metrics if self.epochs else {}


class TrainRecord(Record):
    """Where the exported SavedModel is.

    Attributes:
        model_key: its folder in the bucket.
        files: the sums of every file, by its path in that folder.
        model_digest: covers all of them.
        mlflow_run: the id of the run in MLflow.
        mlflow_model: the id of the logged model in MLflow.
        metrics: those of the exported epoch.
    """

    model_key: str
    files: dict[str, FileSum]
    model_digest: str
    mlflow_run: str
    mlflow_model: str
    metrics: dict[str, float]

    def summary(self) -> dict[str, Any]:
        return {"model_digest": self.model_digest[:12], **{k: round(v, 4) for k, v in self.metrics.items()}}


class EvaluateRecord(Record):
    """The figures of the candidate and of the serving version on the same held-out images."""

    evaluation: Evaluation

    def summary(self) -> dict[str, Any]:
        accuracies = self.evaluation.accuracies() or (self.evaluation.candidate.accuracy, None)
        return {
            "accuracy": round(accuracies[0], 4),
            "serving": self.evaluation.serving_version,
            "serving_accuracy": None if accuracies[1] is None else round(accuracies[1], 4),
        }


class GoldenAnswer(Stored):
    """One encoded image in base64, and the exact answer of the exported model."""

    image: str
    label: str
    probabilities: tuple[float, ...]


class LabelledImage(Stored):
    """One encoded image in base64, and its true label."""

    image: str
    label: str


class ProbeSet(Record):
    """The questions of the canary: answers that must be repeated, and labelled images that must be recognised."""

    golden: tuple[GoldenAnswer, ...]
    fresh: tuple[LabelledImage, ...]


class GateRecord(Record):
    """The decision of the gate.

    Attributes:
        verdict: the verdict, also if it was overruled.
        serving_version: the version compared with; None if nothing served. Promotion is possible only while it serves.
        serving_labels: its labels; None if nothing served, and in records from before 2026-12.
        forced_by: the person who overruled the gate; None if nobody did.
    """

    verdict: Verdict
    serving_version: int | None
    serving_labels: tuple[str, ...] | None = None
    forced_by: str | None = None

    def summary(self) -> dict[str, Any]:
        return {"verdict": str(self.verdict), "forced_by": self.forced_by}


class PublishRecord(Record):
    """The published version. `manifest` is the SHA-256 of its manifest, see `pipeline.journal.manifests`."""

    version: int
    files: int = 0
    manifest: str = ""

    def summary(self) -> dict[str, Any]:
        return {"version": self.version, "files": self.files, "manifest": self.manifest[:12]}


class BaselineRecord(Record):
    """The answers of the serving version before a candidate replaced it (latest roll-out).

    Attributes:
        version: the serving version.
        fresh_right: how many of the run's labelled images it recognised, of those whose label it knows; None if it
            knows none of them.
        latency_ms: the median of single-image requests, in milliseconds.
    """

    version: int
    fresh_right: int | None
    latency_ms: float


class CanaryRecord(Record):
    """The canary that passed or declined. `load_seconds`: until the slowest replica had loaded it, polling included."""

    version: int
    verdict: Verdict | None
    load_seconds: float | None = None

    def summary(self) -> dict[str, Any]:
        return {"version": self.version, "verdict": str(self.verdict), "load_seconds": self.load_seconds}


class PromoteRecord(Record):
    """The promoted version, and the addresses of the replicas that answer from it."""

    version: int
    replicas: tuple[str, ...] = ()

    def summary(self) -> dict[str, Any]:
        return {"version": self.version, "replicas": len(self.replicas)}


class WithdrawRecord(Record):
    """The withdrawn version."""

    version: int | None = None

    def summary(self) -> dict[str, Any]:
        return {"version": self.version, "reason": self.reason}


class RollbackRecord(Record):
    """The roll-back. `left` is the version it left; `seconds` is from the request to the last replica's answer."""

    version: int
    left: int | None
    seconds: float
    replicas: tuple[str, ...]

    def summary(self) -> dict[str, Any]:
        return {"version": self.version, "left": self.left, "replicas": self.replicas, "moved_in_seconds": self.seconds}


class SpecRecord(Record):
    """The settings of the run, as `snapshot` froze them."""

    spec: RunSpec


# The file name of each record, without its suffix.
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


# The verb that leaves a record, where its file has another name.
LEFT_BY: dict[type[Record], str] = {
    SpecRecord: "snapshot",
    ExportRecord: "train",
    ProbeSet: "evaluate",
    BaselineRecord: "canary",
}
