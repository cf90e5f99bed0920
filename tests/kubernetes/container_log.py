"""The output of a container, line by line."""

import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from tests.kubernetes import moments
from tests.kubernetes.statuses import ApiError

_POLL_SECONDS = 0.05


@dataclass(frozen=True)
class Line:
    """A line with its end, if it has one, and the moment when it was written, in nanoseconds since 1970."""

    moment: int
    content: bytes


@dataclass
class ContainerLog:
    lines: list[Line] = field(default_factory=list)
    ended: bool = False

    def __post_init__(self) -> None:
        self._changed = threading.Condition()

    def append(self, content: bytes) -> None:
        with self._changed:
            self.lines.append(Line(time.time_ns(), content))
            self._changed.notify_all()

    def end(self) -> None:
        """No line follows."""
        with self._changed:
            self.ended = True
            self._changed.notify_all()

    def text(self) -> str:
        return b"".join(line.content for line in list(self.lines)).decode(errors="replace")

    def tail(self, *, lines: int, limit: int) -> str:
        """The last lines, of which at most the last `limit` bytes."""
        return b"".join(line.content for line in self.lines[-lines:])[-limit:].decode(errors="replace")

    def read(self, query: "LogQuery", stopped: threading.Event) -> Iterator[bytes]:
        """The lines that are wanted; with `follow` those that are still to come, too."""
        left = query.limit_bytes
        position = 0 if query.tail_lines is None else max(0, len(self.lines) - query.tail_lines)
        while True:
            ended = self.ended or stopped.is_set()
            for line in self.lines[position:]:
                position += 1
                if line.moment < query.since:
                    continue
                content = query.form(line)[:left]
                left = None if left is None else left - len(content)
                yield content
                if left == 0:
                    return
            if ended or not query.follow:
                return
            self._wait(position)

    def _wait(self, position: int) -> None:
        with self._changed:
            self._changed.wait_for(lambda: self.ended or len(self.lines) > position, _POLL_SECONDS)


@dataclass(frozen=True)
class LogQuery:
    """Which part of a log is wanted.

    Attributes:
        since: nanoseconds since 1970.
    """

    follow: bool = False
    timestamps: bool = False
    since: int = 0
    tail_lines: int | None = None
    limit_bytes: int | None = None

    def form(self, line: Line) -> bytes:
        return moments.nanoseconds(line.moment).encode() + b" " + line.content if self.timestamps else line.content


def parse_log_query(query: Mapping[str, str]) -> LogQuery:
    """The parameters of a request for a log.

    Raises:
        ApiError: 422, one of them is wrong.
    """
    if "sinceSeconds" in query and "sinceTime" in query:
        raise _invalid("at most one of `sinceTime` or `sinceSeconds` may be specified")
    since = 0
    if "sinceTime" in query:
        try:
            since = moments.parse(query["sinceTime"])
        except ValueError as error:
            raise ApiError(400, str(error)) from error
    elif (seconds := _number(query, "sinceSeconds", least=1)) is not None:
        since = time.time_ns() - seconds * 10**9
    return LogQuery(
        follow=query.get("follow") == "true",
        timestamps=query.get("timestamps") == "true",
        since=since,
        tail_lines=_number(query, "tailLines", least=0),
        limit_bytes=_number(query, "limitBytes", least=1),
    )


def _number(query: Mapping[str, str], name: str, *, least: int) -> int | None:
    text = query.get(name, "")
    if not text:
        return None
    if not text.lstrip("-").isdigit() or int(text) < least:
        raise _invalid(f"{name}: Invalid value: {text}: must be a number of at least {least}")
    return int(text)


def _invalid(problem: str) -> ApiError:
    return ApiError(422, f'PodLogOptions "" is invalid: {problem}')
