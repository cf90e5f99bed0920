"""A model without TensorFlow for Classify, Regress and MultiInference: it gives back the features of its Examples."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from serving.apis import example_pb2, input_pb2, meta_graph_pb2, types_pb2
from serving.status import InvalidArgumentError
from serving.wire import Array

CLASSIFY = "tensorflow/serving/classify"
REGRESS = "tensorflow/serving/regress"


def signature(method: str, *, inputs: Mapping[str, str] | None = None, **outputs: str) -> Any:
    """A SignatureDef of tensors by alias; its input is the Examples unless it is said."""
    made = meta_graph_pb2.SignatureDef(method_name=method)
    for alias, name in (inputs or {"inputs": "examples:0"}).items():
        made.inputs[alias].CopyFrom(meta_graph_pb2.TensorInfo(name=name, dtype=types_pb2.DT_STRING))
    for alias, name in outputs.items():
        made.outputs[alias].name = name
    return made


class Echo:
    """`class:0` holds the feature `class` of each Example, `score:0` and `value:0` those of these names.

    `plus_one:0` is `score:0` and one more. What is in `answers` is answered instead.
    """

    def __init__(self, **signatures: Any) -> None:
        self.signatures: Mapping[str, Any] = signatures
        self.answers: dict[str, Array] = {}
        self.asked: list[tuple[list[str], list[str], float | None]] = []

    def run(
        self, feeds: Mapping[str, Array], fetches: Sequence[str], *, timeout_seconds: float | None = None
    ) -> list[Array]:
        self.asked.append((list(feeds), list(fetches), timeout_seconds))
        examples = [example_pb2.Example.FromString(each) for each in next(iter(feeds.values()))]
        return [self.answers[name] if name in self.answers else _tensor(name, examples) for name in fetches]


def _tensor(name: str, examples: list[Any]) -> Array:
    match name:
        case "class:0":
            return np.array([_feature(each, "class").bytes_list.value for each in examples], np.object_)
        case "score:0":
            return np.array([_feature(each, "score").float_list.value for each in examples], np.float32)
        case "plus_one:0":
            return _tensor("score:0", examples) + np.float32(1)
        case "value:0":
            return np.array([_feature(each, "value").float_list.value[0] for each in examples], np.float32)
    raise InvalidArgumentError(f"no tensor {name} here")


def _feature(example: Any, name: str) -> Any:
    return example.features.feature[name]


def example(**features: bytes | float | list[bytes] | list[float]) -> Any:
    """A tf.Example; bytes go into a bytes list and numbers into a float list."""
    made = example_pb2.Example()
    for name, given in features.items():
        values = given if isinstance(given, list) else [given]
        kind = "bytes_list" if isinstance(values[0], bytes) else "float_list"
        getattr(made.features.feature[name], kind).value.extend(values)
    return made


def scored(**scores: float) -> Any:
    """An Example with labels and their scores."""
    made = example(score=list(scores.values()))
    made.features.feature["class"].bytes_list.value.extend(label.encode() for label in scores)
    return made


def listed(*examples: Any) -> Any:
    return input_pb2.Input(example_list={"examples": examples})


def with_context(context: Any, *examples: Any) -> Any:
    return input_pb2.Input(example_list_with_context={"examples": examples, "context": context})


EMPTY = {
    "nothing": input_pb2.Input(),
    "an empty list": listed(),
    "an empty list with nothing as context": input_pb2.Input(example_list_with_context={}),
    "an empty list with a context": with_context(example(value=1.0)),
}
