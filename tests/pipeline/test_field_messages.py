"""What is said about a wrong place of a model file: once, at its line, with what may stand there."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from pipeline.fields import Fields
from pipeline.model_files import WrongFieldsError, load_spec
from pipeline.new_images import NewImages, PubSub, Upload
from pipeline.spec import (
    Application,
    Augmentation,
    AutomaticRollback,
    CanaryPolicy,
    Data,
    DataChecks,
    EarlyStopping,
    FineTuning,
    GatePolicy,
    Image,
    Imported,
    LearningRateSchedule,
    OwnNetwork,
    RetentionPolicy,
    SmallNetwork,
    Training,
    parse,
)

MODEL = """name: pets
description: Cats and dogs
owner: you
data: {images: /data/pets}
image:
  height: 64
  width: 64
  channels: 3
training:
  epochs: 2
  TRAINING
"""
NETWORKS = (
    "{filters: [16, 32], dense: 64}, {name: mobilenet_v3_small, weights: imagenet} or "
    "{function: my_package.networks:build}"
)


def problems(folder: Path, text: str) -> tuple[str, ...]:
    path = folder / "pets.yaml"
    path.write_text(text)
    with pytest.raises(WrongFieldsError) as raised:
        load_spec(path)
    return raised.value.fields


def problem(folder: Path, training: str) -> str:
    (only,) = problems(folder, MODEL.replace("TRAINING", training))
    assert only.startswith("line 11: training.")
    return only.removeprefix("line 11: training.")


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ("schedule: cosine", "schedule: give its fields, for example {kind: cosine} (got 'cosine')"),
        ("early_stopping: 3", "early_stopping: give its fields, for example {patience: 5} (got 3)"),
        ("fine_tuning: 5", "fine_tuning: give its fields, for example {epochs: 5, learning_rate: 0.00001} (got 5)"),
        (
            "augmentation: flip",
            "augmentation: give its fields, for example {flip: horizontal, crop: 0.1} (got 'flip')",
        ),
        ("network: 7", f"network: give its fields, for example {NETWORKS} (got 7)"),
        ("network:", f"network: give its fields, for example {NETWORKS} (got None)"),
        (
            "network: MobileNetV3Large",
            "network: give its fields, for example {name: mobilenet_v3_large} (got 'MobileNetV3Large')",
        ),
        ("network: nets:build", "network: give its fields, for example {function: nets:build} (got 'nets:build')"),
        ("network: {filters: 16}", "network.filters: give a list, for example [16] (got 16)"),
    ],
)
def test_a_plain_value_for_a_group_is_answered_with_an_example(tmp_path: Path, given: str, told: str) -> None:
    assert told == problem(tmp_path, given)


@pytest.mark.parametrize(
    ("given", "told"),
    [
        (
            "augmentation: {color: 1}",
            "augmentation.color: there is no such field; did you mean colour? Known here: colour, flip, crop, mixup ",
        ),
        (
            "network: {name: resnet50, weigths: imagenet}",
            "network.weigths: there is no such field; did you mean weights? Known here: weights, name, sha256, ",
        ),
        (
            "network: {size: 3}",
            "network.size: there is no such field. Known here: filters, dense, dropout, name, weights, sha256, ",
        ),
        (
            "network: {filters: [3], weights: imagenet}",
            "network.weights: it does not go with the other fields here. These do: filters, dense, dropout (",
        ),
    ],
)
def test_an_unknown_field_is_answered_with_the_known_ones(tmp_path: Path, given: str, told: str) -> None:
    assert problem(tmp_path, given).startswith(told)


def test_an_unknown_field_of_the_file_is_answered_with_the_names_in_the_file(tmp_path: Path) -> None:
    (told,) = problems(tmp_path, MODEL.replace("TRAINING", "") + "imports: 1\n")

    assert told.startswith("line 12: imports: there is no such field; did you mean import? Known here: import, name, ")


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ("{weights: imagenet}", "network.name: Field required, for example {name: mobilenet_v3_small, "),
        ("{options: {}}", "network.function: Field required, for example {function: my_package.networks:build}"),
        ("{model: resnet50}", "network: the name of a network of keras.applications is `name`; give {name: resnet50}"),
    ],
)
def test_what_is_missing_from_a_network_is_named(tmp_path: Path, given: str, told: str) -> None:
    assert problem(tmp_path, f"network: {given}").startswith(told)


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ("balance", ": give none, balanced, or a weight for each label, for example {cat: 1, dog: 2.5} (got 'balance"),
        ("{cat: 0}", ".cat: Input should be greater than 0 (got 0)"),
        ("{1: 2}", ': labels are text: write 1 as "1" (got {1: 2})'),
    ],
)
def test_wrong_class_weights_are_one_problem(tmp_path: Path, given: str, told: str) -> None:
    assert problem(tmp_path, f"class_weights: {given}").startswith(f"class_weights{told}")


@pytest.mark.parametrize("given", ["balanced", {"cat": 2.0}])
def test_class_weights_stay_as_they_are(given: Any) -> None:
    training = Training(epochs=1, class_weights=given)

    assert given == training.class_weights
    assert training == parse(Training, training.model_dump(mode="json"), source="a record")


@pytest.mark.parametrize(
    ("before", "after", "told"),
    [
        ("channels: 3", "channels: 1", "line 8: image.channels: resnet50 takes images in colour; give 3 (got 1)"),
        ("width: 64", "width: 16", "line 7: image.width: resnet50 takes no side below 32 pixels; give more (got 16)"),
    ],
)
def test_an_image_that_a_network_does_not_take_is_named_with_its_line(
    tmp_path: Path, before: str, after: str, told: str
) -> None:
    text = MODEL.replace("TRAINING", "network: {name: resnet50}").replace(before, after)

    assert (told,) == problems(tmp_path, text)


def test_a_digest_without_a_file_is_named_with_its_line(tmp_path: Path) -> None:
    text = MODEL.replace("TRAINING", f"network:\n    name: resnet50\n    sha256: {'a' * 64}")

    (told,) = problems(tmp_path, text)
    assert told.startswith("line 13: training.network.sha256: it belongs to a file of weights: ")


def test_the_digest_of_an_import_has_the_form_of_that_of_weights(tmp_path: Path) -> None:
    text = MODEL[: MODEL.index("training:")] + "import: {model: a.keras, labels: [cat, dog], sha256: abc}\n"

    (told,) = problems(tmp_path, text)
    assert told.startswith("line 9: import.sha256: String should match pattern '^[0-9a-f]{64}$'")


@pytest.mark.parametrize(
    "group",
    [
        Application,
        Augmentation,
        AutomaticRollback,
        CanaryPolicy,
        Data,
        DataChecks,
        EarlyStopping,
        FineTuning,
        GatePolicy,
        Image,
        Imported,
        LearningRateSchedule,
        NewImages,
        OwnNetwork,
        PubSub,
        RetentionPolicy,
        SmallNetwork,
        Training,
        Upload,
    ],
)
def test_the_example_of_a_group_is_a_good_one(group: type[Fields]) -> None:
    assert group.example
    parse(group, yaml.safe_load(group.example), source="the example")


def test_an_error_of_a_validator_of_a_group_keeps_its_words(tmp_path: Path) -> None:
    assert problem(tmp_path, "schedule: {kind: steps}").startswith(
        "schedule: `at` names the epochs of the kind `steps`"
    )
    assert ("line 1: give either `training`",) == tuple(
        each[:30] for each in problems(tmp_path, MODEL[: MODEL.index("training:")])
    )
