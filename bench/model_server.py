"""How fast the embedded model server is, next to the servers people would otherwise use.

    python -m bench.model_server [--rounds N] [--only NAME]... [--json FILE]

Each figure runs our server and its baselines side by side and asks them in turn, round by round; ratios are medians of
the rounds' ratios. Models and the baselines' virtual environments are made on first use and kept in var/bench. All
listens on 127.0.0.1 and ends with this program. The clients need a core too: on few cores, trust ratios only.
"""

import argparse
import sys
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

from rich.console import Console

from bench.serving import appearing, latency, loading, rest, throughput
from bench.serving.processes import ROOT, BenchError, end_in_order
from bench.serving.report import Row, print_table, write_json
from bench.serving.servers import Bench

FIGURES: Mapping[str, Callable[[Bench], list[Row]]] = {
    "latency": latency.measure,
    "throughput": throughput.measure,
    "loading": loading.measure,
    "rest": rest.measure,
    "appearing": appearing.measure,
}


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.model_server", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5, help="turns each server gets (default: 5)")
    parser.add_argument("--seconds", type=float, default=3.0, help="length of one turn (default: 3)")
    parser.add_argument("--only", action="append", choices=FIGURES, help="measure this figure; may be repeated")
    parser.add_argument("--json", type=Path, help="write the rows to this file too")
    parser.add_argument("--cache", type=Path, default=ROOT / "var" / "bench", help="models and environments")
    return parser.parse_args()


def main() -> None:
    options, console = parse(), Console(width=None if sys.stdout.isatty() else 110)
    end_in_order()
    rows: list[Row] = []
    for name in options.only or FIGURES:
        with tempfile.TemporaryDirectory() as scratch, console.status(f"measuring {name}"):
            bench = Bench(options.cache.absolute(), Path(scratch), options.rounds, options.seconds)
            try:
                rows += FIGURES[name](bench)
            except BenchError as error:
                rows.append(Row(figure=name, what="", note=str(error)))
    print_table(rows, console)
    if options.json:
        write_json(rows, options.json)


if __name__ == "__main__":
    main()
