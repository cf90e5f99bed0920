"""Serve an application on one port until SIGTERM."""

import uvicorn
from fastapi import FastAPI

from serving.gateway.settings import Settings


def serve(app: FastAPI, settings: Settings) -> int:
    uvicorn.run(app, host=settings.host, port=settings.port, access_log=False, server_header=False, log_level="warning")
    return 0
