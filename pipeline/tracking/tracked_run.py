"""One MLflow run per training: parameters, metrics per epoch, the data as an input, the evaluation, a picture.

Metric names are the same in every run, and their prefixes become the sections of MLflow's comparison charts. A run
carries the identity of its bucket. A run of another bucket is never used, even if its run key is the same.

Every call of MLflow's client is inside `_asking`, which turns any exception into a `CouldNotTellError`.
"""

import csv
import io
import logging
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from pipeline.errors import CouldNotTellError
from pipeline.runs.records import Epoch, SnapshotRecord
from pipeline.runs.run_key import RunKey
from pipeline.spec import RunSpec
from pipeline.storage.identity import Identity
from pipeline.tracking.metric_names import metric_name
from pipeline.tracking.pages import VIEW_TAGS, run_page
from pipeline.tracking.parameters import parameters
from pipeline.tracking.registry import BUCKET_TAG, bucket_tags
from pipeline.tracking.system_metrics import system_metrics
from pipeline.tracking.tags import AIRFLOW_RUN, text, with_note
from pipeline.training.pictures.confusion import confusion_table, draw_confusion
from pipeline.training.pictures.learning_curves import draw_learning_curves
from pipeline.training.pictures.mistakes import ShownMistake, draw_mistakes
from pipeline.verdicts.measurements import DataSummary, Evaluation, Performance

log = logging.getLogger(__name__)

_RUN_KEY_TAG = "understudy.run_key"
_RETRIES = 2
_TIMEOUT_SECONDS = 10
_TABLE = "classes.csv"
_CONFUSIONS = "confusions.csv"
# With more labels than this, the recall of each is in the table only: MLflow draws a chart for every metric.
_CHARTED_LABELS = 200
_LONGEST_ERROR = 300


