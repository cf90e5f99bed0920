"""Arrays into the bodies of the Open Inference Protocol."""

import json
from typing import Any

import ml_dtypes
import numpy as np
import pytest

from serving.apis import meta_graph_pb2, types_pb2
from serving.gateway.inference_protocol.datatypes import DTYPES, ProtocolError
from serving.gateway.inference_protocol.request import InferenceRequest, WantedOutput, parse_request
from serving.gateway.inference_protocol.response import inference_response, model_metadata
from serving.wire import Array

NUMBERS = [name for name in DTYPES if name not in ("BYTES", "BOOL")]


def asking(*outputs: WantedOutput, id: str | None = None, binary: bool = False) -> InferenceRequest:  # noqa: A002
    return InferenceRequest(id, {}, outputs, binary)


def strings(*values: bytes) -> Array:
    array = np.empty(len(values), np.object_)
    array[:] = values
    return array


def written(request: InferenceRequest, **outputs: Array) -> tuple[Any, bytes]:
    """The JSON of an answer, and what is behind it."""
    body, size = inference_response(request, outputs, model="m", version=3)
    return json.loads(body[:size]), b"" if size is None else body[size:]


def test_an_answer_names_the_model_the_version_and_the_id() -> None:
    document, rest = written(asking(id='"7\ud800'), y=np.array([[1.5]], np.float32))

    assert b"" == rest
    assert document == {
        "model_name": "m",
        "model_version": "3",
        "id": '"7\ud800',
        "outputs": [{"name": "y", "datatype": "FP32", "shape": [1, 1], "data": [1.5]}],
    }


@pytest.mark.parametrize("datatype", NUMBERS)
def test_numbers_read_back_as_they_were_in_json_and_as_raw_bytes(datatype: str) -> None:
    dtype = DTYPES[datatype]
    limits: Any = np.iinfo(dtype) if dtype.kind in "iu" else ml_dtypes.finfo(dtype)  # type: ignore[no-untyped-call]
    array = np.array([limits.min, limits.max, 1, 0], dtype)
    for binary in (False, True):
        body, size = inference_response(asking(binary=binary), {"x": array}, model="m", version=3)
        answer = json.loads(body[:size])
        back = parse_request(
            json.dumps({"inputs": answer["outputs"]}).encode() + (body[size:] if size else b""),
            json_bytes=len(json.dumps({"inputs": answer["outputs"]})),
        ).inputs["x"]

        assert datatype == answer["outputs"][0]["datatype"]
        assert array.tolist() == back.tolist()


def test_a_float_is_as_short_as_it_can_be() -> None:
    body, _ = inference_response(asking(), {"y": np.array([0.1, 1 / 3], np.float32)}, model="m", version=3)

    assert b'"data": [0.1,0.333333343]' in body


def test_truth_is_written_as_json_has_it() -> None:
    document, _ = written(asking(), y=np.array([True, False]))

    assert [True, False] == document["outputs"][0]["data"]


def test_strings_are_text_if_all_are_utf8_and_base64_if_one_is_not() -> None:
    document, _ = written(asking(), a=strings("é\n".encode(), b""), b=strings(b"a", b"\xff"))

    assert document["outputs"] == [
        {"name": "a", "datatype": "BYTES", "shape": [2], "data": ["é\n", ""]},
        {
            "name": "b",
            "datatype": "BYTES",
            "shape": [2],
            "parameters": {"content_type": "base64"},
            "data": ["YQ==", "/w=="],
        },
    ]


def test_strings_are_in_base64_for_who_wants_them_so() -> None:
    document, _ = written(asking(WantedOutput("y", base64=True)), y=strings(b"a"))

    assert ["YQ=="] == document["outputs"][0]["data"]
    assert {"content_type": "base64"} == document["outputs"][0]["parameters"]


def test_only_wanted_outputs_are_written_in_the_order_asked_for_raw_ones_behind_the_json() -> None:
    wanted = (WantedOutput("c", binary=True), WantedOutput("b"), WantedOutput("a", binary=True))
    document, rest = written(
        asking(*wanted), a=strings(b"hi"), b=np.array([1], np.int32), c=np.array([258], np.uint16), d=strings(b"")
    )

    assert ["c", "b", "a"] == [output["name"] for output in document["outputs"]]
    assert [2, None, 6] == [output.get("parameters", {}).get("binary_data_size") for output in document["outputs"]]
    assert b"\x02\x01" + b"\x02\0\0\0hi" == rest


def test_a_number_that_is_not_finite_has_a_raw_form_only() -> None:
    array = np.array([np.nan, np.inf], np.float32)
    _, rest = written(asking(binary=True), y=array)

    assert array.tobytes() == rest
    with pytest.raises(ProtocolError, match="the output y has a value that is not finite"):
        written(asking(), y=array)


def test_complex_numbers_have_no_form() -> None:
    with pytest.raises(ProtocolError, match="the output y is complex64, which the protocol has no datatype for"):
        written(asking(), y=np.array([1j], np.complex64))


def test_metadata_has_the_tensors_of_a_signature() -> None:
    definition = meta_graph_pb2.SignatureDef()
    definition.inputs["x"].dtype = types_pb2.DT_STRING
    definition.inputs["x"].tensor_shape.dim.add(size=-1)
    definition.outputs["y"].dtype = types_pb2.DT_COMPLEX64
    definition.outputs["y"].tensor_shape.unknown_rank = True

    assert model_metadata("m", 3, definition) == {
        "name": "m",
        "versions": ["3"],
        "platform": "tensorflow_savedmodel",
        "inputs": [{"name": "x", "datatype": "BYTES", "shape": [-1]}],
        "outputs": [{"name": "y", "datatype": "COMPLEX64", "shape": [-1]}],
    }
