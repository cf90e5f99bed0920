"""Train a network on the snapshot, or take one that was trained elsewhere, and export it as the SavedModel to judge."""

import hashlib
import tempfile
from pathlib import Path
from typing import Any

from pipeline import layout
from pipeline.context import RunContext
from pipeline.data.examples import read_rows, split_rows
from pipeline.inspection.served_labels import served_labels
from pipeline.runs.records import ExportRecord, SnapshotRecord, SpecRecord, TrainRecord
from pipeline.safety.scan import operation_problems
from pipeline.spec import ModelSpec, RunSpec
from pipeline.storage.identity import make_identity
from pipeline.storage.sums import FileSum, folder_digest, sums_of
from pipeline.tracking.tracked_run import TrackedRun, tracked_run
from pipeline.training.candidate import Beginning, Candidate, Images, import_model, train_model
from pipeline.training.fitting.checkpoints import Checkpoints
from pipeline.training.networks.modules import source_digest
from pipeline.training.networks.warm_start import warm_start
from pipeline.verbs.snapshot import decline_if_held
from pipeline.verdicts.measurements import Split


def train(context: RunContext) -> TrainRecord:
    """Train or import, export, and store the SavedModel under its digest in this run.

    MLflow may fail while a network is trained: the training continues. If it fails at the end, the model is stored and
    recorded, and a repeated `train` only tells MLflow of it.

    Raises:
        DeclinedError: promotions are held, and no person has asked for this run.
        BadInputError: a replica serves another model, nothing was trained for a fleet that cannot take it; or the
            weights, the function or the imported model cannot be used.
        CouldNotTellError: MLflow failed before the training, and nothing was trained; or after it, and nothing is lost.
        FailedError: an image is not what the snapshot saw, or the training has diverged.
    """
    spec = context.records.require(SpecRecord).spec
    data = context.records.require(SnapshotRecord)
    decline_if_held(context)
    context.replicas.require_own_fleet()
    seed = _seed(spec)
    bucket = make_identity(context.bucket)
    exported = context.records.find(ExportRecord)
    kept = _kept(exported) if exported else "Nothing was trained yet."
    with tracked_run(
        context.fleet.mlflow_url,
        spec,
        bucket=bucket,
        kept=kept,
        started_by=context.settings.run_url,
        public_url=context.settings.mlflow_public_url,
        with_system_metrics=True,
    ) as run:
        if data.report and data.found is not None:
            with context.bucket.local_copy(data.report) as report:
                run.log_data_report(report, data.found)
        run.log_training_input(spec, data, seed=seed, source=context.bucket.uri(layout.images(context.model)))
        if exported is None:
            exported = _export(context, spec, data, seed=seed, run=run)
        run.kept = _kept(exported)
        run.log_epochs(exported.epochs)
        run.log_facts(exported.facts)
        phases = [end + 1 for end in exported.phase_ends]
        run.log_learning_curves(exported.epochs, best=exported.best, phases=phases)
        digest, key = folder_digest(exported.files), exported.model_key
        model_id = run.log_model(spec.model.name, digest=digest, address=context.bucket.uri(key))
    return TrainRecord(
        model_key=key,
        files=exported.files,
        model_digest=digest,
        mlflow_run=run.id,
        mlflow_model=model_id,
        metrics=exported.metrics(),
    )


def _kept(exported: ExportRecord) -> str:
    return f"The trained model is stored in {exported.model_key}, and a repeated task does not train again."


def _export(context: RunContext, spec: RunSpec, data: SnapshotRecord, *, seed: int, run: TrackedRun) -> ExportRecord:
    """Store the SavedModel, and note that; then the checkpoints are not needed any more."""
    candidate = Candidate(
        spec=spec.model,
        labels=data.labels,
        train=_images(context, data, "train"),
        validation=_images(context, data, "validation"),
        seconds=context.settings.storage_seconds,
    )
    checkpoints = Checkpoints(context.bucket, context.model, context.run_key, of=_digest(spec.model, data, seed=seed))
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / "model"
        if spec.model.imported is not None:
            made = import_model(candidate, folder, scan=operation_problems)
        else:
            made = train_model(
                candidate,
                folder,
                seed=seed,
                checkpoints=checkpoints,
                cache=context.settings.cache,
                most_bytes=round(context.settings.cache_gb * 1e9),
                begin=_beginning(context, spec.model, data),
                on_epoch=run.show_epoch,
            )
        key, files = _store(context, folder)
    record = ExportRecord(
        model_key=key,
        files=files,
        epochs=made.epochs,
        best=made.best,
        phase_ends=made.phase_ends,
        facts=made.facts,
    )
    exported = context.records.finish(record)
    checkpoints.remove()
    return exported


def _images(context: RunContext, data: SnapshotRecord, split: Split) -> Images:
    rows = split_rows(context.bucket, context.model, data, split)
    return Images(rows, lambda positions: read_rows(context.bucket, context.model, rows, positions))


def _beginning(context: RunContext, model: ModelSpec, data: SnapshotRecord) -> Beginning | None:
    """What gives the network the weights of the version that served when the run began; None: nothing does."""
    if model.training is None or model.training.warm_start == "none":
        return None
    version = data.serving_version
    if version is None:
        return lambda _: "random weights: nothing served"

    def begin(network: Any) -> str:
        history = context.journal.read()
        context.manifests.verify(version, history)
        with context.bucket.local_copy(context.manifests.folder(version, history)) as folder:
            old_labels = served_labels(context, version)
            return f"v{version}: {warm_start(network, folder, labels=data.labels, old_labels=old_labels)}"

    return begin


def _digest(model: ModelSpec, data: SnapshotRecord, *, seed: int) -> str:
    """Of all that decides about the weights."""
    assert model.training is not None or model.imported is not None
    settings = model.training.model_dump_json() if model.training else ""
    # The function of the user as it is now: it may have been edited since `snapshot`.
    source = source_digest(model.training)
    content = "\n".join([settings, source, model.image.model_dump_json(), data.digest, *data.labels, str(seed)])
    return hashlib.sha256(content.encode()).hexdigest()


def _store(context: RunContext, folder: Path) -> tuple[str, dict[str, FileSum]]:
    """Key and files of the stored model. Its digest is in the key, so an overlapping copy stores beside, not over."""
    files = sums_of(folder)
    key = layout.exported(context.model, context.run_key, folder_digest(files))
    context.bucket.upload(folder, key)
    return key, files


def _seed(spec: RunSpec) -> int:
    """The seed asked for, or one made of the run key: a repeated task trains the same network again."""
    if spec.model.training is not None and spec.model.training.seed is not None:
        return spec.model.training.seed
    return int.from_bytes(hashlib.sha256(spec.run_key.encode()).digest()[:4]) % 2**31
