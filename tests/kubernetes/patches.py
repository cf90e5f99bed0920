"""The three forms of a patch: merge, strategic merge, and JSON patch."""

import copy
from collections.abc import Mapping, Sequence
from typing import Any

from tests.kubernetes.statuses import ApiError

MERGE = "application/merge-patch+json"
STRATEGIC = "application/strategic-merge-patch+json"
JSON_PATCH = "application/json-patch+json"

# Lists that a strategic merge patch merges by a key of their items. It replaces others.
_MERGE_KEYS = {
    "conditions": "type",
    "containers": "name",
    "env": "name",
    "imagePullSecrets": "name",
    "ownerReferences": "uid",
    "volumeMounts": "mountPath",
    "volumes": "name",
}


def patched(form: str, content: Any, patch: Any) -> Any:
    """The content with the patch, as a copy; `form` is the media type of the patch.

    Raises:
        ApiError: 415, another form; 400 or 422, the patch is wrong.
    """
    whole = copy.deepcopy(content)
    if form == JSON_PATCH:
        return _json_patched(whole, patch)
    if form not in (MERGE, STRATEGIC):
        raise ApiError(415, f"the body of the request was in an unknown format - {form}")
    if not isinstance(patch, Mapping):
        raise ApiError(400, "a merge patch is an object")
    return _merged(whole, patch, strategic=form == STRATEGIC)


def _merged(content: Any, patch: Mapping[str, Any], *, strategic: bool) -> dict[str, Any]:
    result = dict(content) if isinstance(content, Mapping) else {}
    for key, value in patch.items():
        if value is None:
            result.pop(key, None)
        elif isinstance(value, Mapping):
            result[key] = _merged(result.get(key), value, strategic=strategic)
        elif strategic and key in _MERGE_KEYS:
            result[key] = _merged_list(result.get(key) or [], value, _MERGE_KEYS[key])
        else:
            result[key] = value
    return result


def _merged_list(items: Sequence[Any], patch: Sequence[Any], key: str) -> list[Any]:
    result = {each[key]: each for each in items}
    for each in patch:
        if each.get("$patch") == "delete":
            result.pop(each[key], None)
        else:
            result[each[key]] = _merged(result.get(each[key]), each, strategic=True)
    return list(result.values())


def _json_patched(content: Any, patch: Any) -> Any:
    if not isinstance(patch, Sequence):
        raise ApiError(400, "a JSON patch is a list of operations")
    for operation in patch:
        try:
            _operate(content, operation)
        except (KeyError, IndexError, TypeError, ValueError) as error:
            raise ApiError(422, f"the server rejected our request due to an error in our request: {error}") from error
    return content


def _operate(content: Any, operation: Mapping[str, Any]) -> None:
    *parents, last = [each.replace("~1", "/").replace("~0", "~") for each in operation["path"].split("/")[1:]]
    for name in parents:
        content = content[int(name)] if isinstance(content, list) else content[name]
    place: Any = last
    if isinstance(content, list):
        place = len(content) if last == "-" else int(last)
    if operation["op"] == "add" and isinstance(content, list):
        content.insert(place, operation["value"])
    elif operation["op"] == "add":
        content[place] = operation["value"]
    else:
        _operate_on_existing(content, place, operation)


def _operate_on_existing(content: Any, place: Any, operation: Mapping[str, Any]) -> None:
    existing = content[place]
    match operation["op"]:
        case "replace":
            content[place] = operation["value"]
        case "remove":
            del content[place]
        case "test":
            if existing != operation["value"]:
                raise ValueError(f"testing path {operation['path']} value failed")
        case other:
            raise ValueError(f"unexpected kind: {other}")
