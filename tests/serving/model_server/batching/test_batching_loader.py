"""Batching around a loader, and a whole server with it."""

from pathlib import Path
from typing import cast

import grpc
import numpy as np
import pytest

from serving.inference.model import LoadedModel
from serving.model_server.batching.loader import BatchingLoader
from serving.model_server.batching.model import BatchingModel
from serving.model_server.batching.parameters import BatchingParameters
from serving.model_server.lifecycle.servable import ServableId
from serving.status import InvalidArgumentError
from tests.ports import free_port
from tests.serving.model_server.running import predicted, running
from tests.serving.model_server.world import Shelf

THREE_ROWS = np.ones(3, np.float32)


def version(directory: Path, batching: str | None = None) -> str:
    (directory / "factor").write_text("2")
    if batching is not None:
        (directory / "batching_params.pbtxt").write_text(batching)
    return str(directory)


def loaded(loader: BatchingLoader, uri: str) -> LoadedModel:
    return cast(LoadedModel, loader(ServableId("m", 1), uri))


def test_without_parameters_models_are_as_they_come(tmp_path: Path) -> None:
    shelf = Shelf()
    loader = BatchingLoader(shelf)
    loader.start(None)

    assert loaded(loader, version(tmp_path)) is shelf.models[1]


def test_models_batch_by_the_server_s_parameters(tmp_path: Path) -> None:
    loader = BatchingLoader(Shelf())
    loader.start(BatchingParameters(max_batch_size=2))
    model = loaded(loader, version(tmp_path, "this is not looked at"))
    with pytest.raises(InvalidArgumentError, match="maximum input batch size 2"):
        model.run({"x:0": THREE_ROWS}, ["y:0"])
    loader.stop()


def test_per_model_parameters_take_the_place_of_the_server_s(tmp_path: Path) -> None:
    loader = BatchingLoader(Shelf(), per_model=True)
    loader.start(BatchingParameters(max_batch_size=1))
    model = loaded(loader, version(tmp_path, "max_batch_size { value: 3 }"))

    assert isinstance(model, BatchingModel)
    assert model.run({"x:0": THREE_ROWS}, ["y:0"])[0].tolist() == [2, 2, 2]
    loader.stop()


def test_a_model_without_parameters_of_its_own_does_not_batch(tmp_path: Path) -> None:
    shelf = Shelf()
    loader = BatchingLoader(shelf, per_model=True)
    loader.start(BatchingParameters())

    assert loaded(loader, version(tmp_path)) is shelf.models[1]
    loader.stop()


@pytest.mark.parametrize("text", ["max_batch_size: 3", "max_batch_size { value: 0 }"])
def test_bad_parameters_of_a_model_fail_its_load_and_leave_nothing_open(tmp_path: Path, text: str) -> None:
    shelf = Shelf()
    loader = BatchingLoader(shelf, per_model=True)
    loader.start(BatchingParameters())
    with pytest.raises(InvalidArgumentError):
        loader(ServableId("m", 1), version(tmp_path, text))

    assert shelf.models[1].closed
    loader.stop()


def test_a_server_batches_by_its_flags(tmp_path: Path) -> None:
    file, port = tmp_path / "batching.config", free_port()
    file.write_text("allowed_batch_sizes: 4 max_batch_size { value: 4 }")
    words = [f"--port={port}", "--enable_batching", f"--batching_parameters_file={file}"]
    with running(tmp_path / "m", *words), grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        assert list(predicted(channel).outputs["y"].float_val) == [2]


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        ("num_batch_threads { value: 0 }", "num_batch_threads must be positive; was 0"),
        ("max_batch_size { value: 0 }", "input_batch_size_limit must be positive; was 0"),
        ("garbage", "Invalid protobuf file"),
    ],
)
def test_a_server_does_not_start_with_bad_parameters(tmp_path: Path, words: str, reason: str) -> None:
    file = tmp_path / "batching.config"
    file.write_text(words)
    flags = [
        f"--port={free_port()}",
        "--enable_batching",
        f"--batching_parameters_file={file}",
        "--max_num_load_retries=0",
    ]
    with pytest.raises(Exception, match=reason), running(tmp_path / "m", *flags):
        pass
