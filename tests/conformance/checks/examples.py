"""Classify, Regress and MultiInference."""

from functools import partial
from typing import Any

from serving.apis import classification_pb2, inference_pb2, regression_pb2
from tests.conformance.facts import Needs, fact
from tests.conformance.models import CLASSIFY, REGRESS
from tests.conformance.server import ASKED, REQUEST_SECONDS, ServerUnderTest, refusal
from tests.serving.inference.echo import example, listed, with_context


def _spec(signature: str) -> Any:
    return {"name": ASKED, "signature_name": signature}


def _regress(at: ServerUnderTest, given: Any, signature: str = "regress") -> Any:
    request = regression_pb2.RegressionRequest(model_spec=_spec(signature), input=given)
    return at.prediction.Regress(request, timeout=REQUEST_SECONDS)


@fact(
    "classify",
    "Classify answers labels and scores of each example",
    relied="embedded server",
    needs=Needs.REQUESTS,
)
def _classifies(at: ServerUnderTest) -> None:
    given = listed(example(x=2.0, label=b"two"), example(x=3.0, label=b"three"))
    request = classification_pb2.ClassificationRequest(model_spec=_spec("classify"), input=given)
    result = at.prediction.Classify(request, timeout=REQUEST_SECONDS).result
    answers = [[(each.label, each.score) for each in row.classes] for row in result.classifications]
    at.expect([[("two", 4.0)], [("three", 6.0)]], answers)


@fact("regress", "Regress answers a value for each example", relied="embedded server", needs=Needs.REQUESTS)
def _regresses(at: ServerUnderTest) -> None:
    response = _regress(at, listed(example(x=2.0), example(x=3.0)))
    at.expect([4.0, 6.0], [each.value for each in response.result.regressions])
    at.expect((2, "regress"), (response.model_spec.version.value, response.model_spec.signature_name))


@fact(
    "examples-context",
    "a feature of the context counts unless the example has it",
    relied="embedded server",
    needs=Needs.REQUESTS,
)
def _context(at: ServerUnderTest) -> None:
    given = with_context(example(x=2.0), example(), example(x=4.0))
    at.expect([4.0, 8.0], [each.value for each in _regress(at, given).result.regressions])


@fact(
    "multi-inference",
    "MultiInference answers several signatures of one model on the same examples",
    relied="embedded server",
    needs=Needs.REQUESTS,
)
def _multi_inference(at: ServerUnderTest) -> None:
    tasks = [
        {"model_spec": _spec("regress"), "method_name": REGRESS},
        {"model_spec": _spec("classify"), "method_name": CLASSIFY},
    ]
    request = inference_pb2.MultiInferenceRequest(tasks=tasks, input=listed(example(x=2.0)))
    results = at.prediction.MultiInference(request, timeout=REQUEST_SECONDS).results
    at.expect(4.0, results[0].regression_result.regressions[0].value)
    at.expect(4.0, results[1].classification_result.classifications[0].classes[0].score)


@fact(
    "refuse-examples",
    "no examples, a missing feature, one of another type, and an unknown signature are INVALID_ARGUMENT",
    relied="embedded server",
    needs=Needs.REQUESTS,
)
def _refused(at: ServerUnderTest) -> None:
    for given, signature, words in (
        (None, "regress", "Input is empty."),
        (listed(example()), "regress", "Feature: x (data type: float) is required but could not be found."),
        (listed(example(x=b"2")), "regress", "Data types don't match."),
        (listed(example(x=2.0)), "nothing", "No signature was found with the name: nothing"),
    ):
        answer = refusal(partial(_regress, at, given, signature))
        at.expect_in("INVALID_ARGUMENT: ", answer)
        at.expect_in(words, answer)


@fact(
    "classify-labels-as-bytes",
    "a class label that is not UTF-8 is sent as it is, in an answer that no client can parse",
    relied="embedded server",
    needs=Needs.REQUESTS,
)
def _labels_as_bytes(at: ServerUnderTest) -> None:
    request = classification_pb2.ClassificationRequest(
        model_spec=_spec("classify"), input=listed(example(x=2.0, label=b"\xff"))
    )
    # Without a deserializer it gives bytes.
    channel: Any = at.channel
    call = channel.unary_unary("/tensorflow.serving.PredictionService/Classify")
    at.expect("OK", refusal(lambda: call(request.SerializeToString(), timeout=REQUEST_SECONDS)))
