"""A program for the tests: `explain` over published versions, in one process. Prints what it saw as JSON."""

import contextlib
import io
import json
import logging
import os
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import keras  # noqa: TID253 - a program of its own
import numpy as np
import tensorflow as tf  # noqa: TID253 - likewise
from PIL import Image as Picture

from pipeline import layout
from pipeline.__main__ import main as command
from pipeline.journal.entries import Change, Event
from pipeline.runs.records import GateRecord, ProbeSet, SnapshotRecord, SpecRecord, TrainRecord
from pipeline.spec import Image, RunSpec
from pipeline.storage.sums import folder_digest, sums_of
from pipeline.training.explaining.worst_answers import worst_answers
from pipeline.training.exporting.export import export
from pipeline.training.pictures.mistakes import draw_mistakes
from pipeline.training.scoring.mistakes import Mistake
from pipeline.verdicts.verdict import Decision, Verdict
from tests.releases import MODEL, NO_MLFLOW, World

LABELS = ("up", "日本 $x$ [b]")
IMAGE = Image(height=8, width=8, channels=1)


def network() -> Any:
    """The upper half speaks for the first label."""
    layers = [keras.Input((8, 8, 1)), keras.layers.Flatten(), keras.layers.Dense(2, activation="softmax")]
    model = keras.Sequential(layers)
    kernel = np.zeros((8, 8, 2), np.float32)
    kernel[:4, :, 0] = kernel[4:, :, 1] = 0.2
    model.layers[-1].set_weights([kernel.reshape(64, 2), np.zeros(2, np.float32)])
    return model


