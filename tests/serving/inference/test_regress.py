"""Regress against one model, as upstream's RegressorTest has it."""

from typing import Any

import numpy as np
import pytest

from serving.apis import model_pb2, regression_pb2
from serving.inference.regress import regress
from serving.status import InvalidArgumentError
from tests.serving.inference.echo import CLASSIFY, EMPTY, REGRESS, Echo, example, listed, signature, with_context

VALUE = signature(REGRESS, outputs="value:0")
TWO_AND_THREE = listed(example(value=2.0), example(value=3.0))


def request(given: Any = TWO_AND_THREE, signature_name: str = "") -> Any:
    return regression_pb2.RegressionRequest(model_spec={"name": "m", "signature_name": signature_name}, input=given)


def values(response: Any) -> list[float]:
    return [each.value for each in response.result.regressions]


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        pytest.param(TWO_AND_THREE, [2, 3], id="list"),
        pytest.param(with_context(example(value=3.0), example(), example()), [3, 3], id="context"),
    ],
)
def test_every_example_gets_its_number(given: Any, expected: list[float]) -> None:
    assert expected == values(regress(Echo(serving_default=VALUE), request(given)))


def test_a_column_of_numbers_will_do_and_the_reply_names_what_answered() -> None:
    model = Echo(serving_default=VALUE, column=signature(REGRESS, outputs="column:0"))
    model.answers = {"column:0": np.array([[3], [4]], np.float32)}
    response = regress(model, request(signature_name="column"), version=7)

    assert values(response) == [3, 4]
    assert model_pb2.ModelSpec(name="m", signature_name="column", version={"value": 7}) == response.model_spec
    assert regress(model, request()).model_spec.signature_name == "serving_default"


def test_the_deadline_reaches_the_model() -> None:
    model = Echo(serving_default=VALUE)
    regress(model, request(), timeout_seconds=4.5)

    assert model.asked == [(["examples:0"], ["value:0"], 4.5)]


BAD_SIGNATURES = {
    "no outputs": (signature(REGRESS), "Expected one output Tensor."),
    "two outputs": (signature(REGRESS, outputs="a:0", other="b:0"), "Expected one output Tensor."),
    "two inputs": (
        signature(REGRESS, inputs={"inputs": "a:0", "more": "b:0"}, outputs="c:0"),
        "Expected one input Tensor.",
    ),
    "an input of another name": (
        signature(REGRESS, inputs={"x": "x:0"}, outputs="value:0"),
        'No regression inputs found in SignatureDef: inputs {\n  key: "x"\n  value {\n    name: "x:0"\n'
        '    dtype: DT_STRING\n  }\n}\noutputs {\n  key: "outputs"\n  value {\n    name: "value:0"\n  }\n}\n'
        'method_name: "tensorflow/serving/regress"\n',
    ),
    "the output of a classifier": (
        signature(CLASSIFY, classes="class:0"),
        'No regression outputs found in SignatureDef: inputs {\n  key: "inputs"\n  value {\n    name: "examples:0"\n'
        '    dtype: DT_STRING\n  }\n}\noutputs {\n  key: "classes"\n  value {\n    name: "class:0"\n  }\n}\n'
        'method_name: "tensorflow/serving/classify"\n',
    ),
}


@pytest.mark.parametrize(("bad", "message"), BAD_SIGNATURES.values(), ids=BAD_SIGNATURES)
def test_a_signature_that_is_no_regression_s_is_refused_before_it_is_run(bad: Any, message: str) -> None:
    model = Echo(serving_default=bad)
    with pytest.raises(InvalidArgumentError) as refusal:
        regress(model, request())

    assert message == refusal.value.message
    assert model.asked == []


def test_a_signature_that_is_not_there() -> None:
    with pytest.raises(InvalidArgumentError) as refusal:
        regress(Echo(), request())

    assert refusal.value.message == "No signature was found with the name: serving_default"


@pytest.mark.parametrize("method", ["not/supported/method", "", CLASSIFY])
def test_the_method_of_a_signature_counts_only_where_it_is_checked(method: str) -> None:
    model = Echo(serving_default=signature(method, outputs="value:0"))

    assert values(regress(model, request())) == [2, 3]
    with pytest.raises(InvalidArgumentError) as refusal:
        regress(model, request(), check_method_name=True)
    assert (
        refusal.value.message
        == f"Expected regression signature method_name to be tensorflow/serving/regress. Was: {method}"
    )


def test_a_regression_passes_the_check() -> None:
    assert values(regress(Echo(serving_default=VALUE), request(), check_method_name=True)) == [2, 3]


@pytest.mark.parametrize("given", EMPTY.values(), ids=EMPTY)
def test_an_input_without_examples_is_refused(given: Any) -> None:
    with pytest.raises(InvalidArgumentError, match=r"^INVALID_ARGUMENT: Input is empty\.$"):
        regress(Echo(serving_default=VALUE), request(given))


def test_an_error_of_the_model_is_the_answer() -> None:
    model = Echo(serving_default=signature(REGRESS, outputs="nothing:0"))
    with pytest.raises(InvalidArgumentError, match="no tensor nothing:0 here"):
        regress(model, request())


SHAPE = "Expected output Tensor shape to be either [batch_size] or [batch_size, 1] but got "
BAD_ANSWERS = {
    "three dimensions": (np.zeros((2, 1, 10), np.float32), f"{SHAPE}[2,1,10]"),
    "a row for each": (np.zeros((2, 2), np.float32), f"{SHAPE}[2,2]"),
    "one number": (np.zeros((), np.float32), f"{SHAPE}[]"),
    "too many": (np.zeros(3, np.float32), "Input batch size did not match output batch size: 2 vs. 3"),
    "texts": (np.array([b"a", b"b"], np.object_), "Expected output Tensor of DT_FLOAT.  Got: DT_STRING"),
    "doubles": (np.zeros(2), "Expected output Tensor of DT_FLOAT.  Got: DT_DOUBLE"),
}


@pytest.mark.parametrize(("answer", "message"), BAD_ANSWERS.values(), ids=BAD_ANSWERS)
def test_what_is_not_one_number_for_each_example_is_refused(answer: Any, message: str) -> None:
    model = Echo(serving_default=VALUE)
    model.answers = {"value:0": answer}
    with pytest.raises(InvalidArgumentError) as refusal:
        regress(model, request())

    assert message == refusal.value.message
