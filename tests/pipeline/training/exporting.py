"""A program for the tests: train a small network from a seed and export it, in a process of its own as `train` does."""

import sys
from pathlib import Path

from pipeline.training.exporting import export
from tests.pipeline.training.trained import trained
from tests.pipeline.training.training import IMAGE, LABELS, TRAINING, picture


def main(folder: Path, seed: int) -> None:
    images = [(picture(shade), int(shade > 127)) for shade in range(0, 256, 32)]
    fitted = trained(TRAINING, IMAGE, LABELS, seed=seed, images=images, validation=images)
    export.export(fitted.network, folder, name="shades", image=IMAGE, labels=LABELS, warmup=[images[0][0]])


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
