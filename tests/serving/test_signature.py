"""The contract with clients: names, types and shapes, in one place."""

from pathlib import Path

import numpy as np
import pytest

from serving import signature
from serving.apis import meta_graph_pb2, types_pb2
from serving.signature import contract_problems, indices_of, inputs_of, labels_of, predict_request, probabilities_of
from serving.wire import Array, from_proto

PROJECT = Path(__file__).parents[2]
LABELS = ("cat", "dog")
# A PNG may end with zeros.
IMAGES = [b"first\0\0", b"second, and longer"]


def definition() -> meta_graph_pb2.SignatureDef:
    made = meta_graph_pb2.SignatureDef()
    for tensors, name, dtype, shape in (
        (made.inputs, "image_bytes", types_pb2.DT_STRING, [-1]),
        (made.outputs, "probabilities", types_pb2.DT_FLOAT, [-1, 2]),
        (made.outputs, "class_index", types_pb2.DT_INT64, [-1]),
        (made.outputs, "label", types_pb2.DT_STRING, [-1]),
    ):
        tensors[name].name, tensors[name].dtype = f"{name}:0", dtype
        for size in shape:
            tensors[name].tensor_shape.dim.add(size=size)
    return made


def test_a_batch_is_one_string_for_each_image_unchanged() -> None:
    (batch,) = inputs_of(IMAGES).values()

    assert (2,) == batch.shape
    assert np.object_ == batch.dtype
    assert IMAGES == batch.tolist()


def test_a_request_names_model_signature_and_input() -> None:
    request = predict_request("pets", IMAGES)

    assert ("pets", "serving_default") == (request.model_spec.name, request.model_spec.signature_name)
    assert {"image_bytes": IMAGES} == {name: from_proto(each).tolist() for name, each in request.inputs.items()}


def test_an_answer_is_read_by_its_names() -> None:
    outputs: dict[str, Array] = {
        "probabilities": np.array([[0.25, 0.75]], np.float32),
        "class_index": np.array([1], np.int64),
        "label": np.array([b"dog"], np.object_),
    }

    assert [[0.25, 0.75]] == probabilities_of(outputs).tolist()
    assert ([1], ["dog"]) == (indices_of(outputs), labels_of(outputs))


def test_a_loaded_model_is_run_by_names_in_its_graph() -> None:
    feeds, fetches = signature.feeds_and_fetches(definition(), IMAGES)

    assert {"image_bytes:0": IMAGES} == {name: array.tolist() for name, array in feeds.items()}
    assert ["probabilities:0", "class_index:0", "label:0"] == fetches


def test_what_keeps_the_contract_has_no_problems() -> None:
    assert [] == contract_problems({"serving_default": definition()}, labels=LABELS)


def test_every_difference_from_the_contract_is_named() -> None:
    changed = definition()
    changed.inputs["images"].CopyFrom(changed.inputs.pop("image_bytes"))
    changed.outputs["class_index"].dtype = types_pb2.DT_INT32

    assert [
        "input 'images' is not promised",
        "input 'image_bytes', DT_STRING [-1], is missing",
        "output 'probabilities' is DT_FLOAT [-1, 2], not DT_FLOAT [-1, 3]",
        "output 'class_index' is DT_INT32 [-1], not DT_INT64 [-1]",
    ] == contract_problems({"serving_default": changed}, labels=(*LABELS, "owl"))
    assert ["no signature 'serving_default', only ['other']"] == contract_problems({"other": changed}, labels=LABELS)


@pytest.mark.parametrize("name", [signature.INPUT, signature.PROBABILITIES, signature.CLASS_INDEX])
def test_no_other_module_spells_the_names(name: str) -> None:
    """...so that a change of the contract is a change of one file. `label` is too common a word to look for."""
    packages = ("serving", "pipeline", "dags", "embedded")
    sources = [path for package in packages for path in (PROJECT / package).rglob("*.py")]

    found = {str(path.relative_to(PROJECT)) for path in sources if f'"{name}"' in path.read_text(encoding="utf-8")}
    assert {"serving/signature.py"} == found
