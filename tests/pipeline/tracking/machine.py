"""A program for the tests: runs that log what their machine does, while MLflow is there, silent, or away."""

import json
import logging
import os
import socket
import sys
import threading
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import mlflow  # noqa: TID253 - a program of its own
import numpy as np
from mlflow import MlflowClient  # noqa: TID253 - likewise

from pipeline.runs.records import Epoch
from pipeline.spec import RunSpec
from pipeline.storage.identity import Identity, make_identity
from pipeline.storage.local import LocalBucket
from pipeline.tracking.system_metrics import system_metrics
from pipeline.tracking.tracked_run import tracked_run
from pipeline.training.pictures.mistakes import ShownMistake
from tests.releases import NO_MLFLOW, SPEC


class Said(logging.Handler):
    def __init__(self) -> None:
        super().__init__()
        self.messages: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.messages.append(record.getMessage())


def spec(run_key: str) -> RunSpec:
    return RunSpec(model=SPEC, run_key=run_key, requested_by="ann", note="", force=False, code_version="test")


def trained(url: str, bucket: Identity, *, seconds: float, run_key: str = "retrain-1") -> dict[str, Any]:
    """A run that lasts so long, with both pictures."""
    epochs = [Epoch(at=datetime.now(UTC), metrics={"train/loss": 1.0 / each}) for each in (1, 2)]
    mistake = ShownMistake(np.zeros((4, 4, 1)), truth=(0, "日本"), given=(1, "b"), probability=0.9)
    with tracked_run(url, spec(run_key), bucket=bucket, kept="", with_system_metrics=True) as run:
        time.sleep(seconds)
        run.log_learning_curves(epochs, best=1)
        run.log_learning_curves([], best=0)
        run.log_mistakes([mistake], wrong=1, images=2)
    client = MlflowClient(url)
    return {
        "artifacts": sorted(each.path for each in client.list_artifacts(run.id)),
        "metrics": sorted(client.get_run(run.id).data.metrics),
        "status": client.get_run(run.id).info.status,
        "steps": [each.step for each in client.get_metric_history(run.id, "system/cpu_utilization_percentage")],
        "threads": [each.name for each in threading.enumerate() if each.name == "system metrics"],
    }


def evaluated(url: str, bucket: Identity) -> list[str]:
    with tracked_run(url, spec("retrain-2"), bucket=bucket, kept="") as run:
        time.sleep(1.5)
    return sorted(MlflowClient(url).get_run(run.id).data.metrics)


def measured(url: str) -> dict[str, Any]:
    """How long a block of two seconds takes beside an MLflow that does not do what it is asked."""
    said = Said()
    logging.getLogger("pipeline.tracking.system_metrics").addHandler(said)
    start = time.monotonic()
    with system_metrics(url, "a run", started_at=time.time()):
        time.sleep(2)
    logging.getLogger("pipeline.tracking.system_metrics").removeHandler(said)
    return {"seconds": time.monotonic() - start, "messages": said.messages}


def without_psutil() -> dict[str, Any]:
    kept = {name: sys.modules.pop(name) for name in list(sys.modules) if name.startswith(("psutil", "mlflow.system"))}
    sys.modules["psutil"] = None  # type: ignore[assignment]
    try:
        return measured(NO_MLFLOW)
    finally:
        sys.modules.update(kept)


def main(folder: Path, url: str) -> None:
    os.environ["MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR"] = "0"
    bucket = make_identity(LocalBucket(folder))
    mlflow.set_tracking_uri(url)
    seen: dict[str, Any] = {"first": trained(url, bucket, seconds=3.3)}
    seen["again"] = trained(url, bucket, seconds=1.2)
    seen["evaluated"] = evaluated(url, bucket)
    seen["away"] = measured(NO_MLFLOW)
    seen["without_psutil"] = without_psutil()
    # Last: its thread still waits when the block has ended.
    with socket.create_server(("127.0.0.1", 0)) as silent:  # it takes the request, and never answers
        seen["silent"] = measured(f"http://127.0.0.1:{silent.getsockname()[1]}")
    print(json.dumps(seen))  # noqa: T201 - the test reads it


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
