"""Predict bodies into tensors: what upstream's json_tensor_test.cc says, and what its source says beyond."""

import json
from typing import Any

import numpy as np
import pytest
from grpc import StatusCode

from serving.apis import meta_graph_pb2, predict_pb2, types_pb2
from serving.inference.predict import predict
from serving.rest_json.predict_request import JsonPredictFormat, fill_predict_request
from serving.status import InvalidArgumentError, NotFoundError, StatusError
from serving.wire import Array, from_proto
from tests.serving.model_server.world import Times

DEEP = 100_000


def fill(body: bytes | str, request: Any = None, **dtypes: str) -> tuple[JsonPredictFormat, dict[str, Array]]:
    """The layout of the body and its tensors, for a signature with inputs of these types."""
    request = predict_pb2.PredictRequest() if request is None else request
    infos = {alias: meta_graph_pb2.TensorInfo(dtype=f"DT_{name}") for alias, name in dtypes.items()}
    form = fill_predict_request(body.encode() if isinstance(body, str) else body, request, lambda _: infos)
    return form, {alias: from_proto(proto) for alias, proto in request.inputs.items()}


def rows(instances: str | bytes, **dtypes: str) -> dict[str, Array]:
    instances = instances.encode() if isinstance(instances, str) else instances
    form, tensors = fill(b'{"instances": %s}' % instances, **dtypes)
    assert form is JsonPredictFormat.ROW
    return tensors


def columns(inputs: str, **dtypes: str) -> dict[str, Array]:
    form, tensors = fill(f'{{"inputs": {inputs}}}', **dtypes)
    assert form is JsonPredictFormat.COLUMN
    return tensors


def same(actual: Array, expected: Any, dtype: Any) -> bool:
    wanted = np.array(expected, dtype)
    nan = wanted.dtype.kind == "f"
    return actual.dtype == wanted.dtype and np.array_equal(actual, wanted, equal_nan=nan)


ROWS: dict[str, tuple[str, str, Any, Any]] = {
    "matrix": ("[[1,2],[3,4],[5,6]]", "INT32", [[1, 2], [3, 4], [5, 6]], np.int32),
    "named": ('[{"x": [[1],[2]]}]', "INT32", [[[1], [2]]], np.int32),
    "ints and floats": ("[1, 2.0, 3, 5.003, 0.007, 0.0]", "FLOAT", [1, 2, 3, 5.003, 0.007, 0], np.float32),
    "doubles": ("[1.0, 2, 0.662, 0]", "DOUBLE", [1, 2, 0.662, 0], np.float64),
    "lost precision, int": ("[1435774380]", "FLOAT", [1435774336], np.float32),
    "lost precision, float": ("[1435774380.0]", "FLOAT", [1435774336], np.float32),
    "beyond float": ("[1.7976931348623157e308, -1e39]", "FLOAT", [np.inf, -np.inf], np.float32),
    "below float": ("[2.2e-308, -2.2e-308]", "FLOAT", [0.0, -0.0], np.float32),
    "not finite": ("[NaN, Infinity, -Infinity]", "DOUBLE", [np.nan, np.inf, -np.inf], np.float64),
    "integer beyond 64 bits": (f"[{10**30}]", "DOUBLE", [1e30], np.float64),
    "int64": ("[9223372036854775807, -9223372036854775808]", "INT64", [2**63 - 1, -(2**63)], np.int64),
    "uint64": ("[18446744073709551615]", "UINT64", [2**64 - 1], np.uint64),
    "uint32": ("[4294967295]", "UINT32", [2**32 - 1], np.uint32),
    "bool": ("[[true],[false]]", "BOOL", [[True], [False]], np.bool_),
    "wraps round": ("[300, -1]", "UINT8", [44, 255], np.uint8),
    "no values": ("[[],[]]", "FLOAT", [[], []], np.float32),
    "base64": ('[{"b64": "aGVsbG8="}, {"b64": "d29ybGQ="}]', "STRING", [b"hello", b"world"], object),
    "base64 in lists": ('[[{"b64": "aGVsbG8="}], ["plain"]]', "STRING", [[b"hello"], [b"plain"]], object),
    "base64, named": ('[{"x": [[{"b64": "aGk="}]]}, {"x": [["a"]]}]', "STRING", [[[b"hi"]], [[b"a"]]], object),
    "an input called b64": ('[{"b64": 1}]', "INT32", [1], np.int32),
    "characters": ('["\\u00e9", "\\ud83d\\ude00"]', "STRING", ["é".encode(), "😀".encode()], object),
}


