"""A stream of image files, asked about a few at a time."""

import asyncio
import itertools
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

from pipeline.asking.answers import Answer, Asker, BusyError, ImageAnswer, NoAnswerError, RefusedImageError
from pipeline.asking.in_order import InOrder
from pipeline.errors import CouldNotTellError
from tests.pictures import encoded, noise

ANSWER = Answer([("cat", 1.0)], 3, "a:1")


class Scripted(Asker):
    """Answers, or raises, in the order of its script; after the end it answers."""

    def __init__(self, *script: Exception | None) -> None:
        self._script = iter(script)
        self.asked: list[bytes] = []
        self.under_way = self.most = 0

    async def ask(self, content: bytes) -> Answer:
        self.asked.append(content)
        self.under_way += 1
        self.most = max(self.most, self.under_way)
        await asyncio.sleep(0.001)
        self.under_way -= 1
        if error := next(self._script, None):
            raise error
        return ANSWER


def collected(
    asker: Asker, images: Iterable[Path], *, concurrency: int = 2, retry_for: float = 5.0
) -> list[ImageAnswer]:
    async def collect() -> list[ImageAnswer]:
        asking = InOrder(asker, concurrency=concurrency, retry_for=retry_for)
        return [each async for each in asking.answers(images)]

    return asyncio.run(collect())


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("images")
    paths = [folder / f"{number}.png" for number in range(12)]
    for number, path in enumerate(paths):
        path.write_bytes(encoded(noise(seed=number), "PNG"))
    return paths


def test_answers_are_in_the_order_of_the_images(images: list[Path]) -> None:
    found = collected(Scripted(), images, concurrency=4)

    assert images == [each.image for each in found]
    assert [ANSWER] * 12 == [each.answer for each in found]


def test_no_more_are_under_way_than_wanted(images: list[Path]) -> None:
    asker = Scripted()
    collected(asker, images, concurrency=3)

    assert asker.most <= 3


def test_an_image_that_cannot_be_used_is_named_with_its_reason_and_stops_no_other(
    tmp_path: Path, images: list[Path]
) -> None:
    short, text = tmp_path / "short.png", tmp_path / "text.png"
    short.write_bytes(images[0].read_bytes()[:-20])
    text.write_text("any")
    missing, folder = tmp_path / "missing.png", tmp_path
    found = collected(Scripted(), [short, missing, text, folder, images[0]])

    assert [
        f"{short} is cut off: its end is missing; copy it again or remove it",
        f"{missing}: No such file or directory",
        f"{text} is not a PNG, JPEG, WebP, BMP, GIF or TIFF image, whatever its name says; convert it or remove it",
        f"{folder}: Is a directory",
        "",
    ] == [each.problem for each in found]
    assert ANSWER == found[-1].answer


def test_what_a_model_cannot_decode_is_converted(tmp_path: Path) -> None:
    (tmp_path / "a.webp").write_bytes(encoded(noise(), "WEBP", lossless=True))
    asker = Scripted()
    collected(asker, [tmp_path / "a.webp"])

    assert asker.asked[0].startswith(b"\x89PNG")


def test_a_refused_image_stops_no_other(images: list[Path]) -> None:
    first, second, *_ = collected(Scripted(RefusedImageError("was refused: 422")), images[:3], concurrency=1)

    assert f"{images[0]} was refused: 422" == first.problem
    assert second.answer


def test_a_busy_server_is_asked_again(images: list[Path]) -> None:
    asker = Scripted(*[BusyError("503", seconds=0.0)] * 3)
    (found,) = collected(asker, images[:1])

    assert ANSWER == found.answer
    assert 4 == len(asker.asked)


def test_a_busy_server_is_asked_again_for_a_limited_time(images: list[Path]) -> None:
    """A server that asks for more time than there is, is not waited for."""
    with pytest.raises(CouldNotTellError, match="was not classified: 503"):
        collected(Scripted(BusyError("503", seconds=60.0)), images[:1])


def test_without_any_answer_the_first_image_is_enough(images: list[Path]) -> None:
    asker = Scripted(*[NoAnswerError("refused")] * 100)
    with pytest.raises(CouldNotTellError, match=r"0\.png was not classified: refused\. No server answers"):
        collected(asker, images, concurrency=1)

    assert len(asker.asked) <= 2


def test_after_an_answer_a_few_images_may_get_none(images: list[Path]) -> None:
    """...but not in a row twice as many as are under way."""
    lost = NoAnswerError("lost")
    short = collected(Scripted(None, lost, None, lost), images[:5], concurrency=1)

    assert [False, True, False, True, False] == [each.no_server_answered for each in short]
    with pytest.raises(CouldNotTellError, match="lost"):
        collected(Scripted(None, lost, lost), images, concurrency=1)


def test_a_million_images_would_need_no_more_memory_than_these(images: list[Path]) -> None:
    """Images are read from the list when there is room for them."""
    taken = 0

    def endless() -> Iterator[Path]:
        nonlocal taken
        for image in itertools.cycle(images):
            taken += 1
            yield image

    async def look() -> list[int]:
        ahead = []
        answers = InOrder(Scripted(), concurrency=2).answers(endless())
        for number in range(60):
            await anext(answers)
            ahead.append(taken - number)
        await answers.aclose()
        return ahead

    assert max(asyncio.run(look())) <= 4
