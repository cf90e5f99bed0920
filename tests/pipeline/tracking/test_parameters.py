"""The settings of a training as MLflow's parameters."""

import json

from pipeline.runs.records import SnapshotRecord
from pipeline.spec import Data, Image, Imported, ModelSpec, OwnNetwork, Training
from pipeline.tracking.parameters import parameters

DATA = SnapshotRecord(digest="d" * 64, labels=("cat", "dog"))


def of(**more: object) -> dict[str, object]:
    spec = ModelSpec.model_validate(
        {"name": "pets", "description": "", "owner": "", "data": Data(images="x"), "image": Image(height=8, width=9)}
        | more
    )
    return parameters(spec, DATA, seed=7)


def test_a_training_has_a_parameter_for_each_setting() -> None:
    found = of(training=Training.model_validate({"epochs": 3, "augmentation": {"flip": "both"}}))

    expected = {"epochs": "3", "augmentation.flip": "both", "filters": "16,32", "network": "small", "seed": 7}
    assert expected == {name: found[name] for name in expected}
    assert "8x9x3" == found["image"]


def test_words_of_people_are_in_values_and_never_in_names() -> None:
    """MLflow refuses most of them as names."""
    weights, options = {"dog & cat": 2.0, "it's\n": 1.5}, {"$x": [1, {"y": "ü"}]}
    training = Training(epochs=1, class_weights=weights, network=OwnNetwork(function="a:b", options=options))
    found = of(training=training)

    assert weights == json.loads(str(found["class_weights"]))
    assert options == json.loads(str(found["options"]))
    assert not [name for name in found if not name.replace("_", "").replace(".", "").replace("/", "").isalnum()]


def test_an_imported_model_has_what_was_imported_and_no_training() -> None:
    found = of(**{"import": Imported(model="gs://m/x.keras", labels=("cat", "dog"))})

    assert ("gs://m/x.keras", "cat,dog") == (found["import.model"], found["import.labels"])
    assert "epochs" not in found
