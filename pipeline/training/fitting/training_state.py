"""How far a training is, and how it is read from the newest checkpoint."""

import logging
import math
from dataclasses import dataclass, field, replace

from pipeline.runs.records import Epoch
from pipeline.spec import EarlyStopping
from pipeline.training.fitting.best_epoch import BestEpoch
from pipeline.training.fitting.checkpoints import Arrays, Checkpoints, State
from pipeline.training.fitting.phases import Phase

log = logging.getLogger(__name__)

# No name of a checkpoint.
_NOT_STORED = "none"


@dataclass
class TrainingState:
    """How far a training is. It changes after each epoch.

    Attributes:
        best: the best epoch.
        best_weights: those of the best epoch, in the memory of this process: a checkpoint may be lost.
        best_name: the checkpoint of the best epoch; empty: the one that is stored next.
        epochs: all epochs so far.
        phase: the number of the phase, from 0.
        phase_ends: the numbers of the last epochs of the phases that are over.
        is_over: whether the phase is over.
        facts: see `ExportRecord`.
    """

    best: BestEpoch
    best_weights: Arrays = field(default_factory=list)
    best_name: str = ""
    epochs: list[Epoch] = field(default_factory=list)
    phase: int = 0
    phase_ends: tuple[int, ...] = ()
    is_over: bool = False
    facts: dict[str, str] = field(default_factory=dict)

    @property
    def before_phase(self) -> int:
        """The epochs of the phases before this one."""
        return self.phase_ends[-1] if self.phase_ends else 0

    @property
    def in_phase(self) -> int:
        """The epochs of this phase so far."""
        return len(self.epochs) - self.before_phase

    @property
    def newest_is_best(self) -> bool:
        """Whether the newest epoch is the best one. It is, too, if no epoch has a finite metric."""
        return self.best.number in (0, len(self.epochs))

    def add(self, epoch: Epoch, phase: Phase, *, stopping: EarlyStopping | None) -> None:
        """Add an epoch that has ended."""
        self.epochs.append(epoch)
        self.best = self.best.after(len(self.epochs), epoch.metrics, stopping=stopping)
        self.is_over = self.in_phase >= phase.epochs or self.best.has_waited(stopping)

    def save(self, checkpoints: Checkpoints, arrays: Arrays) -> None:
        """Store a checkpoint of this state with these variables. A failure is logged."""
        if self.newest_is_best:
            self.best_name = ""
        name = checkpoints.save(self._stored(of=checkpoints.of), arrays)
        if self.newest_is_best:
            self.best_name = name or _NOT_STORED

    def begin_next_phase(self) -> None:
        self.phase_ends = (*self.phase_ends, len(self.epochs))
        self.phase += 1
        self.is_over = False
        self.best = self.best.in_the_next_phase()

    def _stored(self, *, of: str) -> State:
        return State(
            of=of,
            sha256="",
            phase=self.phase,
            phase_ends=self.phase_ends,
            is_over=self.is_over,
            epochs=tuple(self.epochs),
            best=self.best.number,
            best_value=self.best.value if self.best.number else None,
            reference=self.best.reference if self.best.number else None,
            since=self.best.since,
            best_name=self.best_name,
            facts=self.facts,
        )


def policy_of(checkpoints: Checkpoints) -> str:
    """The precision of the training that will be resumed; empty if there is none.

    Raises:
        StorageError: the bucket gave no answer.
        NewerVersionError: a newer version of Understudy wrote the checkpoint.
    """
    found = next(checkpoints.newest_first(), None)
    return found[0].facts.get("precision", "") if found else ""


def newest_state(checkpoints: Checkpoints, metric: str, *, weights: int) -> tuple[TrainingState, Arrays] | None:
    """The state of the newest checkpoint that is not damaged, and all its variables; None if there is none.

    If the checkpoint of the best epoch is lost, the newest epoch is the best one, and early stopping waits as before.

    Args:
        checkpoints: of the run.
        metric: by which epochs are compared.
        weights: how many of the variables are weights. They are the first ones.

    Raises:
        StorageError: the bucket gave no answer.
        NewerVersionError: a newer version of Understudy wrote it.
    """
    for stored, name in checkpoints.newest_first():
        arrays = checkpoints.arrays(name)
        if arrays is not None:
            return _with_best(checkpoints, stored, name, arrays, metric=metric, weights=weights), arrays
    return None


def _with_best(
    checkpoints: Checkpoints, stored: State, name: str, arrays: Arrays, *, metric: str, weights: int
) -> TrainingState:
    state = _state(stored, metric, name=name)
    best = arrays if state.best_name == name else checkpoints.arrays(state.best_name)
    if best is None or not _have_same_shapes(best[:weights], arrays[:weights]):
        log.warning(
            "the checkpoint of the best epoch, %d, is lost. The newest epoch, %d, takes its place",
            state.best.number,
            len(state.epochs),
        )
        lost, newest = state.best.number, len(state.epochs)
        state.facts["best epoch"] = f"{lost} was lost with its checkpoint, {newest} took its place"
        best, state.best_name = arrays, name
        number, metrics = len(state.epochs), state.epochs[-1].metrics
        state.best = replace(state.best, number=number, value=state.best.value_of(metrics))
    state.best_weights = best[:weights]
    return state


def _state(stored: State, metric: str, *, name: str) -> TrainingState:
    value, reference = (math.nan if each is None else each for each in (stored.best_value, stored.reference))
    return TrainingState(
        best=BestEpoch(metric, number=stored.best, value=value, reference=reference, since=stored.since),
        best_name=stored.best_name or name,
        epochs=list(stored.epochs),
        phase=stored.phase,
        phase_ends=stored.phase_ends,
        is_over=stored.is_over,
        facts=dict(stored.facts),
    )


def _have_same_shapes(arrays: Arrays, others: Arrays) -> bool:
    return [each.shape for each in arrays] == [each.shape for each in others]
