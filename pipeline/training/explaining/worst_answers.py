"""The worst answers of an exported model, with the pixels that led to them."""

import logging
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from pipeline.training.explaining.exported import DifferentiableModel
from pipeline.training.explaining.integrated_gradients import explain
from pipeline.training.pictures.mistakes import ShownMistake
from pipeline.training.scoring.mistakes import MOST, Mistake

log = logging.getLogger(__name__)

_EXPLAINED = 8
# Of a large network, a step takes a tenth of a second. The gap is shown, and `understudy explain` may take longer.
_MOST_STEPS = 64
_SECONDS = 60.0


def worst_answers(
    folder: Path,
    worst: Sequence[Mistake],
    *,
    read: Callable[[Sequence[int]], Sequence[bytes]],
    labels: Sequence[str],
    seconds: float = _SECONDS,
) -> list[ShownMistake]:
    """The pictures of the worst answers; the first eight with attributions, as long as there is time.

    Never raises for the sake of a picture: what cannot be shown is left out, and the log says why.

    Args:
        folder: of the SavedModel, on this machine.
        worst: the wrong answers, the worst first; only the first `MOST` are used.
        read: encoded PNG or JPEG images by position; its errors are raised.
        labels: in the order of their numbers.
        seconds: after this time no further image is explained.
    """
    shown = worst[:MOST]
    contents = read([mistake.position for mistake in shown]) if shown else []
    found: list[ShownMistake] = []
    try:
        found.extend(_shown(folder, list(zip(shown, contents, strict=True)), labels=labels, seconds=seconds))
    except Exception as error:  # noqa: BLE001 - an evaluation must not fail for the sake of a picture
        reason = f"{type(error).__name__}: {error}"
        log.warning("%d of the %d worst answers are not shown: %s", len(shown) - len(found), len(shown), reason)
    return found


def _shown(
    folder: Path, mistakes: Sequence[tuple[Mistake, bytes]], *, labels: Sequence[str], seconds: float
) -> Iterator[ShownMistake]:
    if not mistakes:
        return
    model = DifferentiableModel(folder, name="the exported model")
    deadline = time.monotonic() + seconds
    for number, (mistake, content) in enumerate(mistakes):
        pixels = model.pixels(content)
        is_explained = number < _EXPLAINED and time.monotonic() < deadline
        found = explain(model, pixels, mistake.given, most_steps=_MOST_STEPS) if is_explained else None
        yield ShownMistake(
            pixels=pixels,
            truth=(mistake.true, labels[mistake.true]),
            given=(mistake.given, labels[mistake.given]),
            probability=mistake.probability,
            attributions=found.attributions if found else None,
            gap=found.gap if found else 0.0,
            is_complete=found.is_complete if found else True,
        )
