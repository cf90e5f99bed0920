"""What a user of one model feels while a bigger one loads beside it: our server and the plain approach.

Paced clients ask the small network throughout. Only requests that were due while a load was under way count as
such, so that the pauses between loads do not flatter anybody.
"""

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc

from bench.serving.load import Arrival, Clients
from bench.serving.plain_server import LOAD_METHOD
from bench.serving.processes import BenchError
from bench.serving.report import Row
from bench.serving.servers import Bench, Served, ours, plain
from bench.serving.versions import Versions

FIGURE = "a bigger model loads beside it"
GOAL = 3.0
CLIENTS = 8
REQUESTS_PER_SECOND = 200.0
WARM_UP_SECONDS = 1.0
SETTLE_SECONDS = 1.0
POLL_SECONDS = 1.0
# A window of loading is longer than one of idling: between two loads lies up to one poll, which does not count.
LOADING_WINDOWS = 3

# Loads once, and says from when to when on the monotonic clock.
LoadOnce = Callable[[], tuple[float, float]]


@dataclass(frozen=True)
class Round:
    idle: float
    loading: float
    load_seconds: float
    requests: int
    failures: int


def measure(bench: Bench) -> list[Row]:
    versions = Versions(bench.model("big") / "big" / "1", bench.scratch / "models" / "big")
    versions.publish()
    config = _config(bench, versions.folder)
    loads = ["--num_load_threads=1", "--num_unload_threads=1"]
    with (
        ours(bench, f"--model_config_file={config}", *loads) as server,
        plain(bench) as baseline,
        Clients(CLIENTS) as clients,
        versions.watched(server.target.port, "big") as watch,
    ):

        def load_ours() -> tuple[float, float]:
            version, _ = versions.publish()
            return watch(version)

        def load_plain() -> tuple[float, float]:
            # Our loads are as far apart as polls; these must not pile up either.
            time.sleep(POLL_SECONDS)
            return _load_plain(baseline, bench.model("big") / "big" / "1")

        # Starts the client processes too: nothing is paced while they still import.
        for each in (server, baseline):
            clients.run(each.target, WARM_UP_SECONDS)
        contenders = {"ours": (server, load_ours), "plain server": (baseline, load_plain)}
        rounds: dict[str, list[Round]] = {name: [] for name in contenders}
        for _ in range(bench.rounds):
            for name, (served, load) in contenders.items():
                rounds[name].append(_round(served, load, clients, bench.seconds))
    return [*_rows("ours", rounds["ours"], goal=GOAL), *_rows("plain server", rounds["plain server"])]


def _round(served: Served, load: LoadOnce, clients: Clients, seconds: float) -> Round:
    idle = clients.pace(served.target, seconds=seconds, rate=REQUESTS_PER_SECOND).result()
    pending = clients.pace(served.target, seconds=LOADING_WINDOWS * seconds, rate=REQUESTS_PER_SECOND)
    spans = []
    while not pending.done():
        spans.append(load())
    busy = pending.result()
    during = [arrival for arrival in busy if any(start <= arrival.due <= end for start, end in spans)]
    # Its unloading is part of what a load brings, but not of the next idle window.
    time.sleep(SETTLE_SECONDS)
    return Round(
        idle=p99(idle),
        loading=p99(during),
        load_seconds=statistics.median(end - start for start, end in spans),
        requests=len(during),
        failures=sum(not arrival.answered for arrival in [*idle, *busy]),
    )


def p99(arrivals: Sequence[Arrival]) -> float:
    """In seconds; raises BenchError when there are too few to say."""
    if len(arrivals) < 2:
        raise BenchError("no request was due while the model loaded: --seconds is too short")
    return statistics.quantiles([arrival.latency for arrival in arrivals], n=100, method="inclusive")[-1]


def _load_plain(served: Served, path: Path) -> tuple[float, float]:
    with grpc.insecure_channel(f"127.0.0.1:{served.target.port}", [("grpc.enable_http_proxy", 0)]) as channel:
        start = time.monotonic()
        load: Any = channel
        load.unary_unary(LOAD_METHOD)(str(path).encode(), timeout=120)
        return start, time.monotonic()


def _config(bench: Bench, big: Path) -> Path:
    small = bench.model("cnn") / "cnn"
    entries = "".join(
        f'config {{ name: "{name}" base_path: "{path}" model_platform: "tensorflow" }}\n'
        for name, path in (("cnn", small), ("big", big))
    )
    file = bench.scratch / "models.config"
    file.write_text(f"model_config_list {{\n{entries}}}\n", "utf-8")
    return file


def _rows(name: str, rounds: Sequence[Round], *, goal: float | None = None) -> list[Row]:
    failures = sum(each.failures for each in rounds)
    requests, load = sum(each.requests for each in rounds), statistics.median(each.load_seconds for each in rounds)
    return [
        Row(
            figure=FIGURE,
            what=f"{name}: p99 loading : idle",
            value=statistics.median(each.loading / each.idle for each in rounds),
            ours=f"{1000 * statistics.median(each.loading for each in rounds):.2f} ms",
            baseline=f"{1000 * statistics.median(each.idle for each in rounds):.2f} ms",
            goal=goal,
            note=f"a load takes {load:.2f} s; {requests} requests were due in one",
        ),
        Row(
            figure=FIGURE,
            what=f"{name}: failed requests",
            value=failures,
            unit="",
            goal=None if goal is None else 0,
        ),
    ]
