import tracemalloc
from typing import Any

import ml_dtypes
import numpy as np
import pytest

from serving.apis import tensor_pb2, types_pb2
from serving.wire import KINDS, from_proto, to_proto
from tests.serving.model_server.world import floats

EXAMPLES = [
    np.array([[1.5, -2.0]], dtype)
    for dtype in (np.float16, np.float32, np.float64, ml_dtypes.bfloat16, np.complex64, np.complex128)
] + [
    np.array([], np.float32),
    np.array(7, np.int64),
    np.array([True, False]),
    np.array([[b"", b"\x00\xff\x00"], [b"x" * 300, b"y"]], np.object_),
    *(np.array([0, 200], dtype) for dtype in (np.uint8, np.uint16, np.uint32, np.uint64, np.int16, np.int32)),
    np.array([-128, 127], np.int8),
]


@pytest.mark.parametrize("as_content", [False, True])
@pytest.mark.parametrize("array", EXAMPLES, ids=lambda array: f"{array.dtype}-{array.shape}")
def test_every_type_survives_the_wire(array: Any, *, as_content: bool) -> None:
    proto = to_proto(array, as_content=as_content)

    again = from_proto(tensor_pb2.TensorProto.FromString(proto.SerializeToString()))

    assert (array.dtype, array.shape) == (again.dtype, again.shape)
    assert array.tolist() == again.tolist()


def test_every_type_has_an_example() -> None:
    assert {kind.dtype for kind in KINDS.values()} == {array.dtype for array in EXAMPLES}


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.complex64, np.complex128])
def test_many_fractions_are_written_without_a_python_number_for_each(dtype: Any) -> None:
    """A million of them took 30 ms, in which no other request was answered, and 32 bytes each."""
    array = np.zeros(1_000_000, dtype)
    tracemalloc.start()
    to_proto(array)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert peak < 3 * array.nbytes


@pytest.mark.parametrize(
    ("values", "expected"),
    [([1, 2, 3], [1, 2, 3]), ([4], [4, 4, 4]), ([1, 2], [1, 2, 2]), ([], [0, 0, 0]), ([1, 2, 3, 4], [1, 2, 3])],
)
def test_values_fill_the_shape_as_tensorflow_fills_it(values: list[float], expected: list[float]) -> None:
    assert expected == from_proto(floats(values, [3])).tolist()


BAD = {
    "content too short": tensor_pb2.TensorProto(
        dtype=types_pb2.DT_FLOAT, tensor_content=b"12", tensor_shape={"dim": [{"size": 1}]}
    ),
    "no type": tensor_pb2.TensorProto(tensor_content=b"1234"),
    "a type that cannot be sent": tensor_pb2.TensorProto(dtype=types_pb2.DT_RESOURCE),
    "negative size": floats([1], [-1]),
    "unknown rank": tensor_pb2.TensorProto(
        dtype=types_pb2.DT_FLOAT, float_val=[1], tensor_shape={"unknown_rank": True}
    ),
    "more memory than anyone has": floats([1], [2**40, 2**10]),
    "a flood of empty strings": tensor_pb2.TensorProto(
        dtype=types_pb2.DT_STRING, tensor_shape={"dim": [{"size": 2**40}]}
    ),
    "fewer of them, which still took ten gigabytes": tensor_pb2.TensorProto(
        dtype=types_pb2.DT_STRING, tensor_shape={"dim": [{"size": 10**8}]}
    ),
    "strings without their lengths": tensor_pb2.TensorProto(
        dtype=types_pb2.DT_STRING, tensor_content=b"\xff\xff\xff\xff\xff\xff", tensor_shape={"dim": [{"size": 2}]}
    ),
    "strings longer than their bytes": tensor_pb2.TensorProto(
        dtype=types_pb2.DT_STRING, tensor_content=b"\x05ab", tensor_shape={"dim": [{"size": 1}]}
    ),
}


@pytest.mark.parametrize("proto", BAD.values(), ids=BAD)
def test_parts_that_do_not_agree_are_refused(proto: Any) -> None:
    with pytest.raises(ValueError, match=r"tensor|shape"):
        from_proto(proto)
