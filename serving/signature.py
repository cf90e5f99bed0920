"""The inputs and outputs of an image classifier of Understudy. All other code takes their names from here.

    image_bytes    in   string   (batch,)           PNG or JPEG files, as they are on a disk
    probabilities  out  float32  (batch, classes)   of each class, in the order of the labels
    class_index    out  int64    (batch,)           the class with the highest probability, counted from 0
    label          out  string   (batch,)           the label of that class, in UTF-8

That is `serving_default`. The signature `serving_tensor` has the same outputs. Its input is the images as the network
takes them, for a client that has decoded and resized them itself. Models that were exported before 2026-12 lack it.

    pixels         in   float32  (batch, height, width, channels)   in [0, 1]

The signature `serving_labels` gives the labels of all classes. They are the same in each row: a row is there because
servers that batch requests accept only signatures with rows in all inputs and outputs. Models that were exported before
2026-12 lack it too.

    rows           in   int64    (batch,)           1 to 1024 numbers of any value
    labels         out  string   (batch, classes)   of all classes, in the order of the probabilities, in UTF-8

The names are a contract with clients, and so are the labels and their order. An array of strings is a NumPy array of
objects, each of them `bytes`, as in `serving/wire.py`. No TensorFlow is loaded by this module.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from serving.apis import model_pb2, predict_pb2, tensor_pb2, tensor_shape_pb2, types_pb2
from serving.wire import Array, to_proto

# The name of the signature. A server uses it if a request names none.
NAME = "serving_default"
TENSOR_NAME = "serving_tensor"
LABELS_NAME = "serving_labels"

INPUT = "image_bytes"
PIXELS = "pixels"
PROBABILITIES = "probabilities"
CLASS_INDEX = "class_index"
LABEL = "label"
OUTPUTS = (PROBABILITIES, CLASS_INDEX, LABEL)
ROWS = "rows"
LABELS = "labels"
# Of `serving_labels`: a small request must not make a server build a large answer.
MOST_ROWS = 1024

# In a TensorShapeProto: a dimension of any size.
_ANY = -1
# Dimensions that a model fixes and this contract does not, in the order of a shape.
_SIZES = ("height", "width", "channels")

# A data type, and the size of each dimension, or its name if any fixed size will do.
_Promise = tuple[int, Sequence[int | str]]
_Promises = Mapping[str, _Promise]


def inputs_of(images: Sequence[bytes]) -> dict[str, Array]:
    """The inputs of a request for encoded images: one array of strings, of shape (batch,).

    `np.array(images)` would not do: it makes strings of one width, which lose the zeros at their ends.
    """
    batch = np.empty(len(images), dtype=np.object_)
    batch[:] = images
    return {INPUT: batch}


def predict_request(model: str, images: Sequence[bytes]) -> Any:
    """The PredictRequest for encoded images, without a version or a version label."""
    inputs = {name: to_proto(array) for name, array in inputs_of(images).items()}
    return predict_pb2.PredictRequest(model_spec=model_pb2.ModelSpec(name=model, signature_name=NAME), inputs=inputs)


def tensor_request(model: str, batch: int, *, height: int, width: int, channels: int) -> Any:
    """A PredictRequest of grey images for the signature TENSOR_NAME: small, because it names the one value once."""
    shape = tensor_shape_pb2.TensorShapeProto(
        dim=[tensor_shape_pb2.TensorShapeProto.Dim(size=size) for size in (batch, height, width, channels)]
    )
    pixels = tensor_pb2.TensorProto(dtype=types_pb2.DT_FLOAT, tensor_shape=shape, float_val=[0.5])
    spec = model_pb2.ModelSpec(name=model, signature_name=TENSOR_NAME)
    return predict_pb2.PredictRequest(model_spec=spec, inputs={PIXELS: pixels})


def labels_request(model: str) -> Any:
    """The PredictRequest for the labels of all classes, without a version or a version label."""
    spec = model_pb2.ModelSpec(name=model, signature_name=LABELS_NAME)
    return predict_pb2.PredictRequest(model_spec=spec, inputs={ROWS: to_proto(one_row()[ROWS])})


def one_row() -> dict[str, Array]:
    """The inputs of a request for the labels of all classes."""
    return {ROWS: np.zeros(1, np.int64)}


def all_labels_of(outputs: Mapping[str, Array]) -> tuple[str, ...]:
    """The labels of all classes in an answer's outputs by name.

    Raises:
        ValueError: there is no such output, or it does not hold labels.
    """
    found = outputs.get(LABELS)
    if found is None or found.dtype != np.object_ or found.ndim != 2 or not found.size:
        raise ValueError(f"there is no output {LABELS!r} of strings of shape (rows, classes), only {sorted(outputs)}")
    return tuple(value.decode() for value in found[0].tolist())


def probabilities_of(outputs: Mapping[str, Array]) -> Array:
    """The probabilities in an answer's outputs by name: float32, shape (batch, classes).

    Raises:
        KeyError: there is no such output.
    """
    return outputs[PROBABILITIES]


def indices_of(outputs: Mapping[str, Array]) -> list[int]:
    """The class number of each image in an answer's outputs by name.

    Raises:
        KeyError: there is no such output.
    """
    return [int(value) for value in outputs[CLASS_INDEX].tolist()]


def labels_of(outputs: Mapping[str, Array]) -> list[str]:
    """The label of each image in an answer's outputs by name.

    Raises:
        KeyError: there is no such output.
    """
    return [value.decode() for value in outputs[LABEL].tolist()]


def feeds_and_fetches(definition: Any, images: Sequence[bytes]) -> tuple[dict[str, Array], list[str]]:
    """The feeds and fetches to run a loaded model on encoded images, by names in its graph.

    Args:
        definition: its SignatureDef of the name NAME.
        images: encoded images.

    Returns:
        The feeds by name, and the names of the fetches in the order of OUTPUTS.
    """
    return _feeds(definition, inputs_of(images)), _fetches(definition)


def tensor_feeds_and_fetches(definition: Any, pixels: Array) -> tuple[dict[str, Array], list[str]]:
    """As `feeds_and_fetches`, for the SignatureDef of the name TENSOR_NAME and a batch of pixels."""
    return _feeds(definition, {PIXELS: pixels}), _fetches(definition)


def _feeds(definition: Any, inputs: Mapping[str, Array]) -> dict[str, Array]:
    return {definition.inputs[name].name: array for name, array in inputs.items()}


def _fetches(definition: Any) -> list[str]:
    return [definition.outputs[name].name for name in OUTPUTS]


def contract_problems(signatures: Mapping[str, Any], *, labels: Sequence[str]) -> list[str]:
    """Where SignatureDefs, by name, break the contract of this module, as sentences; empty if they keep it.

    The signatures TENSOR_NAME and LABELS_NAME may be missing, and are compared if they exist.

    `labels` are those of the model, in their order: `probabilities` must have as many columns.
    """
    signature = signatures.get(NAME)
    if signature is None:
        return [f"no signature {NAME!r}, only {sorted(signatures)}"]
    classified: _Promises = {
        PROBABILITIES: (types_pb2.DT_FLOAT, [_ANY, len(labels)]),
        CLASS_INDEX: (types_pb2.DT_INT64, [_ANY]),
        LABEL: (types_pb2.DT_STRING, [_ANY]),
    }
    problems = _problems(signature, {INPUT: (types_pb2.DT_STRING, [_ANY])}, classified)
    further: dict[str, tuple[_Promises, _Promises]] = {
        TENSOR_NAME: ({PIXELS: (types_pb2.DT_FLOAT, [_ANY, *_SIZES])}, classified),
        LABELS_NAME: (
            {ROWS: (types_pb2.DT_INT64, [_ANY])},
            {LABELS: (types_pb2.DT_STRING, [_ANY, len(labels)])},
        ),
    }
    for name in [each for each in further if each in signatures]:
        found = _problems(signatures[name], *further[name])
        problems.extend(f"{problem}, in the signature {name!r}" for problem in found)
    return problems


def _problems(signature: Any, inputs: _Promises, outputs: _Promises) -> list[str]:
    return [
        *_differences("input", signature.inputs, inputs),
        *_differences("output", signature.outputs, outputs),
    ]


def _differences(what: str, found: Mapping[str, Any], wanted: Mapping[str, _Promise]) -> list[str]:
    problems = [f"{what} {name!r} is not promised" for name in sorted(set(found) - set(wanted))]
    for name, (dtype, shape) in wanted.items():
        promise = f"{types_pb2.DataType.Name(dtype)} [{', '.join(map(str, shape))}]"
        if name not in found:
            problems.append(f"{what} {name!r}, {promise}, is missing")
            continue
        given = found[name]
        given_shape = [dim.size for dim in given.tensor_shape.dim]
        if given.dtype != dtype or not _fits(given_shape, shape):
            given_as = f"{types_pb2.DataType.Name(given.dtype)} {given_shape}"
            problems.append(f"{what} {name!r} is {given_as}, not {promise}")
    return problems


def _fits(given: Sequence[int], wanted: Sequence[int | str]) -> bool:
    return len(given) == len(wanted) and all(
        size > 0 if isinstance(one, str) else size == one for size, one in zip(given, wanted, strict=True)
    )
