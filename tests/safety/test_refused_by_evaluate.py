"""The verb that first runs a model refuses it first."""

from pathlib import Path

import pytest

from pipeline import layout
from pipeline.context import make_context
from pipeline.errors import FailedError
from pipeline.records import Record, SnapshotRecord, SpecRecord, TrainRecord
from pipeline.settings import Settings
from pipeline.spec import RunSpec
from pipeline.storage.sums import folder_digest, sums_of
from pipeline.verbs.evaluate import evaluate
from tests.releases import SPEC
from tests.safety.unsafe_models import LABELS

RUN = "retrain-1"


@pytest.mark.parametrize(
    ("name", "told"),
    [("writes", "op 'WriteFile' writes files"), ("not_finite", "weight tensors are not finite: 'bad_")],
)
def test_nothing_of_an_unsafe_model_is_run(models: Path, tmp_path: Path, name: str, told: str) -> None:
    """F15, F63: it is refused by the name of its operation or tensor, and leaves no record that could be published."""
    context = make_context(Settings(root=str(tmp_path / "bucket")), model="digits", run_key=RUN)
    files = sums_of(models / name)
    digest = folder_digest(files)
    key = layout.exported("digits", RUN, digest)
    context.bucket.upload(models / name, key)
    run = RunSpec(model=SPEC, run_key=RUN, requested_by="ann", note="", force=False, code_version="test")
    records: list[Record] = [
        SpecRecord(spec=run),
        SnapshotRecord(digest="d" * 64, labels=LABELS, examples=()),
        TrainRecord(model_key=key, files=files, model_digest=digest, mlflow_run="", mlflow_model="", metrics={}),
    ]
    for record in records:
        context.records.finish(record)

    with pytest.raises(FailedError, match=f"the exported model is refused: .*{told}"):
        evaluate(context)
    assert not (models / "written.txt").exists()
    assert ["snapshot.json", "spec.json", "train.json"] == [
        name for name in context.bucket.names(f"{layout.runs('digits')}/{RUN}") if name.endswith(".json")
    ]
