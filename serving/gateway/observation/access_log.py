"""The access log: one line of JSON for each request, on standard output.

Nothing that a client sends can end a line or begin another: JSON escapes it, and all that is not ASCII too. Long texts
are cut. Query strings and headers are not in it, since a key could be there.
"""

import json
import logging
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TextIO

from serving.gateway.observation.facts import Facts

LONGEST_TEXT = 200

logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class FinishedRequest:
    """A request that has request.

    Attributes:
        method: as sent.
        route: the route's template, "/v1/classify/{model}"; None if no route has this path.
        path: as sent, decoded; logged only where there is no route.
        status: of the answer; 499 if the client went away before it.
        seconds: from the head of the request to the end of the answer.
        bytes_in: of the body, as far as it was read.
        client: the address of the peer, which may be a proxy's.
    """

    method: str
    route: str | None
    path: str
    status: int
    seconds: float
    bytes_in: int
    client: str | None


class AccessLog:
    """Writes lines to a stream, each at once and with one call, so that processes may share it."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._fails = False

    def write(self, request: FinishedRequest, facts: Facts) -> None:
        """Write a line. If nobody reads it, or the disk is full, it is lost: requests are answered all the same."""
        try:
            self._stream.write(_line(request, facts, datetime.now(UTC)))
            self._stream.flush()
        except OSError as error:
            if not self._fails:
                logger.error("the access log cannot be written (%s); requests are answered without it", error.strerror)
            self._fails = True
        else:
            self._fails = False


def _line(request: FinishedRequest, facts: Facts, now: datetime) -> str:
    record = {
        "time": now.isoformat(timespec="milliseconds"),
        "request_id": facts.request_id,
        "method": _cut(request.method),
        "route": request.route,
        "path": None if request.route else _cut(request.path),
        "status": request.status,
        "seconds": round(request.seconds, 6),
        "bytes_in": request.bytes_in,
        "client": request.client,
        "key": facts.key_name,
        "model": _cut(facts.model),
        "version": facts.version,
        "replica": facts.replica,
        "images": facts.images or None,
        "shed": facts.shed,
        "error": _cut(facts.error),
        "cause": _cut(facts.cause),
    }
    return json.dumps({name: value for name, value in record.items() if value is not None}) + "\n"


def _cut(text: str | None) -> str | None:
    if text is None or len(text) <= LONGEST_TEXT:
        return text
    return text[:LONGEST_TEXT] + "..."
