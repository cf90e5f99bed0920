"""The metrics on a port of their own, for Prometheus: no key is needed there, and nothing else is answered."""

from serving.gateway.http.asgi import App, Receive, Scope, Send, send_body, send_error
from serving.gateway.observation.metrics import CONTENT_TYPE, Metrics


class MetricsPort:
    """ASGI middleware outside all others: the same server listens on both ports, with the same bounds for clients."""

    def __init__(self, app: App, *, metrics: Metrics, port: int) -> None:
        self._app = app
        self._metrics = metrics
        self._port = port

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["server"][1] != self._port:
            await self._app(scope, receive, send)
        elif scope["path"] != "/metrics":
            await send_error(send, 404, "this port has only /metrics")
        elif scope["method"] not in ("GET", "HEAD"):
            await send_error(send, 405, "/metrics is for GET", headers=[(b"allow", b"GET, HEAD")])
        else:
            await send_body(send, 200, self._metrics.page(), content_type=CONTENT_TYPE.encode())