def encoded(kind: str, *, size: int = 8, upper: int = 255, mode: str = "L") -> bytes:
    picture = Picture.new("L", (size, size), 20)
    picture.paste(upper, (0, 0, size, size // 2))
    stream = io.BytesIO()
    picture.convert(mode).save(stream, kind)
    return stream.getvalue()


def export_as_before(folder: Path) -> None:
    """A SavedModel of the time when there was no signature for pixels."""
    whole = folder.with_name("whole")
    export(network(), whole, name=MODEL, image=IMAGE, labels=LABELS, warmup=[encoded("PNG")])
    loaded = tf.saved_model.load(str(whole))
    tf.saved_model.save(loaded, str(folder), signatures={"serving_default": loaded.signatures["serving_default"]})


def publish(world: World, run_key: str, folder: Path) -> None:
    """A run that the gate has approved, published."""
    context = world.context(run_key)
    key, files = layout.exported(MODEL, run_key, "0" * 16), sums_of(folder)
    context.bucket.upload(folder, key)
    run = RunSpec(model=world.spec, run_key=run_key, requested_by="ann", note="", force=False, code_version="test")
    trained = TrainRecord(
        model_key=key, files=files, model_digest=folder_digest(files), mlflow_run="", mlflow_model="", metrics={}
    )
    passed = Verdict(decision=Decision.PASS, reasons=("good",))
    for record in (
        SpecRecord(spec=run),
        SnapshotRecord(digest="d" * 64, labels=LABELS),
        trained,
        GateRecord(verdict=passed, serving_version=None),
        ProbeSet(golden=(), fresh=()),
    ):
        context.records.finish(record)
    world.run("publish", run_key)


def serve(world: World, version: int) -> None:
    """The journal says so; no replica exists in this test."""
    world.context("promote-1").journal.decide(
        lambda history: Change(
            event=Event.PROMOTED,
            version=version,
            reason="a test",
            state=history.state.model_copy(update={"serving": version}),
        )
    )


def explain(*words: str) -> dict[str, Any]:
    """The command, with its exit code and what it has written."""
    logging.getLogger().handlers.clear()
    out, err = io.StringIO(), io.StringIO()
    sys.argv = ["understudy", "explain", "--model", MODEL, *words]
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            code = int(command())
        except SystemExit as ended:
            code = int(ended.code or 0)
    return {"code": code, "out": out.getvalue(), "err": err.getvalue()}


def worst(folder: Path, seconds: float = 60.0) -> list[list[Any]]:
    """What `evaluate` shows of wrong answers: whether each is explained, and how exactly."""
    images = [encoded("PNG"), encoded("PNG", upper=0)] * 5
    mistakes = [Mistake(position, 1 - position % 2, position % 2, 0.9) for position in reversed(range(10))]

    def read(positions: Sequence[int]) -> list[bytes]:
        return [images[position] for position in positions]

    found = worst_answers(folder, mistakes, read=read, labels=LABELS, seconds=seconds)
    size = len(draw_mistakes(found, wrong=len(mistakes), images=99))
    return [[*each.truth, *each.given, each.attributions is not None, each.is_complete, size > 0] for each in found]


def files(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def images(folder: Path) -> Path:
    (folder / "more" / "deep").mkdir(parents=True)
    (folder / "up.png").write_bytes(encoded("PNG"))
    (folder / "large.webp").write_bytes(encoded("WEBP", size=300, mode="RGB"))
    (folder / "more" / "down.jpg").write_bytes(encoded("JPEG", upper=0))
    (folder / "more" / "deep" / "x.gif").write_bytes(encoded("GIF"))
    (folder / "more" / ".hidden").write_text("any")
    (folder / "short.png").write_bytes(encoded("PNG")[:-20])
    return folder


def main(folder: Path) -> None:
    world = World(folder)
    os.environ |= {
        "UNDERSTUDY_ROOT": str(world.bucket),
        "UNDERSTUDY_MODELS": str(folder),
        "UNDERSTUDY_REPLICAS": "127.0.0.1:9",
        "UNDERSTUDY_MLFLOW_URL": NO_MLFLOW,
        "COLUMNS": "300",
    }
    world.context("init-0").rollout.settle(first=True)
    seen: dict[str, Any] = {"unreleased": explain(str(folder))}
    export(network(), folder / "new", name=MODEL, image=IMAGE, labels=LABELS, warmup=[encoded("PNG")])
    export_as_before(folder / "old")
    for number, name in enumerate(("new", "old"), start=1):
        publish(world, f"retrain-{number}", folder / name)
    seen["worst"], seen["worst_at_once"] = worst(folder / "new"), worst(folder / "new", seconds=0)
    seen["worst_of_old"] = worst(folder / "old")
    given, out = images(folder / "images"), folder / "out" / "deep"
    up = str(given / "up.png")
    seen["unserved"] = explain(up)
    serve(world, 1)
    seen["serving"] = explain(up, "--output", str(out))
    seen["first_files"] = files(out)
    seen["again"] = explain(up, "--output", str(out), "--version", "v1")
    seen["class"] = explain(up, "--output", str(out), "--class", LABELS[1])
    seen["class_files"] = files(out)
    seen["all"] = explain(
        str(given / "short.png"),
        str(given / "none.png"),
        str(given / "large.webp"),
        str(given / "more"),
        "--output",
        str(folder / "all"),
    )
    seen["all_files"] = files(folder / "all")
    seen["folder_twice"] = [explain(str(given / "more"), "--output", str(given / "more"))["code"] for _ in "12"]
    seen["more_files"] = files(given / "more")
    foreign = out / "large-v1.png"
    foreign.write_bytes(b"mine")
    seen["foreign"] = explain(str(given / "large.webp"), up, "--output", str(out)) | {
        "kept": foreign.read_bytes() == b"mine"
    }
    (folder / "a file").write_text("any")
    seen["no_folder"] = explain(up, "--output", str(folder / "a file" / "below"))
    seen["a_file"] = explain(up, "--output", str(folder / "a file"))
    seen["old"] = explain(up, "--version", "2")
    seen["unknown"] = explain(up, "--version", "7")
    seen["malformed"] = explain(up, "--version", "newest")
    seen["label"] = explain(up, "--class", "cat")
    (folder / "empty").mkdir()
    seen["empty"] = explain(str(folder / "empty"))
    picture = Picture.open(out / "up-v1.png")
    seen["picture"] = [picture.format, *picture.size]
    variables = world.bucket / layout.version(MODEL, 1) / "variables" / "variables.data-00000-of-00001"
    variables.write_bytes(variables.read_bytes()[:-1] + b"?")
    seen["damaged"] = explain(up, "--output", str(out))
    print(json.dumps(seen))  # noqa: T201 - the test reads it


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as scratch:
        os.chdir(scratch)
        main(Path(sys.argv[1]))
