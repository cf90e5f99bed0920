"""What a snapshot of many images costs: the first one, the next ones, and with four times as many images.

    python -m bench.data [--quick] [--only repeated|unchanged|growth|cloud]... [--rounds 3] [--json FILE]

Each ratio comes from one run in which both sides take turns. `--quick` takes a tenth of the images.
"""

import argparse
import logging
import sys
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

from rich.console import Console

from bench.data import cloud, growth, repeated, unchanged
from bench.serving.report import Row, print_table, write_json

FIGURES: Mapping[str, Callable[[Path, int, int], list[Row]]] = {
    "repeated": lambda scratch, part, rounds: repeated.measure(scratch, files=60_000 // part, rounds=rounds),
    "unchanged": lambda scratch, part, rounds: unchanged.measure(scratch, files=60_000 // part, rounds=rounds),
    # The larger one takes too long for several rounds.
    "growth": lambda scratch, part, rounds: [
        *growth.measure(scratch, files=10_000 // part, rounds=rounds),
        *growth.measure(scratch, files=50_000 // part, rounds=1),
    ],
    "cloud": lambda _, part, rounds: cloud.measure(5_000 // part, rounds=rounds),
}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.data", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="a tenth of the images")
    parser.add_argument("--only", action="append", choices=FIGURES, help="measure this; may be repeated")
    parser.add_argument("--rounds", type=int, default=3, help="turns that each side gets (default: 3)")
    parser.add_argument("--folder", type=Path, default=Path("var/bench/data"), help="on the disk that is measured")
    parser.add_argument("--json", type=Path, help="write the rows to this file too")
    options = parser.parse_args()
    logging.disable(logging.WARNING)
    options.folder.mkdir(parents=True, exist_ok=True)
    console = Console(width=None if sys.stdout.isatty() else 140)
    rows: list[Row] = []
    for name in options.only or FIGURES:
        with tempfile.TemporaryDirectory(dir=options.folder.absolute()) as scratch, console.status(f"measuring {name}"):
            rows += FIGURES[name](Path(scratch), 10 if options.quick else 1, options.rounds)
    print_table(rows, console)
    if options.json:
        write_json(rows, options.json)


if __name__ == "__main__":
    main()
