"""One real server process with real models, asked over gRPC; and processes that end before TensorFlow is needed."""

import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest

from serving.apis import (
    get_model_metadata_pb2,
    get_model_status_pb2,
    model_management_pb2,
    model_server_config_pb2,
    model_service_pb2_grpc,
    predict_pb2,
    prediction_service_pb2_grpc,
    tensor_pb2,
    types_pb2,
)
from serving.wire import from_proto, to_proto
from tests.ports import free_port
from tests.serving.model_server.world import config, eventually

ROOT = Path(__file__).parents[3]


def command(*flags: str) -> list[str]:
    return [sys.executable, "-m", "serving.model_server", *flags]


def run(*flags: str) -> subprocess.CompletedProcess[str]:
    """A server that is expected to end by itself."""
    return subprocess.run(command(*flags), cwd=ROOT, capture_output=True, text=True, timeout=30, check=False)


@contextmanager
def process(log: Path, *flags: str) -> Iterator[subprocess.Popen[bytes]]:
    with log.open("wb") as output:
        started = subprocess.Popen(command(*flags), cwd=ROOT, stdout=output, stderr=subprocess.STDOUT)
    try:
        yield started
    finally:
        if started.poll() is None:
            started.kill()
        started.wait(10)


@dataclass
class Running:
    """A server, its files, and what a client does with it."""

    process: subprocess.Popen[bytes]
    port: int
    root: Path
    log: Path
    file: Path
    channel: grpc.Channel

    @property
    def prediction(self) -> Any:
        return prediction_service_pb2_grpc.PredictionServiceStub(self.channel)

    @property
    def models(self) -> Any:
        return model_service_pb2_grpc.ModelServiceStub(self.channel)

    def predict(self, inputs: dict[str, Any], **spec: Any) -> Any:
        request = predict_pb2.PredictRequest(model_spec=_spec(spec))
        for alias, proto in inputs.items():
            request.inputs[alias].CopyFrom(proto)
        return self.prediction.Predict(request, timeout=10)

    def status(self, name: str) -> dict[int, str]:
        try:
            answer = self.models.GetModelStatus(
                get_model_status_pb2.GetModelStatusRequest(model_spec={"name": name}), timeout=10
            )
        except grpc.RpcError as error:
            return {0: str(error.details())}
        names = get_model_status_pb2.ModelVersionStatus.State.Name
        return {each.version: names(each.state) for each in answer.model_version_status}

    def failure(self, name: str, version: int) -> tuple[int, str]:
        asked = get_model_status_pb2.GetModelStatusRequest(model_spec=_spec({"name": name, "version": version}))
        (each,) = self.models.GetModelStatus(asked, timeout=10).model_version_status
        return each.status.error_code, each.status.error_message

    def reload(self, whole: Any) -> None:
        self.models.HandleReloadConfigRequest(model_management_pb2.ReloadConfigRequest(config=whole), timeout=30)

    @property
    def image(self) -> Any:
        return images((self.root / "image.png").read_bytes())


def _spec(fields: dict[str, Any]) -> dict[str, Any]:
    version = fields.pop("version", None)
    return fields | ({"version": {"value": version}} if version is not None else {})


def images(*encoded: bytes) -> Any:
    return to_proto(np.array(encoded, np.object_))


