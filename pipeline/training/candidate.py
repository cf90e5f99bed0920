"""From the images of a run to the exported SavedModel of its candidate."""

import logging
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.errors import BadInputError
from pipeline.runs.records import Epoch
from pipeline.runs.rows import Rows
from pipeline.spec import Application, ModelSpec
from pipeline.training.exporting import importing
from pipeline.training.exporting.equality import MOST_IMAGES, require_equal
from pipeline.training.exporting.export import export
from pipeline.training.exporting.importing import Scan
from pipeline.training.fitting.checkpoints import Checkpoints
from pipeline.training.fitting.fit import OnEpoch, fit
from pipeline.training.fitting.plan import Plan
from pipeline.training.inputs.class_weights import label_problem
from pipeline.training.inputs.fetching import Fetch
from pipeline.training.inputs.prepared import prepared
from pipeline.training.networks.weights import local_weights

log = logging.getLogger(__name__)

# Changes the weights of a new network, and says what it did.
Beginning = Callable[[Any], str]

_WARMUP_IMAGES = 8


@dataclass(frozen=True)
class Images:
    """The images of one split.

    Attributes:
        rows: what they are.
        fetch: reads the encoded images at some positions.
    """

    rows: Rows
    fetch: Fetch

    def first(self, count: int) -> list[bytes]:
        """Some images, fewer if there are not as many."""
        return self.fetch(np.arange(min(count, len(self.rows))))


@dataclass(frozen=True)
class Candidate:
    """What is to be made.

    Attributes:
        spec: the model file, with the overrides of the run.
        labels: in the order of the outputs.
        train: the images for training; some of them become the warm-up requests.
        validation: the images for validation; may be none.
        seconds: for how long a call to a store is retried.
    """

    spec: ModelSpec
    labels: tuple[str, ...]
    train: Images
    validation: Images
    seconds: float


@dataclass(frozen=True)
class Made:
    """How it was made, see `ExportRecord`."""

    epochs: tuple[Epoch, ...] = ()
    best: int = 0
    phase_ends: tuple[int, ...] = ()
    facts: dict[str, str] = field(default_factory=dict)


def train_model(
    candidate: Candidate,
    folder: Path,
    *,
    seed: int,
    checkpoints: Checkpoints,
    cache: Path,
    most_bytes: int,
    begin: Beginning | None,
    on_epoch: OnEpoch,
) -> Made:
    """Train the network of the model file and export it to a folder, which must not exist.

    Args:
        candidate: what is to be made.
        folder: where the SavedModel is written.
        seed: of everything that is drawn.
        checkpoints: of this run.
        cache: where decoded images and published weights are kept on this machine.
        most_bytes: of the images there. The weights do not count.
        begin: gives the network other weights to begin with; None: nothing does.
        on_epoch: called after each epoch.

    Raises:
        BadInputError: the weights, the function or the labels of the model file cannot be used.
        FailedError: an image is not what the snapshot saw, the training has diverged, or the exported model does not
            answer as the trained one does.
    """
    training = candidate.spec.training
    assert training is not None
    if problem := label_problem(training.class_weights, candidate.labels):
        raise BadInputError(problem)
    with ExitStack() as stack:
        weights = stack.enter_context(local_weights(training.network, seconds=candidate.seconds, cache=cache))
        train, validation = (
            stack.enter_context(
                prepared(each.rows, each.fetch, image=candidate.spec.image, folder=cache, most_bytes=most_bytes)
            )
            for each in (candidate.train, candidate.validation)
        )
        plan = Plan(training, candidate.spec.image, candidate.labels, seed, weights=weights, begin=begin)
        fitted = fit(plan, train=train, validation=validation, checkpoints=checkpoints, on_epoch=on_epoch)
    _export(candidate, folder, fitted.network)
    facts = fitted.facts
    if isinstance(training.network, Application):
        facts = {"pretrained weights": training.network.weights or "none", **facts}
    return Made(fitted.epochs, fitted.best, fitted.phase_ends, facts)


def import_model(candidate: Candidate, folder: Path, *, scan: Scan) -> Made:
    """Wrap the model that the model file imports, and export it to a folder, which must not exist.

    Args:
        candidate: what is to be made.
        folder: where the SavedModel is written.
        scan: called with a SavedModel before it is loaded, see `pipeline.safety.scan`.

    Raises:
        BadInputError: it cannot be used.
        FailedError: the exported model does not answer as the imported one does.
    """
    spec = candidate.spec.imported
    assert spec is not None
    importing.import_model(
        spec,
        folder,
        name=candidate.spec.name,
        image=candidate.spec.image,
        labels=candidate.labels,
        warmup=_warmup(candidate),
        compared=_compared(candidate),
        seconds=candidate.seconds,
        scan=scan,
    )
    return Made(facts={"imported": spec.model, "sha256": spec.sha256 or ""})


def _export(candidate: Candidate, folder: Path, network: Any) -> None:
    spec = candidate.spec
    export(network, folder, name=spec.name, image=spec.image, labels=candidate.labels, warmup=_warmup(candidate))
    require_equal(network, folder, _compared(candidate), image=spec.image)


def _warmup(candidate: Candidate) -> list[bytes]:
    return candidate.train.first(_WARMUP_IMAGES)


def _compared(candidate: Candidate) -> list[bytes]:
    """Images that the network has not seen, if there are any."""
    compared = candidate.validation if len(candidate.validation.rows) else candidate.train
    return compared.first(MOST_IMAGES)
