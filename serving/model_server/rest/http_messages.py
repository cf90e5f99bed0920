"""HTTP without sockets: a request as it came, an answer as it goes."""

import http
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field

from grpc import StatusCode

JSON, TEXT, HTML = "application/json", "text/plain", "text/html"
# What the HTTP server of upstream says of a body it was not told the type of.
UNTYPED = "text/html; charset=ISO-8859-1"

# A compressed body that would grow beyond this counts as empty.
LARGEST_UNCOMPRESSED = 100 * 2**20

HTTP_STATUS = {
    StatusCode.OK: 200,
    StatusCode.INVALID_ARGUMENT: 400,
    StatusCode.FAILED_PRECONDITION: 400,
    StatusCode.OUT_OF_RANGE: 400,
    StatusCode.UNAUTHENTICATED: 401,
    StatusCode.PERMISSION_DENIED: 403,
    StatusCode.NOT_FOUND: 404,
    StatusCode.ALREADY_EXISTS: 409,
    StatusCode.ABORTED: 409,
    StatusCode.RESOURCE_EXHAUSTED: 429,
    StatusCode.CANCELLED: 499,
    StatusCode.UNKNOWN: 500,
    StatusCode.INTERNAL: 500,
    StatusCode.DATA_LOSS: 500,
    StatusCode.UNIMPLEMENTED: 501,
    StatusCode.UNAVAILABLE: 503,
    StatusCode.DEADLINE_EXCEEDED: 504,
}


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
    inflater = zlib.decompressobj(wbits=31)
    try:
        body = inflater.decompress(request.body, LARGEST_UNCOMPRESSED + 1)
    except zlib.error:
        return b""
    whole = inflater.eof and not inflater.unused_data and len(body) <= LARGEST_UNCOMPRESSED
    return body if whole else b""
