"""Judge the candidate and the version that serves on the same held-out images, and record what the canary will ask."""

import base64
import logging
import random
from collections.abc import Mapping, Sequence
from pathlib import Path

from pipeline import layout
from pipeline.context import RunContext
from pipeline.errors import (
    CouldNotTellError,
    DamagedError,
    FailedError,
    MissingError,
    NewerVersionError,
    UnderstudyError,
)
from pipeline.inspection.exported_answers import exported_model
from pipeline.inspection.held_out import HeldOut
from pipeline.inspection.served_labels import served_labels
from pipeline.runs.records import (
    EvaluateRecord,
    GoldenAnswer,
    LabelledImage,
    ProbeSet,
    SnapshotRecord,
    SpecRecord,
    TrainRecord,
)
from pipeline.safety import scan
from pipeline.spec import CanaryPolicy
from pipeline.storage.identity import make_identity
from pipeline.storage.sums import FileSum, folder_digest
from pipeline.stored import stored
from pipeline.tracking.tracked_run import tracked_run
from pipeline.training.explaining.worst_answers import worst_answers
from pipeline.training.pictures.mistakes import ShownMistake
from pipeline.training.scoring.exported_model import ExportedModel, Predictions
from pipeline.training.scoring.performance import performance
from pipeline.verdicts.measurements import Evaluation, Performance
from serving.canary import index_problems
from serving.images import ImageError
from serving.status import StatusError

log = logging.getLogger(__name__)


def evaluate(context: RunContext) -> EvaluateRecord:
    """Run exported SavedModels, candidate and serving alike, on encoded images.

    Raises:
        CouldNotTellError: MLflow failed, or the version that serves cannot be measured. The trained model is not lost.
        FailedError: an image is not what the snapshot saw, or the export is not safe to serve: it would touch more
            than its inputs, has weights that are no numbers, breaks its clients, has its labels in another order than
            the snapshot, or is newer than the servers.
    """
    spec = context.records.require(SpecRecord).spec
    data = context.records.require(SnapshotRecord)
    trained = context.records.require(TrainRecord)
    held_out = HeldOut(context.bucket, context.model, data)
    golden, fresh = _chosen(spec.model.canary, len(held_out), seed=data.digest)
    serving = context.journal.read().state.serving
    serving_labels = served_labels(context, serving)
    try:
        with context.bucket.local_copy(trained.model_key) as folder:
            _require_safe(context, folder, labels=data.labels)
            model = ExportedModel(folder)
            predictions = model.predict(held_out.batches(), held_out.classes, data.labels, kept=golden)
            _require_order(predictions, data.labels)
            mistakes = _mistakes(folder, predictions, held_out)
    except StatusError as error:
        raise FailedError(f"{trained.model_key} cannot be loaded or run: {error}") from error
    candidate = performance(
        predictions,
        held_out.classes,
        data.labels,
        model_digest=trained.model_digest,
        data_digest=data.digest,
        size_mb=_megabytes(trained.files),
    )
    baseline = _baseline(context, serving, held_out, data_digest=data.digest)
    truth = [data.labels[each] for each in held_out.classes]
    evaluation = Evaluation(
        candidate=candidate,
        serving_version=serving,
        serving=_within(baseline, serving_labels),
        serving_labels=serving_labels if serving is not None else None,
        comparable=_comparable(truth, serving_labels) if serving is not None else "",
    )
    context.records.finish(_probes(held_out, predictions, golden=golden, fresh=fresh))
    _log(context, trained, evaluation, truth=truth, predictions=predictions, mistakes=mistakes, labels=data.labels)
    _tell(evaluation)
    return EvaluateRecord(evaluation=evaluation)


def _log(
    context: RunContext,
    trained: TrainRecord,
    evaluation: Evaluation,
    *,
    truth: Sequence[str],
    predictions: Predictions,
    mistakes: Sequence[ShownMistake],
    labels: Sequence[str],
) -> None:
    spec = context.records.require(SpecRecord).spec
    bucket = make_identity(context.bucket)
    kept = f"The trained model is stored in {trained.model_key}, and a repeated task evaluates it again."
    with tracked_run(
        context.fleet.mlflow_url,
        spec,
        bucket=bucket,
        kept=kept,
        run_id=trained.mlflow_run,
        started_by=context.settings.run_url,
        public_url=context.settings.mlflow_public_url,
    ) as run:
        run.log_evaluation(evaluation, truth, predictions.labels, labels=labels, model=trained.mlflow_model)
        wrong = len(truth) - int(predictions.right.sum())
        run.log_mistakes(mistakes, wrong=wrong, images=len(truth))


def _mistakes(folder: Path, predictions: Predictions, held_out: HeldOut) -> list[ShownMistake]:
    """The pictures of the worst mistakes, for people; nothing is decided on them."""
    try:
        return worst_answers(folder, predictions.worst, read=held_out.images, labels=held_out.labels)
    except (UnderstudyError, ImageError) as error:
        log.warning("the worst mistakes are not shown: %s", error)
        return []


