"""Train a network: phase by phase, epoch by epoch, from the last epoch that was stored; the best epoch comes out."""

import logging
import math
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.errors import FailedError
from pipeline.runs.records import Epoch
from pipeline.spec import Image, Training
from pipeline.training.fitting.best_epoch import BestEpoch
from pipeline.training.fitting.checkpoints import Arrays, Checkpoints, State
from pipeline.training.fitting.devices import Devices, find_devices, precision
from pipeline.training.fitting.phases import Phase, phases_of, prepare
from pipeline.training.fitting.progress import Progress
from pipeline.training.inputs.batches import plain_batches, steps_of, training_batches
from pipeline.training.inputs.prepared import Prepared
from pipeline.training.networks.building import Built, build

log = logging.getLogger(__name__)

# No name of a checkpoint.
_NOT_STORED = "none"

OnEpoch = Callable[[int, Epoch], None]


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


@dataclass(frozen=True)
class Fitted:
    """A trained network.

    Attributes:
        network: a Keras model that computes in float32, with the weights of the best epoch.
        epochs: of all phases.
        best: the number of the best epoch, from 1.
        phase_ends: the numbers of the last epochs of the phases but the last one.
        facts: see `ExportRecord`.
    """

    network: Any
    epochs: tuple[Epoch, ...]
    best: int
    phase_ends: tuple[int, ...]
    facts: dict[str, str]


@dataclass
class _Course:
    """How far the training is; what a checkpoint holds."""

    best: BestEpoch
    epochs: list[Epoch] = field(default_factory=list)
    phase: int = 0
    phase_ends: tuple[int, ...] = ()
    is_over: bool = False
    best_name: str = ""
    facts: dict[str, str] = field(default_factory=dict)

    def in_phase(self) -> int:
        """Epochs of this phase so far."""
        return len(self.epochs) - (self.phase_ends[-1] if self.phase_ends else 0)


def fit(plan: Plan, *, train: Prepared, validation: Prepared, checkpoints: Checkpoints, on_epoch: OnEpoch) -> Fitted:
    """Train from the beginning, or from the newest checkpoint.

    Args:
        plan: what is trained.
        train: the images for training; at least one.
        validation: those that decide which epoch is the best one; may be empty.
        checkpoints: of this run.
        on_epoch: called after each epoch, also for those that a checkpoint has, with its number from 1.

    Raises:
        FailedError: the loss is no number.
        StorageError: the bucket could not say whether there is a checkpoint.
    """
    import keras

    devices = find_devices(plan.training.mixed_precision, replicas=plan.replicas)
    keras.utils.set_random_seed(plan.seed)
    with ExitStack() as stack:
        stack.enter_context(precision(devices.policy))
        stack.enter_context(devices.scope())
        built = build(plan.training.network, plan.image, classes=len(plan.labels), weights=plan.weights)
        fitting = _Fitting(plan, built, train=train, validation=validation, checkpoints=checkpoints, on_epoch=on_epoch)
        fitting.run(devices)
    network = build(plan.training.network, plan.image, classes=len(plan.labels), weights=None).model
    _assign(network.variables, fitting.best_weights)
    course = fitting.course
    return Fitted(
        network, tuple(course.epochs), course.best.number or len(course.epochs), course.phase_ends, course.facts
    )


