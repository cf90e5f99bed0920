"""The bodies of answers."""

import json
from collections.abc import Mapping
from typing import Any

from serving.gateway.inference_protocol.binary_data import bytes_of
from serving.gateway.inference_protocol.datatypes import BYTES, ProtocolError, name_of, name_of_enum
from serving.gateway.inference_protocol.request import InferenceRequest, WantedOutput, shape_of
from serving.gateway.inference_protocol.tensor_data import BASE64, base64_data, json_data
from serving.wire import Array

# The protocol's name for a TensorFlow model in this form.
PLATFORM = "tensorflow_savedmodel"


def inference_response(
    request: InferenceRequest, outputs: Mapping[str, Array], *, model: str, version: int
) -> tuple[bytes, int | None]:
    """The body of an answer, and how much of it is JSON if tensors follow as raw bytes.

    Strings that are not UTF-8 are in base64, and the output's parameters say so.

    Raises:
        ProtocolError: the protocol has no form for an output.
    """
    wanted = request.outputs or tuple(WantedOutput(name, binary=request.binary) for name in sorted(outputs))
    texts, tensors = [], []
    for each in wanted:
        text, tensor = _output(each, outputs[each.name])
        texts.append(text)
        tensors.append(tensor)
    head: dict[str, Any] = {"model_name": model, "model_version": str(version)}
    if request.id is not None:
        head["id"] = request.id
    document = f'{json.dumps(head)[:-1]}, "outputs": [{", ".join(texts)}]}}'.encode()
    is_binary = any(tensor is not None for tensor in tensors)
    body = b"".join([document, *(tensor for tensor in tensors if tensor is not None)])
    return body, len(document) if is_binary else None


def model_metadata(model: str, version: int, definition: Any) -> dict[str, Any]:
    """The metadata of a version of a model, from its SignatureDef."""
    return {
        "name": model,
        "versions": [str(version)],
        "platform": PLATFORM,
        "inputs": _tensors(definition.inputs),
        "outputs": _tensors(definition.outputs),
    }


def _tensors(infos: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [
        {"name": name, "datatype": name_of_enum(info.dtype), "shape": shape_of(info)}
        for name, info in sorted(infos.items())
    ]


def _output(wanted: WantedOutput, array: Array) -> tuple[str, bytes | None]:
    """An output as JSON text, and its bytes if it is not in there."""
    datatype = name_of(array.dtype)
    if datatype is None:
        raise ProtocolError(f"the output {wanted.name} is {array.dtype}, which the protocol has no datatype for")
    head: dict[str, Any] = {"name": wanted.name, "datatype": datatype, "shape": list(array.shape)}
    if wanted.binary:
        content = bytes_of(array)
        return json.dumps({**head, "parameters": {"binary_data_size": len(content)}}), content
    try:
        data, is_base64 = _data(array, as_base64=wanted.base64 and datatype == BYTES)
    except ProtocolError as error:
        raise ProtocolError(f"the output {wanted.name} {error}") from error
    if is_base64:
        head["parameters"] = {"content_type": BASE64}
    return f'{json.dumps(head)[:-1]}, "data": {data}}}', None


def _data(array: Array, *, as_base64: bool) -> tuple[str, bool]:
    return (base64_data(array), True) if as_base64 else json_data(array)