@pytest.mark.parametrize("case", ROWS)
def test_instances_become_the_rows_of_a_tensor(case: str) -> None:
    text, dtype, expected, numpy_dtype = ROWS[case]
    alias = "b64" if "called" in case else "x"

    assert same(rows(text, **{alias: dtype})[alias], expected, numpy_dtype)


def test_bytes_that_are_not_utf8_pass_unchanged() -> None:
    assert rows(b'["\xff\xfe"]', x="STRING")["x"].tolist() == [b"\xff\xfe"]


def test_named_instances_become_one_tensor_per_input() -> None:
    tensors = rows(
        """[{"i": [[1,2],[3,4]], "s": ["foo", "bar"], "f": [1.0, NaN], "d": [NaN]},
            {"d": [2.0], "f": [2.0, Infinity], "s": ["baz", "bat"], "i": [[7,8],[9,0]]}]""",
        i="INT32",
        s="STRING",
        f="FLOAT",
        d="DOUBLE",
    )

    assert same(tensors["i"], [[[1, 2], [3, 4]], [[7, 8], [9, 0]]], np.int32)
    assert same(tensors["s"], [[b"foo", b"bar"], [b"baz", b"bat"]], object)
    assert same(tensors["f"], [[1, np.nan], [2, np.inf]], np.float32)
    assert same(tensors["d"], [[np.nan], [2]], np.float64)


def test_of_an_input_that_comes_twice_in_an_instance_the_surplus_is_dropped() -> None:
    """As upstream: the values follow each other, and the tensor takes as many as its shape wants."""
    assert rows('[{"x": 1, "x": 2}, {"x": 3}]', x="INT32")["x"].tolist() == [1, 2]


COLUMNS: dict[str, tuple[str, str, Any, Any]] = {
    "named": ('{"x": [[[1,2],[3,4]]]}', "INT32", [[[1, 2], [3, 4]]], np.int32),
    "not named": ("[[[1,2],[3,4]]]", "INT32", [[[1, 2], [3, 4]]], np.int32),
    "scalar": ("2", "FLOAT", 2, np.float32),
    "base64": ('{"b64": "aGVsbG8="}', "STRING", b"hello", object),
    "none": ("[]", "INT64", [], np.int64),
    "members nobody wants": ('{"x": 1, "y": "?"}', "INT64", 1, np.int64),
    "twice": ('{"x": 1, "x": "?"}', "INT64", 1, np.int64),
}


@pytest.mark.parametrize("case", COLUMNS)
def test_inputs_become_tensors_as_they_are(case: str) -> None:
    text, dtype, expected, numpy_dtype = COLUMNS[case]

    assert same(columns(text, x=dtype)["x"], expected, numpy_dtype)


def test_named_inputs_need_not_agree_on_a_batch_size() -> None:
    tensors = columns('{"i": [[1,2]], "s": ["a", "b"], "b": {"b64": "aGk="}}', i="INT32", s="STRING", b="STRING")

    assert {alias: tensor.shape for alias, tensor in tensors.items()} == {"i": (1, 2), "s": (2,), "b": ()}


@pytest.mark.parametrize("key", ["instances", "inputs"])
def test_a_large_image_keeps_every_value(key: str) -> None:
    image = np.random.default_rng(0).random((1, 32, 32, 3), np.float32)

    _, tensors = fill(json.dumps({key: image.tolist()}), x="FLOAT")

    assert same(tensors["x"], image, np.float32)


def test_the_signature_name_goes_into_the_request_and_to_the_caller_of_whom_inputs_are_asked() -> None:
    asked = []
    request = predict_pb2.PredictRequest()

    def inputs_of(name: str) -> dict[str, Any]:
        asked.append(name)
        return {"x": meta_graph_pb2.TensorInfo(dtype=types_pb2.DT_INT32)}

    fill_predict_request(b'{"signature_name": "other", "instances": [1]}', request, inputs_of)
    fill_predict_request(b'{"instances": [1]}', predict_pb2.PredictRequest(), inputs_of)

    assert asked == ["other", ""]
    assert request.model_spec.signature_name == "other"


def test_what_the_caller_raises_goes_through() -> None:
    def inputs_of(name: str) -> dict[str, Any]:
        raise NotFoundError("no such model")

    with pytest.raises(NotFoundError, match="no such model"):
        fill_predict_request(b'{"instances": [1]}', predict_pb2.PredictRequest(), inputs_of)


DECODED = {
    "aGk=": b"hi",
    "aGk": b"hi",
    "aGk.": b"hi",
    "aGl=": b"hi",
    " a G\\nk\\t= ": b"hi",
    "/+8=": b"\xff\xef",
    "": b"",
}


