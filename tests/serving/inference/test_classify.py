"""Classify against one model, as upstream's ClassifierTest has it."""

from typing import Any

import numpy as np
import pytest

from serving.apis import classification_pb2
from serving.inference.classify import classify
from serving.status import InternalError, InvalidArgumentError
from tests.serving.inference.echo import (
    CLASSIFY,
    EMPTY,
    REGRESS,
    Echo,
    example,
    listed,
    scored,
    signature,
    with_context,
)

BOTH = signature(CLASSIFY, classes="class:0", scores="score:0")
SPANISH = listed(scored(dos=2, uno=1), scored(cuatro=4, tres=3))


def request(given: Any = SPANISH, signature_name: str = "") -> Any:
    return classification_pb2.ClassificationRequest(
        model_spec={"name": "m", "signature_name": signature_name}, input=given
    )


def found(response: Any) -> list[list[tuple[str, float]]]:
    return [[(each.label, each.score) for each in row.classes] for row in response.result.classifications]


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        pytest.param(SPANISH, [[("dos", 2), ("uno", 1)], [("cuatro", 4), ("tres", 3)]], id="list"),
        pytest.param(
            with_context(scored(dos=2, uno=1), example(), example()),
            [[("dos", 2), ("uno", 1)], [("dos", 2), ("uno", 1)]],
            id="context",
        ),
        pytest.param(
            with_context(scored(uno=1, dos=2), example(), scored(tres=3, cuatro=4)),
            [[("uno", 1), ("dos", 2)], [("tres", 3), ("cuatro", 4)]],
            id="example over context",
        ),
        pytest.param(listed(scored(minus=-1, zero=0)), [[("minus", -1), ("zero", 0)]], id="a score of zero"),
    ],
)
def test_every_example_gets_its_labels_with_their_scores(given: Any, expected: Any) -> None:
    assert expected == found(classify(Echo(serving_default=BOTH), request(given)))


@pytest.mark.parametrize(
    ("outputs", "expected"),
    [
        ({"classes": "class:0"}, [[("dos", 0), ("uno", 0)], [("cuatro", 0), ("tres", 0)]]),
        ({"scores": "score:0"}, [[("", 2), ("", 1)], [("", 4), ("", 3)]]),
    ],
)
def test_labels_or_scores_alone_will_do(outputs: dict[str, Any], expected: Any) -> None:
    model = Echo(serving_default=signature(CLASSIFY, **outputs))

    assert expected == found(classify(model, request()))


def test_the_reply_names_the_version_and_the_signature_that_answered() -> None:
    plus_one = signature(CLASSIFY, classes="class:0", scores="plus_one:0")
    model = Echo(serving_default=BOTH, output_plus_one=plus_one)
    response = classify(model, request(signature_name="output_plus_one"), version=7)

    assert found(response) == [[("dos", 3), ("uno", 2)], [("cuatro", 5), ("tres", 4)]]
    assert classification_pb2.ClassificationResponse(
        model_spec={"name": "m", "signature_name": "output_plus_one", "version": {"value": 7}}
    ).model_spec == (response.model_spec)
    assert classify(model, request()).model_spec.signature_name == "serving_default"


def test_labels_are_fetched_before_scores_and_the_deadline_reaches_the_model() -> None:
    model = Echo(serving_default=BOTH)
    classify(model, request(), timeout_seconds=4.5)

    assert model.asked == [(["examples:0"], ["class:0", "score:0"], 4.5)]


def test_no_classes_at_all_are_an_answer() -> None:
    assert found(classify(Echo(serving_default=BOTH), request(listed(example(), example())))) == [[], []]


BAD_SIGNATURES = {
    "no outputs": (signature(CLASSIFY), "Expected one or two output Tensors, found 0"),
    "three outputs": (
        signature(CLASSIFY, classes="a:0", scores="b:0", other="c:0"),
        "Expected one or two output Tensors, found 3",
    ),
    "two inputs": (
        signature(CLASSIFY, inputs={"inputs": "a:0", "more": "b:0"}, scores="c:0"),
        "Expected one input Tensor.",
    ),
    "an input of another name": (
        signature(CLASSIFY, inputs={"x": "x:0"}, scores="score:0"),
        'No classification inputs found in SignatureDef: inputs {\n  key: "x"\n  value {\n    name: "x:0"\n'
        '    dtype: DT_STRING\n  }\n}\noutputs {\n  key: "scores"\n  value {\n    name: "score:0"\n  }\n}\n'
        'method_name: "tensorflow/serving/classify"\n',
    ),
    "the output of a regression": (
        signature(REGRESS, outputs="value:0"),
        'Expected classification signature outputs to contain at least one of "classes" or "scores". Signature was: '
        'inputs {\n  key: "inputs"\n  value {\n    name: "examples:0"\n    dtype: DT_STRING\n  }\n}\n'
        'outputs {\n  key: "outputs"\n  value {\n    name: "value:0"\n  }\n}\n'
        'method_name: "tensorflow/serving/regress"\n',
    ),
}


