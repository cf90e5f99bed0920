"""Lets requests with a valid API key pass, as often as the key's rate allows.

It decides on the head of a request alone: the body of a refused one is never read, and costs no memory.
"""

import ipaddress
import time
from collections.abc import Callable, Collection
from datetime import UTC, datetime

from serving.gateway.http.asgi import App, Headers, Receive, Scope, Send, header, send_error
from serving.gateway.observation.facts import facts_of
from serving.gateway.security.key_file import KeyFile
from serving.gateway.security.keys import Key, find_key
from serving.gateway.security.rates import Rates, retry_after

# More than a file of keys can have, so that no bucket of a key is forgotten and full again.
LARGEST_KEYS = 16_384
# Requests per second and address that are refused with 401 before it is 429. The limit spares the log and the clients
# of an endless loop; nobody finds a key of 256 bits by trying. A valid key passes all the same.
REFUSED_RATE = 10.0
REALM = b'Bearer realm="understudy"'


def _utc_now() -> datetime:
    return datetime.now(UTC)


class Gate:
    """ASGI middleware.

    Args:
        app: what it guards.
        keys: the keys.
        open_paths: what needs no key, for GET and HEAD; a path that ends in "/" stands for all below it, too.
        clock: seconds that never go back, for rates.
        now: for expiries.
    """

    def __init__(
        self,
        app: App,
        *,
        keys: KeyFile,
        open_paths: Collection[str],
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], datetime] = _utc_now,
    ) -> None:
        self._app = app
        self._keys = keys
        self._open = frozenset(open_paths)
        self._folders = tuple(path for path in open_paths if path.endswith("/") and path != "/")
        self._now = now
        self._rates = Rates(clock=clock, largest=LARGEST_KEYS)
        self._refused = Rates(clock=clock)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or self._is_open(scope):
            await self._app(scope, receive, send)
            return
        presented = presented_key(scope)
        key = None if presented is None else find_key(self._keys.keys(), presented)
        if key is None or key.expired(self._now()):
            await self._refuse(scope, send, _reason(presented, key))
            return
        facts_of(scope).key_name = key.name
        wait = 0.0 if key.rate is None else self._rates.wait_seconds(key.name, key.rate)
        if wait:
            facts_of(scope).shed = "rate"
            message = f"this API key may send {key.rate:g} requests per second; send this one again after Retry-After"
            await _answer(scope, send, 429, message, headers=[(b"retry-after", retry_after(wait))])
            return
        await self._app(scope, receive, send)

    def _is_open(self, scope: Scope) -> bool:
        path = scope["path"]
        return scope["method"] in ("GET", "HEAD") and (path in self._open or path.startswith(self._folders))

    async def _refuse(self, scope: Scope, send: Send, reason: str) -> None:
        wait = self._refused.wait_seconds(_network(scope), REFUSED_RATE)
        if wait:
            facts_of(scope).shed = "address"
            message = f"too many requests without a valid API key came from this address; {reason}"
            await _answer(scope, send, 429, message, headers=[(b"retry-after", retry_after(wait))])
            return
        await _answer(scope, send, 401, reason, headers=[(b"www-authenticate", REALM)])


def presented_key(scope: Scope) -> str | None:
    """The key that a request brings: `Authorization: Bearer KEY`, or `X-API-Key: KEY`."""
    scheme, _, credentials = (header(scope, b"authorization") or "").partition(" ")
    if scheme.lower() == "bearer" and credentials.strip():
        return credentials.strip()
    return (header(scope, b"x-api-key") or "").strip() or None


def _reason(presented: str | None, key: Key | None) -> str:
    if presented is None:
        return "an API key is needed; send it in the header `Authorization: Bearer KEY` or `X-API-Key: KEY`"
    if key is None:
        return "this API key is not valid, it may have been revoked; ask the operator of this gateway for a new one"
    return f"this API key expired at {key.expires}; ask the operator of this gateway for a new one"


def _network(scope: Scope) -> str:
    """The peer's address; of IPv6 the first 64 bits, because one customer has all addresses below."""
    client = scope.get("client")
    try:
        address = ipaddress.ip_address(client[0] if client else "")
    except ValueError:
        return "unknown"
    if isinstance(address, ipaddress.IPv6Address):
        return address.exploded[:19] if address.ipv4_mapped is None else str(address.ipv4_mapped)
    return str(address)


async def _answer(scope: Scope, send: Send, status: int, message: str, *, headers: Headers) -> None:
    facts_of(scope).error = message
    await send_error(send, status, message, headers=headers)
