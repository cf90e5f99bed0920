"""Keeps a picker's list of replicas up to date while requests go on, as a task of an event loop."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress

from serving.client.picker import Picker
from serving.client.probe import probes
from serving.errors import DiscoveryError
from serving.fleet.fleet import Fleet

log = logging.getLogger(__name__)

# How often the fleet is asked for its list; after a connection error sooner, but never more often than the second.
REFRESH_SECONDS = 30.0
SHORTEST_SECONDS = 1.0


class Discovery:
    """Asks the fleet for its list, and probes the addresses that the picker does not use yet.

    Its methods may be called in the event loop of `run` only, except for `has_health_service`. If the fleet cannot give
    a list, or gives an empty one, the last one is kept.

    Args:
        fleet: the replicas.
        picker: gets the list and the outcomes of the probes.
        listed: awaited with each new list.
    """

    def __init__(self, fleet: Fleet, picker: Picker, listed: Callable[[Sequence[str]], Awaitable[None]]) -> None:
        self._fleet = fleet
        self._picker = picker
        self._listed = listed
        self._without_health_service: set[str] = set()
        self._wake = asyncio.Event()
        self._changed = asyncio.Condition()
        self._error: DiscoveryError | None = None
        self._lookups = 0
        self._looked_at = -float("inf")
        self._hurry = False
        self._ready = False
        self._stopped = False

    async def run(self) -> None:
        """Until `stop` is called, or it is cancelled."""
        while not self._stopped:
            if self._seconds_to_lookup() <= 0:
                await self._look_up()
            await self._probe()
            with suppress(TimeoutError):
                async with asyncio.timeout(self._pause()):
                    await self._wake.wait()
            self._wake.clear()

    def hurry(self) -> None:
        """A replica could not be reached: ask for the list soon."""
        self._hurry = True
        self._wake.set()

    def stop(self) -> None:
        """End `run` when the look-up that it waits for has ended."""
        self._stopped = True
        self._wake.set()

    def has_health_service(self, address: str) -> bool:
        """Whether this replica has a health service, or may have one. Safe to call from other threads."""
        return address not in self._without_health_service

    async def ready(self) -> None:
        """Return when there is a list, and an address of it works or all have been probed.

        Raises:
            DiscoveryError: the fleet could not give its first list.
        """
        lookups = self._lookups
        if self._ready:
            return
        # After a failure, only a new answer counts.
        self.hurry()
        async with self._changed:
            await self._changed.wait_for(lambda: self._ready or (self._error and self._lookups > lookups))
        if not self._ready and self._error:
            raise DiscoveryError(str(self._error)) from self._error

    def _seconds_to_lookup(self) -> float:
        every = SHORTEST_SECONDS if self._hurry else REFRESH_SECONDS
        return self._looked_at + every - time.monotonic()

    def _pause(self) -> float:
        to_probe = self._picker.seconds_to_next_probe()
        to_lookup = self._seconds_to_lookup()
        return max(0.0, to_lookup if to_probe is None else min(to_lookup, to_probe))

    async def _look_up(self) -> None:
        self._hurry = False
        error: DiscoveryError | None = None
        try:
            addresses = await asyncio.to_thread(self._fleet.fresh_addresses)
            if not addresses:
                raise DiscoveryError(self._fleet.shortfall(addresses) or "no replica is listed")
        except DiscoveryError as failure:
            error = failure
        except Exception as failure:  # noqa: BLE001 - this task must not end: nobody would notice an old list
            error = DiscoveryError(f"which replicas exist could not be found out: {failure!r}")
        self._looked_at = time.monotonic()
        if error is None:
            self._picker.update(addresses)
            self._without_health_service.intersection_update(addresses)
            await self._listed(addresses)
        await self._note(error)

    async def _note(self, error: DiscoveryError | None) -> None:
        if error and not self._error:
            kept = "The last list of replicas stays in use" if self._ready else "No list of replicas is known yet"
            log.warning("%s. %s; asking again", error, kept)
        if self._error and not error:
            log.info("the list of replicas is known again")
        self._error = error
        self._lookups += 1
        async with self._changed:
            self._changed.notify_all()

    async def _probe(self) -> None:
        async for probe in probes(self._picker.to_probe(), tls=self._fleet.tls):
            if probe.health_service:
                self._without_health_service.discard(probe.address)
            else:
                self._without_health_service.add(probe.address)
            self._picker.probed(probe.address, works=probe.works)
            if probe.works:
                await self._is_ready()
        if self._lookups and not self._error:
            await self._is_ready()

    async def _is_ready(self) -> None:
        if not self._ready:
            self._ready = True
            async with self._changed:
                self._changed.notify_all()
