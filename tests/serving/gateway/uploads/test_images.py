"""Conversions: how many there are at a time, how large, and what is left when their clients have gone."""

import asyncio
import io
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from PIL import Image

from serving.gateway.errors import GatewayError
from serving.gateway.offload import Threads
from serving.gateway.uploads import images as module
from serving.gateway.uploads.images import LARGEST, Converter, cost_of
from serving.gateway.uploads.named_image import NamedImage
from serving.images import examine


def encoded(size: int, mode: str = "LA", kind: str = "PNG") -> NamedImage:
    stream = io.BytesIO()
    Image.new(mode, (size, size)).save(stream, kind)
    return NamedImage(None, stream.getvalue())


class Held(Threads):
    """Threads whose work waits until it is let through."""

    def __init__(self, workers: int) -> None:
        super().__init__(workers)
        self.through = threading.Event()
        self.begun = 0

    def submit(self, fn: Any, /, *arguments: Any, **options: Any) -> Any:
        def work() -> Any:
            self.begun += 1
            self.through.wait(30)
            return fn(*arguments, **options)

        return super().submit(work)


@pytest.fixture
def held() -> Iterator[Held]:
    threads = Held(2)
    yield threads
    threads.through.set()


def test_a_conversion_whose_client_has_gone_keeps_its_place_until_its_thread_is_done(held: Held) -> None:
    """...and one that has not begun never begins."""

    async def run() -> None:
        converter = Converter(pixels=10_000)
        converter._small = held
        tasks = [asyncio.create_task(converter.decodable([encoded(4)])) for _ in range(module._MOST_WAITING)]
        while held.begun < 2:
            await asyncio.sleep(0)
        with pytest.raises(GatewayError, match="too many images are being converted") as refused:
            await converter.decodable([encoded(4)])
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        free = module._MOST_WAITING - 2

        assert (503, "conversion") == (refused.value.status, refused.value.shed)
        assert [True] * free + [False] == [converter._room.acquire(blocking=False) for _ in range(free + 1)]
        for _ in range(free):
            converter._room.release()
        held.through.set()
        assert 1 == len(await converter.decodable([encoded(4)]))
        assert 3 == held.begun

    asyncio.run(run())


def test_a_small_image_does_not_wait_for_large_ones(held: Held) -> None:
    async def run() -> None:
        converter = Converter(pixels=50_000_000)
        converter._large = held
        large = asyncio.create_task(converter.decodable([encoded(1600)]))
        while not held.begun:
            await asyncio.sleep(0)

        assert 1 == len(await converter.decodable([encoded(4)]))
        assert not large.done()
        held.through.set()
        assert 1 == len(await large)

    asyncio.run(run())


def test_an_image_that_would_take_too_much_memory_to_convert_is_413() -> None:
    """50 million pixels took 700 MB. An image that needs no conversion may have them."""

    async def run() -> None:
        converter = Converter(pixels=50_000_000)
        with pytest.raises(GatewayError, match="too large to be converted") as refused:
            await converter.decodable([encoded(4200, "1")])
        plain = encoded(4200, "L")

        assert 413 == refused.value.status
        assert [plain.content] == await converter.decodable([plain])

    asyncio.run(run())


def test_a_turned_photograph_of_24_million_pixels_is_converted_by_less_than_the_limit() -> None:
    header, _ = examine(encoded(100, "RGB", "JPEG").content)

    assert cost_of(header) * 24_000_000 / 100**2 <= LARGEST * 1.05


def test_the_end_does_not_wait_for_threads() -> None:
    threads, through = Threads(1), threading.Event()
    running, dropped = threads.submit(through.wait, 30), threads.submit(through.wait, 30)
    threads.shutdown(wait=True)

    assert not running.done()
    assert dropped.cancelled()
    through.set()
