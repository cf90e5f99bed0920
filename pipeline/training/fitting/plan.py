"""What a training is asked for."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.spec import Image, Training


@dataclass(frozen=True)
class Plan:
    """What is trained.

    Attributes:
        training: the settings.
        image: the size and the channels of the input.
        labels: in the order of the outputs.
        seed: of the weights, of dropout, of the order of the images and of their changes.
        weights: the file of the pretrained weights; None: random ones.
        begin: changes the weights before the first epoch, and says what it did; None: nothing does.
        replicas: names of devices to copy the network to; empty: all GPUs.
    """

    training: Training
    image: Image
    labels: tuple[str, ...]
    seed: int
    weights: Path | None = None
    begin: Callable[[Any], str] | None = None
    replicas: tuple[str, ...] = ()
