"""What becomes of a tensorflow.serving.Input, as upstream's InputUtilTest has it."""

from typing import Any

import pytest

from serving.apis import example_pb2, model_pb2
from serving.inference.examples import answering, run, serialized
from serving.status import InvalidArgumentError
from tests.serving.inference.echo import EMPTY, Echo, example, listed, with_context

A, B, C = example(a=11.0), example(b=22.0), example(c=33.0)


def parsed(given: Any) -> list[dict[str, float]]:
    """The Examples as a graph's parser sees them: features by name."""
    return [
        {
            name: value.float_list.value[0]
            for name, value in example_pb2.Example.FromString(text).features.feature.items()
        }
        for text in serialized(given)
    ]


@pytest.mark.parametrize("given", EMPTY.values(), ids=EMPTY)
def test_an_input_without_examples_is_refused_even_with_a_context(given: Any) -> None:
    with pytest.raises(InvalidArgumentError) as refusal:
        serialized(given)

    assert refusal.value.message == "Input is empty."


def test_a_list_keeps_its_order() -> None:
    assert serialized(listed(A, B)).tolist() == [A.SerializeToString(), B.SerializeToString()]


def test_a_context_adds_its_features_to_every_example() -> None:
    assert parsed(with_context(C, A, B)) == [{"a": 11, "c": 33}, {"b": 22, "c": 33}]


def test_a_feature_of_the_example_wins_over_the_context_s() -> None:
    assert parsed(with_context(C, A, example(c=64.0))) == [{"a": 11, "c": 33}, {"c": 64}]


def test_a_list_with_context_needs_no_context() -> None:
    given = with_context(example(), A, B)
    given.example_list_with_context.ClearField("context")

    assert serialized(given).tolist() == [A.SerializeToString(), B.SerializeToString()]


def test_examples_without_features_are_examples() -> None:
    assert parsed(listed(example(), example())) == [{}, {}]


def test_every_input_is_fed_the_same_examples_in_one_run() -> None:
    model = Echo()
    outputs = run(model, listed(example(value=1.0)), ["a:0", "b:0"], ["value:0", "value:0"], timeout_seconds=2)

    assert model.asked == [(["a:0", "b:0"], ["value:0"], 2)]
    assert (outputs.examples, outputs.tensors["value:0"].tolist()) == (1, [1.0])


@pytest.mark.parametrize(
    ("asked", "version", "expected"),
    [
        ({"name": "m"}, 1, {"name": "m", "signature_name": "serving_default", "version": {"value": 1}}),
        ({"name": "m", "signature_name": "s"}, None, {"name": "m", "signature_name": "s"}),
        (
            {"name": "m", "version_label": "stable"},
            0,
            {"name": "m", "signature_name": "serving_default", "version": {}},
        ),
    ],
)
def test_a_response_says_which_version_and_signature_answered(
    asked: dict[str, Any], version: int | None, expected: dict[str, Any]
) -> None:
    assert model_pb2.ModelSpec(**expected) == answering(model_pb2.ModelSpec(**asked), version)