def _require_safe(context: RunContext, folder: Path, *, labels: Sequence[str]) -> None:
    """Check it before any of it runs: a model is a program."""
    problems = scan.problems(folder, labels=labels, server_tensorflow=context.fleet.server_tensorflow)
    if problems:
        raise FailedError(f"the exported model is refused: {'; '.join(problems)}")


def _require_order(predictions: Predictions, labels: Sequence[str]) -> None:
    problems = index_problems(zip(predictions.indices.tolist(), predictions.labels, strict=True), labels)
    if problems:
        raise FailedError(f"the exported model is refused: it {'; it '.join(problems)}")


def _baseline(context: RunContext, version: int | None, held_out: HeldOut, *, data_digest: str) -> Performance | None:
    """The serving version on the same images, computed once per model and data; None where nothing serves.

    Raises:
        CouldNotTellError: something serves and cannot be measured.
        FailedError: an image is not what the snapshot saw.
        NewerVersionError: a newer version of Understudy wrote its manifest.
    """
    if version is None:
        return None
    try:
        history = context.journal.read()
        folder = context.manifests.folder(version, history)
        files = context.manifests.verify(version, history).files
        kept = layout.baseline(context.model, folder_digest(files), data_digest)
        try:
            return stored(Performance, context.bucket.read(kept), key=kept, what="a baseline")
        except (DamagedError, MissingError, NewerVersionError) as error:
            # It is only kept to save time, so nothing rests on one that cannot be read.
            if not isinstance(error, MissingError):
                log.warning("v%d is measured again: %s", version, error)
            measured = _measure(context, folder, held_out, files=files, data_digest=data_digest)
            context.bucket.create(kept, measured.model_dump_json(indent=1).encode())
            return measured
    except (FailedError, NewerVersionError):
        # Of a held-out image, or of the journal: the version that serves is not to blame.
        raise
    except (UnderstudyError, StatusError) as error:
        raise CouldNotTellError(
            f"v{version} serves and could not be measured, so there is nothing to compare with: {error}. Repair the "
            f"cause, then repeat this step (in Airflow: clear the task); or run `understudy rollback --model "
            f"{context.model} --to previous --reason damaged`"
        ) from error


def _within(baseline: Performance | None, labels: Sequence[str]) -> Performance | None:
    """Without the recall of labels that the version cannot know."""
    if baseline is None:
        return None
    served = frozenset(labels)
    known = {label: recall for label, recall in baseline.class_recall.items() if label in served}
    return baseline.model_copy(update={"class_recall": known})


def _comparable(truth: Sequence[str], serving_labels: Sequence[str]) -> str:
    served = frozenset(serving_labels)
    return "".join("1" if label in served else "0" for label in truth)


def _measure(
    context: RunContext, folder: str, held_out: HeldOut, *, files: Mapping[str, FileSum], data_digest: str
) -> Performance:
    model = exported_model(context.bucket, folder)
    return performance(
        model.predict(held_out.batches(), held_out.classes, held_out.labels),
        held_out.classes,
        held_out.labels,
        model_digest=folder_digest(files),
        data_digest=data_digest,
        size_mb=_megabytes(files),
    )


def _megabytes(files: Mapping[str, FileSum]) -> float:
    return sum(each.size for each in files.values()) / 1e6


def _chosen(policy: CanaryPolicy, images: int, *, seed: str) -> tuple[list[int], list[int]]:
    """The positions of images for golden answers, and of others for the labelled images."""
    order = list(range(images))
    random.Random(seed).shuffle(order)  # noqa: S311 - a fixed choice, not a secret
    return order[: policy.golden], order[policy.golden : policy.golden + policy.fresh]


def _probes(held_out: HeldOut, predictions: Predictions, *, golden: Sequence[int], fresh: Sequence[int]) -> ProbeSet:
    """Golden answers from the exported model, and labelled images that no golden answer covers."""
    return ProbeSet(
        golden=tuple(
            GoldenAnswer(
                image=_encoded(content),
                label=predictions.labels[position],
                probabilities=tuple(float(p) for p in predictions.kept[position]),
            )
            for position, content in zip(golden, held_out.images(golden), strict=True)
        ),
        fresh=tuple(
            LabelledImage(image=_encoded(content), label=held_out.label(position))
            for position, content in zip(fresh, held_out.images(fresh), strict=True)
        ),
    )


def _encoded(content: bytes) -> str:
    return base64.b64encode(content).decode()


def _tell(evaluation: Evaluation) -> None:
    log.info("candidate: accuracy %.4f on %d images", evaluation.candidate.accuracy, evaluation.candidate.examples)
    accuracies = evaluation.accuracies()
    if accuracies is not None:
        log.info(
            "serving v%s: accuracy %.4f, against %.4f of the candidate, on the %d images whose label both know",
            evaluation.serving_version,
            accuracies[1],
            accuracies[0],
            len(evaluation.compared()),
        )
