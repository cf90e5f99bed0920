"""Measure what one unit of everything costs; `docs/scale.md` multiplies.

    python -m bench.scale [--quick] [--only models|calls|journals|images|fleets|tracking]

Prints CPU seconds, bytes and calls. Each figure per unit is a difference of two sizes, so what a process costs by
itself is not in it. `--quick` takes smaller sizes and ends within a minute.
"""

import argparse
import logging
from collections.abc import Callable

from bench.scale import calls, fleets, images, journals, models, tracking


def _models(*, quick: bool) -> None:
    models.report([10, 20] if quick else [10, 100, 1000])


def _calls(*, quick: bool) -> None:
    calls.report_polls()
    calls.report_release(1 if quick else 10)


def _journals(*, quick: bool) -> None:
    journals.report_local(500 if quick else 10_000)
    journals.report_gcs(20 if quick else 200)
    journals.report_delayed(10 if quick else 100)
    journals.report_announce(*((1, 100) if quick else (1, 10_000)))


def _images(*, quick: bool) -> None:
    images.report_snapshot(*((200, 1_000) if quick else (1_000, 20_000)))
    images.report_train(*((200, 600, 64) if quick else (1_000, 4_000, 128)))


def _fleets(*, quick: bool) -> None:
    fleets.report_release([3, 50] if quick else [3, 50, 1_000])
    fleets.report_discovery(200 if quick else 1_000)


def _tracking(*, quick: bool) -> None:
    if not quick:
        tracking.report()


PARTS: dict[str, Callable[..., None]] = {
    "models": _models,
    "calls": _calls,
    "journals": _journals,
    "images": _images,
    "fleets": _fleets,
    "tracking": _tracking,
}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.scale")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--only", choices=PARTS)
    options = parser.parse_args()
    # Servers that are stopped in the middle of a poll report that as an error.
    logging.disable(logging.ERROR)
    for name, part in PARTS.items():
        if options.only in (None, name):
            part(quick=options.quick)


if __name__ == "__main__":
    main()
