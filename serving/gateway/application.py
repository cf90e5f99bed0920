"""The application: its routes, and what lives as long as the process does."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI

from serving.gateway import errors
from serving.gateway.http.stopping import Stopping
from serving.gateway.layers import add_layers
from serving.gateway.models.models import open_models
from serving.gateway.routes import classify, fleet, health, inference_protocol, metrics, older, page, rest_predict
from serving.gateway.routes.openapi import ERRORS
from serving.gateway.settings import Settings
from serving.gateway.uploads.images import Converter


def create_app(settings: Settings) -> FastAPI:
    """A gateway for the models of these settings. It looks for their replicas while it runs.

    Raises:
        SettingsError: the API keys cannot be read.
    """

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with open_models(settings) as models:
            app.state.models = models
            yield

    app = FastAPI(
        title="Understudy",
        docs_url=None,
        redoc_url=None,
        # A redirect would name the host that the client has sent.
        redirect_slashes=False,
        responses=ERRORS,
        lifespan=lifespan,
    )
    app.state.settings = settings
    app.state.stopping = Stopping()
    app.state.converter = Converter(pixels=settings.limits.pixels)
    errors.add_handlers(app)
    for routes in (classify, older, rest_predict, inference_protocol, fleet, health, metrics, page):
        app.include_router(routes.router)
    add_layers(app, settings)
    return app
