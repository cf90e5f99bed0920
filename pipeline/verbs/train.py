"""Train a network on the snapshot and export it as the SavedModel that will be judged, and perhaps served."""

import hashlib
import logging
import tempfile
from datetime import UTC, datetime
from pathlib import Path

from pipeline import layout
from pipeline.context import RunContext
from pipeline.data.examples import examples_of, read_images
from pipeline.runs.records import Epoch, ExportRecord, SnapshotRecord, SpecRecord, TrainRecord
from pipeline.spec import RunSpec
from pipeline.storage.identity import make_identity
from pipeline.storage.sums import FileSum, folder_digest, sums_of
from pipeline.tracking.tracked_run import TrackedRun, tracked_run
from pipeline.training import network
from pipeline.training.exporting import export
from pipeline.verbs.snapshot import decline_if_held
from pipeline.verdicts.measurements import Split

log = logging.getLogger(__name__)

_WARMUP_IMAGES = 8


def train(context: RunContext) -> TrainRecord:
    """Train, export, and store the SavedModel under its digest in this run.

    MLflow may fail while a network is trained: the training goes on. If it fails at the end, the model is stored and
    recorded, and a repeated `train` only tells MLflow of it.

    Raises:
        DeclinedError: promotions are held, and no person has asked for this run.
        BadInputError: a replica serves another model; nothing was trained for a fleet that cannot take it.
        CouldNotTellError: MLflow failed before the training, and nothing was trained; or after it, and nothing is lost.
        FailedError: an image is not what the snapshot saw.
    """
    spec = context.records.require(SpecRecord).spec
    data = context.records.require(SnapshotRecord)
    decline_if_held(context)
    context.replicas.require_own_fleet()
    seed = _seed(spec)
    bucket = make_identity(context.bucket)
    exported = context.records.find(ExportRecord)
    kept = _kept(exported) if exported else "Nothing was trained yet."
    url, started_by = context.fleet.mlflow_url, context.settings.run_url
    public_url = context.settings.mlflow_public_url
    with tracked_run(url, spec, bucket=bucket, kept=kept, started_by=started_by, public_url=public_url) as run:
        if data.report and data.found is not None:
            with context.bucket.local_copy(data.report) as report:
                run.log_data_report(report, data.found)
        run.log_training_input(spec, data, seed=seed, source=context.bucket.uri(layout.images(context.model)))
        if exported is None:
            exported = context.records.finish(_train_and_store(context, spec, data, seed=seed, run=run))
        run.kept = _kept(exported)
        run.log_epochs(exported.epochs)
        digest, key = folder_digest(exported.files), exported.model_key
        model_id = run.log_model(spec.model.name, digest=digest, address=context.bucket.uri(key))
    return TrainRecord(
        model_key=key,
        files=exported.files,
        model_digest=digest,
        mlflow_run=run.id,
        mlflow_model=model_id,
        metrics=exported.epochs[-1].metrics if exported.epochs else {},
    )


def _kept(exported: ExportRecord) -> str:
    return f"The trained model is stored in {exported.model_key}, and a repeated task does not train again."


def _train_and_store(
    context: RunContext, spec: RunSpec, data: SnapshotRecord, *, seed: int, run: TrackedRun
) -> ExportRecord:
    epochs: list[Epoch] = []

    def on_epoch(number: int, metrics: dict[str, float]) -> None:
        epochs.append(Epoch(at=datetime.now(UTC), metrics=metrics))
        described = ", ".join(f"{name} {value:.4f}" for name, value in metrics.items())
        log.info("epoch %d of %d: %s", number, spec.model.training.epochs, described)
        run.show_epoch(number, epochs[-1])

    training = _load(context, data, "train")
    model = network.train(
        spec.model.training,
        spec.model.image,
        classes=len(data.labels),
        seed=seed,
        train_images=training,
        validation_images=_load(context, data, "validation"),
        on_epoch=on_epoch,
    )
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / "model"
        export.export(
            model,
            folder,
            name=spec.model.name,
            image=spec.model.image,
            labels=data.labels,
            warmup=[content for content, _ in training[:_WARMUP_IMAGES]],
        )
        key, files = _store(context, folder)
    return ExportRecord(model_key=key, files=files, epochs=tuple(epochs))


def _load(context: RunContext, data: SnapshotRecord, split: Split) -> network.Images:
    examples = examples_of(context.bucket, context.model, data, split)
    number = {label: index for index, label in enumerate(data.labels)}
    contents = read_images(context.bucket, context.model, examples)
    return [(content, number[each.label]) for content, each in zip(contents, examples, strict=True)]


def _store(context: RunContext, folder: Path) -> tuple[str, dict[str, FileSum]]:
    """Key and files of the stored model. Its digest is in the key, so an overlapping copy stores beside, not over."""
    files = sums_of(folder)
    key = layout.exported(context.model, context.run_key, folder_digest(files))
    context.bucket.upload(folder, key)
    return key, files


def _seed(spec: RunSpec) -> int:
    """The seed asked for, or one made of the run key: a repeated task trains the same network again."""
    if spec.model.training.seed is not None:
        return spec.model.training.seed
    return int.from_bytes(hashlib.sha256(spec.run_key.encode()).digest()[:4]) % 2**31
