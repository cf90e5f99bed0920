"""The body of an inference request, and whether it fits the model's signature."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NoReturn

from serving.gateway.inference_protocol.binary_data import array_of_bytes
from serving.gateway.inference_protocol.datatypes import DTYPES, ProtocolError, name_of, name_of_enum, shown
from serving.gateway.inference_protocol.tensor_data import BASE64, array_of
from serving.wire import Array

# As many as TensorFlow allows.
MOST_DIMENSIONS = 254


@dataclass(frozen=True)
class WantedOutput:
    """An output, and its form: raw bytes behind the JSON, strings in base64, or as JSON has them."""

    name: str
    binary: bool = False
    base64: bool = False


@dataclass(frozen=True)
class InferenceRequest:
    """A request, its tensors as arrays.

    Attributes:
        id: comes back with the answer; None if the request has none.
        inputs: by name.
        outputs: those that are wanted; empty for all.
        binary: whether outputs are raw bytes where `outputs` does not name them.
    """

    id: str | None
    inputs: Mapping[str, Array]
    outputs: tuple[WantedOutput, ...]
    binary: bool


def parse_request(body: bytes, *, json_bytes: int | None = None) -> InferenceRequest:
    """Parse a request.

    Args:
        body: JSON, and behind it the tensors that are raw bytes.
        json_bytes: how much of it is JSON, as the header Inference-Header-Content-Length says; None for all.

    Raises:
        ProtocolError: it does not follow the protocol.
    """
    if json_bytes is not None and json_bytes > len(body):
        raise ProtocolError(f"Inference-Header-Content-Length is {json_bytes}, and the body has {len(body)} bytes")
    document = _document(body if json_bytes is None else body[:json_bytes])
    request_id = document.get("id")
    if request_id is not None and not isinstance(request_id, str):
        raise ProtocolError("id must be a string")
    parameters = _parameters(document, "the request")
    rest = _Rest(b"" if json_bytes is None else body[json_bytes:])
    inputs: dict[str, Array] = {}
    for item in _items(document, "inputs"):
        name = _name(item, "inputs")
        if name in inputs:
            raise ProtocolError(f"the input {shown(name)} is given twice")
        inputs[name] = _input(item, name, rest)
    rest.check_empty()
    binary = parameters.get("binary_data_output") is True
    return InferenceRequest(request_id, inputs, tuple(_outputs(document, binary=binary)), binary)


def check_signature(request: InferenceRequest, definition: Any) -> None:
    """Compare a request with a SignatureDef.

    Raises:
        ProtocolError: the model would not take it.
    """
    known = definition.inputs
    for name in request.inputs:
        if name not in known:
            raise ProtocolError(f"the model has no input {shown(name)}; it has {', '.join(sorted(known))}")
    for name, info in sorted(known.items()):
        if name not in request.inputs:
            raise ProtocolError(f"the input {name} is missing")
        _check_tensor(name, request.inputs[name], info)
    for output in request.outputs:
        if output.name not in definition.outputs:
            outputs = ", ".join(sorted(definition.outputs))
            raise ProtocolError(f"the model has no output {shown(output.name)}; it has {outputs}")


def shape_of(info: Any) -> list[int]:
    """The shape in a TensorInfo; -1 stands for any size, and alone for any shape."""
    return [-1] if info.tensor_shape.unknown_rank else [dim.size for dim in info.tensor_shape.dim]


def _check_tensor(name: str, array: Array, info: Any) -> None:
    wanted, given = name_of_enum(info.dtype), name_of(array.dtype)
    if wanted != given:
        raise ProtocolError(f"the input {name} is {wanted}, and the request has {given}")
    if info.tensor_shape.unknown_rank or not info.tensor_shape.dim:
        return  # without dimensions: a scalar, or a model that does not say
    sizes = shape_of(info)
    fits = len(sizes) == array.ndim and all(size in (-1, got) for size, got in zip(sizes, array.shape, strict=True))
    if not fits:
        raise ProtocolError(f"the input {name} has the shape {sizes}, and the request has {list(array.shape)}")


class _Rest:
    """The bytes behind the JSON; inputs take theirs in order."""

    def __init__(self, content: bytes) -> None:
        self._content = content
        self._at = 0

    def take(self, size: Any) -> bytes:
        if type(size) is not int or not 0 <= size <= len(self._content) - self._at:
            left = len(self._content) - self._at
            raise ProtocolError(f"has the binary_data_size {shown(size)}, and {left} bytes are left behind the JSON")
        self._at += size
        return self._content[self._at - size : self._at]

    def check_empty(self) -> None:
        if self._at != len(self._content):
            raise ProtocolError(f"{len(self._content) - self._at} bytes behind the JSON belong to no input")


def _document(text: bytes) -> dict[str, Any]:
    try:
        document = json.loads(text, parse_constant=_refuse_constant)
    except RecursionError as error:
        raise ProtocolError("the JSON is nested too deeply") from error
    except ValueError as error:  # also for bytes that are not UTF-8, and for thousands of digits
        raise ProtocolError("the body is not JSON in UTF-8") from error
    if not isinstance(document, dict):
        raise ProtocolError("the body is not a JSON object")
    return document


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def _items(document: Mapping[str, Any], key: str) -> list[Any]:
    items = document.get(key)
    if not isinstance(items, list) or not items:
        raise ProtocolError(f"{key} must be a list of tensors, at least one")
    return items


def _name(item: Any, key: str) -> str:
    name = item.get("name") if isinstance(item, dict) else None
    if not isinstance(name, str):
        raise ProtocolError(f"each of {key} must be an object with a name")
    try:
        name.encode()
    except UnicodeEncodeError as error:
        # A SignatureDef cannot even be asked for it.
        raise ProtocolError(f"the name {shown(name)} in {key} is not Unicode text") from error
    return name


def _parameters(item: Mapping[str, Any], what: str) -> Mapping[str, Any]:
    parameters = item.get("parameters")
    if parameters is None:
        return {}
    if not isinstance(parameters, dict):
        raise ProtocolError(f"the parameters of {what} must be an object")
    return parameters


def _input(item: Mapping[str, Any], name: str, rest: _Rest) -> Array:
    what = f"the input {shown(name)}"
    parameters = _parameters(item, what)
    try:
        datatype, shape = _datatype(item.get("datatype")), _shape(item.get("shape"))
        if "binary_data_size" in parameters:
            return array_of_bytes(rest.take(parameters["binary_data_size"]), datatype=datatype, shape=shape)
        return array_of(item.get("data"), datatype=datatype, shape=shape, content_type=parameters.get("content_type"))
    except ProtocolError as error:
        raise ProtocolError(f"{what} {error}") from error


def _datatype(value: Any) -> str:
    if not isinstance(value, str) or value not in DTYPES:
        raise ProtocolError(f"has the datatype {shown(value)}, which is none of {', '.join(DTYPES)}")
    return value


def _shape(value: Any) -> list[int]:
    sizes = value if isinstance(value, list) and len(value) <= MOST_DIMENSIONS else None
    if sizes is None or not all(type(size) is int and 0 <= size < 2**31 for size in sizes):
        raise ProtocolError(f"needs a shape of at most {MOST_DIMENSIONS} integers from 0 to {2**31 - 1}")
    return sizes


def _outputs(document: Mapping[str, Any], *, binary: bool) -> Iterator[WantedOutput]:
    if document.get("outputs") is None:
        return
    names = set()
    for item in _items(document, "outputs"):
        name = _name(item, "outputs")
        if name in names:
            raise ProtocolError(f"the output {shown(name)} is given twice")
        names.add(name)
        parameters = _parameters(item, f"the output {shown(name)}")
        wanted = parameters.get("binary_data", binary)
        yield WantedOutput(name, binary=wanted is True, base64=parameters.get("content_type") == BASE64)
