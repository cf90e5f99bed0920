"""Ports for the servers that tests start: no two tests that run at once are given the same."""

import itertools
import os
import random
import socket
from collections.abc import Iterator
from contextlib import ExitStack, suppress

# None of those that the system gives to connections (on Linux from 32768 on), so that a port stays free while its
# server is down.
_PORTS = range(20_000, 32_000)


def free_port() -> int:
    """A port of this process's own share; none is reused before all others of the share."""
    while True:
        port = next(_turns)
        with suppress(OSError), socket.create_server(("127.0.0.1", port)):
            return port


def free_ports(*offsets: int) -> int:
    """A port of the share that is free, and so are those at these distances from it."""
    while True:
        port = free_port()
        with suppress(OSError), ExitStack() as taken:
            for offset in offsets:
                taken.enter_context(socket.create_server(("127.0.0.1", port + offset)))
            return port


def _own_share() -> Iterator[int]:
    """Of the ports that the processes of a test run divide among themselves, see `pytest-xdist`'s variables."""
    processes = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    number = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    share = _PORTS[number::processes]
    # Another test run on this machine begins elsewhere.
    begin = random.randrange(len(share))  # noqa: S311 - any will do
    return itertools.cycle([*share[begin:], *share[:begin]])


_turns = _own_share()
