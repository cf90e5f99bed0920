"""What each request passes before it reaches a route, from the outside in.

    MetricsPort        answers on the port for metrics, if there is one
    Observation        id, access log, metrics, errors that nobody handled
    SecurityHeaders
    FleetPage          the page of /fleet, which needs no key
    Gate               API keys and rates; without keys OwnPagesOnly: no pages of other sites
    BodyMemory         the limit on all bodies together

All are plain ASGI. The framework's own kind of middleware makes a task and two queues for each request.
"""

import sys
import time

from fastapi import FastAPI

from serving.gateway.fleet.metrics import FleetMetrics
from serving.gateway.observation.access_log import AccessLog
from serving.gateway.observation.metrics import Metrics
from serving.gateway.observation.metrics_port import MetricsPort
from serving.gateway.observation.middleware import Observation
from serving.gateway.page.fleet_page import FleetPage
from serving.gateway.page.static_files import PREFIX
from serving.gateway.security.foreign_pages import OwnPagesOnly
from serving.gateway.security.gate import Gate
from serving.gateway.security.headers import SecurityHeaders
from serving.gateway.security.key_file import KeyFile
from serving.gateway.security.keys import KeysError
from serving.gateway.settings import Settings, SettingsError
from serving.gateway.uploads.memory import LARGEST, BodyMemory

OPEN_PATHS = ("/", "/docs", "/openapi.json", "/healthz", "/readyz", PREFIX)


def add_layers(app: FastAPI, settings: Settings) -> None:
    """Put them around the application; its metrics are `app.state.metrics`.

    Raises:
        SettingsError: the keys cannot be read.
    """
    app.state.metrics = metrics = Metrics([model.name for model in settings.models])
    metrics.registry.register(FleetMetrics(lambda: getattr(app.state, "models", {})))
    # What is added last is the outermost.
    app.add_middleware(BodyMemory, limit=max(LARGEST, 2 * settings.limits.body_bytes))
    if settings.keys is None:
        app.add_middleware(OwnPagesOnly)
    else:
        try:
            keys = KeyFile(settings.keys, clock=time.monotonic)
        except KeysError as error:
            raise SettingsError(str(error)) from error
        app.add_middleware(Gate, keys=keys, open_paths=OPEN_PATHS)
    app.add_middleware(FleetPage)
    app.add_middleware(SecurityHeaders)
    app.add_middleware(Observation, metrics=metrics, access_log=AccessLog(sys.stdout))
    if settings.metrics_port is not None:
        app.add_middleware(MetricsPort, metrics=metrics, port=settings.metrics_port)
