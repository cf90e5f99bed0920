"""What TensorFlow's messages call types and shapes."""

import numpy as np

from serving.type_names import dtype_name, enum_name, shape_name


def test_types() -> None:
    assert ["float", "int64", "bfloat16", "bool"] == [dtype_name(number) for number in (1, 9, 14, 10)]
    assert ["DT_FLOAT", "DT_INT64", "DT_STRING"] == [
        enum_name(np.dtype(kind)) for kind in (np.float32, np.int64, np.object_)
    ]


def test_what_has_no_name_has_words_all_the_same() -> None:
    assert "type 4711" == dtype_name(4711)
    assert "DT_INVALID" == enum_name(np.dtype("datetime64[s]"))


def test_shapes() -> None:
    assert ["[]", "[2]", "[2,3]"] == [shape_name(shape) for shape in ((), (2,), (2, 3))]
