"""The records of a run."""

import math
from pathlib import Path

from pipeline.runs.records import TrainRecord
from pipeline.runs.run_records import RunRecords
from pipeline.storage.local import LocalBucket


def test_metrics_of_a_training_that_diverged_can_be_read_again(tmp_path: Path) -> None:
    records = RunRecords(LocalBucket(tmp_path), "digits", "retrain-1")
    metrics = {"train/loss": math.nan, "validation/loss": math.inf}
    records.finish(
        TrainRecord(model_key="k", files={}, model_digest="d", mlflow_run="", mlflow_model="", metrics=metrics)
    )

    found = records.require(TrainRecord).metrics
    assert math.isnan(found["train/loss"])
    assert math.inf == found["validation/loss"]
