"""Which addresses accept connections: a cheap test of a replica before requests are sent to it."""

import socket
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

_THREADS = 64


def reachable(addresses: Sequence[str], *, timeout: float = 1.0, threads: int = _THREADS) -> tuple[str, ...]:
    """Those of the addresses that accept a TCP connection, in their order. All addresses are tested.

    It says nothing about the model: a canary asks for the version itself.

    Args:
        addresses: each is `host:port`; IPv6 as `[host]:port`.
        timeout: of one connection, in seconds. A name is resolved before, by the system, and with its time limit.
        threads: how many are tested at once. All take at most `timeout` times the number of addresses for each thread.
    """
    if not addresses:
        return ()
    with ThreadPoolExecutor(min(threads, len(addresses)), thread_name_prefix="reachable") as pool:
        answers = list(pool.map(lambda address: accepts_connections(address, timeout=timeout), addresses))
    return tuple(address for address, accepts in zip(addresses, answers, strict=True) if accepts)


def accepts_connections(address: str, *, timeout: float) -> bool:
    """Whether a process listens on `host:port`. The connection is closed at once."""
    host, _, port = address.rpartition(":")
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=timeout).close()
    except OSError:
        return False
    return True
