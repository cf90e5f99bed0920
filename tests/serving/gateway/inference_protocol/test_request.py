"""Bodies of the Open Inference Protocol into arrays: each data type, nested and flat, in base64 and as raw bytes."""

import json
import struct
from typing import Any

import ml_dtypes
import numpy as np
import pytest

from serving.apis import meta_graph_pb2
from serving.gateway.inference_protocol.datatypes import DTYPES, ProtocolError
from serving.gateway.inference_protocol.request import (
    InferenceRequest,
    WantedOutput,
    check_signature,
    parse_request,
)
from serving.wire import ENUMS, Array

DEEP = 100_000

# Of each data type: values in JSON, and the same as an array.
VALUES: dict[str, tuple[list[Any], Any]] = {
    "BOOL": ([True, False], [True, False]),
    "UINT8": ([0, 255], [0, 255]),
    "UINT16": ([0, 65535], [0, 65535]),
    "UINT32": ([0, 2**32 - 1], [0, 2**32 - 1]),
    "UINT64": ([0, 2**64 - 1], [0, 2**64 - 1]),
    "INT8": ([-128, 127], [-128, 127]),
    "INT16": ([-(2**15), 2**15 - 1], [-(2**15), 2**15 - 1]),
    "INT32": ([-(2**31), 2**31 - 1], [-(2**31), 2**31 - 1]),
    "INT64": ([-(2**63), 2**63 - 1], [-(2**63), 2**63 - 1]),
    "FP16": ([0.5, -2], [0.5, -2]),
    "BF16": ([0.5, -2], [0.5, -2]),
    "FP32": ([0.1, 3], [0.1, 3]),
    "FP64": ([0.1, 1e300], [0.1, 1e300]),
    "BYTES": (["é", ""], ["é".encode(), b""]),
}
BELOW_AND_ABOVE = {
    "UINT8": (-1, 256),
    "UINT16": (-1, 2**16),
    "UINT32": (-1, 2**32),
    "UINT64": (-1, 2**64),
    "INT8": (-129, 128),
    "INT16": (-(2**15) - 1, 2**15),
    "INT32": (-(2**31) - 1, 2**31),
    "INT64": (-(2**63) - 1, 2**63),
    "FP16": (-1e6, 1e6),
    "BF16": (-3.4e39, 3.4e39),
    "FP32": (-1e39, 1e39),
    "FP64": (-(10**400), 10**400),
}


def tensor(**changes: Any) -> dict[str, Any]:
    return {"name": "x", "shape": [2], "datatype": "FP32", "data": [1, 2]} | changes


def body(*tensors: Any, **members: Any) -> bytes:
    return json.dumps({"inputs": list(tensors), **members}).encode()


def parsed(**changes: Any) -> Array:
    return parse_request(body(tensor(**changes))).inputs["x"]


def reason(content: bytes, **options: Any) -> str:
    with pytest.raises(ProtocolError) as caught:
        parse_request(content, **options)
    return str(caught.value)


@pytest.mark.parametrize("datatype", DTYPES)
def test_each_datatype_has_its_array_flat_and_nested(datatype: str) -> None:
    values, expected = VALUES[datatype]
    flat = parsed(datatype=datatype, data=values)
    column = parsed(datatype=datatype, shape=[2, 1], data=[[value] for value in values])
    given_flat = parsed(datatype=datatype, shape=[2, 1], data=values)

    assert DTYPES[datatype] == flat.dtype == column.dtype
    assert np.array(expected, DTYPES[datatype]).tolist() == flat.tolist()
    assert [[value] for value in flat.tolist()] == column.tolist() == given_flat.tolist()


@pytest.mark.parametrize("datatype", DTYPES)
def test_each_datatype_has_a_tensor_without_values(datatype: str) -> None:
    assert (0, 3) == parsed(datatype=datatype, shape=[0, 3], data=[]).shape


@pytest.mark.parametrize("datatype", BELOW_AND_ABOVE)
def test_a_value_that_the_datatype_cannot_hold_is_refused(datatype: str) -> None:
    for value in BELOW_AND_ABOVE[datatype]:
        assert f"the input 'x' has a value that {datatype} cannot hold" == reason(
            body(tensor(datatype=datatype, shape=[1], data=[value]))
        )


@pytest.mark.parametrize(
    ("datatype", "value", "expected"),
    [
        ("BOOL", 1, "true or false"),
        ("INT32", True, "must be an integer"),
        ("INT32", 1.0, "must be an integer"),
        ("INT32", "1", "must be an integer"),
        ("FP32", "1", "must be a number"),
        ("FP32", None, "must be a number"),
        ("FP32", True, "must be a number"),
        ("BYTES", 1, "must be a string"),
        ("BYTES", {"b64": "aGk="}, "must be a string"),
    ],
)
def test_a_value_of_another_type_is_refused(datatype: str, value: Any, expected: str) -> None:
    assert expected in reason(body(tensor(datatype=datatype, shape=[1], data=[value])))


