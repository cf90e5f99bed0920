"""Work that would hold up the event loop, in a thread."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

# What takes longer to parse than the event loop should stand still, in bytes.
LARGE_BODY = 16 * 1024
# Of bodies that are mostly the bytes of images, of which little is parsed.
LARGE_UPLOAD = 512 * 1024

Result = TypeVar("Result")


class Threads(ThreadPoolExecutor):
    """Threads for whose work the end of the process does not wait; what has not begun is dropped."""

    def shutdown(self, wait: bool = False, *, cancel_futures: bool = True) -> None:  # noqa: ARG002, FBT - overridden
        super().shutdown(wait=False, cancel_futures=True)


# One, because it may need many times the memory of the body that it parses, and two would take turns anyway.
_PARSER = Threads(1, "parser")


async def in_thread_if_large(size: int, work: Callable[[], Result], *, large: int = LARGE_BODY) -> Result:
    """Work on so many bytes: in a thread if the event loop would stand still for it."""
    if size <= large:
        return work()
    loop: Any = asyncio.get_running_loop()
    result: Result = await loop.run_in_executor(_PARSER, work)
    return result
