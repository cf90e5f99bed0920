"""Ask what serves about image files: a fleet, named servers, or a gateway."""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from pathlib import Path

from pipeline.asking.answers import Asker, ImageAnswer
from pipeline.asking.in_order import InOrder
from pipeline.errors import BadInputError
from pipeline.image_files import ImageFiles


@dataclass
class Counts:
    """How many images were classified, and how many could not be, until now."""

    classified: int = 0
    failed: int = 0


def classify(
    images: Sequence[Path],
    connect: Callable[[], AbstractAsyncContextManager[Asker]],
    *,
    concurrency: int,
    counts: Counts,
    found: Callable[[ImageAnswer], None],
) -> None:
    """Ask about each image, and report each answer when it and all before it are there.

    Args:
        images: files, and folders with all that is below them.
        connect: opens what is asked, inside the event loop.
        concurrency: how many images are asked about at once.
        counts: is updated, also if this ends with an error.
        found: called with each answer and each problem, in the order of the images.

    Raises:
        BadInputError: there is no image.
        CouldNotTellError: no server answers.
        UnderstudyError: the servers would not answer about any image.
    """
    asyncio.run(_classify(images, connect, concurrency=concurrency, counts=counts, found=found))
    if counts.classified + counts.failed == 0:
        raise BadInputError(f"no image in {', '.join(map(str, images))}: name image files, or a folder that has some")


async def _classify(
    images: Sequence[Path],
    connect: Callable[[], AbstractAsyncContextManager[Asker]],
    *,
    concurrency: int,
    counts: Counts,
    found: Callable[[ImageAnswer], None],
) -> None:
    async with connect() as asker:
        async for each in InOrder(asker, concurrency=concurrency).answers(ImageFiles(images)):
            if each.answer is None:
                counts.failed += 1
            else:
                counts.classified += 1
            found(each)
