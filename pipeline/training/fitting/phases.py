"""The phases of a training: one; or first the head alone, then fine-tuning of the layers below it."""

from dataclasses import dataclass
from typing import Any

from pipeline.spec import Training
from pipeline.training.fitting.schedules import rate
from pipeline.training.networks.building import Built, freeze, unfreeze


@dataclass(frozen=True)
class Phase:
    """A part of a training with a learning rate of its own.

    Attributes:
        name: for people; empty if it is the only one.
        epochs: how many at most.
        learning_rate: where its schedule begins.
    """

    name: str
    epochs: int
    learning_rate: float


def phases_of(training: Training) -> list[Phase]:
    """In their order."""
    tuning = training.fine_tuning
    if tuning is None:
        return [Phase("", training.epochs, training.learning_rate)]
    return [
        Phase("head", training.epochs, training.learning_rate),
        Phase("fine-tuning", tuning.epochs, tuning.learning_rate),
    ]


def prepare(built: Built, training: Training, number: int, *, steps: int) -> None:
    """Make the network ready for a phase, from 0: what is frozen, and a new optimiser.

    Its optimiser has all variables afterwards, so that they can be restored.
    """
    import keras

    phase = phases_of(training)[number]
    if built.base is not None and number == 0:
        freeze(built)
    elif training.fine_tuning is not None:
        unfreeze(built, training.fine_tuning.layers)
    optimiser: Any = keras.optimizers.Adam(
        rate(training.schedule, phase.learning_rate, epochs=phase.epochs, steps=steps)
    )
    mixed_labels = training.augmentation.mixup > 0
    built.model.compile(
        optimizer=optimiser,
        loss="categorical_crossentropy" if mixed_labels else "sparse_categorical_crossentropy",
        metrics=["accuracy"],
    )
    built.model.optimizer.build(built.model.trainable_variables)
