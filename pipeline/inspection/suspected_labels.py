"""Ask the serving version about new images: where it is sure of another label, that of the image may be wrong."""

import logging
from collections.abc import Iterable, Sequence
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from pipeline.context import RunContext
from pipeline.data.snapshot.examined import NewImage
from pipeline.errors import UnderstudyError
from pipeline.inspection.exported_answers import exported_model
from pipeline.inspection.served_labels import served_labels
from pipeline.verdicts.label_errors import find_label_errors
from pipeline.verdicts.measurements import LabelErrors, Suspect
from serving.status import StatusError

log = logging.getLogger(__name__)


def suspected_labels(
    context: RunContext, serving: int | None, images: Iterable[NewImage], *, most: int
) -> LabelErrors | None:
    """Find suspected label errors among images that the serving version was not trained on.

    Args:
        context: of the run.
        serving: the version; None if none serves.
        images: new images, in any order that says nothing about their labels. Those with a label that the version does
            not know are left out.
        most: how many are examined at most. That many are in memory at once.

    Returns:
        None if nothing serves, there is nothing to ask about, or the model cannot be asked; the log says why.
    """
    if serving is None or not most:
        return None
    try:
        return _examine(context, serving, images, most=most)
    except (UnderstudyError, StatusError) as error:
        # It is a help. Whether the serving version can be measured is for `evaluate` to decide.
        log.warning("v%d could not be asked for label errors, so none are looked for: %s", serving, error)
        return None


def _examine(context: RunContext, serving: int, images: Iterable[NewImage], *, most: int) -> LabelErrors | None:
    labels = served_labels(context, serving)
    index = {label: number for number, label in enumerate(labels)}
    chosen = list(islice((image for image in images if image.label in index), most))
    if not chosen:
        log.info("no new image has a label that v%d knows, so no label errors are looked for", serving)
        return None
    history = context.journal.read()
    # Before any of it runs: a model is a program.
    context.manifests.verify(serving, history)
    folder = context.manifests.folder(serving, history)
    model = exported_model(context.bucket, folder)
    probabilities = model.probabilities(context.bucket.read_all([each.key for each in chosen]))
    problem = _problem(probabilities, classes=len(labels))
    if problem:
        log.warning("v%d %s, so no label errors are looked for", serving, problem)
        return None
    suspects = _suspects(chosen, [index[each.label] for each in chosen], probabilities, labels)
    log.info("v%d suspects %d label errors among %d new images", serving, len(suspects), len(chosen))
    return LabelErrors(version=serving, examined=len(chosen), suspects=suspects)


def _problem(probabilities: NDArray[np.float32], *, classes: int) -> str | None:
    given = probabilities.shape[1]
    if given != classes:
        return f"answers with {given} probabilities for its {classes} labels"
    if not np.isfinite(probabilities).all():
        return "answers with NaN or infinity"
    return None


def _suspects(
    images: Sequence[NewImage], given: Sequence[int], probabilities: NDArray[np.float32], labels: Sequence[str]
) -> tuple[Suspect, ...]:
    found = find_label_errors(probabilities, np.array(given))
    return tuple(
        Suspect(
            path=images[example].path,
            label=images[example].label,
            suggested=labels[suggested],
            probability=float(probabilities[example, suggested]),
            given_probability=float(probabilities[example, given[example]]),
        )
        for example, suggested in zip(found.examples.tolist(), found.suggested.tolist(), strict=True)
    )
