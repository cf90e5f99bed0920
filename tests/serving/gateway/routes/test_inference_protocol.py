"""The Open Inference Protocol v2 of a gateway, for models of the embedded server."""

import json
import struct
from base64 import b64encode
from typing import Any

import httpx
import jsonschema
import numpy as np
import pytest

from tests.pictures import png_bomb
from tests.serving.gateway.pictures import png
from tests.serving.gateway.routes import open_inference_schema as schema
from tests.serving.gateway.running import gateway
from tests.serving.gateway.typed import TYPES, Address

# Of each type of the wire, the protocol's name and values that only it can hold.
VALUES: dict[str, tuple[str, list[Any]]] = {
    "bool": ("BOOL", [True, False]),
    "uint8": ("UINT8", [0, 255]),
    "uint16": ("UINT16", [0, 2**16 - 1]),
    "uint32": ("UINT32", [0, 2**32 - 1]),
    "uint64": ("UINT64", [0, 2**64 - 1]),
    "int8": ("INT8", [-128, 127]),
    "int16": ("INT16", [-(2**15), 2**15 - 1]),
    "int32": ("INT32", [-(2**31), 2**31 - 1]),
    "int64": ("INT64", [-(2**63), 2**63 - 1]),
    "half": ("FP16", [0.5, -65504.0]),
    "bfloat16": ("BF16", [0.5, -2.0]),
    "float": ("FP32", [0.1, -3e38]),
    "double": ("FP64", [0.1, 1e300]),
    "string": ("BYTES", ["é\0", ""]),
}


def tensor(name: str, datatype: str, data: list[Any], **members: Any) -> dict[str, Any]:
    return {"name": name, "datatype": datatype, "shape": [len(data)], "data": data, **members}


def checked(answer: httpx.Response, wanted: dict[str, Any], status: int = 200) -> Any:
    """The JSON of an answer, after it was checked."""
    document = answer.json()

    assert (status, "application/json") == (answer.status_code, answer.headers["content-type"]), document
    jsonschema.validate(document, wanted)
    return document


def inferred(client: httpx.Client, path: str, *tensors: dict[str, Any], **members: Any) -> Any:
    answer = client.post(f"/v2/models/{path}/infer", json={"inputs": list(tensors), **members})
    return checked(answer, schema.INFERENCE)


def refused(client: httpx.Client, path: str, *, status: int, **request: Any) -> str:
    document = checked(client.post(f"/v2/models/{path}/infer", **request), schema.ERROR, status)
    return str(document["error"])


def images(*contents: bytes) -> dict[str, Any]:
    texts = [b64encode(content).decode() for content in contents]
    return tensor("image_bytes", "BYTES", texts, parameters={"content_type": "base64"})


def output(document: Any, name: str) -> Any:
    return next(each["data"] for each in document["outputs"] if each["name"] == name)


def test_the_server_names_itself_and_its_extensions(client: httpx.Client) -> None:
    for path in ("/v2", "/v2/"):
        document = checked(client.get(path), schema.SERVER)

        assert ("understudy", ["binary_tensor_data"]) == (document["name"], document["extensions"])


def test_it_is_live_and_ready_when_a_replica_answers_for_each_model(client: httpx.Client) -> None:
    assert {"live": True} == checked(client.get("/v2/health/live"), schema.LIVE)
    assert {"live": True, "ready": True} == checked(client.get("/v2/health/ready"), schema.LIVE)
    for path in ("times", "times/versions/2"):
        assert {"name": "times", "ready": True} == checked(client.get(f"/v2/models/{path}/ready"), schema.MODEL_READY)


def test_it_is_live_and_not_ready_when_no_replica_answers(server: Address) -> None:
    with (
        gateway(f"times={server.grpc}", "digits=127.0.0.1:1") as running,
        httpx.Client(base_url=running.url, timeout=30) as client,
    ):
        assert 200 == client.get("/v2/health/live").status_code
        assert "not ready: digits" == checked(client.get("/v2/health/ready"), schema.ERROR, 503)["error"]
        answer = client.get("/v2/models/digits/ready")

        assert checked(answer, schema.MODEL_READY, 503)["ready"] is False
        assert "1" == answer.headers["retry-after"]
        assert 200 == client.get("/v2/models/times/ready").status_code


def test_metadata_has_the_tensors_of_the_model(client: httpx.Client) -> None:
    expected = {
        "name": "times",
        "versions": ["1"],
        "platform": "tensorflow_savedmodel",
        "inputs": [{"name": "x", "datatype": "FP32", "shape": [-1]}],
        "outputs": [
            {"name": "y", "datatype": "FP32", "shape": [-1]},
            {"name": "z", "datatype": "FP32", "shape": [-1]},
        ],
    }

    assert expected == checked(client.get("/v2/models/times"), schema.MODEL)
    assert ["2"] == checked(client.get("/v2/models/times/versions/2"), schema.MODEL)["versions"]


def test_each_datatype_comes_back_as_it_was_sent(client: httpx.Client) -> None:
    assert set(TYPES) == set(VALUES)
    document = inferred(client, "typed", *(tensor(name, *VALUES[name]) for name in TYPES), id="7")
    found = {each["name"]: (each["datatype"], each["data"]) for each in document["outputs"]}

    assert {f"{name}_out": value for name, value in VALUES.items()} == found
    assert ("typed", "1", "7") == (document["model_name"], document["model_version"], document["id"])


def test_only_the_outputs_asked_for_come_back(client: httpx.Client) -> None:
    document = inferred(client, "times", tensor("x", "FP32", [2]), outputs=[{"name": "z"}])

    assert ["z"] == [each["name"] for each in document["outputs"]]


