"""The contract with clients: names, types and shapes, in one place."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

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


def definition(
    name: str = "image_bytes", dtype: types_pb2.DataType = types_pb2.DT_STRING, shape: Sequence[int] = (-1,)
) -> meta_graph_pb2.SignatureDef:
    made = meta_graph_pb2.SignatureDef()
    for tensors, alias, kind, sizes in (
        (made.inputs, name, dtype, shape),
        (made.outputs, "probabilities", types_pb2.DT_FLOAT, [-1, 2]),
        (made.outputs, "class_index", types_pb2.DT_INT64, [-1]),
        (made.outputs, "label", types_pb2.DT_STRING, [-1]),
    ):
        tensors[alias].name, tensors[alias].dtype = f"{alias}:0", kind
        for size in sizes:
            tensors[alias].tensor_shape.dim.add(size=size)
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


def tensor_problems(**pixels: Any) -> list[str]:
    signatures = {"serving_default": definition(), "serving_tensor": definition(**pixels)}
    return contract_problems(signatures, labels=LABELS)


def test_the_signature_for_pixels_keeps_the_contract_for_images_of_any_size() -> None:
    assert [] == tensor_problems(name="pixels", dtype=types_pb2.DT_FLOAT, shape=[-1, 224, 200, 3])


@pytest.mark.parametrize("shape", [[-1, -1, 8, 3], [8, 8, 8, 3], [-1, 8, 8], [-1, 0, 8, 3]])
def test_a_shape_that_is_no_batch_of_images_of_one_size_is_named(shape: list[int]) -> None:
    assert [
        f"input 'pixels' is DT_FLOAT {shape}, not DT_FLOAT [-1, height, width, channels], in the signature "
        f"'serving_tensor'"
    ] == tensor_problems(name="pixels", dtype=types_pb2.DT_FLOAT, shape=shape)


def test_another_input_of_the_signature_for_pixels_is_named() -> None:
    assert [
        "input 'image_bytes' is not promised, in the signature 'serving_tensor'",
        "input 'pixels', DT_FLOAT [-1, height, width, channels], is missing, in the signature 'serving_tensor'",
    ] == tensor_problems()


def labels_definition(dtype: int = types_pb2.DT_STRING, shape: Sequence[int] = (-1, 2)) -> Any:
    found = meta_graph_pb2.SignatureDef()
    _add(found.inputs["rows"], types_pb2.DT_INT64, [-1])
    _add(found.outputs["labels"], dtype, shape)
    return found


def _add(info: Any, dtype: int, shape: Sequence[int]) -> None:
    info.dtype = dtype
    for size in shape:
        info.tensor_shape.dim.add(size=size)


def test_the_signature_for_labels_keeps_the_contract() -> None:
    signatures = {"serving_default": definition(), "serving_labels": labels_definition()}

    assert [] == contract_problems(signatures, labels=LABELS)


@pytest.mark.parametrize(
    ("dtype", "shape", "given"),
    [
        (types_pb2.DT_STRING, [-1, 3], "DT_STRING [-1, 3]"),
        (types_pb2.DT_STRING, [2], "DT_STRING [2]"),
        (types_pb2.DT_INT64, [-1, 2], "DT_INT64 [-1, 2]"),
    ],
)
def test_labels_of_another_type_or_number_are_named(dtype: int, shape: list[int], given: str) -> None:
    signatures = {"serving_default": definition(), "serving_labels": labels_definition(dtype, shape)}

    assert [
        f"output 'labels' is {given}, not DT_STRING [-1, 2], in the signature 'serving_labels'"
    ] == contract_problems(signatures, labels=LABELS)


@pytest.mark.parametrize("outputs", [{}, {"labels": np.array([[1, 2]])}, {"labels": np.array([b"a"], object)}])
def test_labels_that_are_none_are_refused(outputs: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="there is no output 'labels' of strings"):
        signature.all_labels_of(outputs)


def test_a_request_for_pixels_is_small_and_means_a_whole_batch() -> None:
    request = signature.tensor_request("pets", 8, height=200, width=100, channels=3)

    assert ("pets", "serving_tensor") == (request.model_spec.name, request.model_spec.signature_name)
    assert (8, 200, 100, 3) == from_proto(request.inputs["pixels"]).shape
    assert request.ByteSize() < 100


@pytest.mark.parametrize("name", [signature.INPUT, signature.PROBABILITIES, signature.CLASS_INDEX])
def test_no_other_module_spells_the_names(name: str) -> None:
    """...so that a change of the contract is a change of one file. `label` and `pixels` are too common to look for."""
    packages = ("serving", "pipeline", "dags", "embedded")
    sources = [path for package in packages for path in (PROJECT / package).rglob("*.py")]

    found = {str(path.relative_to(PROJECT)) for path in sources if f'"{name}"' in path.read_text(encoding="utf-8")}
    # What a network gives that is imported: a word of the model file.
    assert {"serving/signature.py"} == found - {"pipeline/spec/training.py"}
