"""JSON Schemas of the bodies of the Open Inference Protocol v2, by the facts of its published OpenAPI document.

That is specification/protocol/open_inference_rest.yaml of github.com/kserve/open-inference-protocol, version 2.0: the
members of each body, their types, and which of them are required.
"""

from typing import Any

STRING, INTEGERS = {"type": "string"}, {"type": "array", "items": {"type": "integer"}}
PARAMETERS = {"type": "object"}


def _object(required: str, **members: Any) -> dict[str, Any]:
    return {"type": "object", "required": required.split(), "properties": members}


def _list(item: Any) -> dict[str, Any]:
    return {"type": "array", "items": item}


DATA = {
    "$id": "urn:tensor-data",
    "type": "array",
    "items": {"anyOf": [{"$ref": "urn:tensor-data"}, {"type": ["number", "string", "boolean"]}]},
}
_TENSOR = _object("name datatype shape", name=STRING, datatype=STRING, shape=INTEGERS)
_OUTPUT = _object(
    "name shape datatype data", name=STRING, shape=INTEGERS, datatype=STRING, parameters=PARAMETERS, data=DATA
)

SERVER = _object("name version extensions", name=STRING, version=STRING, extensions=_list(STRING))
MODEL = _object(
    "name platform",
    name=STRING,
    versions=_list(STRING),
    platform=STRING,
    inputs=_list(_TENSOR),
    outputs=_list(_TENSOR),
)
INFERENCE = _object(
    "model_name outputs",
    model_name=STRING,
    model_version=STRING,
    id=STRING,
    parameters=PARAMETERS,
    outputs=_list(_OUTPUT),
)
ERROR = _object("error", error=STRING)
# From the protocol's text: the document has no bodies for these.
LIVE = _object("live", live={"type": "boolean"})
MODEL_READY = _object("name ready", name=STRING, ready={"type": "boolean"})
