"""A real server process whose config and models lie in a bucket, asked over gRPC."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import grpc
import numpy as np
import pytest

from serving.model_server.storage.scratch_directory import PREFIX
from serving.wire import from_proto
from tests.hunts import hunt
from tests.object_storage import Bucket, ObjectStore, bucket, store
from tests.ports import free_port
from tests.serving.model_server.test_process import ROOT, Running, process
from tests.serving.model_server.world import config, eventually

__all__ = ["bucket", "store"]


@contextmanager
def server(bucket: Bucket, directory: Path, *more: str) -> Iterator[Running]:
    """It polls `m.config` in the bucket, an empty list at first, and has `directory` for its temporary files."""
    bucket.write("m.config", "model_config_list {}")
    port = free_port()
    flags = [
        f"--port={port}",
        f"--model_config_file={bucket.uri('m.config')}",
        "--model_config_file_poll_wait_seconds=1",
        "--num_load_threads=1",
        *more,
    ]
    log = directory / "server.log"
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("TMPDIR", str(directory))
        with process(log, *flags) as started, grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
            grpc.channel_ready_future(channel).result(timeout=60)
            yield Running(process=started, port=port, root=directory, log=log, file=Path(), channel=channel)


@hunt
def test_a_config_and_models_in_a_bucket(store: ObjectStore, bucket: Bucket, tmp_path: Path) -> None:
    """A version that is being uploaded is tried until its `saved_model.pb` is there; no copy of it is left behind."""
    export = [sys.executable, "-m", "tests.serving.model_server.export", str(tmp_path)]
    subprocess.run(export, cwd=ROOT, check=True, capture_output=True, timeout=90)
    with server(bucket, tmp_path, "--max_num_load_retries=1000", "--load_retry_interval_micros=100000") as running:
        bucket.write("m.config", str(config(bucket.uri("images"), name="images")))
        bucket.upload(tmp_path / "images" / "1", "images/1")
        eventually(lambda: running.status("images") == {1: "AVAILABLE"}, seconds=60)
        bucket.upload(tmp_path / "images" / "2", "images/20")
        eventually(lambda: running.status("images") == {20: "AVAILABLE", 1: "END"}, seconds=60)
        response = running.predict({"image": running.image}, name="images")

    expected = np.load(tmp_path / "expected-2.npz", allow_pickle=True)
    assert response.model_spec.version.value == 20
    np.testing.assert_allclose(from_proto(response.outputs["probabilities"]), expected["probabilities"], rtol=1e-5)
    assert from_proto(response.outputs["label"]).tolist() == expected["label"].tolist()
    assert list(tmp_path.glob(f"{PREFIX}*")) == []


def test_a_version_without_its_graph_fails_by_the_name_of_its_uri(
    store: ObjectStore, bucket: Bucket, tmp_path: Path
) -> None:
    with server(bucket, tmp_path, "--max_num_load_retries=0") as running:
        bucket.write("m.config", str(config(bucket.uri("images"), name="images")))
        bucket.write("images/3/variables/variables.index", "")
        eventually(lambda: running.status("images") == {3: "END"}, seconds=60)
        code, message = running.failure("images", 3)

    assert code == grpc.StatusCode.NOT_FOUND.value[0]
    assert f"at supplied export directory path: {bucket.uri('images/3')}" in message
