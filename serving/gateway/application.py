"""The application: its routes, and what lives as long as the process does."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI

from serving.gateway import errors
from serving.gateway.http.stopping import Stopping
from serving.gateway.layers import OPEN_PATHS, add_layers
from serving.gateway.models.models import open_models
from serving.gateway.openapi_document import Gateway
from serving.gateway.routes import classify, fleet, health, inference_protocol, metrics, older, page, rest_predict
from serving.gateway.routes.openapi import ERRORS, ERRORS_OF_ALL
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

    app = Gateway(
        keys=settings.keys is not None,
        open_paths=OPEN_PATHS,
        title="Understudy",
        docs_url=None,
        redoc_url=None,
        # A redirect would name the host that the client has sent.
        redirect_slashes=False,
        lifespan=lifespan,
    )
    app.state.settings = settings
    app.state.stopping = Stopping()
    app.state.converter = Converter(pixels=settings.limits.pixels)
    errors.add_handlers(app)
    for routes in (classify, older, rest_predict, inference_protocol):
        app.include_router(routes.router, responses=ERRORS)
    for routes in (fleet, health, metrics, page):
        app.include_router(routes.router, responses=ERRORS_OF_ALL)
    add_layers(app, settings)
    return app