class TrackedRun:
    """An MLflow run that is active.

    Attributes:
        id: its id in MLflow.
        kept: a sentence on what is not lost when MLflow fails from now on; every error message contains it.
    """

    def __init__(self, url: str, run_id: str, *, kept: str) -> None:
        self.id = run_id
        self.kept = kept
        self._url = url
        self._is_live = True

    def log_training_input(self, spec: RunSpec, data: SnapshotRecord, *, seed: int, source: str) -> None:
        """Log the parameters, and the data set by its digest. Repeating it with the same values changes nothing.

        Raises:
            CouldNotTellError: MLflow failed.
        """
        import mlflow
        from mlflow.data.code_dataset_source import CodeDatasetSource
        from mlflow.data.meta_dataset import MetaDataset

        name = spec.model.name
        with self._asking("log the parameters"):
            mlflow.log_params(parameters(spec.model, data, seed=seed))
            dataset = MetaDataset(CodeDatasetSource({"images": source}), name=name, digest=data.digest[:32])
            mlflow.log_input(dataset, context="training")

    def log_data_report(self, folder: Path, found: DataSummary) -> None:
        """Log the report about the images (`pipeline.data.report`) below `data/`, and its main figures as metrics.

        Repeating it replaces the files.

        Raises:
            CouldNotTellError: MLflow failed.
        """
        import mlflow

        metrics = {
            "data/images": found.images(),
            "data/unusable": found.unusable,
            "data/classes": len(found.counts),
            "data/imbalance": found.imbalance(),
        }
        with self._asking("log the report about the images"):
            mlflow.log_artifacts(str(folder), artifact_path="data")
            mlflow.log_metrics(metrics)

    def show_epoch(self, number: int, epoch: Epoch) -> None:
        """Log one epoch while the training runs.

        Never raises: after a failure nothing more is sent until `log_epochs`.
        """
        if not self._is_live:
            return
        try:
            _log_epoch(number, epoch)
        except Exception as error:  # noqa: BLE001 - see `_asking`
            self._is_live = False
            log.warning(
                "MLflow at %s could not log an epoch (%s). The training goes on; all epochs are logged after it",
                self._url,
                _reason(error),
            )

    def log_epochs(self, epochs: Sequence[Epoch]) -> None:
        """Log the metrics of every epoch. MLflow keeps one of several with the same time, step and value.

        Raises:
            CouldNotTellError: MLflow failed.
        """
        with self._asking("log the metrics of the training"):
            for number, epoch in enumerate(epochs, start=1):
                _log_epoch(number, epoch)

    def log_facts(self, facts: Mapping[str, str]) -> None:
        """Log what a training found out, such as its device, as tags: another try may find something else.

        Raises:
            CouldNotTellError: MLflow failed.
        """
        import mlflow

        with self._asking("log what the training ran on"):
            mlflow.set_tags({f"training.{name.replace(' ', '_')}": _text(fact) for name, fact in facts.items()})

    def log_learning_curves(self, epochs: Sequence[Epoch], *, best: int, phases: Sequence[int] = ()) -> None:
        """Log the picture `learning_curves.png`; none of an imported model, which has no epochs.

        Args:
            epochs: of all phases, in their order.
            best: the number of the epoch that was exported, from 1; 0: the last one.
            phases: the number of the first epoch of each phase after the first one.

        Raises:
            CouldNotTellError: MLflow failed.
        """
        if epochs:
            self._log_picture("learning_curves.png", draw_learning_curves(epochs, best=best, phases=phases))

    def log_mistakes(self, mistakes: Sequence[ShownMistake], *, wrong: int, images: int) -> None:
        """Log the picture `mistakes.png`; none if there were wrong answers and none of them can be shown.

        Args:
            mistakes: wrong answers, the worst first, see `pipeline.training.explaining.worst_answers`.
            wrong: how many answers were wrong.
            images: how many held-out images there were.

        Raises:
            CouldNotTellError: MLflow failed.
        """
        if mistakes or not wrong:
            self._log_picture("mistakes.png", draw_mistakes(mistakes, wrong=wrong, images=images))

    def log_model(self, name: str, *, digest: str, address: str) -> str:
        """Register the exported model, which stays in the bucket, as a logged model; its id in MLflow.

        A model with this digest that the run has logged before is used again.

        Raises:
            CouldNotTellError: MLflow failed.
        """
        import mlflow

        with self._asking("register the model of this run"):
            query = f"tags.digest = '{digest}' AND source_run_id = '{self.id}'"
            found = mlflow.search_logged_models(filter_string=query, output_format="list")
            # One that is not ready was interrupted, and cannot be registered as a version.
            ready = [each.model_id for each in found if each.status == "READY"]
            if ready:
                return str(ready[0])
            tags = {"digest": digest, "address": address}
            return str(mlflow.create_external_model(name=name, source_run_id=self.id, tags=tags).model_id)

    def log_evaluation(
        self, evaluation: Evaluation, truth: Sequence[str], given: Sequence[str], *, labels: Sequence[str], model: str
    ) -> None:
        """Log the figures of the candidate and of the serving version, the tables, and the confusion matrix.

        Args:
            evaluation: the figures.
            truth: the true label of each held-out image.
            given: the candidate's answer to each.
            labels: in the order of their indices.
            model: the id of the logged model.

        Raises:
            CouldNotTellError: MLflow failed.
        """
        import mlflow

        metrics = _metrics(evaluation.candidate, "holdout")
        if evaluation.serving is not None:
            metrics |= _metrics(evaluation.serving, "holdout_of_serving")
        accuracies = evaluation.accuracies()
        if accuracies is not None:
            # Without images of labels that the serving version cannot know.
            metrics["holdout_of_serving/accuracy"] = accuracies[1]
            metrics["holdout/accuracy_gain"] = accuracies[0] - accuracies[1]
        with tempfile.TemporaryDirectory() as folder:
            # At the root of the artifacts: MLflow shows the picture when it compares runs.
            Path(folder, "confusion.png").write_bytes(draw_confusion(truth, given, labels=labels, table=_TABLE))
            Path(folder, _CONFUSIONS).write_text(confusion_table(truth, given), encoding="utf-8", newline="")
            Path(folder, _TABLE).write_text(_table(evaluation, truth, labels), encoding="utf-8", newline="")
            with self._asking("log the evaluation"):
                mlflow.log_metrics(metrics, model_id=model)
                mlflow.log_artifacts(folder)

    def _log_picture(self, name: str, content: bytes) -> None:
        """At the root of the artifacts, where MLflow shows it when it compares runs."""
        import mlflow

        with tempfile.TemporaryDirectory() as folder:
            Path(folder, name).write_bytes(content)
            with self._asking(f"log {name}"):
                mlflow.log_artifacts(folder)

    def end(self, status: str) -> None:
        """End the run. `status` is one of MLflow's, such as FINISHED or FAILED.

        Raises:
            CouldNotTellError: MLflow failed.
        """
        import mlflow

        with self._asking("end the run"):
            mlflow.end_run(status)

    @contextmanager
    def _asking(self, what: str) -> Iterator[None]:
        with _asking(self._url, what, kept=self.kept):
            yield


@contextmanager
def tracked_run(
    url: str,
    spec: RunSpec,
    *,
    bucket: Identity,
    kept: str,
    run_id: str = "",
    started_by: str = "",
    public_url: str = "",
    with_system_metrics: bool = False,
) -> Iterator[TrackedRun]:
    """The MLflow run of this run key in this bucket, active inside the block. It is created if it does not exist.

    Args:
        url: where MLflow is.
        spec: the settings of the run.
        bucket: the bucket that the run belongs to.
        kept: a sentence on what is not lost if MLflow fails.
        run_id: the id in the records of this run; needed for runs of releases that wrote no identity.
        started_by: the address of the DAG run; empty if Airflow has not started it.
        public_url: where people open MLflow; empty if that is `url`.
        with_system_metrics: whether CPU, memory and GPUs of this machine are logged meanwhile.

    Raises:
        CouldNotTellError: MLflow failed. A training without a record of it would be lost work.
    """
    import mlflow
    from mlflow.environment_variables import MLFLOW_HTTP_REQUEST_MAX_RETRIES, MLFLOW_HTTP_REQUEST_TIMEOUT

    MLFLOW_HTTP_REQUEST_MAX_RETRIES.set(_RETRIES)
    MLFLOW_HTTP_REQUEST_TIMEOUT.set(_TIMEOUT_SECONDS)
    mlflow.set_tracking_uri(url)
    with _asking(url, "open the run", kept=kept):
        experiment = _experiment(spec.model.name)
        found = _existing_run(experiment, spec, bucket=bucket, run_id=run_id)
        active = mlflow.start_run(run_id=found) if found else mlflow.start_run(run_name=_name(spec.run_key))
        # A run of an earlier release does not have all of them.
        mlflow.set_tags(with_note(active.data.tags, _tags(spec, bucket, started_by)))
    log.info("This run in MLflow: %s", run_page(public_url or url, experiment, active.info.run_id))
    run = TrackedRun(url, active.info.run_id, kept=kept)
    try:
        with ExitStack() as stack:
            if with_system_metrics:
                began = active.info.start_time / 1000
                stack.enter_context(system_metrics(url, active.info.run_id, started_at=began))
            yield run
    except BaseException:
        with suppress(CouldNotTellError):
            run.end("FAILED")
        raise
    run.end("FINISHED")


