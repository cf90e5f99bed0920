"""A program for the tests: folders of images whose labels change, through the real verbs and a real model server.

v1 serves bird, cat and dog. Prints as JSON what `snapshot`, `gate` and `canary` made of each change.
"""

import hashlib
import io
import json
import shutil
import sys
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image as Picture

from pipeline.context import RunContext
from pipeline.errors import DeclinedError, UnderstudyError
from pipeline.run_verbs import RUN_VERBS, run_once
from pipeline.runs.records import EvaluateRecord, ExportRecord, GateRecord, ProbeSet, SnapshotRecord
from serving.model_server.lifecycle.servable import ServableId
from serving.model_server.loading.saved_model_loader import SavedModelLoader
from tests.fleet import RunningReplica
from tests.releases import MODEL, SPEC, World

JUDGED = ("snapshot", "train", "evaluate", "gate")
RELEASED = (*JUDGED, "publish", "canary", "promote")
VERBS = {verb.name: verb for verb in RUN_VERBS}
# The grey of each label's images begins here; 40 follow.
GREY = {"bird": 0, "cat": 50, "dog": 100, "ant": 150, "big ant": 200}


class Replica(RunningReplica):
    """A server that loads what `train` exports."""

    def _load(self, servable_id: ServableId, path: str) -> Any:
        return SavedModelLoader(tags=frozenset({"serve"}))(servable_id, path)


class RealWorld(World):
    def replica(self, *, default_flags: bool = False, first_ring: bool = False) -> RunningReplica:
        return Replica(self.config)


def draw(images: Path, label: str) -> None:
    (images / label).mkdir(parents=True, exist_ok=True)
    for grey in range(GREY[label], GREY[label] + 40):
        stream = io.BytesIO()
        Picture.new("L", (4, 4), grey).save(stream, format="PNG")
        (images / label / f"{grey}.png").write_bytes(stream.getvalue())


def run(world: World, key: str, verbs: tuple[str, ...], accept: tuple[str, ...] = (), **form: object) -> dict[str, Any]:
    """Run the verbs; what they recorded, and how the last one ended."""
    world.extra["params"] = json.dumps({"accept_labels": accept, "note": "wanted", "seed": 1, **form})
    context = world.context(key)
    ended = "done"
    for verb in verbs:
        try:
            run_once(VERBS[verb], context)
        except UnderstudyError as error:
            ended = f"{'declined' if isinstance(error, DeclinedError) else type(error).__name__} by {verb}: {error}"
            break
    return {"ended": ended, **recorded(context)}


def recorded(context: RunContext) -> dict[str, Any]:
    data = context.records.require(SnapshotRecord)
    evaluated, gate = context.records.find(EvaluateRecord), context.records.find(GateRecord)
    return {
        "labels": data.labels,
        "missing": data.missing,
        "new": data.new,
        "held_out": data.count("holdout"),
        "compared": len(evaluated.evaluation.compared()) if evaluated else None,
        "recall": sorted(evaluated.evaluation.candidate.class_recall) if evaluated else None,
        "reasons": gate.verdict.reasons if gate else None,
    }


def write_model_file(folder: Path, images: Path) -> None:
    content = SPEC.model_dump(mode="json")
    content["data"] |= {"images": str(images), "holdout": 0.3}
    content["image"] = {"height": 4, "width": 4, "channels": 1}
    # Which model is how good is not the question here.
    content["gate"] |= {"margin": 0.99, "min_accuracy": 0, "min_class_recall": 0, "max_calibration_error": 1}
    content["canary"] |= {"max_accuracy_drop": 1}
    (folder / f"{MODEL}.yaml").write_text(json.dumps(content))


def write_import(folder: Path) -> None:
    """A network that says `dog` to everything, its labels in an order of its own, instead of a training."""
    import keras

    labels = ["dog", "big ant", "bird", "ant"]
    network = keras.Sequential([keras.Input((4, 4, 1)), keras.layers.Flatten(), keras.layers.Dense(4)])
    kernel, bias = network.get_weights()
    network.set_weights([0 * kernel, np.add(bias, [5, 0, 0, 0])])
    network.save(folder / "dog.keras")
    digest = hashlib.sha256((folder / "dog.keras").read_bytes()).hexdigest()
    path = folder / f"{MODEL}.yaml"
    content = json.loads(path.read_text())
    del content["training"], content["imported"]
    model = {"model": str(folder / "dog.keras"), "sha256": digest, "labels": labels, "outputs": "logits"}
    path.write_text(json.dumps(content | {"import": model}))


def main(folder: Path) -> None:
    images = folder / "images"
    write_model_file(folder, images)
    for label in ("bird", "cat", "dog"):
        draw(images, label)
    world = RealWorld(folder, mlflow_url=f"sqlite:///{folder}/mlflow.db")
    world.start(count=1)
    seen = {"first": run(world, "retrain-1", RELEASED)}

    shutil.move(images / "dog", images / "aardvark")
    seen["renamed"] = run(world, "retrain-2", RELEASED, force=True)
    shutil.move(images / "aardvark", images / "dog")

    shutil.rmtree(images / "cat")
    (images / "cat").mkdir()
    seen["emptied"] = run(world, "retrain-3", RELEASED)
    draw(images, "cat")

    draw(images, "ant")
    draw(images, "big ant")
    seen["added"] = run(world, "retrain-4", RELEASED, ("ant", "big ant"))

    shutil.rmtree(images / "cat")
    seen["removed"] = run(world, "retrain-5", RELEASED, ("cat",))
    seen["manifests"] = {
        str(version): world.context("look-0").manifests.labels(version, world.history()) for version in (1, 2, 3)
    }

    path = folder / f"{MODEL}.yaml"
    content = json.loads(path.read_text())
    content["training"]["warm_start"] = "serving"
    path.write_text(json.dumps(content))
    seen["warm"] = run(world, "retrain-6", ("snapshot", "train"))
    exported = world.context("retrain-6").records.require(ExportRecord)
    seen["warm"]["began_with"] = exported.facts["began with"]

    write_import(folder)
    seen["imported"] = run(world, "retrain-7", RELEASED, seed=None)
    records = world.context("retrain-7").records
    seen["imported"]["epochs"] = len(records.require(ExportRecord).epochs)
    seen["imported"]["golden"] = sorted({each.label for each in records.require(ProbeSet).golden})
    seen["imported"]["serving"] = world.history().state.serving
    world.stop()
    print(json.dumps(seen))  # noqa: T201 - the test reads it


if __name__ == "__main__":
    main(Path(sys.argv[1]))
