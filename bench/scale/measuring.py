"""CPU time and peak memory of a process, which other work on the machine changes little. Wall time is not measured.

    python -m bench.scale.measuring MODULE WORDS

runs `python -m MODULE WORDS`, and prints its peak memory in kB as the last line.
"""

import json
import os
import runpy
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_PROJECT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Usage:
    """What one process has used.

    Attributes:
        cpu_seconds: user and system time, of its children as well.
        peak_mb: the largest resident memory, in 10^6 bytes.
        found: the JSON that it printed last; None if that was not asked for.
    """

    cpu_seconds: float
    peak_mb: float
    found: Any


def usage(
    module: str,
    *words: object,
    env: Mapping[str, str] | None = None,
    folder: Path = _PROJECT,
    json_expected: bool = True,
) -> Usage:
    """Run `python -m MODULE WORDS` in a folder and return what it has used.

    Raises:
        RuntimeError: it failed; has the end of its output.
    """
    command = [sys.executable, "-m", "bench.scale.measuring", module, *map(str, words)]
    process = subprocess.Popen(
        command,
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(_PROJECT), **(env or {})},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert process.stdout is not None
    with process.stdout:
        output = process.stdout.read()
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise RuntimeError(f"`{' '.join(command)}` ended with {process.returncode}: {output[-2000:]}")
    *before, peak = output.rstrip().split("\n")
    found = json.loads(before[-1]) if json_expected else None
    return Usage(used.ru_utime + used.ru_stime, int(peak) * 1024 / 1e6, found)


def show(what: str, value: float, unit: str) -> None:
    """Print one row: three significant digits."""
    print(f"{what:78} {float(f'{value:.3g}'):>12,g} {unit}", flush=True)  # noqa: T201


def answer(found: Any) -> None:
    """Print what a measured process has found, for `usage`."""
    print(json.dumps(found))  # noqa: T201


def _main() -> None:
    sys.argv = sys.argv[1:]
    try:
        runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
    finally:
        # Not `ru_maxrss`: that also counts the process which has started this one.
        status = Path("/proc/self/status").read_text(encoding="ascii")
        print(status.partition("VmHWM:")[2].split()[0])  # noqa: T201


if __name__ == "__main__":
    _main()