@pytest.mark.parametrize("text", DECODED)
def test_base64_is_read_as_abseil_reads_it(text: str) -> None:
    assert columns(f'{{"b64": "{text}"}}', x="STRING")["x"].item() == DECODED[text]


@pytest.mark.parametrize("text", ["a", "aGk==", "a=Gk", "_-8=", "aGk=aGk=", "aGk*", "====", "é"])
def test_base64_that_abseil_refuses_is_refused(text: str) -> None:
    with pytest.raises(InvalidArgumentError, match=r": Unable to base64 decode$"):
        columns(f'{{"b64": "{text}"}}', x="STRING")


def element(number: int, error: str, code: str = "INVALID_ARGUMENT") -> str:
    return f"Failed to process element: {number} of 'instances' list. Error: {code}: {error}"


def wrong_type(value: str, kind: str, expected: str) -> str:
    return f"JSON Value: {value} Type: {kind} is not of expected type: {expected}"


ONE = {"x": "INT32"}
TWO = {"i": "INT32", "s": "STRING"}
PLAIN = "but expecting {} as multiple input tensors required as per tensorinfo_map"
REFUSALS: dict[str, tuple[dict[str, str], str]] = {
    "{}": (ONE, "Missing 'inputs' or 'instances' key"),
    '{"instances": 1, "inputs": 2}': (
        ONE,
        'JSON Value: {\n    "instances": 1,\n    "inputs": 2\n} Not formatted correctly expecting only one of '
        "'inputs' or 'instances' keys to exist ",
    ),
    '{"instances": 1}': (ONE, "JSON Value: {\n    \"instances\": 1\n} Expecting 'instances' to be an list/array"),
    '{"instances": []}': (ONE, "JSON Value: {\n    \"instances\": []\n} No values in 'instances' array"),
    '{"signature_name": 5}': (
        ONE,
        'JSON Value: {\n    "signature_name": 5\n} not formatted correctly. '
        "'signature_name' key must be a string value.",
    ),
    '{"instances": [1] }': ({}, "Failed to get input map for signature: DEFAULT"),
    '{"signature_name": "s"}': ({}, "Failed to get input map for signature: s"),
    # Shapes.
    '{"instances": [[1,2],[3,4,5]]}': (ONE, element(1, "Expecting tensor size: 2 but got: 3")),
    '{"instances": [[1,2],[[5,6]]]}': (ONE, element(1, "Expecting shape [2] but got: [1,2]")),
    '{"instances": [1,[1]]}': (ONE, element(1, "Expecting shape [] but got: [1]")),
    '{"instances": [[1,[2]]]}': (ONE, element(0, "Encountered list at unexpected level: 1 expected < 1")),
    '{"instances": [[[1],[2,3]]]}': (
        ONE,
        element(0, "Encountered list at unexpected size: 2 at level: 1 expected size: 1"),
    ),
    '{"instances": [[[1],2]]}': (
        ONE,
        element(0, "JSON Value: 2 found at incorrect level: 2 in the JSON DOM. Expected at level: 2"),
    ),
    '{"inputs": [[1],[2,3]]}': (ONE, "Encountered list at unexpected size: 2 at level: 1 expected size: 1"),
    # Types.
    '{"instances": [[1,2],["a","b"]]}': (ONE, element(1, wrong_type('"a"', "String", "int32"))),
    '{"instances": [1.0]}': (ONE, element(0, wrong_type("1.0", "Number", "int32"))),
    '{"instances": [NaN]}': (ONE, element(0, wrong_type("", "Number", "int32"))),
    '{"instances": [2147483648]}': (ONE, element(0, wrong_type("2147483648", "Number", "int32"))),
    '{"instances": [{"b64": "aGk="}]}': (
        ONE,
        element(0, wrong_type('{\n    "b64": "aGk="\n}', "Object", "int32")),
    ),
    '{"inputs": 9223372036854775808}': ({"x": "INT64"}, wrong_type("9223372036854775808", "Number", "int64")),
    '{"inputs": -1}': ({"x": "UINT64"}, wrong_type("-1", "Number", "uint64")),
    '{"inputs": -2}': ({"x": "UINT32"}, wrong_type("-2", "Number", "uint32")),
    '{"inputs": 18446744073709551616}': (
        {"x": "UINT64"},
        wrong_type("18446744073709552000.0", "Number", "uint64"),
    ),
    '{"inputs": [1, true]}': ({"x": "FLOAT"}, wrong_type("true", "True", "float")),
    '{"inputs": ["1"]}': ({"x": "FLOAT"}, wrong_type('"1"', "String", "float")),
    '{"inputs": [1.0, null]}': ({"x": "DOUBLE"}, wrong_type("null", "Null", "double")),
    '{"inputs": 1}': ({"x": "BOOL"}, wrong_type("1", "Number", "bool")),
    '{"inputs": false}': ({"x": "INT8"}, wrong_type("false", "False", "int8")),
    '{"inputs": [2]}': ({"x": "STRING"}, wrong_type("2", "Number", "string")),
    '{"instances": [1.5]}': (
        {"x": "HALF"},
        element(0, "Conversion of JSON Value: 1.5 to type: half", "UNIMPLEMENTED"),
    ),
    '{"instances": [["a", {"k": 1}]]}': (
        {"x": "STRING"},
        element(0, 'JSON Value: {\n    "k": 1\n} not formatted correctly for base64 data'),
    ),
    '{"instances": [{"b64": "?"}]}': ({"x": "STRING"}, element(0, "Unable to base64 decode")),
    # Names.
    '{"instances": [[1]]}': (TWO, "instances is a plain list, " + PLAIN.format("list of objects")),
    '{"inputs": [[1]]}': (TWO, "inputs is a plain value/list, " + PLAIN.format("an object")),
    '{"inputs": {"i": 1}}': (TWO, "Missing named input: s in 'inputs' object."),
    '{"instances": [{"i": 1, "s": "a"}, {"i": 1}]}': (
        TWO,
        "Failed to process element: 1 of 'instances' list. JSON object: {\n    \"i\": 1\n} keys must be equal to: i,s",
    ),
    '{"instances": [{"i": 1, "q": "a"}]}': (
        TWO,
        "Failed to process element: 0 key: q of 'instances' list. "
        "Error: INVALID_ARGUMENT: JSON object: does not have named input: q",
    ),
    '{"instances": [{"i": [[1]], "s": "a"}, {"i": [1], "s": "b"}]}': (
        TWO,
        "Failed to process element: 1 key: i of 'instances' list. "
        "Error: INVALID_ARGUMENT: Expecting shape [1,1] but got: [1]",
    ),
    '{"instances": [{"i": 1, "s": "a"}, [1, 20]]}': (
        TWO,
        "Expecting object but got list at item 1 of input list",
    ),
    '{"instances": [["a"], {"x": ["b"]}]}': (
        {"x": "STRING"},
        "Expecting value/list but got object at item 1 of input list",
    ),
    '{"instances": [1': (ONE, "JSON Parse error: Missing a comma or ']' after an array element. at offset: 16"),
}


