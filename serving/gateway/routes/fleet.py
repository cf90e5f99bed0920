"""`/fleet`: the replicas of each model and the versions they have, as a page for browsers and as JSON for programs."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated, Any, Literal

from fastapi import APIRouter, FastAPI, Query, Request
from fastapi.responses import JSONResponse, Response

from serving.gateway.fleet_view import FleetView, ModelView, ReplicaView
from serving.gateway.routes.page import FILES


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    app.state.fleet_view = FleetView(app.state.models)
    try:
        yield
    finally:
        await app.state.fleet_view.close()


router = APIRouter(tags=["The gateway"], lifespan=_lifespan)

Format = Annotated[Literal["json"] | None, Query(alias="format", description="JSON also for a browser")]


@router.get("/fleet", summary="Replicas, versions and their states")
async def fleet(request: Request, wanted: Format = None) -> Response:
    """For each model: its replicas, the versions that they have loaded, and which one answers. At most 2 s old."""
    if wants_page(request):
        response = FILES["fleet.html"].response(request)
    else:
        view: FleetView = request.app.state.fleet_view
        models = [_model(each) for each in await view.current()]
        response = JSONResponse({"models": models}, headers={"Cache-Control": "no-store"})
    response.headers["Vary"] = "Accept"
    return response


def wants_page(request: Request) -> bool:
    """Whether a browser asks for the page, which holds nothing of the fleet itself."""
    return "format" not in request.query_params and "text/html" in request.headers.get("accept", "")


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
        "state": view.state.value,
        "failures": view.known.failures,
        "rests_seconds": round(view.known.rests_seconds, 1),
        "serves": view.status.serves,
        "versions": [
            {"version": each.version, "state": each.state, "error": each.error} for each in view.status.versions
        ],
        "error": view.status.error,
    }