def merged(*configs: Any) -> Any:
    whole = model_server_config_pb2.ModelServerConfig(model_config_list={})
    for each in configs:
        whole.MergeFrom(each)
    return whole


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A server that starts with an empty list, polls its config file, and is asked to stop at the end."""
    root = tmp_path_factory.mktemp("models")
    file, log = root / "m.config", root / "server.log"
    file.write_text("model_config_list {}")
    port = free_port()
    flags = [
        f"--port={port}",
        f"--model_config_file={file}",
        "--model_config_file_poll_wait_seconds=1",
        "--num_load_threads=2",
        "--max_num_load_retries=0",
        "--allow_version_labels_for_unavailable_models",
    ]
    with process(log, *flags) as started, grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        grpc.channel_ready_future(channel).result(timeout=30)
        running = Running(process=started, port=port, root=root, log=log, file=file, channel=channel)
        subprocess.run(
            [sys.executable, "-m", "tests.serving.model_server.export", str(root)], cwd=ROOT, check=True, timeout=90
        )
        yield running


@pytest.fixture(scope="session")
def loaded(server: Running) -> Running:
    """The same server once it serves: image classifier 1 and 2 with `stable` on 1, a Keras model, and broken ones."""
    root = server.root
    broken = root / "broken"
    shutil.copytree(root / "keras" / "1", broken / "1")
    shutil.copytree(root / "keras" / "1", broken / "2", ignore=shutil.ignore_patterns("variables"))
    shutil.copytree(root / "keras" / "1", broken / "3", ignore=shutil.ignore_patterns("saved_model.pb"))
    shutil.copytree(root / "keras" / "1", broken / "4")
    (broken / "4" / "variables" / "variables.data-00000-of-00001").write_bytes(b"")
    shutil.copytree(root / "keras" / "1", broken / "5")
    (broken / "5" / "saved_model.pb").write_bytes(b"not a model" * 50)
    shutil.copytree(root / "images" / "1", broken / "6")
    (broken / "6" / "assets.extra" / "tf_serving_warmup_requests").write_bytes(b"these are no records")
    parts = [
        config(root / "images", name="images", versions=[1, 2], stable=1),
        config(root / "keras", name="keras"),
        config(broken, name="broken", versions=[1, 2, 3, 4, 5, 6]),
    ]
    temporary = server.file.with_suffix(".new")
    temporary.write_text(str(merged(*parts)))
    temporary.replace(server.file)

    def settled() -> bool:
        states = [state for name in ("images", "keras", "broken") for state in server.status(name).values()]
        return len(states) == 9 and set(states) <= {"AVAILABLE", "END"}

    eventually(settled, seconds=60)
    return server


def test_an_empty_list_opens_the_port(server: Running) -> None:
    """...before any model exists, and status knows of none."""
    assert "Running gRPC ModelServer" in server.log.read_text()


@pytest.mark.parametrize("version", [1, 2])
def test_the_exported_model_gives_its_own_answers(loaded: Running, version: int) -> None:
    """Decoding in the graph, a restored variable and a lookup in an asset all work, and the reply says who answered."""
    expected = np.load(loaded.root / f"expected-{version}.npz", allow_pickle=True)
    response = loaded.predict({"image": loaded.image}, name="images", version=version)

    assert response.model_spec.version.value == version
    assert response.model_spec.signature_name == "serving_default"
    np.testing.assert_allclose(from_proto(response.outputs["probabilities"]), expected["probabilities"], rtol=1e-5)
    for alias in ("class", "label"):
        assert from_proto(response.outputs[alias]).tolist() == expected[alias].tolist()


def test_a_keras_export_gives_its_own_answers(loaded: Running) -> None:
    expected = np.load(loaded.root / "expected-keras.npz")["probabilities"]
    for as_content in (True, False):
        x = to_proto(np.eye(4, dtype=np.float32), as_content=as_content)
        got = from_proto(loaded.predict({"x": x}, name="keras").outputs["probabilities"])

        np.testing.assert_allclose(got, expected, rtol=1e-5)


def test_label_and_latest_lead_to_different_versions(loaded: Running) -> None:
    def answering(**spec: Any) -> int:
        return int(loaded.predict({"image": loaded.image}, name="images", **spec).model_spec.version.value)

    assert {"stable": answering(version_label="stable"), "latest": answering()} == {"stable": 1, "latest": 2}


def test_metadata_holds_the_signatures_of_the_labelled_version(loaded: Running) -> None:
    request = get_model_metadata_pb2.GetModelMetadataRequest(
        model_spec={"name": "images", "version_label": "stable"}, metadata_field=["signature_def"]
    )
    answer = loaded.prediction.GetModelMetadata(request, timeout=10)
    signatures = get_model_metadata_pb2.SignatureDefMap()
    answer.metadata["signature_def"].Unpack(signatures)

    assert (answer.model_spec.name, answer.model_spec.version.value) == ("images", 1)
    assert list(signatures.signature_def["serving_default"].inputs) == ["image"]


def test_a_request_may_come_without_a_deadline(loaded: Running) -> None:
    request = predict_pb2.PredictRequest(model_spec={"name": "images"}, inputs={"image": loaded.image})

    assert loaded.prediction.Predict(request).model_spec.version.value == 2


def test_broken_versions_end_and_good_ones_are_available_beside_them(loaded: Running) -> None:
    expected = {6: "END", 5: "END", 4: "END", 3: "END", 2: "AVAILABLE", 1: "AVAILABLE"}

    assert expected == loaded.status("broken")


@pytest.mark.parametrize(
    ("version", "codes", "words"),
    [
        (3, {5}, "Could not find SavedModel .pb or .pbtxt at supplied export directory path"),
        (4, {5, 11, 15}, ""),
        (5, {15}, "as binary proto"),
        (6, {15}, "Please verify your warmup data is in TFRecord format."),
    ],
)
def test_why_a_version_failed_is_in_its_status(loaded: Running, version: int, codes: set[int], words: str) -> None:
    code, message = loaded.failure("broken", version)

    assert code in codes
    assert words in message


def test_a_model_without_its_variables_loads_and_fails_every_request(loaded: Running) -> None:
    """What upstream does too: status alone proves nothing."""
    x = to_proto(np.eye(4, dtype=np.float32))
    with pytest.raises(grpc.RpcError) as refusal:
        loaded.predict({"x": x}, name="broken", version=2)

    assert refusal.value.code() is grpc.StatusCode.FAILED_PRECONDITION
    assert "Could not find variable" in str(refusal.value.details())


REFUSALS = [
    ({"name": "nobody"}, "NOT_FOUND", "Servable not found for request: Latest(nobody)"),
    ({"name": "images", "version": 99}, "NOT_FOUND", "Servable not found for request: Specific(images, 99)"),
    ({"name": "images", "version_label": "L"}, "INVALID_ARGUMENT", "Unrecognized servable version label: L"),
    ({}, "INVALID_ARGUMENT", "ModelSpec has no name specified."),
    ({"name": "images", "signature_name": "s"}, "FAILED_PRECONDITION", 'Serving signature key "s" not found.'),
]


@pytest.mark.parametrize(("spec", "code", "message"), REFUSALS)
def test_predict_refuses_in_upstream_s_words(loaded: Running, spec: dict[str, Any], code: str, message: str) -> None:
    with pytest.raises(grpc.RpcError) as refusal:
        loaded.predict({"image": loaded.image}, **spec)

    assert (refusal.value.code().name, refusal.value.details()) == (code, message)


@pytest.mark.parametrize(
    ("alias", "proto"),
    [
        pytest.param("image", images(b"not an image"), id="the graph fails"),
        pytest.param("image", to_proto(np.zeros(1, np.float32)), id="wrong type"),
        pytest.param("image", to_proto(np.array([[b"x"]], np.object_)), id="wrong rank"),
        pytest.param("image", tensor_pb2.TensorProto(dtype=types_pb2.DT_RESOURCE), id="no tensor"),
        pytest.param("other", images(b""), id="wrong name"),
    ],
)
def test_bad_requests_are_invalid_and_the_server_lives(loaded: Running, alias: str, proto: Any) -> None:
    with pytest.raises(grpc.RpcError) as refusal:
        loaded.predict({alias: proto}, name="images")

    assert refusal.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert loaded.predict({"image": loaded.image}, name="images").model_spec.version.value == 2


def test_status_of_what_is_not_there(loaded: Running) -> None:
    assert loaded.status("nobody") == {0: "Could not find any versions of model nobody"}
    with pytest.raises(grpc.RpcError) as refusal:
        loaded.failure("images", 77)
    assert refusal.value.details() == "Could not find version 77 of model images"
    with pytest.raises(grpc.RpcError) as refusal:
        loaded.models.GetModelStatus(get_model_status_pb2.GetModelStatusRequest(), timeout=10)
    assert refusal.value.details() == "Missing ModelSpec"


def test_other_rpcs_are_unimplemented(loaded: Running) -> None:
    ask: Any = loaded.channel.unary_unary  # without serialisers it takes and gives bytes
    with pytest.raises(grpc.RpcError) as refusal:
        ask("/tensorflow.serving.SessionService/SessionRun")(b"", timeout=10)

    assert refusal.value.code() is grpc.StatusCode.UNIMPLEMENTED


def test_a_refused_reload_is_an_error_of_the_call(loaded: Running) -> None:
    with pytest.raises(grpc.RpcError) as refusal:
        loaded.reload(model_server_config_pb2.ModelServerConfig())

    assert refusal.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert "Only ModelConfigList is currently supported" in str(refusal.value.details())


def test_a_port_already_taken_is_told_at_once(loaded: Running) -> None:
    second = run(f"--port={loaded.port}", "--model_base_path=/nowhere")

    assert second.returncode == 255
    assert f"cannot listen on 127.0.0.1:{loaded.port}" in second.stderr


def test_a_missing_config_file_at_start_is_fatal(tmp_path: Path) -> None:
    missing = tmp_path / "m.config"
    end = run(f"--port={free_port()}", f"--model_config_file={missing}")

    assert end.returncode == 255
    assert f"Failed to start server. Error: NOT_FOUND: {missing}; No such file or directory" in end.stderr


def test_a_config_file_that_is_no_text_proto_is_fatal_at_start_with_upstream_s_text(tmp_path: Path) -> None:
    """The text that upstream's own test of its server looks for, with line and column."""
    bad = tmp_path / "m.config"
    bad.write_text("model_config_list {\n  confg {}\n}\n")
    end = run(f"--port={free_port()}", f"--model_config_file={bad}")

    assert end.returncode == 255
    assert f"Failed to start server. Error: INVALID_ARGUMENT: Invalid protobuf file: '{bad}'" in end.stderr
    assert "Error parsing text-format tensorflow.serving.ModelServerConfig: 2:3: Message type" in end.stderr


def test_sigterm_during_a_start_that_waits_ends_it_with_0(tmp_path: Path) -> None:
    """A server waiting for a model that is not there yet has its port closed and still stops when asked."""
    port = free_port()
    log = tmp_path / "log"
    with process(log, f"--port={port}", f"--model_base_path={tmp_path}/nothing") as started:
        eventually(lambda: "Could not find base path" in log.read_text())
        with socket.socket() as probe:
            assert probe.connect_ex(("127.0.0.1", port)) != 0
        started.send_signal(signal.SIGTERM)

        assert started.wait(10) == 0


def test_sigint_drains_and_ends_with_0(loaded: Running) -> None:
    """Last of all, because the server of all these tests ends here."""
    assert loaded.process.poll() is None
    os.kill(loaded.process.pid, signal.SIGINT)

    assert loaded.process.wait(10) == 0
    assert loaded.log.read_text().endswith("stopped\n")
