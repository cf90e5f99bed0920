"""A load with the requests that the model brings along, and what the metrics are told of them."""

import struct
from pathlib import Path
from typing import Any

import google_crc32c
import pytest

from serving.inference.tfrecord import masked
from serving.inference.warmup import warm_up
from serving.model_server.lifecycle.servable import ServableId
from serving.model_server.loading.warmup_loader import WarmupLoader, counted
from serving.model_server.metrics import server_metrics
from serving.status import DataLossError, InvalidArgumentError
from tests.serving.inference.test_warmup import PREDICT, damaged, predicts, record
from tests.serving.model_server.world import Times

BELOW = "assets.extra/tf_serving_warmup_requests"


def test_records_are_counted_at_the_end_of_their_file(tmp_path: Path) -> None:
    warm_up(Times(2), counted(predicts(3), str(tmp_path)), path=str(tmp_path / BELOW))

    assert server_metrics.warmup_records_read.value(str(tmp_path), "OK") == 3
    assert server_metrics.warmup_latency.count(str(tmp_path), "OK") == 1


def test_records_are_counted_up_to_the_damage(tmp_path: Path) -> None:
    with pytest.raises(DataLossError):
        warm_up(Times(2), counted(damaged(), str(tmp_path)), path=str(tmp_path / BELOW))

    assert server_metrics.warmup_records_read.value(str(tmp_path), "DATA_LOSS: corrupted record at 63") == 1
    assert server_metrics.warmup_latency.count(str(tmp_path), "DATA_LOSS: corrupted record at 63") == 1


def test_a_request_that_ends_the_warm_up_ends_it_uncounted(tmp_path: Path) -> None:
    records = [*predicts(2), b"malformed_record"]
    with pytest.raises(InvalidArgumentError):
        warm_up(Times(2), counted(records, str(tmp_path)), path=str(tmp_path / BELOW))

    assert server_metrics.warmup_records_read.value(str(tmp_path), "OK") == 0


def write_records(path: Path, *records: bytes) -> None:
    """As tf.io.TFRecordWriter does."""
    path.parent.mkdir(parents=True)
    with path.open("wb") as file:
        for each in records:
            for part in (struct.pack("<Q", len(each)), each):
                file.write(part + struct.pack("<I", masked(google_crc32c.value(part))))


def load(directory: Path, model: Times, **options: Any) -> object:
    return WarmupLoader(load=lambda *_: model, **options)(ServableId("m", 1), str(directory))


def test_the_records_below_the_directory_are_replayed_and_their_runs_timed(tmp_path: Path) -> None:
    """...under the name of the model in each record."""
    named = record("predict_log", PREDICT | {"model_spec": {"name": "warmed"}})
    write_records(tmp_path / BELOW, named, named)
    model = Times(2)

    assert load(tmp_path, model, times=3) is model
    assert 6 == server_metrics.runtime_latency.count("warmed", "Predict", "TF1")
    assert 2 == server_metrics.warmup_records_read.value(str(tmp_path), "OK")
    assert not model.closed


def test_a_request_that_fails_closes_the_model_and_fails_the_load(tmp_path: Path) -> None:
    write_records(tmp_path / BELOW, record("predict_log", {}))
    model = Times(2)

    with pytest.raises(InvalidArgumentError, match="input size does not match signature"):
        load(tmp_path, model)
    assert model.closed


def test_a_model_without_records_is_loaded(tmp_path: Path) -> None:
    model = Times(2)

    assert load(tmp_path, model) is model
