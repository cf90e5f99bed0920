"""One MultiInferenceRequest against one loaded model: several of its signatures over the same Examples, in one run."""

from collections.abc import Sequence
from typing import Any

from serving.apis import inference_pb2
from serving.inference import classify, examples, regress
from serving.inference.model import Model
from serving.status import InvalidArgumentError, UnimplementedError

TENSORS = {classify.METHOD_NAME: classify.tensors, regress.METHOD_NAME: regress.tensors}


def multi_inference(
    model: Model,
    request: Any,
    *,
    version: int | None = None,
    check_method_name: bool = False,
    timeout_seconds: float | None = None,
) -> Any:
    """The MultiInferenceResponse: a result for each task, in their order. A task that cannot be done fails them all.

    Each result's model_spec names the version given, which is the one that answers, whatever its task asked for.
    """
    feeds, fetches = _tensors(model, request.tasks, check_method_name=check_method_name)
    outputs = examples.run(model, request.input, feeds, fetches, timeout_seconds=timeout_seconds)
    response = inference_pb2.MultiInferenceResponse()
    for task in request.tasks:
        signature = model.signatures[examples.signature_name(task.model_spec)]
        answer = response.results.add(model_spec=examples.answering(task.model_spec, version))
        if task.method_name == classify.METHOD_NAME:
            answer.classification_result.CopyFrom(classify.result(signature, outputs))
        else:
            answer.regression_result.CopyFrom(regress.result(signature, outputs))
    return response


def _tensors(model: Model, tasks: Sequence[Any], *, check_method_name: bool) -> tuple[list[str], list[str]]:
    """What to feed and what to fetch for all the tasks together; raises at the first that cannot be done."""
    feeds: set[str] = set()
    fetches: set[str] = set()
    seen: set[str] = set()
    for task in tasks:
        _check_model(task.model_spec, tasks[0].model_spec)
        name = examples.signature_name(task.model_spec)
        if name in seen:
            raise InvalidArgumentError(f"Duplicate evaluation of signature: {name}")
        seen.add(name)
        signature = model.signatures.get(name)
        if signature is None:
            raise InvalidArgumentError(f"Requested signature not found in model graph: {name}")
        if task.method_name not in TENSORS:
            raise UnimplementedError(f"Unsupported signature method_name: {task.method_name}")
        feed, wanted = TENSORS[task.method_name](signature, check_method_name=check_method_name)
        feeds.add(feed)
        fetches.update(wanted)
    return sorted(feeds), sorted(fetches)


def _check_model(spec: Any, first: Any) -> None:
    if not spec.name:
        raise InvalidArgumentError("Found ModelSpec with an empty model name.")
    if spec.name != first.name:
        raise InvalidArgumentError("All ModelSpecs in a MultiInferenceRequest must access the same model name.")
