"""The replicas of all models, for `/fleet`: asked when somebody looks, and at most every two seconds."""

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from enum import Enum

from serving.client import ReplicaState
from serving.gateway.fleet.replica_status import ReplicaStatus, StatusClient
from serving.gateway.models.models import Model

KEPT_SECONDS = 2.0
AT_ONCE = 32
# Of one model. Those that were not asked by then were behind too many that do not answer.
REFRESH_SECONDS = 3.0
_NOT_ASKED = ReplicaStatus(error="not asked: too many other replicas do not answer")


class State(Enum):
    """Of a replica: whether it gets requests."""

    USABLE = "usable"
    RESTING = "resting"
    NO_ANSWER = "no answer"


@dataclass(frozen=True)
class ReplicaView:
    """What the gateway knows of a replica, and what the replica says."""

    known: ReplicaState
    status: ReplicaStatus

    @property
    def state(self) -> State:
        if self.status.error:
            return State.NO_ANSWER
        return State.USABLE if self.known.usable else State.RESTING


@dataclass(frozen=True)
class ModelView:
    """One model.

    Attributes:
        name: as clients call it.
        label: what the gateway asks for; None if it asks for the newest version.
        in_flight: images that the gateway has asked about.
        limit: how many there may be.
        replicas: in the order of the fleet's list.
    """

    name: str
    label: str | None
    in_flight: int
    limit: int
    replicas: Sequence[ReplicaView]

    @property
    def versions(self) -> Sequence[int]:
        """Those that answer the label, the highest first: one, but while a roll-out goes on."""
        return sorted({each.status.serves for each in self.replicas if each.status.serves is not None}, reverse=True)


class FleetView:
    """Collects the views. Belongs to one event loop; close it.

    Args:
        models: those of the gateway.
        now: a clock, in seconds.
    """

    def __init__(self, models: Mapping[str, Model], *, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._models = [
            (model, StatusClient(model.name, label=model.label, tls=model.fleet.tls)) for model in models.values()
        ]
        self._slots = asyncio.Semaphore(AT_ONCE)
        self._views: Sequence[ModelView] = ()
        self._refreshed_at = -float("inf")
        self._refresh: asyncio.Task[None] | None = None

    async def current(self) -> Sequence[ModelView]:
        """At most KEPT_SECONDS old. All who ask meanwhile wait for the same refresh."""
        if self._now() - self._refreshed_at >= KEPT_SECONDS:
            if self._refresh is None:
                self._refresh = asyncio.create_task(self._renew(), name="status of the replicas")
            # One who goes away must not end it for the others.
            await asyncio.shield(self._refresh)
        return self._views

    async def close(self) -> None:
        if self._refresh is not None:
            self._refresh.cancel()
            await asyncio.wait([self._refresh])
        for _, client in self._models:
            await client.keep(())

    async def _renew(self) -> None:
        try:
            self._views = await asyncio.gather(*(self._view(model, client) for model, client in self._models))
            self._refreshed_at = self._now()
        finally:
            self._refresh = None

    async def _view(self, model: Model, client: StatusClient) -> ModelView:
        known = model.client.replicas()
        await client.keep({each.address for each in known})
        statuses = await self._statuses(client, known)
        return ModelView(
            name=model.name,
            label=model.label,
            in_flight=model.admission.in_flight,
            limit=int(model.admission.limit),
            replicas=[ReplicaView(each, statuses.get(each.address, _NOT_ASKED)) for each in known],
        )

    async def _statuses(self, client: StatusClient, known: Sequence[ReplicaState]) -> Mapping[str, ReplicaStatus]:
        """By address; without those that did not get their turn."""
        found: dict[str, ReplicaStatus] = {}

        async def ask(address: str) -> None:
            async with self._slots:
                found[address] = await client.ask(address)

        with suppress(TimeoutError):
            async with asyncio.timeout(REFRESH_SECONDS):
                # Those that work first: they answer at once.
                await asyncio.gather(*(ask(each.address) for each in sorted(known, key=lambda each: not each.usable)))
        return found
