"""A program for the tests: train one real step, export, load as a server does. Prints what it saw as JSON."""

import io
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image as Picture

from pipeline.spec import Image, SmallNetwork, Training
from pipeline.training.exporting import export
from pipeline.training.preprocessing import decoded
from pipeline.training.scoring.exported_model import ExportedModel
from serving import signature
from serving.status import StatusError
from tests.pipeline.training.trained import trained

LABELS = ("dark", "light")
IMAGE = Image(height=6, width=5, channels=1)
TRAINING = Training(epochs=2, batch_size=4, learning_rate=0.01, network=SmallNetwork(filters=(2,), dense=4))


def picture(shade: int, kind: str = "PNG", size: tuple[int, int] = (9, 7)) -> bytes:
    stream = io.BytesIO()
    Picture.new("RGB" if kind == "JPEG" else "L", size, (shade,) * 3 if kind == "JPEG" else shade).save(stream, kind)
    return stream.getvalue()


def main(folder: Path) -> None:
    images = [(picture(shade), int(shade > 127)) for shade in range(0, 256, 16)]
    epochs: list[int] = []

    def train(seed: int) -> Any:
        return trained(
            TRAINING,
            IMAGE,
            LABELS,
            seed=seed,
            images=images,
            validation=images[::4],
            on_epoch=lambda number, epoch: epochs.append(number) if "validation/accuracy" in epoch.metrics else None,
        ).network

    first = train(3)
    again, other = train(3), train(4)
    warmup = [content for content, _ in images[:3]]
    export.export(first, folder / "model", name="shades", image=IMAGE, labels=LABELS, warmup=warmup)
    model = ExportedModel(folder / "model")
    asked = [content for content, _ in images]
    probabilities = model.probabilities(asked)
    truth = np.array([target for _, target in images])
    predictions = model.predict([asked[:7], asked[7:]], truth, LABELS, kept=[0, 6, 7, 15])
    pixels = np.stack([decoded(content, IMAGE).numpy() for content in asked])
    direct = first(pixels, training=False).numpy()
    mixed = model.probabilities([picture(10, "JPEG", (40, 30)), picture(250), picture(10, "PNG", (3, 3))])
    try:
        model.probabilities([b"no image at all"])
        refused = ""
    except StatusError as error:
        refused = error.code.name
    weights = [[w.tolist() for w in each.get_weights()] for each in (first, again, other)]
    (folder / "model" / "variables" / "variables.index").unlink()
    try:
        ExportedModel(folder / "model")
        without_variables = ""
    except StatusError as error:
        without_variables = error.code.name
    print(  # noqa: T201 - the test reads it
        json.dumps(
            {
                "epochs": epochs,
                "problems": signature.contract_problems(model.signatures, labels=LABELS),
                "problems_with_a_label_more": signature.contract_problems(model.signatures, labels=(*LABELS, "grey")),
                "inputs": {name: info.name for name, info in model.signatures[signature.NAME].inputs.items()},
                "input": signature.INPUT,
                "skew": float(np.abs(direct - probabilities).max()),
                "sums": probabilities.sum(axis=1).tolist(),
                "labels": sorted(set(predictions.labels)),
                "streamed": [
                    predictions.labels == [LABELS[each] for each in probabilities.argmax(axis=1)],
                    predictions.indices.tolist() == probabilities.argmax(axis=1).tolist(),
                    predictions.right.tolist() == (probabilities.argmax(axis=1) == truth).tolist(),
                    np.allclose(predictions.confidence, probabilities.max(axis=1), atol=1e-6),
                    sorted(predictions.kept) == [0, 6, 7, 15],
                    all(np.allclose(row, probabilities[at], atol=1e-6) for at, row in predictions.kept.items()),
                    predictions.latency_ms > 0,
                ],
                "mixed": len(mixed),
                "refused": refused,
                "without_variables": without_variables,
                "same_seed_same_weights": weights[0] == weights[1],
                "other_seed_other_weights": weights[0] != weights[2],
                "asset": (folder / "model" / "assets" / "labels.txt").read_text(),
            }
        )
    )


if __name__ == "__main__":
    main(Path(sys.argv[1]))
