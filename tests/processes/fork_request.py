"""What is asked of `tests.processes.fork_server`; a program that asks it imports nothing heavy."""

import json
import os
import socket
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass

STREAMS = 3
DIGITS = 8


@dataclass(frozen=True)
class Request:
    """What to run.

    Attributes:
        arguments: the verb and its options.
        environment: all of it.
        largest_file: the most bytes a file may have, as at the end of a disk; None for no limit.
    """

    arguments: tuple[str, ...]
    environment: dict[str, str]
    largest_file: int | None = None

    def send(self, connection: socket.socket, streams: list[int]) -> None:
        content = json.dumps(asdict(self)).encode()
        socket.send_fds(connection, [f"{len(content):0{DIGITS}d}".encode()], streams)
        connection.sendall(content)


def run_in_place(server: str, arguments: Sequence[str]) -> int:
    """The exit code of a forked verb that has this process's environment and standard streams.

    Args:
        server: the path of the fork server's socket.
        arguments: the verb and its options.
    """
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(server)
        streams = [stream.fileno() for stream in (sys.stdin, sys.stdout, sys.stderr)]
        Request(tuple(arguments), dict(os.environ)).send(connection, streams)
        with connection.makefile("r") as answers:
            _number, code = answers.readline(), answers.readline()
    return int(code)