class _Fitting:
    """One training."""

    def __init__(
        self,
        plan: Plan,
        built: Built,
        *,
        train: Prepared,
        validation: Prepared,
        checkpoints: Checkpoints,
        on_epoch: OnEpoch,
    ) -> None:
        self._plan = plan
        self._built = built
        self._train = train
        self._validation = validation
        self._checkpoints = checkpoints
        self._on_epoch = on_epoch
        self._steps = steps_of(train, plan.training.batch_size)
        self.course = _Course(best=BestEpoch(plan.training.metric))
        # In the memory of this process: a checkpoint may be lost.
        self.best_weights: Arrays = []

    def run(self, devices: Devices) -> None:
        """All phases that are left."""
        if not self._resume():
            self.course.facts = dict(devices.facts)
            if self._plan.begin is not None:
                self.course.facts["began with"] = self._plan.begin(self._built.model)
            self._prepare()
        phases = phases_of(self._plan.training)
        while True:
            if not self.course.is_over:
                self._fit(phases[self.course.phase])
            if self.course.phase + 1 == len(phases):
                return
            self._next_phase()

    def _prepare(self) -> None:
        prepare(self._built, self._plan.training, self.course.phase, steps=self._steps)

    def _next_phase(self) -> None:
        """From the best epoch of the phase before."""
        self.course.phase_ends = (*self.course.phase_ends, len(self.course.epochs))
        self.course.phase += 1
        self.course.is_over = False
        self.course.best = self.course.best.in_the_next_phase()
        _assign(self._built.model.variables, self.best_weights)
        self._prepare()

    def _fit(self, phase: Phase) -> None:
        import keras

        course = self.course
        done = course.in_phase()
        before = len(course.epochs) - done
        progress = Progress(first=len(course.epochs), epochs=before + phase.epochs, steps=self._steps, name=phase.name)
        fitting = self

        class EachEpoch(keras.callbacks.Callback):  # type: ignore[misc]  # Keras is untyped for us
            def on_train_batch_end(self, batch: int, logs: Any = None) -> None:  # noqa: ARG002 - the name is Keras'
                progress.step(batch + 1)

            def on_epoch_end(self, epoch: int, logs: Any = None) -> None:  # noqa: ARG002
                fitting.ended(_named(logs), phase, progress)
                self.model.stop_training = course.is_over

        # The batches of all epochs that are left come in one row, so the next epoch is prepared before one ends.
        with self._train.own_errors(), self._validation.own_errors():
            self._built.model.fit(
                self._batches(before, phase),
                validation_data=self._validation_batches(),
                initial_epoch=done,
                epochs=phase.epochs,
                steps_per_epoch=self._steps,
                shuffle=False,  # the data set is in order
                verbose=0,
                callbacks=[EachEpoch()],
            )

    def ended(self, metrics: dict[str, float], phase: Phase, progress: Progress) -> None:
        """After an epoch."""
        course, training = self.course, self._plan.training
        course.epochs.append(Epoch(at=datetime.now(UTC), metrics=metrics))
        number = len(course.epochs)
        if not math.isfinite(metrics["train/loss"]):
            raise FailedError(
                f"the training has diverged: the loss of epoch {number} is {metrics['train/loss']}. Lower "
                f"`training.learning_rate` ({phase.learning_rate:g} in this phase), or give it a warm-up"
            )
        course.best = course.best.after(number, metrics, stopping=training.early_stopping)
        is_best = course.best.number == number
        if is_best:
            course.best_name = ""
            self.best_weights = _copied(self._built.model.variables)
        course.is_over = course.in_phase() >= phase.epochs or course.best.has_waited(training.early_stopping)
        name = self._checkpoints.save(self._state(), _copied(self._variables()))
        if is_best:
            course.best_name = name or _NOT_STORED
        progress.epoch(number, metrics, best=course.best.number)
        self._on_epoch(number, course.epochs[-1])

    def _resume(self) -> bool:
        """Whether a checkpoint was found, and all is as it was after its last epoch."""
        found = self._checkpoints.newest()
        if found is None:
            return False
        state, name = found
        arrays = self._checkpoints.arrays(name)
        best_name = state.best_name or name
        if arrays is None:
            return False
        best = arrays if best_name == name else self._checkpoints.arrays(best_name)
        self.course = _course(self._plan, state, best_name)
        if best is None:
            log.warning("the best epoch so far is lost; the epochs from now on count")
            best, self.course.best = arrays, BestEpoch(self._plan.training.metric)
        course = self.course
        self._prepare()
        _assign(self._variables(), arrays)
        self.best_weights = best[: len(self._built.model.variables)]
        log.info("the training goes on after epoch %d, from %s", len(course.epochs), name)
        for number, epoch in enumerate(course.epochs, start=1):
            self._on_epoch(number, epoch)
        return True

    def _state(self) -> State:
        course = self.course
        return State(
            of=self._checkpoints.of,
            sha256="",
            phase=course.phase,
            phase_ends=course.phase_ends,
            is_over=course.is_over,
            epochs=tuple(course.epochs),
            best=course.best.number,
            best_value=course.best.value if course.best.number else None,
            since=course.best.since,
            best_name=course.best_name,
            facts=course.facts,
        )

    def _variables(self) -> list[Any]:
        """The weights first."""
        return [*self._built.model.variables, *self._built.model.optimizer.variables]

    def _batches(self, before: int, phase: Phase) -> Any:
        training = self._plan.training
        return training_batches(
            self._train,
            batch_size=training.batch_size,
            seed=self._plan.seed,
            first_epoch=len(self.course.epochs),
            epochs=before + phase.epochs,
            augmentation=training.augmentation,
            class_weights=training.class_weights,
            labels=self._plan.labels,
        )

    def _validation_batches(self) -> Any:
        import tensorflow as tf

        if not len(self._validation):
            return None
        batches = plain_batches(self._validation, batch_size=self._plan.training.batch_size)
        if self._plan.training.augmentation.mixup > 0:  # the loss takes a share of each class
            return batches.map(lambda pixels, target: (pixels, tf.one_hot(target, len(self._plan.labels))))
        return batches


def _course(plan: Plan, state: State, best_name: str) -> _Course:
    best = BestEpoch(
        plan.training.metric,
        number=state.best,
        value=math.nan if state.best_value is None else state.best_value,
        since=state.since,
    )
    return _Course(
        best=best,
        epochs=list(state.epochs),
        phase=state.phase,
        phase_ends=state.phase_ends,
        is_over=state.is_over,
        best_name=best_name,
        facts=dict(state.facts),
    )


def _copied(variables: list[Any]) -> list[NDArray[Any]]:
    return [np.array(variable.numpy()) for variable in variables]


def _assign(variables: list[Any], arrays: Arrays) -> None:
    for variable, array in zip(variables, arrays, strict=True):
        variable.assign(array)


def _named(logs: dict[str, float]) -> dict[str, float]:
    return {
        f"validation/{name.removeprefix('val_')}" if name.startswith("val_") else f"train/{name}": float(value)
        for name, value in logs.items()
    }
