"""The model server that is started for a measurement, as a process."""

import sys
from pathlib import Path

import pytest

from pipeline.errors import CouldNotTellError, FailedError
from pipeline.profiling.embedded_server import Served, embedded_server
from serving.errors import ConnectionLostError
from serving.grpc_replica import GrpcReplica
from serving.signature import inputs_of, labels_of
from tests.fleet import write_classifier

PROGRAM = (sys.executable, "-m", "tests.pipeline.profiling.small_model_server")
BATCHING = "max_batch_size { value: 8 } batch_timeout_micros { value: 500 }"


def served(folder: Path) -> Served:
    return Served(model="digits", version=4, folder=folder)


def test_it_serves_the_version_with_batching_and_ends_with_the_block(tmp_path: Path) -> None:
    write_classifier(tmp_path / "exported")
    with (
        embedded_server(served(tmp_path / "exported"), batching=BATCHING, command=PROGRAM) as address,
        GrpcReplica(address, timeout=10.0) as replica,
    ):
        answer = replica.predict("digits", inputs_of([b"3"]))

    assert (4, ["3"]) == (answer.version, labels_of(answer.outputs))
    with pytest.raises(ConnectionLostError), GrpcReplica(address, timeout=10.0) as replica:
        replica.predict("digits", inputs_of([b"3"]))


def test_a_server_that_ends_is_an_error_with_its_last_words(tmp_path: Path) -> None:
    write_classifier(tmp_path / "exported")
    refused = "max_batch_size { value: few }"
    with (
        pytest.raises(FailedError, match=r"v4 of digits ended with exit code 1: .*few"),
        embedded_server(served(tmp_path / "exported"), batching=refused, command=PROGRAM),
    ):
        pytest.fail("it has started")


def test_a_version_that_is_not_loaded_in_time_could_not_be_measured(tmp_path: Path) -> None:
    sleeping = (sys.executable, "-c", "import time; print('still loading', flush=True); time.sleep(60)")
    with (
        pytest.raises(CouldNotTellError, match=r"v4 of digits is not loaded after 0\.5 s: still loading"),
        embedded_server(served(tmp_path), batching=None, command=sleeping, start_seconds=0.5),
    ):
        pytest.fail("it has started")
