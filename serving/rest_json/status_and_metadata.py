"""Status and metadata as JSON: what protobuf's own printer writes, indented by one space, defaults included."""

import json
from typing import Any

from google.protobuf import json_format

from serving.apis import SIGNATURE_DEF, get_model_metadata_pb2

# Fields of a SignatureDefMap and of a SignatureDef that are maps.
_MAPS = frozenset(("signature_def", "inputs", "outputs", "defaults"))


def status_body(response: Any) -> bytes:
    """Of a GetModelStatusResponse: versions are strings, states and codes are names."""
    return _printed(response).encode()


def metadata_body(response: Any) -> bytes:
    """Of a GetModelMetadataResponse, whose signatures are taken out of their Any and put into an object of objects."""
    signatures = get_model_metadata_pb2.SignatureDefMap()
    response.metadata[SIGNATURE_DEF].Unpack(signatures)
    spec, metadata = _printed(response.model_spec), _printed(signatures)
    return f'{{\n"model_spec":{spec},\n"metadata": {{"{SIGNATURE_DEF}": {metadata}}}\n}}\n'.encode()


def _printed(message: Any) -> str:
    document = json_format.MessageToDict(
        message, always_print_fields_with_no_presence=True, preserving_proto_field_name=True
    )
    return json.dumps(_ordered(document), indent=1, ensure_ascii=False) + "\n"


def _ordered(value: Any, *, is_map: bool = False) -> Any:
    """The value with the entries of maps in the order of their names: protobuf has them in any order."""
    if isinstance(value, list):
        return [_ordered(item) for item in value]
    if not isinstance(value, dict):
        return value
    items = sorted(value.items()) if is_map else value.items()
    return {key: _ordered(item, is_map=key in _MAPS and not is_map) for key, item in items}