@pytest.mark.parametrize("body", REFUSALS)
def test_a_body_is_refused_in_upstreams_words(body: str) -> None:
    dtypes, message = REFUSALS[body]

    with pytest.raises(InvalidArgumentError) as caught:
        fill(body, **dtypes)

    assert message == caught.value.message


def test_a_type_json_has_no_form_for_is_not_implemented() -> None:
    with pytest.raises(StatusError, match=r"^UNIMPLEMENTED: Conversion of JSON Value: 1 to type: complex64$") as caught:
        columns("1", x="COMPLEX64")

    assert caught.value.code is StatusCode.UNIMPLEMENTED


def test_a_signature_name_that_is_not_utf8_is_not_found() -> None:
    with pytest.raises(InvalidArgumentError, match="not found in signature def"):
        fill(b'{"signature_name": "\xff", "instances": [1]}', x="INT32")


def test_members_nobody_asks_for_may_be_nested_deeply() -> None:
    body = f'{{"instances": [1], "other": {"[" * DEEP}{"]" * DEEP}}}'

    assert fill(body, x="INT32")[1]["x"].tolist() == [1]


NESTED = {
    "key must be a string value": '{"signature_name": [[]]}',
    "Expecting shape": '{"instances": [1, [[1]]]}',
    "JSON Parse error": '{"instances": [[1, []]}',
    "unexpected level": '{"instances": [[1, [1] ]]}',
    "is not of expected type": '{"inputs": [[true]]}',
}


@pytest.mark.parametrize("message", NESTED)
def test_deep_nesting_is_refused_like_anything_else(message: str) -> None:
    body = NESTED[message].replace("[[", "[" * DEEP).replace("]]", "]" * DEEP)

    with pytest.raises(InvalidArgumentError, match=message):
        fill(body, x="INT32")


def test_a_tensor_of_more_dimensions_than_there_can_be_is_refused_by_predict() -> None:
    request = predict_pb2.PredictRequest()
    infos = {"x": meta_graph_pb2.TensorInfo(dtype=types_pb2.DT_FLOAT)}
    fill_predict_request(f'{{"inputs": {"[" * DEEP}1{"]" * DEEP}}}'.encode(), request, lambda _: infos)

    with pytest.raises(InvalidArgumentError, match="tensor parsing error: x"):
        predict(Times(2), request)
