"""What a training costs: how fast it reads, with how much new data, in how much memory, and how long an epoch takes.

    python -m bench.training inputs|preparation|epoch|memory... [--quick] [--rounds 3] [--json FILE]

Each ratio comes from one run in which both sides take turns. `--quick` takes a tenth of the images.
"""

import argparse
import logging
import os
import sys
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

from rich.console import Console

from bench.serving.report import Row, print_table, write_json
from bench.training import epoch, inputs, memory, preparation

FIGURES: Mapping[str, Callable[[Path, int, int], list[Row]]] = {
    "inputs": lambda scratch, part, rounds: inputs.measure(scratch, files=20_000 // part, rounds=rounds),
    "preparation": lambda scratch, part, rounds: preparation.measure(scratch, files=20_000 // part, rounds=rounds),
    "epoch": lambda scratch, part, rounds: epoch.measure(scratch, files=20_000 // part, rounds=rounds),
    # One is enough: peak memory hardly differs from run to run.
    "memory": lambda scratch, part, _: memory.measure(scratch, images=100_000 // part, rounds=1),
}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.training", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("figures", nargs="*", metavar="FIGURE", help=f"of {', '.join(FIGURES)} (default: all)")
    parser.add_argument("--quick", action="store_true", help="a tenth of the images")
    parser.add_argument("--rounds", type=int, default=3, help="turns that each side gets (default: 3)")
    parser.add_argument("--folder", type=Path, default=Path("var/bench/training"), help="on the disk that is measured")
    parser.add_argument("--json", type=Path, help="write the rows to this file too")
    options = parser.parse_args()
    if unknown := set(options.figures) - set(FIGURES):
        parser.error(f"{', '.join(sorted(unknown))} is not measured here; give {', '.join(FIGURES)}")
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    logging.disable(logging.WARNING)
    options.folder.mkdir(parents=True, exist_ok=True)
    console = Console(width=None if sys.stdout.isatty() else 140)
    rows: list[Row] = []
    for name in options.figures or FIGURES:
        with tempfile.TemporaryDirectory(dir=options.folder.absolute()) as scratch, console.status(f"measuring {name}"):
            rows += FIGURES[name](Path(scratch), 10 if options.quick else 1, options.rounds)
    print_table(rows, console)
    if options.json:
        write_json(rows, options.json)


if __name__ == "__main__":
    main()
