"""Headers with which browsers protect those who use the page, on each answer.

There is no CORS here: no answer has `Access-Control-Allow-Origin`, so a browser shows no answer to another site's page
and sends none of its requests that would need a preflight.
"""

from serving.gateway.http.asgi import App, Message, Receive, Scope, Send, header

# Scripts, styles and requests: only this server's own files. Images: also those that a person has dropped on the page.
CONTENT_SECURITY_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; connect-src 'self'; "
    "font-src 'self'; manifest-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
HEADERS = {
    b"content-security-policy": CONTENT_SECURITY_POLICY.encode(),
    b"x-content-type-options": b"nosniff",
    b"referrer-policy": b"no-referrer",
    b"cross-origin-opener-policy": b"same-origin",
    b"cross-origin-resource-policy": b"same-origin",
    b"permissions-policy": b"camera=(), geolocation=(), microphone=()",
    # Answers are for one client. Files of the page say themselves how long they are good for.
    b"cache-control": b"no-store",
}
# A year. Browsers heed it only in answers that came by TLS.
HSTS = (b"strict-transport-security", b"max-age=31536000")


class SecurityHeaders:
    """ASGI middleware. A header that the application sets itself stays as it is."""

    def __init__(self, app: App) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = _with_headers(scope, list(message.get("headers", ())))
            await send(message)

        await self._app(scope, receive, send_with_headers)


def _with_headers(scope: Scope, sent: list[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    own = {name.lower() for name, _ in sent}
    sent += [(name, value) for name, value in HEADERS.items() if name not in own]
    if scope.get("scheme") == "https" or header(scope, b"x-forwarded-proto") == "https":
        sent.append(HSTS)
    return sent
