"""`/healthz`: the process runs. `/readyz`: it should get requests; see `serving.gateway.models.readiness` for when.

Neither asks a model server when it is called, and neither needs an API key. The page at `/` takes the names of the
models from `/readyz`.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from fastapi import APIRouter, FastAPI, Request
from fastapi.responses import JSONResponse, Response
from pydantic import BaseModel, ConfigDict

from serving.gateway.models.readiness import EVERY_SECONDS, ModelState, Readiness


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    # The server sets it, and a test that has no server does not.
    stopping = getattr(app.state, "stopping", False)
    app.state.readiness = Readiness(app.state.models, stopping=stopping)
    task = asyncio.create_task(app.state.readiness.run(), name="whether the models answer")
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait([task])


router = APIRouter(tags=["The gateway"], lifespan=_lifespan)


class Lives(BaseModel):
    """The process answers."""

    status: str = "ok"


class ModelReady(BaseModel):
    """A model: the version that answered last, or the reason why none did."""

    ready: bool
    version: int | None
    reason: str


class Ready(BaseModel):
    """Whether the gateway should get requests.

    Attributes:
        missing: the reasons of the models that do not answer; also those of a gateway that is ready.
    """

    model_config = ConfigDict(protected_namespaces=())

    ready: bool
    missing: list[str]
    models: dict[str, ModelReady]


class NotReady(Ready):
    """The same, and a sentence, as in every other answer that is not 200."""

    error: str


@router.head("/healthz", include_in_schema=False)
@router.get("/healthz", response_model=Lives, summary="The process runs")
async def healthz() -> Response:
    """200 as long as the process answers at all, also while no model does."""
    return JSONResponse(Lives().model_dump(), headers={"Cache-Control": "no-store"})


@router.head("/readyz", include_in_schema=False)
@router.get(
    "/readyz",
    response_model=Ready,
    responses={503: {"model": NotReady, "description": "no model answers, or the gateway is stopping"}},
    summary="Models answer",
)
async def readyz(request: Request) -> Response:
    """200 if at least one model answers: one that is down must not take the others offline.

    Every model is asked every few seconds; this is the last result.
    """
    readiness: Readiness = request.app.state.readiness
    missing = [state.reason for state in readiness.states.values() if not state.ready]
    models = {name: _model(state) for name, state in readiness.states.items()}
    document: dict[str, Any] = {"ready": readiness.ready, "missing": missing, "models": models}
    headers = {"Cache-Control": "no-store"}
    if readiness.ready:
        return JSONResponse(document, headers=headers)
    headers["Retry-After"] = str(int(EVERY_SECONDS))
    document["error"] = "the gateway is stopping" if readiness.stopping else f"no model answers: {'; '.join(missing)}"
    return JSONResponse(document, 503, headers)


def _model(state: ModelState) -> dict[str, Any]:
    return {"ready": state.ready, "version": state.version, "reason": state.reason}
