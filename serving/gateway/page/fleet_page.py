"""The page of `/fleet` for browsers, without an API key: it has no content of its own, and asks for the JSON with one.

A browser cannot send a key in a header when it opens an address. So what opens pages gets the page; what checks keys
comes after this, and sees the path of a file that everybody may read. No decision here opens the JSON to anybody.
"""

from serving.gateway.http.asgi import App, Receive, Scope, Send, header
from serving.gateway.page.static_files import PREFIX

PAGE = f"{PREFIX}fleet.html"


class FleetPage:
    """ASGI middleware: `GET /fleet` of a browser becomes the file of the page. It must be outside what checks keys."""

    def __init__(self, app: App) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["path"] == "/fleet" and _opens_page(scope):
            scope["path"], scope["raw_path"] = PAGE, PAGE.encode()
        await self._app(scope, receive, send)


def _opens_page(scope: Scope) -> bool:
    """Whether HTML is accepted by name, as browsers do, and no format is asked for."""
    return "text/html" in (header(scope, b"accept") or "") and b"format=" not in scope["query_string"]
