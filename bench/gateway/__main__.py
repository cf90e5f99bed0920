"""What the gateway costs over its model server, and how it does beside the servers people would otherwise use.

    python -m bench.gateway [latency|throughput|overload|growth|others ...] [--quick] [--rounds N] [--json FILE]

All parts but `others` are measured when none is named: `others` installs four environments on its first run. Ours and
its baseline take turns in one run on the same cores, with the same images; ratios are medians of the rounds' ratios.
"""

import argparse
import sys
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

from rich.console import Console

from bench.gateway import direct, growth, others, overload
from bench.serving.processes import ROOT, BenchError, end_in_order
from bench.serving.report import Row, print_table, write_json
from bench.serving.servers import Bench

# Rounds and seconds of a turn, and requests of `growth`.
LONG = (5, 4.0, 100_000)
QUICK = (2, 1.5, 10_000)

Measure = Callable[[Bench, int], list[Row]]

PARTS: Mapping[str, Measure] = {
    "latency": lambda bench, _: direct.measure_latency(bench),
    "throughput": lambda bench, _: direct.measure_throughput(bench),
    "overload": lambda bench, _: overload.measure(bench),
    "growth": lambda bench, count: growth.measure(bench, count=count),
    "others": lambda bench, _: others.measure(bench),
}


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.gateway", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("parts", nargs="*", metavar="part", help=f"any of {', '.join(PARTS)} (default: all but others)")
    parser.add_argument("--quick", action="store_true", help="short turns, and a tenth of the requests of `growth`")
    parser.add_argument("--rounds", type=int, help=f"turns of each (default: {LONG[0]}, quick {QUICK[0]})")
    parser.add_argument("--seconds", type=float, help=f"length of a turn (default: {LONG[1]:g}, quick {QUICK[1]:g})")
    parser.add_argument("--requests", type=int, help=f"of `growth` (default: {LONG[2]:,}, quick {QUICK[2]:,})")
    parser.add_argument("--json", type=Path, help="write the rows to this file too")
    parser.add_argument("--cache", type=Path, default=ROOT / "var" / "bench", help="models and environments")
    options = parser.parse_args()
    unknown = [name for name in options.parts if name not in PARTS]
    if unknown:
        parser.error(f"there is no part {unknown[0]!r}, only {', '.join(PARTS)}")
    return options


def main() -> None:
    options, console = parse(), Console(width=None if sys.stdout.isatty() else 110)
    end_in_order()
    rounds, seconds, count = QUICK if options.quick else LONG
    rounds, seconds, count = options.rounds or rounds, options.seconds or seconds, options.requests or count
    rows: list[Row] = []
    for name in options.parts or [name for name in PARTS if name != "others"]:
        with tempfile.TemporaryDirectory() as scratch, console.status(f"measuring {name}"):
            bench = Bench(options.cache.absolute(), Path(scratch), rounds, seconds)
            try:
                rows += PARTS[name](bench, count)
            except BenchError as error:
                rows.append(Row(figure=name, what="", note=str(error)))
    print_table(rows, console)
    if options.json:
        write_json(rows, options.json)


if __name__ == "__main__":
    main()
