"""The verb that first runs a model refuses it first."""

import hashlib
from pathlib import Path

import pytest

from pipeline import layout
from pipeline.context import RunContext, make_run_context
from pipeline.errors import FailedError
from pipeline.runs.records import Example, Record, SnapshotRecord, SpecRecord, TrainRecord
from pipeline.settings import Settings
from pipeline.spec import RunSpec
from pipeline.storage.sums import folder_digest, sums_of
from pipeline.verbs.evaluate import evaluate
from tests.pipeline.safety.unsafe_models import LABELS
from tests.releases import SPEC

RUN = "retrain-1"


def trained(models: Path, name: str, bucket: Path, *, labels: tuple[str, ...], images: tuple[bytes, ...]) -> RunContext:
    """A run whose `train` has left this model."""
    bucket.mkdir(exist_ok=True)
    context = make_run_context(Settings(root=str(bucket)), model="digits", run_key=RUN)
    files = sums_of(models / name)
    digest = folder_digest(files)
    key = layout.exported("digits", RUN, digest)
    context.bucket.upload(models / name, key)
    run = RunSpec(model=SPEC, run_key=RUN, requested_by="ann", note="", force=False, code_version="test")
    examples = [
        Example(sha256=hashlib.sha256(each).hexdigest(), suffix=".png", label=labels[0], split="holdout")
        for each in images
    ]
    for example, content in zip(examples, images, strict=True):
        context.bucket.create(layout.image("digits", example.sha256, example.suffix), content)
    records: list[Record] = [
        SpecRecord(spec=run),
        SnapshotRecord(digest="d" * 64, labels=labels, examples=tuple(examples)),
        TrainRecord(model_key=key, files=files, model_digest=digest, mlflow_run="", mlflow_model="", metrics={}),
    ]
    for record in records:
        context.records.finish(record)
    return context


@pytest.mark.parametrize(
    ("name", "told"),
    [("writes", "op 'WriteFile' writes files"), ("not_finite", "weight tensors are not finite: 'bad_")],
)
def test_nothing_of_an_unsafe_model_is_run(models: Path, tmp_path: Path, name: str, told: str) -> None:
    """F15, F63: it is refused by the name of its operation or tensor, and leaves no record that could be published."""
    context = trained(models, name, tmp_path / "bucket", labels=LABELS, images=())
    with pytest.raises(FailedError, match=f"the exported model is refused: .*{told}"):
        evaluate(context)
    assert not (models / "written.txt").exists()
    assert ["snapshot.json", "spec.json", "train.json"] == [
        name for name in context.bucket.names(f"{layout.runs('digits')}/{RUN}") if name.endswith(".json")
    ]


def test_a_model_whose_labels_are_in_another_order_than_the_snapshots_is_refused(models: Path, tmp_path: Path) -> None:
    """It may name every image rightly, and its golden answers are its own: only the index is wrong."""
    labels = tuple(reversed(LABELS))
    context = trained(models, "plain", tmp_path / "bucket", labels=labels, images=(b"any", b"image"))

    with pytest.raises(FailedError, match="refused: it answers 'dark' at index 0, where 'light' was approved"):
        evaluate(context)