@contextmanager
def _asking(url: str, what: str, *, kept: str) -> Iterator[None]:
    """Translate the exceptions of MLflow's client: its own, those of its HTTP client, and those of the system."""
    try:
        yield
    except Exception as error:
        raise CouldNotTellError(
            f"MLflow at {url} could not {what} ({_reason(error)}). {kept} Serving is not affected. Start or repair "
            f"MLflow, then repeat this step (in Airflow: clear the task)."
        ) from error


def _reason(error: Exception) -> str:
    reason = " ".join(f"{type(error).__name__}: {error}".split())
    return reason if len(reason) <= _LONGEST_ERROR else f"{reason[:_LONGEST_ERROR]}..."


def _existing_run(experiment: str, spec: RunSpec, *, bucket: Identity, run_id: str) -> str | None:
    """The run of this run key in this bucket; None if there is none, or a person has deleted it."""
    import mlflow

    queries = [f"tags.`{_RUN_KEY_TAG}` = '{spec.run_key}' AND tags.`{BUCKET_TAG}` = '{bucket.id}'"]
    if run_id:
        queries.insert(0, f"attributes.run_id = '{run_id}'")
    for query in queries:
        for run in mlflow.search_runs([experiment], query, output_format="list", max_results=1):
            if run.data.tags.get(BUCKET_TAG, bucket.id) == bucket.id:
                return str(run.info.run_id)
    return None


def _experiment(name: str) -> str:
    """The id of the experiment of a model.

    It is created if it does not exist, with the view that shows useful columns.
    """
    import mlflow

    experiment = mlflow.set_experiment(name)
    if missing := {key: value for key, value in VIEW_TAGS.items() if experiment.tags.get(key) != value}:
        mlflow.set_experiment_tags(missing)
    return str(experiment.experiment_id)


def _tags(spec: RunSpec, bucket: Identity, started_by: str) -> dict[str, str]:
    return {
        _RUN_KEY_TAG: spec.run_key,
        "requested_by": _text(spec.requested_by),
        "note": _text(spec.note),
        "code_version": _text(spec.code_version),
        **({AIRFLOW_RUN: started_by} if started_by else {}),
        **bucket_tags(bucket),
    }


def _text(content: str) -> str:
    return text(content, rest=", all of them in spec.json of the run")


def _name(run_key: str) -> str:
    """When a run was asked for, as text for people; the key itself if it has no moment."""
    moment = RunKey(run_key).moment
    return f"{moment:%Y-%m-%d %H:%M:%S}" if moment else run_key


def _log_epoch(number: int, epoch: Epoch) -> None:
    import mlflow

    mlflow.log_metrics(epoch.metrics, step=number, timestamp=int(epoch.at.timestamp() * 1000))


def _metrics(performance: Performance, prefix: str) -> dict[str, float]:
    recalls = performance.class_recall
    named = {
        f"{prefix}/accuracy": performance.accuracy,
        f"{prefix}/lowest_recall": min(recalls.values(), default=performance.accuracy),
        f"{prefix}/calibration_error": performance.calibration_error,
        f"{prefix}/latency_ms": performance.latency_ms,
        f"{prefix}/size_mb": performance.size_mb,
    }
    if len(recalls) > _CHARTED_LABELS:
        return named
    return named | {f"{prefix}_recall/{metric_name(label)}": recall for label, recall in recalls.items()}


def _table(evaluation: Evaluation, truth: Sequence[str], labels: Sequence[str]) -> str:
    """CSV with a row per label: its class number, the label, its name in metrics, and its figures."""
    stream = io.StringIO()
    rows = csv.writer(stream)
    rows.writerow(["class", "label", "metric", "images", "recall", "recall_of_serving"])
    candidate = evaluation.candidate.class_recall
    serving: Mapping[str, float] = evaluation.serving.class_recall if evaluation.serving else {}
    counts = Counter(truth)
    for number, label in enumerate(labels):
        figures = [f"{found[label]:.4f}" if label in found else "" for found in (candidate, serving)]
        rows.writerow([number, label, metric_name(label), counts[label], *figures])
    return stream.getvalue()
