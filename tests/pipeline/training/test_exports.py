"""Exports of trained and of imported networks: made by one program that imports TensorFlow, and run on a server."""

import json
import shutil
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest

from serving.apis import model_pb2, predict_pb2, prediction_service_pb2_grpc
from serving.wire import from_proto, to_proto
from tests.once import once
from tests.pipeline.training.exports import LABELS, NAME
from tests.ports import free_port

TOLERANCE = 1e-5


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> Any:
    return once(tmp_path_factory, "exports", lambda: _exported(tmp_path_factory.mktemp("exports")))


def _exported(folder: Path) -> Any:
    command = [sys.executable, "-m", "tests.pipeline.training.exports", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1]) | {"folder": str(folder)}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of this process alone, for its server."""
    return tmp_path_factory.mktemp("served")


def test_the_export_answers_as_its_network_in_every_batch_size(seen: Any) -> None:
    assert seen["equality"]["difference"] < TOLERANCE
    assert seen["equality"]["difference_of_few"] < TOLERANCE


def test_an_export_of_both_signatures_may_be_served(seen: Any) -> None:
    assert [] == seen["equality"]["scan"]


@pytest.mark.parametrize("wrong", ["other weights", "depends on the batch"])
def test_an_export_that_answers_otherwise_is_refused_with_the_difference(seen: Any, wrong: str) -> None:
    kind, message = seen["equality"][wrong]

    assert "FailedError" == kind
    assert message.startswith("the exported model does not answer as the network does: a probability differs by 0.")
    assert "above 0.0001 (signature serving_default, batches of 1)" in message


def test_numbers_that_are_none_are_left_to_the_scan_which_names_the_weights(seen: Any) -> None:
    assert [] == seen["equality"]["no numbers"]


def test_two_batches_and_the_images_for_the_latency_are_in_memory_at_once(seen: Any) -> None:
    """...of 15 batches."""
    assert seen["equality"]["held_at_once"] <= 2 * 64 + 30


@pytest.mark.parametrize(
    "kind",
    [
        "a .keras file",
        "a .keras file for images of any size",
        "logits of 0 to 255, other order",
        "a SavedModel, -1 to 1",
        "a SavedModel with a table",
    ],
)
def test_an_imported_network_is_served_as_it_was(seen: Any, kind: str) -> None:
    """...for each batch size, without Python, by a model that the scan lets pass."""
    found = seen["imports"][kind]

    assert {"1", "8", "64"} == set(found["differences"])
    assert max(found["differences"].values()) < TOLERANCE
    assert found["varies"] > 0.01 or kind.endswith("table")
    assert [] == found["scan"]


@pytest.mark.parametrize(
    ("wrong", "expected"),
    [
        ("no file", ["none.keras does not exist", "name a `.keras` file, as `model.save` writes it"]),
        ("no folder", ["none does not exist; correct the path"]),
        ("a file that is no .keras", ["table.txt is a file", "or the folder of a SavedModel"]),
        ("no digest", ["import.sha256 is missing", "write `sha256: "]),
        ("another digest", [f"not {'0' * 64}", "write `sha256: "]),
        ("no model", ["text.keras is not a file of `model.save` of Keras 3"]),
        ("a member that does not unpack", ["is not a file of `model.save` of Keras 3"]),
        ("a description without an end", ["is not a file of `model.save` of Keras 3"]),
        ("a description of 60 MB", ["its config.json has more than 50,000,000 bytes"]),
        ("no saved_model.pb", ["empty has no saved_model.pb"]),
        ("a damaged SavedModel", ["damaged is refused: its saved_model.pb is not the description of a SavedModel"]),
        ("other labels", ["the images have 'dog', which it does not name; it names 'fox', which the images do not"]),
        ("Lambda", ["uses a Lambda layer", "`model.export(folder)`, and name the folder"]),
        ("own layer", ["uses 'OwnLayer' of its author", "`model.export(folder)`, and name the folder"]),
        ("own function", ["cannot load", "own_function", "`model.export(folder)` and name the folder"]),
        ("another size", ["float32 (batch, 11, 10, 3)", "images of the size in `image`, (batch, 12, 10, 3)"]),
        ("grey", ["float32 (batch, 12, 10, 1)", "(batch, 12, 10, 3)"]),
        ("two classes", ["float32 (batch, 2)", "a number for each label in `import.labels`, (batch, 3)"]),
        ("two inputs", ["'one': float32 (batch, 12, 10, 3), 'other': float32", "It must take one"]),
        ("two outputs", ["It must give one batch of floats"]),
        ("logits", ["are no probabilities: the lowest is -", "write `outputs: logits`"]),
        ("no logits", ["add up to 1 for each image, so they are not logits. Write `outputs: probabilities`"]),
        ("no signature", ["has no 'pixels', only serve, serving_default"]),
        ("whole numbers", ["'x': uint8 (batch, 12, 10, 3)", "must take one float32 batch"]),
        ("one image", ["'x': float32 (1, 12, 10, 3)", "accept a batch of any size"]),
        ("two inputs of a SavedModel", ["'x': float32 (batch, 12, 10, 3), 'y': float32 ()"]),
        ("gives too little", ["gives outputs of shape (8,) for 8 images"]),
        ("writes files", ["is refused: op 'WriteFile' writes files"]),
    ],
)
def test_an_import_that_cannot_work_is_refused_in_words(seen: Any, wrong: str, expected: list[str]) -> None:
    kind, message = seen["refusals"][wrong]

    assert "BadInputError" == kind
    assert message.startswith("import.")
    assert [] == [part for part in expected if part not in message], message


def test_a_saved_model_that_flips_images_at_random_is_refused(seen: Any) -> None:
    """Keras exports layers for augmentation so that they still change the images."""
    kind, message = seen["refusals"]["depends on chance"]

    assert "FailedError" == kind
    assert "on chance" in message


def test_nothing_of_a_refused_saved_model_was_run(seen: Any) -> None:
    assert [] == seen["refusals"]["written"]


def test_what_a_saved_model_would_do_is_found_again_in_its_export(seen: Any) -> None:
    """`evaluate` scans the export as that of any network."""
    (found,) = seen["refusals"]["not scanned before"]

    assert "op 'WriteFile' writes files" in found


@dataclass(frozen=True)
class Server:
    stub: Any
    rest: str


@pytest.fixture(scope="module")
def server(folder: Path, seen: Any) -> Iterator[Server]:
    """It calls the version available after the warm-up, which has requests for all signatures. It batches."""
    base, port, rest_port = folder / "served", free_port(), free_port()
    base.mkdir()
    shutil.copytree(Path(seen["folder"]) / "1", base / "1")
    words = [f"--port={port}", f"--rest_api_port={rest_port}", f"--model_name={NAME}", f"--model_base_path={base}"]
    batching = folder / "batching"
    # More rows than a request for labels may have.
    batching.write_text("max_batch_size { value: 2000 } max_enqueued_batches { value: 10 }")
    words += ["--enable_batching", f"--batching_parameters_file={batching}"]
    with (
        (folder / "log").open("wb") as log,
        subprocess.Popen([sys.executable, "-m", "serving.model_server", *words], stdout=log, stderr=log) as started,
        grpc.insecure_channel(f"127.0.0.1:{port}") as channel,
    ):
        try:
            grpc.channel_ready_future(channel).result(timeout=30)
            stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)
            stub.Predict(tensor_request(seen["equality"]["pixels"]), timeout=30, wait_for_ready=True)
            yield Server(stub, f"http://127.0.0.1:{rest_port}/v1/models/{NAME}:predict")
        finally:
            started.kill()


def tensor_request(pixels: Any) -> Any:
    spec = model_pb2.ModelSpec(name=NAME, signature_name="serving_tensor")
    return predict_pb2.PredictRequest(model_spec=spec, inputs={"pixels": to_proto(np.array(pixels, np.float32))})


def test_a_grpc_client_may_send_pixels(server: Server, seen: Any) -> None:
    outputs = server.stub.Predict(tensor_request(seen["equality"]["pixels"]), timeout=20).outputs
    expected = np.array(seen["equality"]["expected"])

    assert {"probabilities", "class_index", "label"} == set(outputs)
    assert np.abs(expected - from_proto(outputs["probabilities"])).max() < TOLERANCE
    assert expected.argmax(axis=1).tolist() == from_proto(outputs["class_index"]).tolist()
    assert [LABELS[each].encode() for each in expected.argmax(axis=1)] == from_proto(outputs["label"]).tolist()


def test_a_rest_client_may_send_pixels(server: Server, seen: Any) -> None:
    body = json.dumps({"signature_name": "serving_tensor", "instances": seen["equality"]["pixels"]})
    request = urllib.request.Request(server.rest, data=body.encode(), method="POST")  # noqa: S310 - of this machine
    with urllib.request.urlopen(request, timeout=20) as answer:  # noqa: S310
        predictions = json.load(answer)["predictions"]
    expected = np.array(seen["equality"]["expected"])

    assert np.abs(expected - np.array([each["probabilities"] for each in predictions])).max() < TOLERANCE
    assert [LABELS[each] for each in expected.argmax(axis=1)] == [each["label"] for each in predictions]


def labels_request(rows: int) -> Any:
    spec = model_pb2.ModelSpec(name=NAME, signature_name="serving_labels")
    return predict_pb2.PredictRequest(model_spec=spec, inputs={"rows": to_proto(np.full(rows, 7))})


@pytest.mark.parametrize("rows", [1, 3, 1024])
def test_a_client_may_ask_for_the_labels_of_all_classes(server: Server, rows: int) -> None:
    """Each row has all of them, so that servers may batch such requests."""
    outputs = server.stub.Predict(labels_request(rows), timeout=20).outputs

    assert ["labels"] == list(outputs)
    assert [[label.encode() for label in LABELS]] * rows == from_proto(outputs["labels"]).tolist()


def test_a_small_request_gets_no_large_answer(server: Server) -> None:
    with pytest.raises(grpc.RpcError, match="ask for 1 to 1024 rows of labels") as refused:
        server.stub.Predict(labels_request(1025), timeout=20)

    assert grpc.StatusCode.INVALID_ARGUMENT is refused.value.code()


def test_the_warm_up_reaches_all_signatures(server: Server, folder: Path) -> None:
    requests = (folder / "served" / "1" / "assets.extra" / "tf_serving_warmup_requests").read_bytes()

    assert (2, 2, 1) == tuple(
        requests.count(name) for name in (b"serving_default", b"serving_tensor", b"serving_labels")
    )
