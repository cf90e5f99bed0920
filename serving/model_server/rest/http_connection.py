"""One connection to the REST port.

Imported when REST is on and not before, because uvicorn is.
"""

from uvicorn.protocols.http.httptools_impl import STATUS_LINE

from serving.http.connection import BoundedConnection
from serving.model_server.rest.http_messages import error_page

# The first is that of upstream's HTTP server, which does not bound the second.
IDLE_SECONDS = 50
LARGEST_HEAD = 64 * 1024


class Connection(BoundedConnection):
    """Refuses what is not HTTP as upstream's HTTP server does."""

    idle_seconds: float = IDLE_SECONDS
    largest_head = LARGEST_HEAD

    def error_answer(self, status: int) -> bytes:
        answer = error_page(status)
        head = [
            b"content-type: " + answer.content_type.encode(),
            b"content-length: " + str(len(answer.body)).encode(),
            b"connection: close",
        ]
        return STATUS_LINE[answer.status] + b"\r\n".join(head) + b"\r\n\r\n" + answer.body
