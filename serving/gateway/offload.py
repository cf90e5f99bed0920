"""Work that would hold up the event loop, in a thread."""

import asyncio
from collections.abc import Callable
from typing import TypeVar

# What takes longer to parse than the event loop should stand still, in bytes.
LARGE_BODY = 16 * 1024

Result = TypeVar("Result")


async def in_thread_if_large(size: int, work: Callable[[], Result]) -> Result:
    """Work on so many bytes: in a thread if the event loop would stand still for it."""
    return await asyncio.to_thread(work) if size > LARGE_BODY else work()
