"""A run whose gate has said yes, with any files for a model: what `publish` starts from."""

from collections.abc import Mapping

from pipeline.context import RunContext
from pipeline.runs.records import GateRecord, ProbeSet, Record, SnapshotRecord, SpecRecord, TrainRecord
from pipeline.spec import Data, Image, ModelSpec, RunSpec, Training
from pipeline.storage.sums import FileSum, folder_digest
from pipeline.verdicts.verdict import Decision, Verdict
from tests.fleet import LABELS
from tests.releases import MODEL

SPEC = ModelSpec(
    name=MODEL,
    description="digits",
    owner="understudy",
    data=Data(images="builtin:digits"),
    image=Image(height=8, width=8, channels=1),
    training=Training(epochs=1),
)


def approve(context: RunContext, key: str, files: Mapping[str, FileSum], probes: ProbeSet) -> None:
    """Leave the records that earlier verbs would, for a model that lies under `key`."""
    run = RunSpec(
        model=SPEC, run_key=context.run_key, requested_by="ann", note="", force=False, code_version="benchmark"
    )
    trained = TrainRecord(
        model_key=key, files=dict(files), model_digest=folder_digest(files), mlflow_run="", mlflow_model="", metrics={}
    )
    passed = Verdict(decision=Decision.PASS, reasons=("good",))
    serving = context.journal.read().state.serving
    gate = GateRecord(verdict=passed, serving_version=serving, serving_labels=LABELS if serving is not None else None)
    records: list[Record] = [
        SpecRecord(spec=run),
        SnapshotRecord(digest="d" * 64, labels=LABELS, examples=()),
        trained,
        gate,
        probes,
    ]
    for record in records:
        context.records.finish(record)
