"""A program for the tests: a version that serves is asked about new images, some of which have a wrong label.

A real release first. Prints what it saw as JSON.
"""

import csv
import io
import json
import logging
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from PIL import Image as Picture

from pipeline import layout
from pipeline.context import RunContext
from pipeline.data.snapshot.examined import NewImage
from pipeline.errors import FailedError
from pipeline.inspection.suspected_labels import suspected_labels
from pipeline.run_verbs import run_once
from pipeline.runs.records import SpecRecord
from pipeline.verdicts.measurements import LabelErrors
from tests.pipeline.verbs.relabelling import RELEASED, VERBS, RealWorld
from tests.releases import MODEL, SPEC

DARK, LIGHT = "dark", "light"


class Kept(logging.Handler):
    def __init__(self) -> None:
        super().__init__()
        self.messages: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.messages.append(record.getMessage())


def picture(number: int, label: str) -> bytes:
    """8x8, dark or light all over, and like no other one."""
    base = 20 if label == DARK else 200
    image = Picture.new("L", (8, 8), base)
    for bit in range(8):
        image.putpixel((bit, number % 8), base + 30 * (number >> bit & 1))
    stream = io.BytesIO()
    image.save(stream, format="PNG")
    return stream.getvalue()


def prepare(folder: Path) -> None:
    for label in (DARK, LIGHT):
        (folder / "images" / label).mkdir(parents=True)
        for number in range(80):
            (folder / "images" / label / f"{number}.png").write_bytes(picture(number, label))
    content = SPEC.model_dump(mode="json")
    content["data"] |= {"images": str(folder / "images"), "holdout": 0.3, "checks": {"examined": 100}}
    content["training"] |= {"epochs": 12, "learning_rate": 0.01, "seed": 1}
    content["gate"] |= {"margin": 0.99, "min_accuracy": 0, "min_class_recall": 0, "max_calibration_error": 1}
    content["canary"] |= {"max_accuracy_drop": 1}
    (folder / f"{MODEL}.yaml").write_text(json.dumps(content))


def stored(context: RunContext, path: str, label: str, content: bytes) -> NewImage:
    key = f"data/{MODEL}/{path}"
    context.bucket.create(key, content)
    return NewImage(path, label, key)


def new_images(context: RunContext) -> list[NewImage]:
    """60 of each label, in turns; the last three of each have the other label."""
    return [
        stored(context, f"{truth}/{number}.png", truth if number < 157 else other, picture(number, truth))
        for number in reversed(range(100, 160))
        for truth, other in ((DARK, LIGHT), (LIGHT, DARK))
    ]


def judged(world: RealWorld, key: str, label_errors: float | None) -> Any:
    """How `snapshot` ends with these new images in the folder, and the paths in the table of its report."""
    model_file = world.folder / f"{MODEL}.yaml"
    content = json.loads(model_file.read_text())
    content["data"]["checks"]["label_errors"] = label_errors
    model_file.write_text(json.dumps(content))
    try:
        run_once(VERBS["snapshot"], world.context(key))
        ended = "done"
    except FailedError as error:
        ended = str(error)
    (table,) = (world.bucket / "runs" / MODEL / key).glob("data-report-*/label_errors.csv")
    return {"ended": ended, "suspects": [row["path"] for row in csv.DictReader(table.open(encoding="utf-8"))]}


def add_to_source(folder: Path, context: RunContext, images: list[NewImage]) -> None:
    for each in images:
        (folder / each.label / f"new {each.path.replace('/', ' ')}").write_bytes(context.bucket.read(each.key))


def asked(context: RunContext, serving: int | None, images: list[NewImage]) -> Any:
    found: LabelErrors | None = suspected_labels(context, serving, images, most=100)
    return found and found.model_dump()


def without(path: Path, ask: Callable[[], Any]) -> Any:
    shutil.move(path, f"{path}.away")
    try:
        return ask()
    finally:
        shutil.move(f"{path}.away", path)


def main(folder: Path) -> None:
    prepare(folder)
    world = RealWorld(folder, mlflow_url=f"sqlite:///{folder}/mlflow.db")
    world.start(count=1)
    for verb in RELEASED:
        run_once(VERBS[verb], world.context("retrain-1"))
    context = world.context("retrain-2")
    context.records.finish(SpecRecord(spec=world.context("retrain-1").records.require(SpecRecord).spec))
    kept = Kept()
    logging.getLogger("pipeline.inspection").setLevel(logging.INFO)
    logging.getLogger("pipeline.inspection").addHandler(kept)
    images = new_images(context)
    version = world.bucket / layout.version(MODEL, 1)
    seen = {
        "found": asked(context, 1, images),
        "many": asked(context, 1, images * 3),
        "unknown": asked(context, 1, [each._replace(label="grey") for each in images]),
        "one known": asked(context, 1, [images[0], images[1]._replace(label="grey")]),
        "nothing serves": asked(context, None, images),
        "no images": asked(context, 1, []),
        "no picture": asked(context, 1, [stored(context, "a.png", DARK, b"no image")]),
        "no file": asked(context, 1, [images[0]._replace(key=f"data/{MODEL}/lost.png")]),
        "lost": without(version / "saved_model.pb", lambda: asked(context, 1, images)),
        "gone": without(version, lambda: asked(context, 1, images)),
    }
    add_to_source(folder / "images", context, images)
    seen["refused"] = judged(world, "retrain-3", 0.01)
    seen["accepted"] = judged(world, "retrain-4", 0.2)
    world.stop()
    print(json.dumps(seen | {"log": kept.messages}))  # noqa: T201 - the test reads it


if __name__ == "__main__":
    main(Path(sys.argv[1]))
