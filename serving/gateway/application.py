"""The application: its routes, and what lives as long as the process does."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI

from serving.gateway import errors, models
from serving.gateway.routes import classify
from serving.gateway.settings import Settings
from serving.gateway.uploads.images import Converter


def create_app(settings: Settings) -> FastAPI:
    """A gateway for the models of these settings. It looks for their replicas while it runs."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with models.opened(settings) as opened:
            app.state.models = opened
            yield

    app = FastAPI(title="Understudy", docs_url=None, redoc_url=None, lifespan=lifespan)
    app.state.settings = settings
    app.state.converter = Converter(pixels=settings.limits.pixels)
    errors.add_handlers(app)
    app.include_router(classify.router)
    return app
