"""What is known of one request, for its line in the access log and for the metrics.

The middleware makes one for each request; what is learnt of it is noted here:

    facts_of(request.scope).images = 3

Model, version and replica it finds by itself, in the path's `{model}` and the answer's headers X-Model, X-Model-Version
and X-Replica.
"""

from dataclasses import dataclass
from typing import cast

from serving.gateway.http.asgi import Scope

_KEY = "facts"


@dataclass(slots=True)
class Facts:
    """One request.

    Attributes:
        request_id: the client's, or made here.
        key_name: the name of the API key, never the key.
        model: its name, as the client wrote it.
        version: the version that answered, not one that a client asked for.
        replica: the address that answered.
        images: how many images the request had.
        image_bytes: the sum of their sizes.
        shed: why the request was refused although nothing is wrong with it: a word, see `metrics.SHED_REASONS`.
        error: the message that the client got, for the access log.
        cause: what the model servers said, with the address of the replica. It is for the access log alone.
    """

    request_id: str
    key_name: str | None = None
    model: str | None = None
    version: int | None = None
    replica: str | None = None
    images: int = 0
    image_bytes: int = 0
    shed: str | None = None
    error: str | None = None
    cause: str | None = None


def facts_of(scope: Scope) -> Facts:
    """The facts of the request with this scope. Without the middleware, as in tests of one route, they go nowhere."""
    state = scope.setdefault("state", {})
    if _KEY not in state:
        state[_KEY] = Facts(request_id="")
    return cast("Facts", state[_KEY])


def set_facts(scope: Scope, facts: Facts) -> None:
    scope.setdefault("state", {})[_KEY] = facts
