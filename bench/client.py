"""What the client for traffic costs beside a bare stub: requests per second of both to the same server.

    python -m bench.client [--rounds N] [--seconds S] [--json FILE]

The server is a process of its own with a model that takes no time, so that the client is all there is to see. Client
and stub send the same messages and take turns, round by round; a ratio is the median of the rounds' ratios. The stub
has one channel. The client has one too, and besides it picks the replica, counts its requests and looks after its list.
"""

import argparse
import statistics
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import grpc
import numpy as np
from rich.console import Console

from bench.serving.report import Row, print_table, write_json
from serving.apis import prediction_service_pb2_grpc
from serving.client import Client
from serving.fleet.fleet import parse_fleet
from serving.messages import answer, predict_request
from serving.replica import STABLE
from tests.serving.client.servers import server_processes

INPUTS = {"x": np.ones(784, np.float32)}
GOAL = 0.9


def main() -> None:
    options, console = parse(), Console(width=None if sys.stdout.isatty() else 110)
    with server_processes(1) as (server,), console.status("measuring"):
        rows = [measure(server.address, threads, options.rounds, options.seconds) for threads in (1, 8)]
    print_table(rows, console)
    if options.json:
        write_json(rows, options.json)


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.client", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=9, help="turns of each (default: 9)")
    parser.add_argument("--seconds", type=float, default=2.0, help="length of one turn (default: 2)")
    parser.add_argument("--json", type=Path, help="write the rows to this file too")
    return parser.parse_args()


def measure(address: str, threads: int, rounds: int, seconds: float) -> Row:
    """Requests per second of both, with so many threads."""
    with grpc.insecure_channel(address) as channel, Client(parse_fleet(address)) as client:
        stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)

        def bare() -> None:
            answer(stub.Predict(predict_request("m", INPUTS, label=STABLE), timeout=5), address=address)

        def ours() -> None:
            client.predict("m", INPUTS)

        rate(bare, threads, seconds / 4)
        rate(ours, threads, seconds / 4)
        found = [turns(ours, bare, threads, seconds, ours_first=number % 2 == 0) for number in range(rounds)]
    mine, others = zip(*found, strict=True)
    return Row(
        figure="the client for traffic, requests per second",
        what=f"{threads} thread{'s' if threads > 1 else ''}, one replica",
        value=statistics.median(own / other for own, other in found),
        ours=f"{statistics.median(mine):.0f}/s",
        baseline=f"{statistics.median(others):.0f}/s",
        goal=GOAL,
        at_least=True,
    )


def turns(
    ours: Callable[[], None], bare: Callable[[], None], threads: int, seconds: float, *, ours_first: bool
) -> tuple[float, float]:
    """One turn of each: the rates of ours, and of the bare stub."""
    if ours_first:
        return rate(ours, threads, seconds), rate(bare, threads, seconds)
    other = rate(bare, threads, seconds)
    return rate(ours, threads, seconds), other


def rate(ask: Callable[[], None], threads: int, seconds: float) -> float:
    """Requests per second of these threads together."""
    begun = time.perf_counter()

    def run() -> int:
        count = 0
        while time.perf_counter() - begun < seconds:
            ask()
            count += 1
        return count

    with ThreadPoolExecutor(threads) as pool:
        total = sum(each.result() for each in [pool.submit(run) for _ in range(threads)])
    return total / (time.perf_counter() - begun)


if __name__ == "__main__":
    main()
