"""What a run was asked for, as MLflow's parameters: one value each, under names that stay from run to run."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from pipeline.runs.records import SnapshotRecord
from pipeline.spec import ModelSpec

# Of MLflow.
_LONGEST = 6000
# Their keys are words of people, which MLflow does not take as names.
_PERSONAL = ("class_weights", "options")


def parameters(model: ModelSpec, data: SnapshotRecord, *, seed: int) -> dict[str, Any]:
    """The settings of the training or of the import, the size of the images, and the data.

    Groups are joined by dots, `augmentation.flip`; the fields of the network have no prefix, and `network` says which
    one it is.
    """
    found = {
        "image": f"{model.image.height}x{model.image.width}x{model.image.channels}",
        "examples/train": data.count("train"),
        "examples/holdout": data.count("holdout"),
        "data_digest": data.digest,
    }
    if model.training is None:
        assert model.imported is not None
        return found | dict(_flat({"import": model.imported.model_dump()}))
    training = model.training.model_dump()
    network = training.pop("network")
    kind = network.pop("name", None) or network.pop("function", None) or "small"
    return found | dict(_flat(training)) | dict(_flat(network)) | {"network": kind, "seed": seed}


def _flat(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    for name, value in values.items():
        if name in _PERSONAL and isinstance(value, Mapping):
            yield f"{prefix}{name}", json.dumps(value, ensure_ascii=False, sort_keys=True)[:_LONGEST]
        elif isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{name}.")
        elif value is not None:
            shown = ",".join(map(str, value)) if isinstance(value, (list, tuple)) else str(value)
            yield f"{prefix}{name}", shown[:_LONGEST]
