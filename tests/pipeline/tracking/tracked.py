"""A program for the tests: retrain beside a real MLflow, which fails when it is told to. Prints what it saw as JSON."""

import json
import logging
import os
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from PIL import Image as Picture

from pipeline.context import RunContext, make_run_context
from pipeline.errors import UnderstudyError
from pipeline.run_verbs import RUN_VERBS, run_once
from pipeline.runs.records import ExportRecord, PublishRecord, SpecRecord, TrainRecord
from pipeline.settings import Settings
from pipeline.storage.identity import Identity, make_identity
from pipeline.tracking.tracked_run import tracked_run
from pipeline.verdicts.measurements import DataSummary, Evaluation, Performance
from tests.pipeline.storage.fault_proxy import Answer, FaultProxy, lost_before, refused
from tests.releases import NO_MLFLOW

MODEL = "plants"
LABELS = (
    "Corn_(maize)___rust",
    "Pepper,_bell",
    "dog & cat",
    "cat's",
    "$x",
    "$x$ and $y_1^{$",
    "\u00e9t\u00e9",
    "a?b",
    "a*b",
    "\U0001f600",
    "日本語",
    "a\u2215b",
    "new\nline",
    "x" * 200,
)
NOTE = "why\0 \x1b[31m " + "x" * 10_000
MANY = 1000
DAG_RUN = "http://127.0.0.1:8080/dags/retrain_plants/runs/manual__1"
PUBLIC_URL = "https://mlflow.example"


class EpochsTrained(logging.Handler):
    """Counts what `train` says after each epoch, also where it has trained in vain."""

    def __init__(self) -> None:
        super().__init__()
        self.count = 0

    def emit(self, record: logging.LogRecord) -> None:
        self.count += record.getMessage().startswith("epoch ")


class Links(logging.Handler):
    """Keeps what `train` and `evaluate` say about where their run is shown."""

    def __init__(self) -> None:
        super().__init__()
        self.messages: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.messages.append(record.getMessage())


@dataclass
class There:
    """The port of the MLflow server."""

    port: int