def test_a_version_in_the_path_answers(client: httpx.Client) -> None:
    document = inferred(client, "times/versions/2", tensor("x", "FP32", [[1], [2]], shape=[2, 1]))

    assert "2" == document["model_version"]
    assert [2.0, 4.0] == output(document, "y")


def test_tensors_may_be_raw_bytes_behind_the_json(client: httpx.Client) -> None:
    content = np.array([1.5, 2], "<f4").tobytes()
    head = json.dumps(
        {
            "inputs": [
                {"name": "x", "datatype": "FP32", "shape": [2], "parameters": {"binary_data_size": len(content)}}
            ],
            "outputs": [{"name": "y", "parameters": {"binary_data": True}}, {"name": "z"}],
        }
    ).encode()
    headers = {"Inference-Header-Content-Length": str(len(head)), "Content-Type": "application/octet-stream"}
    answer = client.post("/v2/models/times/versions/2/infer", content=head + content, headers=headers)
    size = int(answer.headers["inference-header-content-length"])
    document = json.loads(answer.content[:size])

    assert (200, "application/octet-stream") == (answer.status_code, answer.headers["content-type"])
    assert {"binary_data_size": 8} == document["outputs"][0]["parameters"]
    assert [3.0, 4.0] == np.frombuffer(answer.content[size:], "<f4").tolist()
    assert [-3.0, -4.0] == output(document, "z")


def test_images_are_classified_from_base64_and_from_raw_bytes(client: httpx.Client) -> None:
    black, white = png(0), png(255)
    content = b"".join(struct.pack("<I", len(image)) + image for image in (black, white))
    given = {"name": "image_bytes", "datatype": "BYTES", "shape": [2]}
    head = json.dumps({"inputs": [{**given, "parameters": {"binary_data_size": len(content)}}]}).encode()
    raw = client.post(
        "/v2/models/digits/infer",
        content=head + content,
        headers={"Inference-Header-Content-Length": str(len(head)), "Content-Type": "application/octet-stream"},
    )

    assert ["0", "3"] == output(checked(raw, schema.INFERENCE), "label")
    assert ["0", "3"] == output(inferred(client, "digits", images(black, white)), "label")


def test_an_image_that_the_model_does_not_decode_is_converted(client: httpx.Client) -> None:
    """Fault F57."""
    for kind in ("GIF", "WEBP", "BMP", "TIFF"):
        assert ["3"] == output(inferred(client, "digits", images(png(255, format=kind))), "label")


@pytest.mark.parametrize(
    ("content", "status", "expected"),
    [
        (b"", 422, "is empty"),
        (b"text", 422, "is not a PNG"),
        (png(size=(50, 50))[:-30], 422, "cut off"),
        (png_bomb(), 422, "too large"),
    ],
)
def test_an_image_that_cannot_be_used_is_refused_with_the_reason(
    content: bytes, status: int, expected: str, client: httpx.Client
) -> None:
    """Faults F56 and F57: as for uploads."""
    error = refused(client, "digits", status=status, json={"inputs": [images(png(), content)]})

    assert error.startswith("image 2 of 2 ")
    assert expected in error


def test_more_images_than_the_limit_are_refused(client: httpx.Client) -> None:
    assert "more than 64 images" in refused(client, "digits", status=413, json={"inputs": [images(*[png()] * 65)]})


@pytest.mark.parametrize(
    ("request_", "status", "expected"),
    [
        ({"content": b""}, 400, "not JSON"),
        ({"content": b'{"inputs": ' + b"[" * 50_000}, 400, "nested too deeply"),
        ({"json": {"inputs": [tensor("a", "FP32", [1])]}}, 400, "the model has no input 'a'; it has x"),
        ({"json": {"inputs": [tensor("x", "INT32", [1])]}}, 400, "the input x is FP32, and the request has INT32"),
        ({"json": {"inputs": [tensor("x", "FP32", [1])], "outputs": [{"name": "a"}]}}, 400, "no output 'a'"),
        ({"content": b"{}", "headers": {"Inference-Header-Content-Length": "-1"}}, 400, "not a number of bytes"),
        ({"content": b"{}", "headers": {"Inference-Header-Content-Length": "9" * 20}}, 400, "not a number of bytes"),
        ({"content": b"{}", "headers": {"Content-Type": "image/png"}}, 415, "send JSON"),
        ({"json": {"inputs": [tensor("x", "FP32", [3e38])]}}, 400, "the output y has a value that is not finite"),
    ],
)
def test_what_does_not_follow_the_protocol_is_refused_with_the_reason(
    request_: dict[str, Any], status: int, expected: str, client: httpx.Client
) -> None:
    assert expected in refused(client, "times/versions/2", status=status, **request_)


@pytest.mark.parametrize("version", ["7", "a", "-1", "9223372036854775808", "9" * 5000, "%C2%B2"])
def test_an_unknown_version_is_404(version: str, client: httpx.Client) -> None:
    path = f"/v2/models/times/versions/{version}"
    request = {"inputs": [tensor("x", "FP32", [1])]}
    for answer in (client.get(path), client.get(f"{path}/ready"), client.post(f"{path}/infer", json=request)):
        checked(answer, schema.ERROR, 404)


@pytest.mark.parametrize("model", ["none", "..%2Ftimes", "%00", "times%0A"])
def test_an_unknown_model_is_404(model: str, client: httpx.Client) -> None:
    """Fault F62."""
    path = f"/v2/models/{model}"
    for answer in (client.get(path), client.get(f"{path}/ready"), client.post(f"{path}/infer", json={})):
        checked(answer, schema.ERROR, 404)
