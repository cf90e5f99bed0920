"""Train a network: phase by phase, epoch by epoch, from the last epoch that was stored; the best epoch comes out."""

import logging
import math
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.errors import FailedError
from pipeline.runs.records import Epoch
from pipeline.training.fitting.best_epoch import BestEpoch
from pipeline.training.fitting.checkpoints import Arrays, Checkpoints
from pipeline.training.fitting.devices import Devices, facts_after_resume, find_devices, precision
from pipeline.training.fitting.phases import Phase, phases_of, prepare
from pipeline.training.fitting.plan import Plan
from pipeline.training.fitting.progress import Progress
from pipeline.training.fitting.training_state import TrainingState, newest_state, policy_of
from pipeline.training.inputs.batches import plain_batches, steps_of, training_batches
from pipeline.training.inputs.prepared import Prepared
from pipeline.training.networks.building import Built, build

log = logging.getLogger(__name__)

OnEpoch = Callable[[int, Epoch], None]


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


def fit(plan: Plan, *, train: Prepared, validation: Prepared, checkpoints: Checkpoints, on_epoch: OnEpoch) -> Fitted:
    """Train from the beginning, or from the newest checkpoint.

    Args:
        plan: what is trained.
        train: the images for training; at least one.
        validation: those that decide which epoch is the best one; may be empty.
        checkpoints: of this run.
        on_epoch: called after each epoch, also for those that a checkpoint has, with its number from 1.

    Raises:
        FailedError: the loss, or the metric that decides, is no number.
        StorageError: the bucket could not say whether there is a checkpoint.
    """
    import keras

    training, policy = plan.training, policy_of(checkpoints)
    devices = find_devices(training.mixed_precision, policy=policy, replicas=plan.replicas)
    keras.utils.set_random_seed(plan.seed)
    with ExitStack() as stack:
        stack.enter_context(precision(devices.policy))
        stack.enter_context(devices.scope())
        built = build(plan.training.network, plan.image, classes=len(plan.labels), weights=plan.weights)
        fitting = _Fitting(plan, built, train=train, validation=validation, checkpoints=checkpoints, on_epoch=on_epoch)
        state = fitting.run(devices)
    network = build(plan.training.network, plan.image, classes=len(plan.labels), weights=None).model
    _assign(network.variables, state.best_weights)
    return Fitted(network, tuple(state.epochs), state.best.number, state.phase_ends, state.facts)


class _Fitting:
    """One training: the loop of Keras over what is left of each phase."""

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
        self._phases = phases_of(plan.training)
        self._steps = steps_of(train, plan.training.batch_size)
        self._state = TrainingState(best=BestEpoch(plan.training.metric))

    def run(self, devices: Devices) -> TrainingState:
        """Train all phases that are left; the state at the end."""
        if not self._resume(devices):
            self._begin(devices)
        while True:
            if not self._state.is_over:
                self._fit(self._phases[self._state.phase])
            if self._state.phase + 1 == len(self._phases):
                return self._state
            self._state.begin_next_phase()
            # From the best epoch of the phase before.
            _assign(self._built.model.variables, self._state.best_weights)
            self._prepare(self._state.phase)

    def _begin(self, devices: Devices) -> None:
        self._state.facts = dict(devices.facts)
        if self._plan.begin is not None:
            self._state.facts["began with"] = self._plan.begin(self._built.model)
        self._prepare(0)

    def _resume(self, devices: Devices) -> bool:
        """Whether there is a checkpoint, and all is as it was after its last epoch."""
        metric = self._plan.training.metric
        found = newest_state(self._checkpoints, metric, weights=len(self._built.model.variables))
        if found is None:
            return False
        state, arrays = found
        self._prepare(state.phase)
        if [tuple(each.shape) for each in self._variables()] != [each.shape for each in arrays]:
            log.warning("the checkpoint is of another network, so it is left out, and the training begins again")
            return False
        _assign(self._variables(), arrays)
        state.facts = facts_after_resume(state.facts, devices.facts)
        self._state = state
        log.info("the training resumes after epoch %d", len(state.epochs))
        for number, epoch in enumerate(state.epochs, start=1):
            self._on_epoch(number, epoch)
        return True

    def _prepare(self, phase: int) -> None:
        prepare(self._built, self._plan.training, phase, steps=self._steps)

    def _fit(self, phase: Phase) -> None:
        import keras

        state = self._state
        progress = self._progress(phase)
        fitting = self

        class EachEpoch(keras.callbacks.Callback):  # type: ignore[misc]  # Keras is untyped for us
            def on_train_batch_end(self, batch: int, logs: Any = None) -> None:  # noqa: ARG002 - the name is Keras'
                progress.step(batch + 1)

            def on_epoch_end(self, epoch: int, logs: Any = None) -> None:  # noqa: ARG002
                fitting.ended(_named(logs), phase, progress)
                self.model.stop_training = state.is_over

        # The batches of all epochs that are left come in one row, so the next epoch is prepared before one ends.
        with self._train.own_errors(), self._validation.own_errors():
            self._built.model.fit(
                self._batches(phase),
                validation_data=self._validation_batches(),
                initial_epoch=state.in_phase,
                epochs=phase.epochs,
                steps_per_epoch=self._steps,
                shuffle=False,  # the data set is in order
                verbose=0,
                callbacks=[EachEpoch()],
            )

    def _progress(self, phase: Phase) -> Progress:
        return Progress(
            first=len(self._state.epochs),
            last=self._state.before_phase + phase.epochs,
            later=sum(each.epochs for each in self._phases[self._state.phase + 1 :]),
            total=self._plan.training.all_epochs(),
            steps=self._steps,
            name=phase.name,
        )

    def ended(self, metrics: dict[str, float], phase: Phase, progress: Progress) -> None:
        """After an epoch."""
        state = self._state
        number = len(state.epochs) + 1
        if not math.isfinite(metrics["train/loss"]):
            raise FailedError(
                f"the training has diverged: the loss of epoch {number} is {metrics['train/loss']}. Lower "
                f"`training.learning_rate` ({phase.learning_rate:g} in this phase), or give it a warm-up"
            )
        epoch = Epoch(at=datetime.now(UTC), metrics=metrics)
        state.add(epoch, phase, stopping=self._plan.training.early_stopping)
        if state.is_over and not state.best.number:
            raise FailedError(
                f"the training has diverged: {state.best.metric} was no number in any of {number} epochs. Lower "
                f"`training.learning_rate` ({phase.learning_rate:g} in this phase), or give it a warm-up"
            )
        if state.newest_is_best:
            state.best_weights = _copied(self._built.model.variables)
        state.save(self._checkpoints, _copied(self._variables()))
        progress.epoch(number, metrics, best=state.best.number, is_over=state.is_over)
        self._on_epoch(number, epoch)

    def _variables(self) -> list[Any]:
        """The weights first."""
        return [*self._built.model.variables, *self._built.model.optimizer.variables]

    def _batches(self, phase: Phase) -> Any:
        training = self._plan.training
        return training_batches(
            self._train,
            batch_size=training.batch_size,
            seed=self._plan.seed,
            first_epoch=len(self._state.epochs),
            epochs=self._state.before_phase + phase.epochs,
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
