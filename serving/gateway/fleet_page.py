"""The page of `/fleet` for browsers, without an API key: it has no content of its own, and asks for the JSON with one.

A browser cannot send a key in a header when it opens an address. So what opens pages gets the page; whoever checks keys
comes after this, and sees the path of a file that everybody may read. No decision here opens the JSON to anybody.
"""

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from serving.gateway.routes.page import PREFIX

_Scope = MutableMapping[str, Any]
_App = Callable[[_Scope, Any, Any], Awaitable[None]]
PAGE = f"{PREFIX}fleet.html"


class FleetPage:
    """ASGI middleware: `GET /fleet` of a browser becomes the file of the page. It must be the outermost one."""

    def __init__(self, app: _App) -> None:
        self._app = app

    async def __call__(self, scope: _Scope, receive: Any, send: Any) -> None:
        if scope["type"] == "http" and scope["path"] == "/fleet" and _opens_page(scope):
            scope = {**scope, "path": PAGE, "raw_path": PAGE.encode()}
        await self._app(scope, receive, send)


def _opens_page(scope: _Scope) -> bool:
    """Whether HTML is accepted by name, as browsers do, and no format is asked for."""
    accepted = b",".join(value for name, value in scope["headers"] if name == b"accept")
    return b"text/html" in accepted and not scope["query_string"].startswith(b"format=")
