"""Status and metadata as JSON: what protobuf's own printer writes, indented by one space, defaults included."""

from typing import Any

from google.protobuf import json_format

from serving.apis import SIGNATURE_DEF, get_model_metadata_pb2


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
    text = json_format.MessageToJson(
        message,
        always_print_fields_with_no_presence=True,
        preserving_proto_field_name=True,
        indent=1,
        ensure_ascii=False,
    )
    return text + "\n"