def write_images(folder: Path, labels: tuple[str, ...]) -> None:
    for number, label in enumerate(labels):
        (folder / label).mkdir(parents=True)
        for other in range(10):
            picture = Picture.new("L", (6, 6), number * 12 % 256)
            picture.putpixel((other % 6, other // 6), 255 - other)
            picture.putpixel((5, 5), number)
            picture.save(folder / label / f"{other}.png")


@dataclass
class Place:
    """A bucket of its own with a model of the name that all places share."""

    folder: Path
    labels: tuple[str, ...]
    epochs: int = 2

    def prepare(self) -> "Place":
        write_images(self.folder / "images", self.labels)
        for name in ("bucket", "models"):
            (self.folder / name).mkdir()
        spec = {
            "name": MODEL,
            "description": "plants",
            "owner": "ann",
            "data": {"images": str(self.folder / "images"), "holdout": 0.4, "checks": {"tiny": None}},
            "image": {"height": 6, "width": 6, "channels": 1},
            "training": {"epochs": self.epochs, "network": {"filters": [2], "dense": 4}},
            "gate": {"min_accuracy": 0, "min_class_recall": 0, "max_calibration_error": 1},
        }
        (self.folder / "models" / f"{MODEL}.yaml").write_text(json.dumps(spec))
        return self

    def context(self, mlflow_url: str, run_key: str) -> RunContext:
        settings = Settings(
            root=str(self.folder / "bucket"),
            models=self.folder / "models",
            mlflow_url=mlflow_url,
            replicas="127.0.0.1:9",
            actor="ann",
            params=json.dumps({"note": NOTE}),
            run_url=DAG_RUN,
            mlflow_public_url=PUBLIC_URL,
        )
        return make_run_context(settings, model=MODEL, run_key=run_key)


def run(context: RunContext, *verbs: str) -> dict[str, str]:
    """How each verb ended, and what it said where it did not end well."""
    ended = {}
    for name in verbs:
        (verb,) = (each for each in RUN_VERBS if each.name == name)
        try:
            run_once(verb, context)
            ended[name] = "done"
        except UnderstudyError as error:
            ended[name] = f"{error.exit_code.name}: {error}"
    return ended


def kept(context: RunContext) -> dict[str, Any]:
    """What MLflow has of a run."""
    from mlflow import MlflowClient

    client = MlflowClient(context.settings.mlflow_url)
    record = context.records.require(TrainRecord)
    found = client.get_run(record.mlflow_run)
    return {
        "run": record.mlflow_run,
        "status": found.info.status,
        "tags": found.data.tags,
        "experiment": client.get_experiment(found.info.experiment_id).tags,
        "params": found.data.params,
        "metrics": found.data.metrics,
        "epochs": [each.step for each in client.get_metric_history(record.mlflow_run, "train/loss")],
        "artifacts": sorted(each.path for each in client.list_artifacts(record.mlflow_run)),
    }


def odd_labels(folder: Path, url: str) -> dict[str, Any]:
    """A run over labels that no MLflow metric may be named after."""
    context = Place(folder, LABELS).prepare().context(url, "retrain-1")
    ended = run(context, "snapshot", "train", "evaluate", "gate", "publish")
    record = context.records.require(TrainRecord)
    asset = context.bucket.read(f"{record.model_key}/assets/labels.txt").decode()
    return {"ended": ended, "asset": asset, "kept": kept(context), "table": _table(context)}


def _table(context: RunContext) -> str:
    import mlflow

    record = context.records.require(TrainRecord)
    return str(mlflow.artifacts.load_text(f"runs:/{record.mlflow_run}/classes.csv"))


def another_bucket(folder: Path, url: str, first: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """The same model and run key in a bucket of its own, with other parameters."""
    before = first()
    context = Place(folder, ("cat", "dog"), epochs=1).prepare().context(url, "retrain-1")
    ended = run(context, "snapshot", "train", "evaluate", "gate", "publish")
    return {"ended": ended, "kept": kept(context), "untouched": before == first()}


def failures(place: Place, proxy: FaultProxy) -> dict[str, Any]:
    """MLflow fails at every stage of one run, and every task is repeated when it is back."""
    from mlflow import MlflowClient

    trained = EpochsTrained()
    logging.getLogger("pipeline.training.fitting.progress").setLevel(logging.INFO)
    logging.getLogger("pipeline.training.fitting.progress").addHandler(trained)
    down = run(place.context(NO_MLFLOW, "retrain-2"), "snapshot", "train")
    context = place.context(proxy.endpoint, "retrain-2")

    def dies(forward: Callable[[], Answer]) -> Answer:
        answer = forward()
        proxy.inject(lost_before)
        return answer

    proxy.inject(dies, request="log-inputs", times=1)
    training = run(context, "train")
    stored = context.records.find(ExportRecord)
    proxy.heal()
    proxy.inject(refused(500, "disk full"), request="logged-models")
    registering = run(context, "train")
    proxy.heal()
    repeated = run(context, "train")
    known = kept(context)
    proxy.inject(refused(500, "disk full"), request="mlflow-artifacts")
    evaluating = run(context, "evaluate")
    proxy.heal()
    MlflowClient(proxy.endpoint).delete_run(known["run"])
    rest = run(context, "evaluate", "gate", "publish")
    return {
        "down": down,
        "training": training,
        "stored": stored is not None,
        "epochs_trained": trained.count,
        "registering": registering,
        "repeated": repeated,
        "kept": known,
        "evaluating": evaluating,
        "rest": rest,
        "version": context.records.require(PublishRecord).version,
    }


def deleted_while_training(place: Place, proxy: FaultProxy) -> dict[str, Any]:
    """A person deletes the run while its metrics are logged; the network is that of the run before."""
    from mlflow import MlflowClient

    context = place.context(proxy.endpoint, "retrain-3")
    run(context, "snapshot")
    context.records.finish(place.context(proxy.endpoint, "retrain-2").records.require(ExportRecord))

    def deletes(forward: Callable[[], Answer]) -> Answer:
        answer = forward()
        client = MlflowClient(proxy.endpoint)
        query = "tags.`understudy.run_key` = 'retrain-3'"
        found, *_ = client.search_runs([client.get_experiment_by_name(MODEL).experiment_id], query)
        client.delete_run(found.info.run_id)
        return answer

    proxy.inject(deletes, request="log-inputs", times=1)
    ended = run(context, "train")
    return {"ended": ended, "repeated": run(context, "train"), "kept": kept(context)}


def many_labels(place: Place, url: str) -> dict[str, Any]:
    """The evaluation of a model with 1,000 labels."""
    from mlflow import MlflowClient

    context = place.context(url, "retrain-4")
    run(context, "snapshot")
    spec = context.records.require(SpecRecord).spec
    labels = [f"label {number}, odd" for number in range(MANY)]
    performance = Performance(
        model_digest="m",
        data_digest="d",
        examples=MANY,
        accuracy=1.0,
        class_recall=dict.fromkeys(labels, 1.0),
        calibration_error=0.0,
        finite=True,
        size_mb=1.0,
        latency_ms=1.0,
        right="1" * MANY,
    )
    evaluation = Evaluation(candidate=performance, serving_version=1, serving=performance)
    bucket: Identity = make_identity(context.bucket)
    start = time.monotonic()
    with tracked_run(url, spec, bucket=bucket, kept="") as tracked:
        model = tracked.log_model(MODEL, digest="m", address="somewhere")
        tracked.log_evaluation(evaluation, labels, labels, labels=labels, model=model)
    found = MlflowClient(url).get_run(tracked.id)
    return {"metrics": len(found.data.metrics), "seconds": time.monotonic() - start}


def data_report(place: Place, url: str) -> dict[str, Any]:
    """The report about the images, logged twice as a repeated task does."""
    from mlflow import MlflowClient

    context = place.context(url, "retrain-5")
    run(context, "snapshot")
    spec = context.records.require(SpecRecord).spec
    found = DataSummary(files=9, unusable=1, counts={"cat": {"train": 6}, "dog": {"train": 1, "holdout": 1}})
    with tempfile.TemporaryDirectory() as folder:
        for name in ("index.html", "classes.csv"):
            Path(folder, name).write_text(name)
        with tracked_run(url, spec, bucket=make_identity(context.bucket), kept="") as tracked:
            tracked.log_data_report(Path(folder), found)
            tracked.log_data_report(Path(folder), found)
    client = MlflowClient(url)
    metrics = client.get_run(tracked.id).data.metrics
    return {
        "artifacts": sorted(each.path for each in client.list_artifacts(tracked.id, "data")),
        "metrics": {name: value for name, value in metrics.items() if name.startswith("data/")},
    }


def main(folder: Path, url: str) -> None:
    # MLflow's client waits longer each time before it asks again.
    os.environ["MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR"] = "0"
    os.environ["MLFLOW_HTTP_REQUEST_BACKOFF_JITTER"] = "0"
    proxy = FaultProxy(There(urlsplit(url).port or 0))
    proxy.start()
    try:
        links = Links()
        logging.getLogger("pipeline.tracking.tracked_run").setLevel(logging.INFO)
        logging.getLogger("pipeline.tracking.tracked_run").addHandler(links)
        odd = odd_labels(folder / "odd", url) | {"links": links.messages.copy()}
        context = Place(folder / "odd", LABELS).context(url, "retrain-1")
        place = Place(folder / "failures", ("cat", "dog")).prepare()
        seen = {
            "odd": odd,
            "another": another_bucket(folder / "another", url, lambda: kept(context)),
            "failures": failures(place, proxy),
            "deleted": deleted_while_training(place, proxy),
            "many": many_labels(place, url),
            "data": data_report(place, url),
        }
    finally:
        proxy.stop()
    print(json.dumps(seen))  # noqa: T201 - the test reads it


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
