"""Train a network on the snapshot and export it as the SavedModel that will be judged, and perhaps served."""

import hashlib
import logging
import tempfile
from pathlib import Path

from pipeline import layout, tracking
from pipeline.context import Context
from pipeline.learning import export, network
from pipeline.learning.images import read_images
from pipeline.records import Example, SnapshotRecord, SpecRecord, TrainRecord
from pipeline.spec import RunSpec
from pipeline.storage.sums import FileSum, folder_digest, sums_of
from pipeline.verbs.snapshot import decline_if_held

log = logging.getLogger(__name__)

_WARMUP_IMAGES = 8


def train(context: Context) -> TrainRecord:
    """Train, export, and store the SavedModel under its digest in this run.

    Raises:
        DeclinedError: promotions are held, and no person has asked for this run.
        BadInputError: a replica serves another model; nothing was trained for a fleet that cannot take it.
        CouldNotTellError: MLflow does not answer; nothing was trained.
        FailedError: an image is not what the snapshot saw.
    """
    spec = context.records.need(SpecRecord).spec
    data = context.records.need(SnapshotRecord)
    decline_if_held(context)
    context.rollout.require_own_fleet()
    seed = _seed(spec)
    with tracking.tracked_run(context.settings.mlflow_url, spec) as run, tempfile.TemporaryDirectory() as scratch:
        images = layout.images(context.model)
        tracking.log_training_input(spec, data, seed=seed, source=context.bucket.uri(images))
        folder = Path(scratch) / "model"
        metrics = _train_and_export(context, spec, data, seed=seed, folder=folder)
        key, files = _store(context, folder)
        digest = folder_digest(files)
        model_id = tracking.log_model(spec.model.name, run=run, digest=digest, address=context.bucket.uri(key))
    return TrainRecord(
        model_key=key, files=files, model_digest=digest, mlflow_run=run, mlflow_model=model_id, metrics=metrics
    )


def _train_and_export(
    context: Context, spec: RunSpec, data: SnapshotRecord, *, seed: int, folder: Path
) -> dict[str, float]:
    """The metrics of the last epoch."""
    import mlflow

    last: dict[str, float] = {}

    def on_epoch(epoch: int, metrics: dict[str, float]) -> None:
        last.update(metrics)
        mlflow.log_metrics(metrics, step=epoch)
        told = ", ".join(f"{name} {value:.4f}" for name, value in metrics.items())
        log.info("epoch %d of %d: %s", epoch, spec.model.training.epochs, told)

    training = _load(context, data, data.split("train"))
    model = network.train(
        spec.model.training,
        spec.model.image,
        classes=len(data.labels),
        seed=seed,
        train_images=training,
        validation_images=_load(context, data, data.split("validation")),
        on_epoch=on_epoch,
    )
    export.export(
        model,
        folder,
        name=spec.model.name,
        image=spec.model.image,
        labels=data.labels,
        warmup=[content for content, _ in training[:_WARMUP_IMAGES]],
    )
    return last


def _load(context: Context, data: SnapshotRecord, examples: list[Example]) -> network.Images:
    number = {label: index for index, label in enumerate(data.labels)}
    contents = read_images(context.bucket, context.model, examples)
    return [(content, number[each.label]) for content, each in zip(contents, examples, strict=True)]


def _store(context: Context, folder: Path) -> tuple[str, dict[str, FileSum]]:
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
