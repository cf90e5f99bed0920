"""Refuses requests of other sites' pages where no key protects the gateway.

A gateway on loopback without keys can be reached by every page in a browser on that machine. Two checks keep pages out:

- `Host` must be a name of loopback. A page whose own name was made to resolve to 127.0.0.1 (DNS rebinding) is of the
  same origin for the browser, but its name is in `Host`.
- `Origin` and `Sec-Fetch-Site`, which pages cannot set, must say that the request is of the gateway's own page.
"""

import ipaddress
from urllib.parse import urlsplit

from serving.gateway.http.asgi import App, Receive, Scope, Send, header, send_error
from serving.gateway.observation.facts import facts_of

_OWN_SITES = (None, "same-origin", "none")


class OwnPagesOnly:
    """ASGI middleware."""

    def __init__(self, app: App) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        refusal = refusal_of(scope) if scope["type"] == "http" else None
        if refusal is None:
            await self._app(scope, receive, send)
            return
        facts_of(scope).error = refusal
        await send_error(send, 403, refusal)


def refusal_of(scope: Scope) -> str | None:
    """Why the request is refused; None if it may pass."""
    hosts = [str(value, "latin-1") for name, value in scope["headers"] if name == b"host"]
    if not all(is_loopback(host) for host in hosts) or len(hosts) > 1:
        return (
            "a gateway without API keys answers only to the names localhost, 127.0.0.1 and [::1]; "
            "use one of them, or start it with --keys FILE"
        )
    if _is_link(scope):
        return None
    origin = header(scope, b"origin")
    site = header(scope, b"sec-fetch-site")
    if site not in _OWN_SITES or (origin is not None and not _same_origin(scope, origin, hosts)):
        return "a gateway without API keys refuses requests of other sites' pages; start it with --keys FILE"
    return None


def is_loopback(host: str) -> bool:
    """Whether the value of a header `Host`, with or without a port, is this machine's name or address for itself."""
    try:
        name = urlsplit(f"//{host}").hostname or ""
        return name == "localhost" or ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


def _is_link(scope: Scope) -> bool:
    """Whether a person followed a link from elsewhere: the page opens, and the other site learns nothing from that."""
    navigates = header(scope, b"sec-fetch-mode") == "navigate" and header(scope, b"sec-fetch-dest") == "document"
    return scope["method"] in ("GET", "HEAD") and navigates


def _same_origin(scope: Scope, origin: str, hosts: list[str]) -> bool:
    return bool(hosts) and origin == f"{scope.get('scheme', 'http')}://{hosts[0]}"
