"""MultiInference against one model, as upstream's MultiInferenceTest has it."""

from typing import Any

import pytest

from serving.apis import inference_pb2, model_pb2
from serving.inference.multi_inference import multi_inference
from serving.status import InvalidArgumentError, StatusError, UnimplementedError
from tests.serving.inference.echo import CLASSIFY, REGRESS, Echo, example, listed, signature

ONE = listed(example(value=3.0, score=[4.0, 5.0]))


def model() -> Echo:
    return Echo(
        serving_default=signature("tensorflow/serving/predict", y="value:0"),
        regress=signature(REGRESS, outputs="value:0"),
        regress_again=signature(REGRESS, inputs={"inputs": "again:0"}, outputs="value:0"),
        classify=signature(CLASSIFY, scores="score:0"),
    )


def task(signature_name: str, method_name: str, **spec: Any) -> Any:
    return inference_pb2.InferenceTask(
        model_spec={"name": "m", "signature_name": signature_name} | spec, method_name=method_name
    )


def request(*tasks: Any, given: Any = ONE) -> Any:
    return inference_pb2.MultiInferenceRequest(tasks=tasks, input=given)


def summed_up(response: Any) -> list[Any]:
    """What each result holds, and the signature and version that gave it."""
    found: list[Any] = []
    for each in response.results:
        spec = each.model_spec.name, each.model_spec.signature_name, each.model_spec.version.value
        if each.WhichOneof("result") == "regression_result":
            found.append((*spec, [one.value for one in each.regression_result.regressions]))
        else:
            rows = each.classification_result.classifications
            found.append((*spec, [[one.score for one in row.classes] for row in rows]))
    return found


def test_one_task() -> None:
    assert summed_up(multi_inference(model(), request(task("regress", REGRESS)), version=7)) == [
        ("m", "regress", 7, [3.0])
    ]


def test_results_come_in_the_order_of_the_tasks_from_one_run_of_the_model() -> None:
    asked = model()
    tasks = task("regress_again", REGRESS), task("classify", CLASSIFY), task("regress", REGRESS)
    response = multi_inference(asked, request(*tasks), version=7, timeout_seconds=4.5)

    assert summed_up(response) == [
        ("m", "regress_again", 7, [3.0]),
        ("m", "classify", 7, [[4.0, 5.0]]),
        ("m", "regress", 7, [3.0]),
    ]
    assert asked.asked == [(["again:0", "examples:0"], ["score:0", "value:0"], 4.5)]


def test_the_version_that_answers_is_named_whatever_a_task_asked_for() -> None:
    response = multi_inference(model(), request(task("regress", REGRESS, version={"value": 3})), version=7)

    assert (
        model_pb2.ModelSpec(name="m", signature_name="regress", version={"value": 7}) == response.results[0].model_spec
    )


def test_a_task_without_a_signature_name_means_the_default_one() -> None:
    asked = Echo(serving_default=signature(REGRESS, outputs="value:0"))

    assert summed_up(multi_inference(asked, request(task("", REGRESS)))) == [("m", "serving_default", 0, [3.0])]


REGRESSION = task("regress", REGRESS)
REFUSALS = {
    "no input": (request(REGRESSION, given=None), InvalidArgumentError, "Input is empty."),
    "no signature of that name": (
        request(task("nothing", REGRESS)),
        InvalidArgumentError,
        "Requested signature not found in model graph: nothing",
    ),
    "two models": (
        request(REGRESSION, task("regress", REGRESS, name="other")),
        InvalidArgumentError,
        "All ModelSpecs in a MultiInferenceRequest must access the same model name.",
    ),
    "no model": (
        request(REGRESSION, task("classify", CLASSIFY, name="")),
        InvalidArgumentError,
        "Found ModelSpec with an empty model name.",
    ),
    "a signature twice": (
        request(REGRESSION, REGRESSION),
        InvalidArgumentError,
        "Duplicate evaluation of signature: regress",
    ),
    "predict": (
        request(task("serving_default", "tensorflow/serving/predict")),
        UnimplementedError,
        "Unsupported signature method_name: tensorflow/serving/predict",
    ),
    "a regression asked to classify": (
        request(task("regress", CLASSIFY)),
        InvalidArgumentError,
        "Expected classification signature outputs to contain at least one of",
    ),
    "the first wrong task decides": (
        request(task("nothing", REGRESS), task("regress", REGRESS, name="other")),
        InvalidArgumentError,
        "Requested signature not found in model graph: nothing",
    ),
}


@pytest.mark.parametrize(("asked", "error", "message"), REFUSALS.values(), ids=REFUSALS)
def test_refusals_have_upstream_s_words(asked: Any, error: type[StatusError], message: str) -> None:
    with pytest.raises(error) as refusal:
        multi_inference(model(), asked)

    assert refusal.value.message.startswith(message)


def test_the_method_of_a_signature_counts_only_where_it_is_checked() -> None:
    asked = Echo(regress=signature("", outputs="value:0"))

    assert len(summed_up(multi_inference(asked, request(REGRESSION)))) == 1
    with pytest.raises(InvalidArgumentError, match="Expected regression signature method_name to be"):
        multi_inference(asked, request(REGRESSION), check_method_name=True)
