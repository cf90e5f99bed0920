"""`/fleet`: the replicas of each model and the versions they have, as JSON. Browsers get the page, see `FleetPage`."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated, Any, Literal

from fastapi import APIRouter, FastAPI, Query, Request
from pydantic import BaseModel

from serving.gateway.fleet.view import FleetView, ModelView, ReplicaView, State


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    app.state.fleet_view = FleetView(app.state.models)
    try:
        yield
    finally:
        await app.state.fleet_view.close()


router = APIRouter(tags=["The gateway"], lifespan=_lifespan)

Format = Annotated[Literal["json"] | None, Query(alias="format", description="JSON for a browser, too")]


class Version(BaseModel):
    """A version that the replica has seen since it started."""

    version: int
    state: str
    error: str


class Replica(BaseModel):
    """A replica."""

    address: str
    state: State
    failures: int
    rests_seconds: float
    serves: int | None
    versions: list[Version]
    error: str


class ModelOfFleet(BaseModel):
    """A model. `versions` are those that its replicas serve: one, but while a roll-out goes on."""

    name: str
    label: str | None
    versions: list[int]
    in_flight: int
    limit: int
    replicas: list[Replica]


class FleetAnswer(BaseModel):
    """All models of the gateway."""

    models: list[ModelOfFleet]


@router.get("/fleet", response_model=FleetAnswer, summary="Replicas, versions and their states")
async def fleet(request: Request, _: Format = None) -> dict[str, Any]:
    """For each model: its replicas, the versions that they have loaded, and which one answers. At most 2 s old.

    A browser gets a page, unless it asks with `?format=json`.
    """
    view: FleetView = request.app.state.fleet_view
    return {"models": [_model(each) for each in await view.current()]}


def _model(view: ModelView) -> dict[str, Any]:
    return {
        "name": view.name,
        "label": view.label,
        "versions": view.versions,
        "in_flight": view.in_flight,
        "limit": view.limit,
        "replicas": [_replica(each) for each in view.replicas],
    }


def _replica(view: ReplicaView) -> dict[str, Any]:
    return {
        "address": view.known.address,
        "state": view.state,
        "failures": view.known.failures,
        "rests_seconds": round(view.known.rests_seconds, 1),
        "serves": view.status.serves,
        "versions": [
            {"version": each.version, "state": each.state, "error": each.error} for each in view.status.versions
        ],
        "error": view.status.error,
    }
