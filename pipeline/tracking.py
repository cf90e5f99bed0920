"""One MLflow run per training: parameters, metrics per epoch, the data as an input, the evaluation, a picture.

Metric names are the same in every run, and their prefixes become the sections of MLflow's comparison charts.
"""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

from pipeline.errors import CouldNotTellError
from pipeline.records import Evaluation, Performance, SnapshotRecord
from pipeline.spec import RunSpec

log = logging.getLogger(__name__)

_RUN_KEY_TAG = "understudy.run_key"
_RETRIES = 2
_TIMEOUT_SECONDS = 10


@contextmanager
def tracked_run(url: str, spec: RunSpec) -> Iterator[str]:
    """The MLflow run of this run key, active inside the block: the one that exists, or a new one; gives its id.

    Raises:
        CouldNotTellError: MLflow does not answer. Training without a record of it would be lost work.
    """
    import mlflow
    from mlflow.environment_variables import MLFLOW_HTTP_REQUEST_MAX_RETRIES, MLFLOW_HTTP_REQUEST_TIMEOUT
    from mlflow.exceptions import MlflowException

    MLFLOW_HTTP_REQUEST_MAX_RETRIES.set(_RETRIES)
    MLFLOW_HTTP_REQUEST_TIMEOUT.set(_TIMEOUT_SECONDS)
    mlflow.set_tracking_uri(url)
    try:
        experiment = mlflow.set_experiment(spec.model.name)
        query = f"tags.`{_RUN_KEY_TAG}` = '{spec.run_key}'"
        found = mlflow.search_runs([experiment.experiment_id], query, output_format="list", max_results=1)
        run = mlflow.start_run(run_id=found[0].info.run_id) if found else _new_run(spec)
    except MlflowException as error:
        raise CouldNotTellError(f"MLflow at {url} does not answer: {error}; start it and clear this task") from error
    with run:
        yield run.info.run_id


def log_training_input(spec: RunSpec, data: SnapshotRecord, *, seed: int, source: str) -> None:
    """Parameters, and the data set by its digest. Repeating it with the same values changes nothing."""
    import mlflow
    from mlflow.data.code_dataset_source import CodeDatasetSource
    from mlflow.data.meta_dataset import MetaDataset

    model = spec.model
    mlflow.log_params(
        {
            "epochs": model.training.epochs,
            "batch_size": model.training.batch_size,
            "learning_rate": model.training.learning_rate,
            "seed": seed,
            "filters": ",".join(str(count) for count in model.training.network.filters),
            "dense": model.training.network.dense,
            "dropout": model.training.network.dropout,
            "image": f"{model.image.height}x{model.image.width}x{model.image.channels}",
            "examples/train": len(data.split("train")),
            "examples/holdout": len(data.split("holdout")),
            "data_digest": data.digest,
        }
    )
    dataset = MetaDataset(CodeDatasetSource({"images": source}), name=model.name, digest=data.digest[:32])
    mlflow.log_input(dataset, context="training")


def log_model(name: str, *, run: str, digest: str, address: str) -> str:
    """Tell MLflow of the exported model, which stays in the bucket; its id there."""
    import mlflow

    found = mlflow.search_logged_models(
        filter_string=f"tags.digest = '{digest}' AND source_run_id = '{run}'", output_format="list"
    )
    if found:
        return str(found[0].model_id)
    model = mlflow.create_external_model(name=name, source_run_id=run, tags={"digest": digest, "address": address})
    return str(model.model_id)


def log_evaluation(evaluation: Evaluation, truth: list[str], given: list[str], *, model_id: str) -> None:
    """The candidate's figures, those of the version that served on the same images, and the confusion matrix."""
    import mlflow

    metrics = _metrics(evaluation.candidate, "holdout")
    if evaluation.serving is not None:
        metrics |= _metrics(evaluation.serving, "holdout_of_serving")
    accuracies = evaluation.accuracies()
    if accuracies is not None:
        # Without images of labels that the serving version cannot know.
        metrics["holdout_of_serving/accuracy"] = accuracies[1]
        metrics["holdout/accuracy_gain"] = accuracies[0] - accuracies[1]
    mlflow.log_metrics(metrics, model_id=model_id)
    mlflow.log_figure(_confusion(truth, given), "confusion.png")  # at the root: MLflow shows it when comparing


def _new_run(spec: RunSpec) -> Any:
    import mlflow

    words = [f"requested by {spec.requested_by}", spec.note] if spec.note else [f"requested by {spec.requested_by}"]
    return mlflow.start_run(
        run_name=_name(spec.run_key),
        description="\n\n".join(words),
        tags={
            _RUN_KEY_TAG: spec.run_key,
            "requested_by": spec.requested_by,
            "note": spec.note,
            "code_version": spec.code_version,
        },
    )


def _name(run_key: str) -> str:
    """When a run was asked for, as a person says it; the key itself where it does not begin with a time."""
    try:
        return f"{datetime.strptime(run_key.partition('-')[2], '%Y%m%d%H%M%S%f').replace(tzinfo=UTC):%Y-%m-%d %H:%M:%S}"
    except ValueError:
        return run_key


def _metrics(performance: Performance, prefix: str) -> dict[str, float]:
    named = {
        f"{prefix}/accuracy": performance.accuracy,
        f"{prefix}/calibration_error": performance.calibration_error,
        f"{prefix}/latency_ms": performance.latency_ms,
        f"{prefix}/size_mb": performance.size_mb,
    }
    return named | {f"{prefix}_recall/{label}": recall for label, recall in performance.class_recall.items()}


def _confusion(truth: list[str], given: list[str]) -> Any:
    import matplotlib.figure
    from sklearn.metrics import ConfusionMatrixDisplay

    figure = matplotlib.figure.Figure(figsize=(7, 6), layout="constrained")
    axes = figure.add_subplot()
    ConfusionMatrixDisplay.from_predictions(truth, given, ax=axes, cmap="Blues", colorbar=False)
    axes.set_title(f"held-out images: {sum(t == g for t, g in zip(truth, given, strict=True))} of {len(truth)} right")
    return figure