def test_bytes_may_be_base64() -> None:
    array = parsed(datatype="BYTES", data=["/w==", "aGk="], parameters={"content_type": "base64"})

    assert [b"\xff", b"hi"] == array.tolist()


@pytest.mark.parametrize("text", ["aGk", "aG k=", "=", "aGk=aGk=", "é", "aGk=\n"])
def test_what_is_not_base64_is_refused(text: str) -> None:
    content = body(tensor(datatype="BYTES", shape=[1], data=[text], parameters={"content_type": "base64"}))

    assert "not base64" in reason(content)


def test_half_a_surrogate_pair_is_refused() -> None:
    assert "surrogate" in reason(b'{"inputs": [{"name": "x", "shape": [1], "datatype": "BYTES", "data": ["\\ud800"]}]}')


MALFORMED: dict[str, tuple[bytes, str]] = {
    "empty": (b"", "not JSON"),
    "not JSON": (b"{", "not JSON"),
    "not UTF-8": (b'{"id": "\xff"}', "not JSON"),
    "NaN": (b'{"inputs": [{"name": "x", "shape": [1], "datatype": "FP32", "data": [NaN]}]}', "not JSON"),
    "digits": (b'{"id": ' + b"9" * 10_000 + b"}", "not JSON"),
    "nested deeply": (b"[" * DEEP, "nested too deeply"),
    "a list": (b"[]", "not a JSON object"),
    "no inputs": (b"{}", "inputs must be a list of tensors"),
    "empty inputs": (b'{"inputs": []}', "inputs must be a list of tensors"),
    "inputs of numbers": (b'{"inputs": [1]}', "an object with a name"),
    "no name": (body({"shape": [1]}), "an object with a name"),
    "name is half a surrogate pair": (body(tensor(name="\ud800")), "is not Unicode text"),
    "and of an output": (body(tensor(), outputs=[{"name": "\ud800"}]), "in outputs is not Unicode text"),
    "id is a number": (body(tensor(), id=1), "id must be a string"),
    "parameters are a list": (body(tensor(), parameters=[]), "parameters of the request"),
    "of an input": (body(tensor(parameters="a")), "parameters of the input 'x'"),
    "twice": (body(tensor(), tensor()), "'x' is given twice"),
    "datatype": (body(tensor(datatype="FP8")), "has the datatype 'FP8', which is none of BOOL, "),
    "datatype is a list": (body(tensor(datatype=["FP32"])), "has the datatype ['FP32']"),
    "no datatype": (body({"name": "x", "shape": [1], "data": [1]}), "has the datatype None"),
    "no shape": (body({"name": "x", "datatype": "FP32", "data": [1]}), "needs a shape"),
    "negative size": (body(tensor(shape=[-1])), "needs a shape"),
    "huge size": (body(tensor(shape=[2**31])), "needs a shape"),
    "size is true": (body(tensor(shape=[True], data=[1])), "needs a shape"),
    "dimensions": (body(tensor(shape=[1] * 255, data=[1])), "needs a shape"),
    "more dimensions than NumPy has": (body(tensor(shape=[1] * 200, data=[1])), "has a shape that no array has"),
    "no data": (body({"name": "x", "shape": [1], "datatype": "FP32"}), "not a list of values"),
    "ragged": (body(tensor(data=[[1], [2, 3]])), "not a list of values"),
    "mixed": (body(tensor(data=[[1], 2])), "not a list of values"),
    "too few": (body(tensor(data=[1])), "has data of shape [1], but its shape is [2]"),
    "shape": (
        body(tensor(shape=[2, 3], data=[[1, 2], [3, 4], [5, 6]])),
        "data of shape [3, 2], but its shape is [2, 3]",
    ),
    "content type": (
        body(tensor(datatype="BYTES", data=["a", "b"], parameters={"content_type": "pd"})),
        "content_type other than base64 and str",
    ),
    "outputs": (body(tensor(), outputs={"name": "y"}), "outputs must be a list"),
    "outputs twice": (body(tensor(), outputs=[{"name": "y"}, {"name": "y"}]), "'y' is given twice"),
}


@pytest.mark.parametrize("case", MALFORMED)
def test_what_does_not_follow_the_protocol_is_refused_with_the_reason(case: str) -> None:
    content, expected = MALFORMED[case]

    assert expected in reason(content)


def test_a_message_shows_little_of_what_was_sent_and_on_one_line() -> None:
    text = reason(body(tensor(name="a\nb" * 1000), tensor(name="a\nb" * 1000)))

    assert len(text) < 100
    assert "\n" not in text


def raw(*parts: bytes, **changes: Any) -> tuple[bytes, int]:
    """A body with one tensor behind its JSON, and the length of the JSON."""
    content = b"".join(parts)
    given = tensor(parameters={"binary_data_size": len(content)}, **changes)
    del given["data"]
    head = body(given)
    return head + content, len(head)


@pytest.mark.parametrize("datatype", [name for name in DTYPES if name != "BYTES"])
def test_numbers_behind_the_json_are_little_endian(datatype: str) -> None:
    expected = np.array(VALUES[datatype][1], DTYPES[datatype])
    content, size = raw(expected.astype(expected.dtype.newbyteorder("<")).tobytes(), datatype=datatype)
    array = parse_request(content, json_bytes=size).inputs["x"]

    assert expected.dtype == array.dtype
    assert expected.tolist() == array.tolist()


