"""HTTP without sockets: a request as it came, an answer as it goes."""

import http
from collections.abc import Mapping
from dataclasses import dataclass, field

from serving.rest_json.gzip_body import inflated

JSON, TEXT, HTML = "application/json", "text/plain", "text/html"
# What the HTTP server of upstream says of a body whose type it does not know.
UNTYPED = "text/html; charset=ISO-8859-1"

# A compressed body that would grow beyond this counts as empty.
LARGEST_UNCOMPRESSED = 100 * 2**20


@dataclass(frozen=True, kw_only=True)
class Request:
    """`target` is the path with its query as they were sent; names of headers are in lower case."""

    method: str
    target: str
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""


@dataclass(frozen=True, kw_only=True)
class Answer:
    status: int
    content_type: str
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)


def error_page(status: int) -> Answer:
    """What upstream's HTTP server says by itself, before the API is asked; the connection ends with it."""
    phrase = {413: "Request Entity Too Large"}.get(status) or http.HTTPStatus(status).phrase
    page = f"<HTML><HEAD>\n<TITLE>{status} {phrase}</TITLE>\n</HEAD><BODY>\n<H1>{phrase}</H1>\n</BODY></HTML>\n"
    return Answer(status=status, content_type=HTML, body=page.encode(), headers={"connection": "close"})


def uncompressed(request: Request) -> bytes:
    """The body as it was before gzip, where a header says it went through it; empty when it cannot be restored."""
    if "gzip" not in request.headers.get("content-encoding", ""):
        return request.body
    return inflated(request.body, largest=LARGEST_UNCOMPRESSED)
