"""Runs a client's discovery in a thread with an event loop of its own, for callers that have none."""

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import CancelledError
from contextlib import suppress

from serving.client.discovery import Discovery

_JOIN_SECONDS = 1.0


class BackgroundDiscovery:
    """See `Discovery`. Safe to use from several threads."""

    def __init__(self, discovery: Discovery) -> None:
        self._discovery = discovery
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._ready = False
        self._lock = threading.Lock()

    def start(self) -> None:
        """The first call starts the thread, which asks for the list."""
        with self._lock:
            if self._loop is None:
                self._loop = asyncio.new_event_loop()
                self._thread = threading.Thread(
                    target=self._run, args=[self._loop], name="discovery of replicas", daemon=True
                )
                self._thread.start()

    def ready(self, *, seconds: float) -> None:
        """Start, and return when there is a list whose addresses have been probed, or after so many seconds.

        Raises:
            DiscoveryError: the fleet could not give its first list.
        """
        if self._ready:
            return
        self.start()
        assert self._loop is not None
        with suppress(RuntimeError, CancelledError):  # it is being stopped
            waiting = asyncio.run_coroutine_threadsafe(self._discovery.ready(), self._loop)
            try:
                waiting.result(seconds)
            except TimeoutError:
                waiting.cancel()
            else:
                self._ready = True

    def has_health_service(self, address: str) -> bool:
        """Whether this replica has a health service, or may have one."""
        return self._discovery.has_health_service(address)

    def hurry(self) -> None:
        """A replica could not be reached: ask for the list soon."""
        self._call(self._discovery.hurry)

    def stop(self) -> None:
        """End the thread. It may stay for as long as a source takes to answer."""
        self._call(self._discovery.stop)
        if self._thread is not None:
            self._thread.join(_JOIN_SECONDS)

    def _run(self, loop: asyncio.AbstractEventLoop) -> None:
        with asyncio.Runner(loop_factory=lambda: loop) as runner:
            runner.run(self._discovery.run())

    def _call(self, function: Callable[[], None]) -> None:
        if self._loop is not None:
            with suppress(RuntimeError):  # it has ended
                self._loop.call_soon_threadsafe(function)
