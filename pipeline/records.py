"""What the verbs of one run leave for each other and for later readers, as JSON under `runs/<model>/<key>/`.

A record is created once and never changed: it is the final answer of its verb for its run key. A verb that finds its
record answers with it instead of working again; of two copies that work at once, the first to finish has answered.
"""

from datetime import UTC, datetime
from typing import Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field

from pipeline import layout
from pipeline.errors import BadInputError, MissingError
from pipeline.spec import RunSpec
from pipeline.storage import Bucket
from pipeline.verdicts.verdict import Verdict


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Record(_Frozen):
    """The answer of a verb. `declined` records why a rule said no."""

    outcome: Literal["done", "declined"] = "done"
    reason: str = ""
    at: datetime = Field(default_factory=lambda: datetime.now(UTC))

    def summary(self) -> dict[str, Any]:
        """What the verb's one log line says of it."""
        return {}


class Example(_Frozen):
    """One image of a data set, by content."""

    sha256: str
    suffix: str
    label: str
    split: Literal["train", "validation", "holdout"]


class SnapshotRecord(Record):
    """The data as this run sees it. `digest` covers every example, its label and its split."""

    digest: str
    labels: tuple[str, ...]
    examples: tuple[Example, ...]

    def summary(self) -> dict[str, Any]:
        return {"images": len(self.examples), "labels": len(self.labels), "data_digest": self.digest[:12]}

    def split(self, name: Literal["train", "validation", "holdout"]) -> list[Example]:
        return [example for example in self.examples if example.split == name]


class TrainRecord(Record):
    """Where the exported SavedModel is; `model_digest` covers every file of it."""

    model_key: str
    model_digest: str
    mlflow_run: str
    mlflow_model: str
    metrics: dict[str, float]

    def summary(self) -> dict[str, Any]:
        return {"model_digest": self.model_digest[:12], **{k: round(v, 4) for k, v in self.metrics.items()}}


class Performance(_Frozen):
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


class Evaluation(_Frozen):
    """The candidate against the version that served when it was evaluated; None where nothing served."""

    candidate: Performance
    serving_version: int | None
    serving: Performance | None
    serving_problem: str = ""


class EvaluateRecord(Record):
    evaluation: Evaluation

    def summary(self) -> dict[str, Any]:
        serving = self.evaluation.serving
        return {
            "accuracy": round(self.evaluation.candidate.accuracy, 4),
            "serving": self.evaluation.serving_version,
            "serving_accuracy": round(serving.accuracy, 4) if serving else None,
        }


class GoldenAnswer(_Frozen):
    """One encoded image (base64) and the exact answer of the exported model."""

    image: str
    label: str
    probabilities: tuple[float, ...]


class LabelledImage(_Frozen):
    image: str
    label: str


class ProbeSet(Record):
    """What the canary asks: answers that must be repeated, and labelled images that must be recognised."""

    golden: tuple[GoldenAnswer, ...]
    fresh: tuple[LabelledImage, ...]


class GateRecord(Record):
    """`serving_version` is what the candidate was compared with: promotion holds only while that still serves."""

    verdict: Verdict
    serving_version: int | None
    forced_by: str | None = None

    def summary(self) -> dict[str, Any]:
        return {"verdict": str(self.verdict), "forced_by": self.forced_by}


class PublishRecord(Record):
    version: int
    files: dict[str, str]

    def summary(self) -> dict[str, Any]:
        return {"version": self.version, "files": len(self.files)}


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


class SpecRecord(Record):
    spec: RunSpec


R = TypeVar("R", bound=Record)

NAMES: dict[type[Record], str] = {
    SpecRecord: "spec",
    SnapshotRecord: "snapshot",
    TrainRecord: "train",
    EvaluateRecord: "evaluate",
    ProbeSet: "probes",
    GateRecord: "gate",
    PublishRecord: "publish",
    CanaryRecord: "canary",
    PromoteRecord: "promote",
    WithdrawRecord: "withdraw",
}


# The others are left by the verb they are named after.
_LEFT_BY: dict[type[Record], str] = {SpecRecord: "snapshot", ProbeSet: "evaluate"}


class RunRecords:
    """The records of one run."""

    def __init__(self, bucket: Bucket, model: str, key: str) -> None:
        self._bucket = bucket
        self._model = model
        self._key = key

    def find(self, kind: type[R]) -> R | None:
        try:
            content = self._bucket.read(layout.record(self._model, self._key, NAMES[kind]))
        except MissingError:
            return None
        return kind.model_validate_json(content)

    def need(self, kind: type[R]) -> R:
        """The record an earlier verb left.

        Raises:
            BadInputError: that verb has not finished for this run, or it declined.
        """
        record = self.find(kind)
        if record is None:
            verb = _LEFT_BY.get(kind, NAMES[kind])
            raise BadInputError(
                f"run {self._key} of {self._model} has no {NAMES[kind]} record; run `{verb}` for this run first"
            )
        if record.outcome == "declined":
            raise BadInputError(f"run {self._key} of {self._model} was declined by {NAMES[kind]}: {record.reason}")
        return record

    def finish(self, record: R) -> R:
        """Make `record` the final answer of its verb, unless another copy has answered: then that one's answer."""
        kind = type(record)
        content = record.model_dump_json(indent=1).encode()
        if self._bucket.create(layout.record(self._model, self._key, NAMES[kind]), content):
            return record
        return self.find(kind) or record

    def note_attempt(self, name: str, verdict: Verdict) -> None:
        """Keep a verdict that did not end the run: the durable reason for what follows."""
        moment = datetime.now(UTC).strftime("%Y%m%dT%H%M%S%fZ")
        self._bucket.create(
            layout.attempt(self._model, self._key, name, moment), verdict.model_dump_json(indent=1).encode()
        )

    def last_attempt(self) -> Verdict | None:
        """The newest verdict that did not end the run."""
        folder = layout.attempts(self._model, self._key)
        names = self._bucket.names(folder)
        return Verdict.model_validate_json(self._bucket.read(f"{folder}/{names[-1]}")) if names else None
