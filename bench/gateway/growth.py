"""The gateway as a process: how soon it is ready, what it takes, and what it keeps of many requests."""

import http.client
import statistics
import time
from collections.abc import Callable, Mapping

import psutil

from bench.gateway import requests
from bench.gateway.http_load import HttpLoad
from bench.gateway.servers import gateway, gateway_command, instant_server, pets
from bench.serving.processes import BenchError, free_port, process, wait_until
from bench.serving.report import Row
from bench.serving.servers import Bench, Served

FIGURE = "the gateway as a process"
GOAL_READY_SECONDS = 2.0
GOAL_MB = 120.0
GOAL_GROWTH = 1.05
CLIENTS = 8
# Buffers, caches and the allocator's arenas are full after so many.
_WARM_UP = 2_000
_POLL_SECONDS = 0.005


def measure(bench: Bench, *, count: int) -> list[Row]:
    model = pets(bench)
    with HttpLoad() as load, instant_server(bench, model) as server:
        found = [_ready_seconds(bench, server) for _ in range(max(bench.rounds, 3))]
        rows = [
            Row(
                figure=FIGURE,
                what="from its start to /readyz",
                value=statistics.median(found),
                unit="s",
                ours=f"{min(found):.2f} to {max(found):.2f} s",
                goal=GOAL_READY_SECONDS,
            )
        ]
        for name, request in (("good", requests.good), ("malformed", requests.malformed)):
            with gateway(bench, model, server, proved=False) as front:
                rows += _growth(front, load, name, request, count)
    return rows


def _ready_seconds(bench: Bench, server: Served) -> float:
    port, log, begun = free_port(), bench.scratch / "ready.log", time.monotonic()
    with process(gateway_command(port, server), log) as started:
        wait_until(lambda: _status(port, "/readyz") == 200, started, log, seconds=60.0, pause=_POLL_SECONDS)
        return time.monotonic() - begun


def _status(port: int, path: str) -> int | None:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", path)
        return connection.getresponse().status
    except (OSError, http.client.HTTPException):
        return None
    finally:
        connection.close()


def _growth(front: Served, load: HttpLoad, name: str, request: Callable[[int], bytes], count: int) -> list[Row]:
    warm_up = min(_WARM_UP, count)
    load.flood(front.target.port, request, first=0, count=warm_up, at_once=CLIENTS)
    before = resident_mb(front.process)
    statuses = load.flood(front.target.port, request, first=warm_up, count=count, at_once=CLIENTS)
    after = resident_mb(front.process)
    return [*memory_rows(name, count=count, before=before, after=after), _answers(name, statuses)]


def memory_rows(name: str, *, count: int, before: float, after: float) -> list[Row]:
    return [
        Row(
            figure=FIGURE,
            what=f"resident after {count:,} {name} requests",
            value=after,
            unit="MB",
            goal=GOAL_MB,
        ),
        Row(
            figure=FIGURE,
            what=f"its growth by {count:,} {name} requests",
            value=after / before,
            ours=f"{after:.1f} MB",
            baseline=f"{before:.1f} MB",
            goal=GOAL_GROWTH,
        ),
    ]


def _answers(name: str, statuses: Mapping[int, int]) -> Row:
    wanted = range(200, 300) if name == "good" else range(400, 500)
    others = {status: count for status, count in statuses.items() if status not in wanted}
    return Row(
        figure=FIGURE,
        what=f"{name} requests that were answered with another code than {wanted.start // 100}xx",
        value=sum(others.values()),
        unit="",
        goal=0,
        note=f"by status, 0 is no answer: {others}" if others else "",
    )


def resident_mb(process: psutil.Process) -> float:
    """Of the process and its children, in 10^6 bytes."""
    family = [process, *process.children(recursive=True)]
    if not process.is_running():
        raise BenchError("the gateway ended")
    return sum(float(each.memory_info().rss) for each in family) / 1e6
