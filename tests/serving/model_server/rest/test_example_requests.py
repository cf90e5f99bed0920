"""Classify and regress bodies into tf.Examples."""

from collections.abc import Callable
from math import inf, isnan
from typing import Any

import pytest

from serving.apis import classification_pb2, regression_pb2
from serving.model_server.rest.example_requests import fill_request
from serving.status import InvalidArgumentError

Fill = Callable[[str | bytes], Any]


@pytest.fixture(params=[classification_pb2.ClassificationRequest, regression_pb2.RegressionRequest])
def fill(request: pytest.FixtureRequest) -> Fill:
    """The request a body fills, once per method."""

    def filled(body: str | bytes) -> Any:
        made = request.param()
        fill_request(body.encode() if isinstance(body, str) else body, made)
        return made

    return filled


def features(example: Any) -> dict[str, list[Any]]:
    return {
        name: list(getattr(feature, feature.WhichOneof("kind")).value) if feature.WhichOneof("kind") else []
        for name, feature in example.features.feature.items()
    }


def test_every_object_becomes_an_example(fill: Fill) -> None:
    request = fill(
        """{"examples": [
            {"names": ["foo", "bar"], "ratings": [8.0, 9.0], "age": 20},
            {"names": ["baz", {"b64": "aGVsbG8="}], "ratings": 6.5, "mix": [1, true, false], "none": []},
            {}
        ]}"""
    )

    assert request.input.WhichOneof("kind") == "example_list"
    assert [features(example) for example in request.input.example_list.examples] == [
        {"names": [b"foo", b"bar"], "ratings": [8.0, 9.0], "age": [20]},
        {"names": [b"baz", b"hello"], "ratings": [6.5], "mix": [1, 1, 0], "none": []},
        {},
    ]
    assert request.model_spec.signature_name == ""


def test_a_context_goes_with_the_examples(fill: Fill) -> None:
    request = fill(
        """{"signature_name": "custom", "context": {"query": "pizza", "place": ["sfo"]},
            "examples": [{"rating": [NaN, Infinity, 1e39]}, {"rating": -Infinity}]}"""
    )

    assert request.model_spec.signature_name == "custom"
    together = request.input.example_list_with_context
    assert features(together.context) == {"query": [b"pizza"], "place": [b"sfo"]}
    first, second = (features(example)["rating"] for example in together.examples)
    assert isnan(first[0])
    assert first[1:] == [inf, inf]
    assert second == [-inf]


def test_of_a_feature_that_comes_twice_the_last_counts(fill: Fill) -> None:
    request = fill('{"examples": [{"a": 1, "a": "x"}]}')

    assert features(request.input.example_list.examples[0]) == {"a": [b"x"]}


def test_bytes_that_are_not_utf8_are_values_but_not_names(fill: Fill) -> None:
    request = fill(b'{"examples": [{"a": "\xff"}]}')

    assert features(request.input.example_list.examples[0]) == {"a": [b"\xff"]}
    with pytest.raises(InvalidArgumentError, match="not UTF-8"):
        fill(b'{"examples": [{"\xff": 1}]}')


def quoting(document: str, complaint: str) -> str:
    return f"JSON Value: {{\n    {document}\n}} {complaint}"


ELEMENT = "Feature: names has element with unexpected JSON type: "
REFUSALS = {
    "": "JSON Parse error: The document is empty",
    '{"signature_name": []}': quoting(
        '"signature_name": []', "not formatted correctly. 'signature_name' key must be a string value."
    ),
    '{"other": 1}': quoting('"other": 1', "When method is classify, key 'examples' is expected and was not found"),
    '{"examples": {}}': quoting('"examples": {}', "Expecting 'examples' value to be an list/array"),
    '{"examples": []}': quoting('"examples": []', "'examples' value is an empty array"),
    '{"context": [{}], "examples": [{}]}': "Example must be JSON object but got JSON Array",
    '{"examples": [[{}]]}': "Example must be JSON object but got JSON Array",
    '{"examples": [true]}': "Example must be JSON object but got JSON True",
    '{"examples": [{"names": [10, null]}]}': f"{ELEMENT}Null",
    '{"examples": [{"names": {"test": 10}}]}': f"{ELEMENT}Object",
    '{"examples": [{"names": [[10], 20]}]}': f"{ELEMENT}Array",
    '{"examples": [{"names": [10, 10.0]}]}': "Unexpected element type in feature: names expecting type: int64",
    '{"examples": [{"names": [1.5, true]}]}': "Unexpected element type in feature: names expecting type: float",
    '{"examples": [{"names": ["a", 1]}]}': "Unexpected element type in feature: names expecting type: bytes",
    '{"examples": [{"names": [20, 18446744073709551616]}]}': (
        "Unexpected element type in feature: names expecting type: int64"
    ),
    '{"examples": [{"names": [20, 18446744073709551603]}]}': (
        "Feature: names has uint64_t element. Only int64_t is supported."
    ),
    '{"examples": [{"names": {"b64": "?"}}]}': "Unable to base64 decode",
}


@pytest.mark.parametrize("body", REFUSALS)
def test_a_body_is_refused_in_upstreams_words(fill: Fill, body: str) -> None:
    with pytest.raises(InvalidArgumentError) as caught:
        fill(body)

    assert REFUSALS[body] == caught.value.message
