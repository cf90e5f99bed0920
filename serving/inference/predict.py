"""One PredictRequest against one loaded model: check it against the signature, run it, wrap the answer."""

from collections.abc import Mapping
from typing import Any

from serving.apis import predict_pb2
from serving.inference.model import DEFAULT_SIGNATURE, Model
from serving.status import FailedPreconditionError, InternalError, InvalidArgumentError
from serving.type_names import dtype_name
from serving.wire import Array, from_proto, to_proto

METHOD_NAMES = ("tensorflow/serving/predict", "tensorflow/serving/classify", "tensorflow/serving/regress")


def predict(
    model: Model,
    request: Any,
    *,
    version: int | None = None,
    as_content: bool = False,
    check_method_name: bool = False,
    timeout_seconds: float | None = None,
) -> Any:
    """The PredictResponse; its model_spec names the version given, which is the one that answers."""
    name = request.model_spec.signature_name or DEFAULT_SIGNATURE
    signature = model.signatures.get(name)
    if signature is None:
        raise FailedPreconditionError(f'Serving signature key "{name}" not found.')
    if check_method_name:
        _check_method_name(signature)
    feeds = _feeds(signature, request.inputs)
    aliases = _aliases(signature, list(request.output_filter))
    arrays = model.run(feeds, [signature.outputs[alias].name for alias in aliases], timeout_seconds=timeout_seconds)

    response = predict_pb2.PredictResponse()
    response.model_spec.name = request.model_spec.name
    response.model_spec.signature_name = name
    if version is not None:
        response.model_spec.version.value = version
    for alias, array in zip(aliases, arrays, strict=True):
        response.outputs[alias].CopyFrom(to_proto(array, as_content=as_content))
    return response


def _check_method_name(signature: Any) -> None:
    if signature.method_name not in METHOD_NAMES:
        raise InternalError(
            f"Expected prediction signature method_name to be one of {{{', '.join(METHOD_NAMES)}}}. "
            f"Was: {signature.method_name}"
        )


def _feeds(signature: Any, inputs: Mapping[str, Any]) -> dict[str, Array]:
    _check_number(signature, inputs)
    feeds = {}
    for position, (alias, info) in enumerate(sorted(signature.inputs.items())):
        proto = inputs[alias] if alias in inputs else signature.defaults.get(alias)
        if proto is None:
            raise InvalidArgumentError(
                f"Signature input alias: {alias}(feed name: {info.name}) not found in request and no default value "
                f"provided. Inputs expected to be in the request {{{_listed(inputs)}}}, "
                f"or default input alias set: {_listed(signature.defaults)}"
            )
        try:
            array = from_proto(proto)
        except (ValueError, OverflowError, MemoryError) as error:
            raise InvalidArgumentError(f"tensor parsing error: {alias}") from error
        if proto.dtype != info.dtype:
            raise InvalidArgumentError(
                f"Expects arg[{position}] to be {dtype_name(info.dtype)} but {dtype_name(proto.dtype)} is provided"
            )
        feeds[info.name] = array
    unused = inputs.keys() - signature.inputs.keys()
    if unused:
        raise InvalidArgumentError(
            f"Inputs contains invalid name. Used request inputs: {_listed(inputs.keys() - unused)}, "
            f"request input: {_listed(inputs)}"
        )
    return feeds


def _check_number(signature: Any, inputs: Mapping[str, Any]) -> None:
    given, wanted = set(inputs), set(signature.inputs)
    if len(given) > len(wanted) or (len(given) < len(wanted) and not signature.defaults):
        raise InvalidArgumentError(
            f"input size does not match signature: {len(given)}!={len(wanted)} "
            f"len({{{_listed(given)}}}) != len({{{_listed(wanted)}}}). "
            f"Sent extra: {{{_listed(given - wanted)}}}. Missing but required: {{{_listed(wanted - given)}}}."
        )


def _aliases(signature: Any, wanted: list[str]) -> list[str]:
    """The outputs asked for, or all of them."""
    for position, alias in enumerate(wanted):
        if alias not in signature.outputs:
            raise InvalidArgumentError(
                f"output tensor alias not found in signature: {alias} "
                f"Outputs expected to be in the set {{{_listed(signature.outputs)}}}."
            )
        if alias in wanted[:position]:
            raise InvalidArgumentError(f"duplicate output tensor alias: {alias}")
    return wanted or sorted(signature.outputs)


def _listed(names: Any) -> str:
    return ",".join(sorted(names))
