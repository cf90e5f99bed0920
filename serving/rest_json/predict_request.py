"""A predict body into a PredictRequest: `instances` row by row, or `inputs` column by column."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any

from serving.rest_json.json_document import fill_signature, format_error, parse
from serving.rest_json.json_tensors import Dense, dense, is_base64, leaves_of, shape_of, tensor
from serving.rest_json.json_values import ABSENT, Members, c_string, described
from serving.status import InvalidArgumentError, StatusError
from serving.type_names import shape_name


class JsonPredictFormat(Enum):
    """How a body is laid out, and so how its answer will be; the value is the key that says so."""

    ROW = "instances"
    COLUMN = "inputs"


def fill_predict_request(body: bytes, request: Any, inputs_of: Callable[[str], Mapping[str, Any]]) -> JsonPredictFormat:
    """Fill in signature name and inputs; `inputs_of(name)` gives the TensorInfos of that signature, "" is the default.

    Raises StatusError where TensorFlow Serving does, in its words, and leaves the request half filled then.
    """
    document = parse(body)
    fill_signature(document, request)
    name = request.model_spec.signature_name
    types = {alias: info.dtype for alias, info in sorted(inputs_of(name).items())}
    if not types:
        raise InvalidArgumentError(f"Failed to get input map for signature: {name or 'DEFAULT'}")
    instances, inputs = document.find("instances"), document.find("inputs")
    if instances is ABSENT and inputs is ABSENT:
        raise InvalidArgumentError("Missing 'inputs' or 'instances' key")
    if instances is ABSENT:
        protos = _of_columns(inputs, types)
    elif inputs is ABSENT:
        protos = _of_rows(_instances(instances, document), types)
    else:
        raise format_error(
            document, "Not formatted correctly expecting only one of 'inputs' or 'instances' keys to exist "
        )
    for alias, proto in protos.items():
        request.inputs[alias].CopyFrom(proto)
    return JsonPredictFormat.COLUMN if instances is ABSENT else JsonPredictFormat.ROW


def _instances(value: Any, document: Members) -> list[Any]:
    if not isinstance(value, list):
        raise format_error(document, "Expecting 'instances' to be an list/array")
    if not value:
        raise format_error(document, "No values in 'instances' array")
    return value


def _of_columns(value: Any, types: Mapping[str, int]) -> dict[str, Any]:
    if not _is_named(value):
        if len(types) > 1:
            raise InvalidArgumentError(
                "inputs is a plain value/list, but expecting an object as multiple "
                "input tensors required as per tensorinfo_map"
            )
        return {alias: tensor(value, dtype) for alias, dtype in types.items()}
    protos = {}
    for alias, dtype in types.items():
        item = value.find(alias)
        if item is ABSENT:
            raise InvalidArgumentError(f"Missing named input: {alias} in 'inputs' object.")
        protos[alias] = tensor(item, dtype)
    return protos


def _is_named(value: Any) -> bool:
    """Whether this is an object of named inputs, rather than a value."""
    return isinstance(value, Members) and not is_base64(value)


def _of_rows(instances: list[Any], types: Mapping[str, int]) -> dict[str, Any]:
    if len(types) > 1 and not isinstance(instances[0], Members):
        raise InvalidArgumentError(
            "instances is a plain list, but expecting list of objects as multiple "
            "input tensors required as per tensorinfo_map"
        )
    return _at_once(instances, types) or _one_by_one(instances, types)


def _at_once(instances: list[Any], types: Mapping[str, int]) -> dict[str, Any] | None:
    """The tensors of regular instances; None when only a look at each of them can tell what is wrong."""
    columns = dict.fromkeys(types, instances)
    if _is_named(instances[0]):
        wanted = sorted(types)
        if any(not _is_named(item) or sorted(key for key, _ in item) != wanted for item in instances):
            return None
        columns = {alias: [item.find(alias) for item in instances] for alias in types}
    elif len(types) > 1:
        return None
    protos = {}
    for alias, column in columns.items():
        whole = dense(column)
        if whole is None:
            return None
        try:
            protos[alias] = whole.proto(types[alias])
        except StatusError:
            return None
    return protos


@dataclass
class _Column:
    """The instances of one input so far: all have the shape and number of scalars of the first."""

    shape: list[int]
    size: int
    leaves: list[Any]


def _one_by_one(instances: list[Any], types: Mapping[str, int]) -> dict[str, Any]:
    columns: dict[str, _Column] = {}
    named = _is_named(instances[0])
    for position, item in enumerate(instances):
        if named:
            _add_named(item, position, types, columns)
            continue
        if _is_named(item):
            raise InvalidArgumentError(f"Expecting value/list but got object at item {position} of input list")
        try:
            _add(item, next(iter(types)), types, columns)
        except StatusError as error:
            raise InvalidArgumentError(
                f"Failed to process element: {position} of 'instances' list. Error: {error}"
            ) from error
    return {
        alias: Dense([len(instances), *column.shape], column.leaves[: len(instances) * column.size]).proto(types[alias])
        for alias, column in columns.items()
    }


def _add_named(item: Any, position: int, types: Mapping[str, int], columns: dict[str, _Column]) -> None:
    if not _is_named(item):
        raise InvalidArgumentError(f"Expecting object but got list at item {position} of input list")
    for key, value in item:
        alias = c_string(key)
        try:
            _add(value, alias, types, columns)
        except StatusError as error:
            raise InvalidArgumentError(
                f"Failed to process element: {position} key: {alias} of 'instances' list. Error: {error}"
            ) from error
    if {c_string(key) for key, _ in item} != set(types):
        raise InvalidArgumentError(
            f"Failed to process element: {position} of 'instances' list. JSON object: {described(item)} "
            f"keys must be equal to: {','.join(types)}"
        )


def _add(value: Any, alias: str, types: Mapping[str, int], columns: dict[str, _Column]) -> None:
    if alias not in types:
        raise InvalidArgumentError(f"JSON object: does not have named input: {alias}")
    shape = shape_of(value)
    leaves = leaves_of(value, shape, types[alias])
    column = columns.setdefault(alias, _Column(shape, len(leaves), []))
    if column.size != len(leaves):
        raise InvalidArgumentError(f"Expecting tensor size: {column.size} but got: {len(leaves)}")
    if column.shape != shape:
        raise InvalidArgumentError(f"Expecting shape {shape_name(column.shape)} but got: {shape_name(shape)}")
    column.leaves += leaves
