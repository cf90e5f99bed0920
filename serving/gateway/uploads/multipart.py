"""The files of a multipart body that is in memory. Fields that are no files are left out."""

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from serving.gateway.errors import GatewayError

if TYPE_CHECKING:
    from python_multipart.multipart import MultipartCallbacks

# It warns of each malformed body. That is answered with 400, and must not fill the log.
logging.getLogger("python_multipart").setLevel(logging.ERROR)


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
    """The files in a body, in their order.

    Args:
        body: of the request.
        content_type: its header, with the boundary.
        limit: how many files there may be.

    Raises:
        GatewayError: 400, it is malformed, or cut off; 413, it has more files.
    """
    _, options = parse_options_header(content_type)
    boundary = options.get(b"boundary")
    if not boundary:
        raise GatewayError(400, "the Content-Type of a multipart request needs a boundary")
    reader = _Reader(limit)
    try:
        parser = MultipartParser(boundary, reader.callbacks())
        parser.write(body)
        parser.finalize()
    except FormParserError as error:
        raise GatewayError(400, "the multipart body is malformed") from error
    if not reader.ended:
        raise GatewayError(400, "the multipart body is cut off: its closing boundary is missing")
    return reader.files


class _Reader:
    """Collects what the parser calls out."""

    def __init__(self, limit: int) -> None:
        self.files: list[Part] = []
        self.ended = False
        self._limit = limit
        self._name = self._value = self._disposition = b""
        self._data: list[bytes] = []

    def callbacks(self) -> "MultipartCallbacks":
        return {
            "on_part_begin": self._begin,
            "on_header_field": self._header_field,
            "on_header_value": self._header_value,
            "on_header_end": self._header_end,
            "on_part_data": self._part_data,
            "on_part_end": self._part_end,
            "on_end": self._end,
        }

    def _begin(self) -> None:
        self._name = self._value = self._disposition = b""
        self._data = []

    def _header_field(self, data: bytes, start: int, end: int) -> None:
        self._name += data[start:end]

    def _header_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def _header_end(self) -> None:
        if self._name.lower() == b"content-disposition":
            self._disposition = self._value
        self._name = self._value = b""

    def _part_data(self, data: bytes, start: int, end: int) -> None:
        self._data.append(data[start:end])

    def _part_end(self) -> None:
        _, options = parse_options_header(self._disposition)
        if b"filename" not in options:
            return
        if len(self.files) == self._limit:
            raise GatewayError(413, f"the request has more than {self._limit} images; send fewer at once")
        field = options.get(b"name", b"").decode("utf-8", "replace")
        name = options[b"filename"].decode("utf-8", "replace")
        self.files.append(Part(field, name, b"".join(self._data)))

    def _end(self) -> None:
        self.ended = True
