"""The files of a multipart body that is in memory. Fields that are not files are left out."""

from collections.abc import Iterator
from dataclasses import dataclass

from python_multipart.multipart import parse_options_header

from serving.gateway.errors import GatewayError

# Besides the files.
_MOST_FIELDS = 100
# Of the headers of one part, in bytes.
_LARGEST_HEAD = 8 * 1024
_LINE, _HEAD_END = b"\r\n", b"\r\n\r\n"


@dataclass(frozen=True)
class Part:
    """One file.

    Attributes:
        field: the name of its field.
        name: of the file, as the client calls it. It names nothing here.
        content: its bytes.
    """

    field: str
    name: str
    content: bytes


def files_of(body: bytes, content_type: str, *, limit: int) -> list[Part]:
    """The files in a body, in their order. Takes about as long as to copy the body, whatever is in it.

    Args:
        body: of the request.
        content_type: its header, with the boundary.
        limit: how many files there may be.

    Raises:
        GatewayError: 400, it is malformed, or cut off; 413, it has more files, or very many other fields.
    """
    _, options = parse_options_header(content_type)
    boundary = options.get(b"boundary")
    if not boundary:
        raise GatewayError(400, "the Content-Type of a multipart request needs a boundary")
    files: list[Part] = []
    for number, (start, end) in enumerate(_parts(body, b"\r\n--" + boundary)):
        if number == limit + _MOST_FIELDS:
            raise GatewayError(413, f"the request has more than {number} fields; send fewer at once")
        part = _file(body, start, end)
        if part is None:
            continue
        if len(files) == limit:
            raise GatewayError(413, f"the request has more than {limit} images; send fewer at once")
        files.append(part)
    return files


def _parts(body: bytes, delimiter: bytes) -> Iterator[tuple[int, int]]:
    """Where each part starts, at the end of the line of its boundary, and where it ends: RFC 2046, section 5.1.1.

    Raises:
        GatewayError: 400.
    """
    # The line break before the first boundary is left out where nothing precedes it.
    at = -2 if body.startswith(delimiter[2:]) else body.find(delimiter)
    if at == -1:
        raise GatewayError(
            400, "the multipart body does not have the boundary that its Content-Type names, or is cut off"
        )
    while True:
        at += len(delimiter)
        if body.startswith(b"--", at):
            return
        start = body.find(_LINE, at)
        if start == -1 or body[at:start].strip(b" \t"):
            raise _malformed()
        end = body.find(delimiter, start)
        if end == -1:
            raise GatewayError(400, "the multipart body is cut off: its closing boundary is missing")
        yield start, end
        at = end


def _file(body: bytes, start: int, end: int) -> Part | None:
    """A part; None if it is not a file."""
    head_end = body.find(_HEAD_END, start, min(end, start + _LARGEST_HEAD))
    if head_end == -1:
        raise _malformed()
    options = parse_options_header(_disposition(body[start:head_end]))[1]
    if b"filename" not in options:
        return None
    field = options.get(b"name", b"").decode("utf-8", "replace")
    name = options[b"filename"].decode("utf-8", "replace")
    return Part(field, name, body[head_end + len(_HEAD_END) : end])


def _disposition(head: bytes) -> bytes:
    found = b""
    for line in head.split(_LINE)[1:]:
        name, colon, value = line.partition(b":")
        if not colon or not name or name != name.strip():
            raise _malformed()
        if name.lower() == b"content-disposition":
            found = value.strip()
    return found


def _malformed() -> GatewayError:
    return GatewayError(400, "the multipart body is malformed")
