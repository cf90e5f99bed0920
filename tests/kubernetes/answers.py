"""What the API answers: a whole content, or a stream."""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from tests.kubernetes.cluster import Json
from tests.kubernetes.statuses import ApiError


@dataclass(frozen=True)
class HttpRequest:
    """A request as it comes.

    Attributes:
        path: with the query.
        who: the token, or the name of the client; empty for nobody.
        media_type: of the body.
        accept: the media type that the client wants.
    """

    method: str
    path: str
    who: str
    media_type: str = ""
    body: bytes = b""
    accept: str = ""


@dataclass(frozen=True)
class Answer:
    status: int
    content: bytes
    media_type: str = "application/json"
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Stream:
    """Parts that are sent when they are there.

    Attributes:
        cut_after: so many parts are sent, then the connection is closed; None for all.
    """

    parts: Iterator[bytes]
    media_type: str = "application/json"
    cut_after: int | None = None


class ConnectionCutError(Exception):
    """Instead of an answer, the connection is closed."""


def json_answer(content: Json, status: int = 200) -> Answer:
    return Answer(status, json.dumps(content).encode())


def json_lines(contents: Iterable[Json]) -> Iterator[bytes]:
    return (json.dumps(each).encode() + b"\n" for each in contents)


def error_answer(error: ApiError) -> Answer:
    return Answer(error.code, json.dumps(error.status()).encode(), headers=error.headers)
