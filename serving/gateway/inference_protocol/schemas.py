"""The bodies of the Open Inference Protocol, as the OpenAPI document shows them."""

from typing import Any

from pydantic import BaseModel, ConfigDict, JsonValue


class Live(BaseModel):
    live: bool


class ServerReady(BaseModel):
    """`live` is the name in the text of the protocol, `ready` the one that other servers answer with."""

    live: bool
    ready: bool


class Ready(BaseModel):
    name: str
    ready: bool


class Server(BaseModel):
    name: str
    version: str
    extensions: list[str]


class TensorMetadata(BaseModel):
    """A size of -1 stands for any."""

    name: str
    datatype: str
    shape: list[int]


class Model(BaseModel):
    name: str
    versions: list[str]
    platform: str
    inputs: list[TensorMetadata]
    outputs: list[TensorMetadata]


class OutputTensor(BaseModel):
    """An output with `binary_data_size` among its parameters has no data: its bytes are behind the JSON."""

    name: str
    datatype: str
    shape: list[int]
    parameters: dict[str, JsonValue] = {}
    data: list[bool | int | float | str] = []


class Inference(BaseModel):
    """An answer. `id` is there if the request had one."""

    model_config = ConfigDict(protected_namespaces=())

    model_name: str
    model_version: str
    id: str | None = None
    outputs: list[OutputTensor]


_PARAMETERS = {"type": "object"}
_INPUT = {
    "type": "object",
    "required": ["name", "shape", "datatype"],
    "properties": {
        "name": {"type": "string"},
        "shape": {"type": "array", "items": {"type": "integer", "minimum": 0}},
        "datatype": {"type": "string"},
        "parameters": {
            "type": "object",
            "description": "content_type: base64, of BYTES; binary_data_size, of a tensor behind the JSON",
        },
        "data": {"type": "array", "items": {}, "description": "flat in row-major order, or nested as the shape"},
    },
}
_OUTPUT = {
    "type": "object",
    "required": ["name"],
    "properties": {"name": {"type": "string"}, "parameters": _PARAMETERS},
}
REQUEST: dict[str, Any] = {
    "type": "object",
    "required": ["inputs"],
    "properties": {
        "id": {"type": "string"},
        "parameters": _PARAMETERS,
        "inputs": {"type": "array", "items": _INPUT, "minItems": 1},
        "outputs": {"type": "array", "items": _OUTPUT, "minItems": 1},
    },
}
