"""Where a training resumes that was killed: on this machine or on another one, after the last complete epoch.

    runs/<model>/<key>/epochs/<epoch>-<digest>/arrays.npz  the weights and the optimiser's variables, in their order
    runs/<model>/<key>/epochs/<epoch>-<digest>/state.json  written after it: the checkpoint is complete

Two copies of one task may train at once. They write the same, or beside each other, and none deletes what is newer than
its own.
"""

import logging
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from pipeline import layout
from pipeline.errors import DamagedError, MissingError, NewerVersionError, UnderstudyError
from pipeline.runs.records import Epoch
from pipeline.storage.bucket import Bucket
from pipeline.storage.sums import sum_of_file
from pipeline.stored import stored
from pipeline.verdicts.measurements import Stored

log = logging.getLogger(__name__)

Arrays = list[NDArray[Any]]

_ARRAYS = "arrays.npz"
_STATE = "state.json"


class State(Stored):
    """How far a training is, after one of its epochs.

    Attributes:
        of: the digest of all that the training depends on; another training does not resume here.
        sha256: of the file of arrays.
        phase: of the last epoch, from 0.
        phase_ends: the numbers of the last epochs of the phases that are over.
        is_over: whether the phase is over.
        epochs: all epochs so far, with their metrics.
        best: the number of the best one, from 1; 0: none.
        best_value: its metric; None with none.
        reference: see `BestEpoch`; None with none.
        since: see `BestEpoch`.
        best_name: the checkpoint of the best one; empty: this one.
        facts: see `ExportRecord`.
    """

    of: str
    sha256: str
    phase: int
    phase_ends: tuple[int, ...] = ()
    is_over: bool = False
    epochs: tuple[Epoch, ...]
    best: int
    best_value: float | None
    reference: float | None = None
    since: int
    best_name: str = ""
    facts: dict[str, str] = Field(default_factory=dict)


class Checkpoints:
    """The checkpoints of one run."""

    def __init__(self, bucket: Bucket, model: str, key: str, *, of: str) -> None:
        """`of` is the digest of all that the training depends on."""
        self._bucket = bucket
        self._model = model
        self._key = key
        self.of = of

    def save(self, state: State, arrays: Sequence[NDArray[Any]]) -> str:
        """Store a checkpoint, and delete the older ones but that of the best epoch; its name.

        Empty if it could not be stored: a training continues without.

        Args:
            state: how far the training is; its `sha256` is set here.
            arrays: the variables.
        """
        try:
            with tempfile.TemporaryDirectory() as scratch:
                path = Path(scratch) / _ARRAYS
                # A zip archive has the time of each member, which `savez` sets to a constant: the same arrays, the
                # same file.
                np.savez(path, *arrays)
                digest = sum_of_file(path).sha256
                name = f"{len(state.epochs):04d}-{digest[:16]}"
                self._bucket.upload(Path(scratch), self._at(name))
            content = state.model_copy(update={"sha256": digest}).model_dump_json(indent=1)
            self._bucket.create(self._at(name, _STATE), content.encode())
            self._remove_older(len(state.epochs), keep={name, state.best_name})
        except (UnderstudyError, OSError) as error:  # OSError: the disk of this machine is full
            log.warning("the training continues, but could not be saved after epoch %d: %s", len(state.epochs), error)
            return ""
        return name

    def newest_first(self) -> Iterator[tuple[State, str]]:
        """The checkpoints whose state can be used, with their names.

        Raises:
            StorageError: the bucket gave no answer. A training from the beginning would be lost time.
            NewerVersionError: a newer version of Understudy wrote it.
        """
        for name in sorted(self._names(), reverse=True):
            found = self._state(name)
            if found is not None:
                yield found, name

    def arrays(self, name: str) -> Arrays | None:
        """The variables of a checkpoint; None, and a warning, if they are damaged or gone."""
        try:
            state = self._state(name)
            with self._bucket.local_copy(self._at(name)) as folder:
                path = folder / _ARRAYS
                if state is None or sum_of_file(path).sha256 != state.sha256:
                    raise DamagedError(f"{self._bucket.uri(self._at(name))} has changed since it was stored")
                with np.load(path, allow_pickle=False) as found:
                    return [found[each] for each in found.files]
        except (DamagedError, MissingError, OSError, ValueError) as error:
            log.warning("a checkpoint is left out: %s", error)
            return None

    def remove(self) -> None:
        """Delete all: the trained model is stored. A failure is no harm, they go with the records of the run."""
        try:
            self._bucket.remove(layout.checkpoints(self._model, self._key))
        except UnderstudyError as error:
            log.warning("the checkpoints of the training stay in the bucket: %s", error)

    def _state(self, name: str) -> State | None:
        key = self._at(name, _STATE)
        try:
            state = stored(State, self._bucket.read(key), key=key, what="a checkpoint")
        except NewerVersionError:
            raise
        except (DamagedError, MissingError) as error:
            log.warning("a checkpoint is left out: %s", error)
            return None
        if state.of != self.of:
            log.warning("%s is left out: it is of a training with other settings", self._bucket.uri(key))
            return None
        return state

    def _remove_older(self, epoch: int, *, keep: set[str]) -> None:
        for name in self._names():
            if name not in keep and _epoch(name) < epoch:
                self._bucket.remove(self._at(name))

    def _names(self) -> list[str]:
        return self._bucket.names(layout.checkpoints(self._model, self._key))

    def _at(self, *names: str) -> str:
        return layout.checkpoint(self._model, self._key, "/".join(names))


def _epoch(name: str) -> int:
    number = name.partition("-")[0]
    return int(number) if number.isdecimal() else 0
