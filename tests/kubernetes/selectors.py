"""Label selectors and field selectors."""

import re
from collections.abc import Callable, Collection, Mapping
from typing import Any

from tests.kubernetes.statuses import ApiError

Json = Mapping[str, Any]
Labels = Mapping[str, str]
_COMMAS = re.compile(r",(?![^(]*\))")
_SET = re.compile(r"(?P<key>\S+)\s+(?P<operator>in|notin)\s*\((?P<values>[^)]*)\)")
_EQUAL = re.compile(r"(?P<key>[^\s=!]+)\s*(?P<operator>==|=|!=)\s*(?P<value>[^\s=!]*)")
_KEY = re.compile(r"(?P<absent>!?)\s*(?P<key>[A-Za-z0-9][A-Za-z0-9._/-]*)")


def label_selector(text: str) -> Callable[[Labels], bool]:
    """Whether all parts hold: `key=value`, `key!=value`, `key in (a,b)`, `key notin (a,b)`, `key`, `!key`.

    Raises:
        ApiError: 400, a part is none of these.
    """
    parts = [_label_part(part.strip()) for part in _COMMAS.split(text) if part.strip()]
    return lambda labels: all(part(labels) for part in parts)


def field_selector(text: str, supported: Collection[str]) -> Callable[[Json], bool]:
    """Whether all parts hold: `path=value`, `path==value` or `path!=value`. A missing field is empty.

    Raises:
        ApiError: 400, a part is none of these, or the resource does not support the field.
    """
    parts = [_field_part(part.strip(), supported) for part in text.split(",") if part.strip()]
    return lambda content: all(part(content) for part in parts)


def value_at(content: Json, path: str) -> str:
    """The value of a field such as `status.phase`; empty if it is missing."""
    value: Any = content
    for name in path.split("."):
        value = value.get(name) if isinstance(value, Mapping) else None
    return "" if value is None else str(value)


def _label_part(part: str) -> Callable[[Labels], bool]:
    if found := _SET.fullmatch(part):
        key, is_in = found["key"], found["operator"] == "in"
        values = {each.strip() for each in found["values"].split(",")}
        return lambda labels: (labels.get(key) in values) == is_in
    if found := _EQUAL.fullmatch(part):
        key, value, is_equal = found["key"], found["value"], found["operator"] != "!="
        return lambda labels: (labels.get(key) == value) == is_equal
    if found := _KEY.fullmatch(part):
        key, exists = found["key"], not found["absent"]
        return lambda labels: (key in labels) == exists
    raise ApiError(400, f'unable to parse requirement: "{part}"')


def _field_part(part: str, supported: Collection[str]) -> Callable[[Json], bool]:
    found = _EQUAL.fullmatch(part)
    if found is None:
        raise ApiError(400, f'invalid field selector: "{part}"')
    key, value, is_equal = found["key"], found["value"], found["operator"] != "!="
    if key not in supported:
        raise ApiError(400, f"field label not supported: {key}")
    return lambda content: (value_at(content, key) == value) == is_equal