@pytest.mark.parametrize(("bad", "message"), BAD_SIGNATURES.values(), ids=BAD_SIGNATURES)
def test_a_signature_that_is_no_classifier_s_is_refused_before_it_is_run(bad: Any, message: str) -> None:
    model = Echo(serving_default=bad)
    with pytest.raises(InvalidArgumentError) as refusal:
        classify(model, request())

    assert message == refusal.value.message
    assert model.asked == []


def test_a_signature_that_is_not_there() -> None:
    with pytest.raises(InvalidArgumentError) as refusal:
        classify(Echo(), request(signature_name="s"))

    assert refusal.value.message == "No signature was found with the name: s"


@pytest.mark.parametrize("method", ["not/supported/method", "", REGRESS])
def test_the_method_of_a_signature_counts_only_where_it_is_checked(method: str) -> None:
    model = Echo(serving_default=signature(method, scores="score:0"))

    assert len(found(classify(model, request()))) == 2
    with pytest.raises(InvalidArgumentError) as refusal:
        classify(model, request(), check_method_name=True)
    assert (
        refusal.value.message
        == f"Expected classification signature method_name to be tensorflow/serving/classify. Was: {method}"
    )


def test_a_classifier_passes_the_check() -> None:
    assert len(found(classify(Echo(serving_default=BOTH), request(), check_method_name=True))) == 2


@pytest.mark.parametrize("given", EMPTY.values(), ids=EMPTY)
def test_an_input_without_examples_is_refused(given: Any) -> None:
    with pytest.raises(InvalidArgumentError, match=r"^INVALID_ARGUMENT: Input is empty\.$"):
        classify(Echo(serving_default=BOTH), request(given))


def test_an_error_of_the_model_is_the_answer() -> None:
    model = Echo(serving_default=signature(CLASSIFY, scores="nothing:0"))
    with pytest.raises(InvalidArgumentError, match="no tensor nothing:0 here"):
        classify(model, request())


def texts(*shape: int) -> Any:
    return np.full(shape, b"label", np.object_)


def numbers(*shape: int) -> Any:
    return np.zeros(shape, np.float32)


BAD_ANSWERS = {
    "labels of three dimensions": (
        texts(2, 2, 10),
        numbers(2, 2),
        "Expected Tensor shape: [batch_size num_classes] but got [2,2,10]",
    ),
    "scores of one dimension": (
        texts(2, 2),
        numbers(2),
        "Expected Tensor shape: [batch_size num_classes] but got [2]",
    ),
    "too few labels": (texts(1, 2), numbers(2, 2), "Expected classes output batch size of 2. Got: 1"),
    "too few scores": (texts(2, 2), numbers(1, 2), "Expected scores output batch size of 2. Got: 1"),
    "numbers as labels": (numbers(2, 2), numbers(2, 2), "Expected classes Tensor of DT_STRING. Got: DT_FLOAT"),
    "texts as scores": (texts(2, 2), texts(2, 2), "Expected scores Tensor of DT_FLOAT. Got: DT_STRING"),
    "fewer labels than scores": (
        texts(2, 2),
        numbers(2, 3),
        "Tensors class and score should match in dim_size(1). Got 2 vs. 3",
    ),
}


@pytest.mark.parametrize(("classes", "scores", "message"), BAD_ANSWERS.values(), ids=BAD_ANSWERS)
def test_what_is_no_table_of_classes_is_refused(classes: Any, scores: Any, message: str) -> None:
    model = Echo(serving_default=BOTH)
    model.answers = {"class:0": classes, "score:0": scores}
    with pytest.raises(InvalidArgumentError) as refusal:
        classify(model, request())

    assert message == refusal.value.message


def test_a_label_that_no_response_can_hold_is_an_error_of_the_model() -> None:
    model = Echo(serving_default=signature(CLASSIFY, classes="class:0"))
    model.answers = {"class:0": np.array([[b"\xff"]] * 2, np.object_)}
    with pytest.raises(InternalError, match="is not UTF-8"):
        classify(model, request())
