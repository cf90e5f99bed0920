"""A classify or regress body into its request: JSON objects into tf.Examples."""

from collections.abc import Iterable
from typing import Any

from serving.rest_json.json_document import fill_signature, format_error, parse
from serving.rest_json.json_tensors import base64_decoded, is_base64
from serving.rest_json.json_values import (
    ABSENT,
    ENCODING,
    INT64,
    UINT64,
    Members,
    c_string,
    is_double,
    type_name,
)
from serving.status import InvalidArgumentError


def fill_request(body: bytes, request: Any) -> None:
    """Fill in signature name and examples; raises InvalidArgumentError in TensorFlow Serving's words."""
    document = parse(body)
    fill_signature(document, request)
    request.input.SetInParent()
    examples = request.input.example_list
    context = document.find("context")
    if context is not ABSENT:
        examples = request.input.example_list_with_context
        _fill_example(context, examples.context)
    for value in _examples(document):
        _fill_example(value, examples.examples.add())


def _examples(document: Members) -> list[Any]:
    examples = document.find("examples")
    if examples is ABSENT:
        raise format_error(document, "When method is classify, key 'examples' is expected and was not found")
    if not isinstance(examples, list):
        raise format_error(document, "Expecting 'examples' value to be an list/array")
    if not examples:
        raise format_error(document, "'examples' value is an empty array")
    return examples


def _fill_example(value: Any, example: Any) -> None:
    if not isinstance(value, Members):
        raise InvalidArgumentError(f"Example must be JSON object but got JSON {type_name(value)}")
    example.SetInParent()
    for key, content in value:
        name = c_string(key)
        kind, values = _feature(content if isinstance(content, list) else [content], name)
        try:
            feature = example.features.feature[name]
        except ValueError as error:
            raise InvalidArgumentError(f"Feature: {name} has a name that is not UTF-8") from error
        # A name that comes again replaces what it was.
        feature.Clear()
        if kind:
            getattr(feature, f"{kind}_list").value.extend(values)


def _feature(values: Iterable[Any], name: str) -> tuple[str, list[Any]]:
    """What kind of list the feature is, which its first value decides, and the values; no values, no kind."""
    kind, converted = "", []
    for value in values:
        given = _kind(value, name)
        kind = kind or given
        if given != kind:
            raise InvalidArgumentError(f"Unexpected element type in feature: {name} expecting type: {kind}")
        converted.append(_converted(value, name, kind))
    return kind, converted


def _kind(value: Any, name: str) -> str:
    if isinstance(value, str) or is_base64(value):
        return "bytes"
    if value is None or isinstance(value, Members | list):
        raise InvalidArgumentError(f"Feature: {name} has element with unexpected JSON type: {type_name(value)}")
    return "float" if is_double(value) else "int64"


def _converted(value: Any, name: str, kind: str) -> Any:
    if kind == "bytes":
        return base64_decoded(value) if isinstance(value, Members) else value.encode(*ENCODING)
    if kind == "float":
        return float(value)
    if value not in INT64 and value in UINT64:
        raise InvalidArgumentError(f"Feature: {name} has uint64_t element. Only int64_t is supported.")
    return int(value)
