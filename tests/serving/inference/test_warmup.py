"""Warm-up inside a load, as upstream's warm-up tests have it."""

from typing import Any

import pytest

from serving.apis import prediction_log_pb2
from serving.inference.model import Model
from serving.inference.warmup import warm_up
from serving.status import DataLossError, InternalError, InvalidArgumentError, UnimplementedError
from tests.serving.inference.echo import CLASSIFY, REGRESS, Echo, example, signature
from tests.serving.model_server.world import Times, floats

REQUESTS = "/models/m/1/assets.extra/tf_serving_warmup_requests"
PREDICT: Any = {"model_spec": {"name": "m"}, "inputs": {"x": floats([1.5], [1])}}


def record(kind: str, request: Any) -> bytes:
    return bytes(prediction_log_pb2.PredictionLog(**{kind: {"request": request}}).SerializeToString())


def predicts(count: int) -> list[bytes]:
    return [record("predict_log", PREDICT)] * count


# One Example, of features that Echo answers with.
INPUT: Any = {"example_list": {"examples": [example(score=[0.5], value=2.0)]}}


def regression(signature_name: str) -> bytes:
    return record("regress_log", {"model_spec": {"signature_name": signature_name}, "input": INPUT})


def multi_inference(**spec: str) -> bytes:
    return record("multi_inference_log", {"tasks": [{"model_spec": spec, "method_name": REGRESS}], "input": INPUT})


def echo() -> Echo:
    return Echo(
        serving_default=signature(CLASSIFY, scores="score:0"),
        regress=signature(REGRESS, outputs="value:0"),
        untyped=signature("", outputs="value:0"),
    )


def test_every_record_is_run_once() -> None:
    assert warm_up(Times(2), predicts(1000), path=REQUESTS) == 1000


def test_requests_of_every_kind_are_run() -> None:
    model = echo()
    records = [
        record("classify_log", {"input": INPUT}),
        regression("regress"),
        multi_inference(name="m", signature_name="regress"),
        prediction_log_pb2.PredictionLog(log_metadata={}).SerializeToString(),
    ]

    assert warm_up(model, records, path=REQUESTS) == 4
    assert [fetches for _, fetches, _ in model.asked] == [["score:0"], ["value:0"], ["value:0"]]


def test_an_empty_file_is_no_error() -> None:
    assert warm_up(Times(2), [], path=REQUESTS) == 0


@pytest.mark.parametrize(
    ("model", "bad", "message"),
    [
        (Times(2), record("predict_log", {}), "input size does not match signature"),
        (echo(), record("classify_log", {}), "Input is empty"),
        (echo(), regression("serving_default"), "No regression outputs found in SignatureDef"),
        (echo(), multi_inference(), "Found ModelSpec with an empty model name"),
    ],
    ids=["predict", "classify", "regress", "multi-inference"],
)
def test_a_request_that_fails_is_an_error_of_the_load(model: Model, bad: bytes, message: str) -> None:
    with pytest.raises(InvalidArgumentError, match=message):
        warm_up(model, [bad], path=REQUESTS)


@pytest.mark.parametrize(
    "asked",
    [regression("untyped"), multi_inference(name="m", signature_name="untyped")],
    ids=["regress", "multi-inference"],
)
def test_methods_of_signatures_count_where_they_are_checked(asked: bytes) -> None:
    assert warm_up(echo(), [asked], path=REQUESTS) == 1
    with pytest.raises(InvalidArgumentError, match="Expected regression signature method_name"):
        warm_up(echo(), [asked], path=REQUESTS, check_method_name=True)


def test_one_record_more_than_a_thousand_is_refused() -> None:
    with pytest.raises(InvalidArgumentError, match=r"Number of warmup records exceeds the maximum \(1000\) at /models"):
        warm_up(Times(2), predicts(1001), path=REQUESTS)


def test_records_that_are_no_prediction_log_are_refused() -> None:
    with pytest.raises(InvalidArgumentError) as refusal:
        warm_up(Times(2), [b"malformed_record"], path=REQUESTS)

    assert refusal.value.message == f"Failed to parse warmup record: malformed_record from {REQUESTS}"


@pytest.mark.parametrize(("kind", "number"), [("session_run_log", 5), ("predict_streamed_log", 7)])
def test_kinds_of_requests_that_cannot_be_run(kind: str, number: int) -> None:
    log = prediction_log_pb2.PredictionLog()
    getattr(log, kind).SetInParent()

    with pytest.raises(UnimplementedError, match=f"Unsupported log_type for warmup: {number}"):
        warm_up(Times(2), [log.SerializeToString()], path=REQUESTS)


def damaged() -> Any:
    yield from predicts(1)
    raise DataLossError("corrupted record at 63")


def test_a_file_that_is_no_tfrecord_says_what_to_check() -> None:
    with pytest.raises(DataLossError) as refusal:
        warm_up(Times(2), damaged(), path=REQUESTS)

    assert refusal.value.message == "corrupted record at 63. Please verify your warmup data is in TFRecord format."


def test_data_loss_of_the_model_is_not_blamed_on_the_file() -> None:
    class Lossy(Times):
        def run(self, *_: Any, **__: Any) -> Any:
            raise DataLossError("lost")

    with pytest.raises(DataLossError) as refusal:
        warm_up(Lossy(2), predicts(1), path=REQUESTS)

    assert refusal.value.message == "lost"


def test_each_record_is_replayed_as_often_as_asked() -> None:
    class Counting(Times):
        runs = 0

        def run(self, *arguments: Any, **options: Any) -> Any:
            self.runs += 1
            return super().run(*arguments, **options)

    model = Counting(2)

    assert warm_up(model, predicts(3), path=REQUESTS, times=4) == 3
    assert model.runs == 12


@pytest.mark.parametrize("kind", ["tensorflow/serving/predict", ""])
def test_where_methods_are_checked_predict_asks_for_one_of_its_own(kind: str) -> None:
    model = Times(2)
    model.signatures["serving_default"].method_name = kind
    if kind:
        assert warm_up(model, predicts(1), path=REQUESTS, check_method_name=True) == 1
        return
    with pytest.raises(InternalError, match="Expected prediction signature method_name to be one of"):
        warm_up(model, predicts(1), path=REQUESTS, check_method_name=True)
