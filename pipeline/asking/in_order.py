"""Ask about a stream of image files, a few at a time, and give what becomes of them in their order."""

import asyncio
import time
from collections import deque
from collections.abc import AsyncGenerator, Iterable
from pathlib import Path

from pipeline.asking.answers import Answer, Asker, BusyError, ImageAnswer, NoAnswerError, RefusedImageError
from pipeline.budget import Budget
from pipeline.errors import CouldNotTellError
from pipeline.image_files import read_image, size_of
from serving.images import MOST_PIXELS, ImageError, prepare, read_header

# How long an image is asked about again while the servers are busy.
RETRY_FOR_SECONDS = 30.0
_LEAST_WAIT_SECONDS = 0.05
# Of files that are being prepared at once, together.
_BYTES_AT_ONCE = 256 << 20


class InOrder:
    """Answers about files. What is in memory does not depend on how many files there are.

    Args:
        asker: asks about one image.
        concurrency: so many images are prepared and asked about at once.
        retry_for: the seconds for which an image is asked about again while servers are busy.
    """

    def __init__(self, asker: Asker, *, concurrency: int, retry_for: float = RETRY_FOR_SECONDS) -> None:
        self._asker = asker
        self._concurrency = concurrency
        self._retry_for = retry_for
        self._slots = asyncio.Semaphore(concurrency)
        self._bytes = Budget(_BYTES_AT_ONCE)
        self._pixels = Budget(MOST_PIXELS)

    async def answers(self, images: Iterable[Path]) -> AsyncGenerator[ImageAnswer, None]:
        """What becomes of each file, in their order. A file that cannot be used does not stop the others.

        Raises:
            CouldNotTellError: no server answers: about the first image, or about many in a row.
            UnderstudyError: the servers would not answer about any image.
        """
        under_way: deque[asyncio.Task[ImageAnswer]] = deque()
        unanswered = _UnansweredRun(limit=2 * self._concurrency)
        try:
            for image in images:
                under_way.append(asyncio.create_task(self._one(image)))
                # Some more than are worked on, so that one slow image does not stop all others.
                if len(under_way) >= 2 * self._concurrency:
                    yield unanswered.checked(await under_way.popleft())
            while under_way:
                yield unanswered.checked(await under_way.popleft())
        finally:
            for task in under_way:
                task.cancel()
            await asyncio.gather(*under_way, return_exceptions=True)

    async def _one(self, image: Path) -> ImageAnswer:
        async with self._slots:
            try:
                return ImageAnswer(image, await self._ask(await asyncio.to_thread(self._prepared, image)))
            except (ImageError, RefusedImageError) as error:
                return ImageAnswer(image, problem=f"{image} {error}")
            except OSError as error:
                return ImageAnswer(image, problem=f"{image}: {error.strerror or error}")
            except NoAnswerError as error:
                return ImageAnswer(image, problem=f"{image} was not classified: {error}", no_server_answered=True)

    def _prepared(self, image: Path) -> bytes:
        with self._bytes.taken(size_of(image)):
            content = read_image(image)
            header = read_header(content)
            with self._pixels.taken(header.width * header.height):
                return prepare(content).content

    async def _ask(self, content: bytes) -> Answer:
        ends = time.monotonic() + self._retry_for
        while True:
            try:
                return await self._asker.ask(content)
            except BusyError as error:
                wait = max(error.seconds, _LEAST_WAIT_SECONDS)
                if time.monotonic() + wait > ends:
                    raise
                await asyncio.sleep(wait)


class _UnansweredRun:
    """Images in a row about which no server answered; before the first answer one is enough."""

    def __init__(self, *, limit: int) -> None:
        self._limit = limit
        self._length = 0
        self._answered = False

    def checked(self, found: ImageAnswer) -> ImageAnswer:
        if found.no_server_answered:
            self._length += 1
            if not self._answered or self._length >= self._limit:
                raise CouldNotTellError(f"{found.problem}. No server answers, so the rest was not tried")
        elif found.answer is not None:
            self._answered, self._length = True, 0
        return found
