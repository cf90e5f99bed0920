"""The worst answers of an exported model, with the pixels that led to them."""

import logging
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from pipeline.progress import logged
from pipeline.training.explaining.exported import DifferentiableModel
from pipeline.training.explaining.integrated_gradients import explain
from pipeline.training.pictures.mistakes import MOST, Mistake

log = logging.getLogger(__name__)

_EXPLAINED = 8
# Of a large network, a step takes a tenth of a second. The gap is shown, and `explain` may take longer.
_MOST_STEPS = 64
_SECONDS = 60.0

# The position of the image, the number of its class, the number of the answer, and the probability of the answer.
Worst = tuple[int, int, int, float]


def worst_answers(
    folder: Path,
    worst: Sequence[Worst],
    *,
    read: Callable[[Sequence[int]], Sequence[bytes]],
    labels: Sequence[str],
    seconds: float = _SECONDS,
) -> list[Mistake]:
    """The pictures of the worst answers; the first eight with attributions, as long as there is time.

    Args:
        folder: of the SavedModel, on this machine.
        worst: the wrong answers, the worst first; only the first `MOST` are used.
        read: encoded PNG or JPEG images by position.
        labels: in the order of their numbers.
        seconds: when no further image is explained.

    Raises:
        BadInputError: the model has no signature for pixels.
        ImageError: an image cannot be decoded.
    """
    if not worst:
        return []
    model = DifferentiableModel(folder, name="the exported model")
    deadline = time.monotonic() + seconds
    shown = worst[:MOST]
    contents = read([position for position, *_ in shown])
    pairs = enumerate(zip(shown, contents, strict=True))
    mistakes = []
    for number, (each, content) in logged(pairs, "wrong answers looked at", total=len(shown)):
        may_explain = number < _EXPLAINED and time.monotonic() < deadline
        mistakes.append(_mistake(model, each, content, labels, may_explain=may_explain))
    return mistakes


def _mistake(
    model: DifferentiableModel, each: Worst, content: bytes, labels: Sequence[str], *, may_explain: bool
) -> Mistake:
    _, truth, given, probability = each
    pixels = model.pixels(content)
    found = None
    if may_explain:
        try:
            found = explain(model, pixels, given, most_steps=_MOST_STEPS)
        except ValueError as error:
            log.warning("a wrong answer is shown without an explanation: %s", error)
    return Mistake(
        pixels=pixels,
        truth=(truth, labels[truth]),
        given=(given, labels[given]),
        probability=probability,
        attributions=found.attributions if found else None,
        gap=found.gap if found else 0.0,
    )
