"""Predict, batch 1, one client: what a server costs over the function it calls."""

import json
import statistics
import sys

from bench.serving.processes import run
from bench.serving.report import Row
from bench.serving.servers import Bench, ours, plain

FIGURE = "one client, gRPC, p50"
GOAL_MILLISECONDS = 1.0


def measure(bench: Bench) -> list[Row]:
    model = bench.model("cnn")
    with ours(bench) as server, plain(bench) as baseline:
        ports = [str(each.target.port) for each in (server, baseline)]
        command = [sys.executable, "-m", "bench.serving.in_process", str(model / "cnn" / "1"), str(model / "cnn.npz")]
        found = json.loads(run([*command, str(bench.rounds), str(bench.seconds / 2), *ports]))
    inside, over, other = ([1000 * each for each in column] for column in zip(*found, strict=True))
    return [
        Row(
            figure=FIGURE,
            what=f"{who} over the in-process call",
            value=statistics.median(mine - base for mine, base in zip(times, inside, strict=True)),
            unit="ms",
            ours=f"{statistics.median(times):.2f} ms",
            baseline=f"{statistics.median(inside):.2f} ms",
            goal=goal,
        )
        for who, times, goal in (("ours", over, GOAL_MILLISECONDS), ("plain server", other, None))
    ]