def test_a_bool_behind_the_json_is_true_unless_it_is_zero() -> None:
    content, size = raw(b"\x00\x02", datatype="BOOL")

    assert [False, True] == parse_request(content, json_bytes=size).inputs["x"].tolist()


def test_strings_behind_the_json_have_their_lengths_before_them() -> None:
    content, size = raw(struct.pack("<I", 2), b"\xff\x00", struct.pack("<I", 0), datatype="BYTES")

    assert [b"\xff\x00", b""] == parse_request(content, json_bytes=size).inputs["x"].tolist()


RAW: dict[str, tuple[tuple[bytes, int], str]] = {
    "too few": (raw(bytes(7)), "has 7 bytes, and its shape needs 8"),
    "too many": (raw(bytes(9)), "has 9 bytes, and its shape needs 8"),
    "lying length": (raw(struct.pack("<I", 2**32 - 1), datatype="BYTES"), "ends inside a string of 4294967295 bytes"),
    "half a length": (raw(b"\1\0", datatype="BYTES"), "ends inside the length of a string"),
    "one string": (raw(bytes(4), datatype="BYTES"), "has other than the 2 strings"),
    "three strings": (raw(bytes(12), datatype="BYTES"), "has other than the 2 strings"),
    "more than there is": ((raw(bytes(8))[0][:-1], raw(bytes(8))[1]), "binary_data_size 8, and 7 bytes are left"),
    "left over": ((raw(bytes(8))[0] + b"a", raw(bytes(8))[1]), "1 bytes behind the JSON belong to no input"),
    "header beyond the end": ((b"{}", 3), "is 3, and the body has 2 bytes"),
    "size is no number": (
        (body(tensor(parameters={"binary_data_size": "8"})), len(body(tensor(parameters={"binary_data_size": "8"})))),
        "has the binary_data_size '8'",
    ),
}


@pytest.mark.parametrize("case", RAW)
def test_raw_tensors_that_do_not_fit_are_refused_with_the_reason(case: str) -> None:
    (content, size), expected = RAW[case]

    assert expected in reason(content, json_bytes=size)


def test_a_shape_of_2_to_the_60_strings_takes_no_memory() -> None:
    content, size = raw(bytes(8), datatype="BYTES", shape=[2**30, 2**30])

    assert f"has other than the {2**60} strings" in reason(content, json_bytes=size)


def test_outputs_say_in_which_form_they_are_wanted() -> None:
    names = [
        {"name": "a"},
        {"name": "b", "parameters": {"binary_data": False}},
        {"name": "c", "parameters": {"content_type": "base64", "binary_data": False}},
    ]
    request = parse_request(body(tensor(), id="7", outputs=names, parameters={"binary_data_output": True}))

    assert ("7", True) == (request.id, request.binary)
    assert (
        WantedOutput("a", binary=True),
        WantedOutput("b"),
        WantedOutput("c", base64=True),
    ) == request.outputs


def definition(*shape: int, unknown_rank: bool = False) -> Any:
    """A SignatureDef: float x of this shape in, y out."""
    made = meta_graph_pb2.SignatureDef()
    made.inputs["x"].dtype = ENUMS[np.dtype(np.float32)]
    made.inputs["x"].tensor_shape.unknown_rank = unknown_rank
    for size in shape:
        made.inputs["x"].tensor_shape.dim.add(size=size)
    made.outputs["y"].dtype = ENUMS[np.dtype(np.float32)]
    return made


def request(*outputs: str, dtype: Any = np.float32, **shapes: tuple[int, ...]) -> InferenceRequest:
    arrays = {name: np.zeros(shape, dtype) for name, shape in shapes.items()}
    return InferenceRequest(None, arrays, tuple(WantedOutput(name) for name in outputs), binary=False)


def test_a_request_that_fits_the_signature_passes() -> None:
    check_signature(request("y", x=(5, 3)), definition(-1, 3))
    check_signature(request(x=(5, 3)), definition(unknown_rank=True))
    check_signature(request(x=(5, 3)), definition())


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (request(x=(5, 4)), "the input x has the shape [-1, 3], and the request has [5, 4]"),
        (request(x=(5,)), "the input x has the shape [-1, 3], and the request has [5]"),
        (request(x=(5, 3), dtype=ml_dtypes.bfloat16), "the input x is FP32, and the request has BF16"),
        (request(), "the input x is missing"),
        (request(x=(5, 3), z=(1,)), "the model has no input 'z'; it has x"),
        (request("z", x=(5, 3)), "the model has no output 'z'; it has y"),
    ],
)
def test_a_request_that_does_not_fit_the_signature_is_refused(given: InferenceRequest, expected: str) -> None:
    with pytest.raises(ProtocolError) as caught:
        check_signature(given, definition(-1, 3))

    assert expected == str(caught.value)
