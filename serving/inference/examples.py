"""What Classify, Regress and MultiInference share: a request's Examples in, a few tensors of the model out."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from serving.apis import model_pb2
from serving.inference.model import DEFAULT_SIGNATURE, Model
from serving.status import InvalidArgumentError
from serving.wire import Array


@dataclass(frozen=True, kw_only=True)
class Outputs:
    """What a model made of so many Examples: its tensors by their names in the graph."""

    tensors: dict[str, Array]
    examples: int


def ask(
    model: Model,
    request: Any,
    tensors: Callable[..., tuple[str, list[str]]],
    *,
    check_method_name: bool,
    timeout_seconds: float | None,
) -> tuple[Any, Outputs]:
    """The signature that a request names, and what the model answers to its Examples.

    `tensors` says what to feed and fetch. Raises StatusError.
    """
    name = signature_name(request.model_spec)
    signature = model.signatures.get(name)
    if signature is None:
        raise InvalidArgumentError(f"No signature was found with the name: {name}")
    feed, fetches = tensors(signature, check_method_name=check_method_name)
    return signature, run(model, request.input, [feed], fetches, timeout_seconds=timeout_seconds)


def run(
    model: Model, given: Any, inputs: Iterable[str], fetches: Iterable[str], *, timeout_seconds: float | None = None
) -> Outputs:
    """Feed the Examples of an Input to every tensor named in `inputs`, in one run."""
    batch = serialized(given)
    names = list(dict.fromkeys(fetches))
    arrays = model.run(dict.fromkeys(inputs, batch), names, timeout_seconds=timeout_seconds)
    return Outputs(tensors=dict(zip(names, arrays, strict=True)), examples=len(batch))


def serialized(given: Any) -> Array:
    """The Examples of a tensorflow.serving.Input as the string tensor a graph parses.

    A context is written in front of each example: where a message is written twice its parser merges, and of a feature
    given by both it takes the later one, the example's own.
    """
    kind = given.WhichOneof("kind")
    examples = getattr(given, kind).examples if kind else ()
    if not examples:
        raise InvalidArgumentError("Input is empty.")
    context = given.example_list_with_context.context.SerializeToString() if kind != "example_list" else b""
    batch = np.empty(len(examples), np.object_)
    batch[:] = [context + example.SerializeToString() for example in examples]
    return batch


def signature_name(spec: Any) -> str:
    return spec.signature_name or DEFAULT_SIGNATURE


def answering(spec: Any, version: int | None) -> Any:
    """The ModelSpec of a response: the request's, with what it left open filled in."""
    filled = model_pb2.ModelSpec(name=spec.name, signature_name=signature_name(spec))
    if version is not None:
        filled.version.value = version
    return filled
