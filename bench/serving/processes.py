"""Server processes: started on a free port, waited for, and ended by their own ids whatever happens."""

import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil

ROOT = Path(__file__).parents[2]
GRACE_SECONDS = 10.0


class BenchError(Exception):
    """A figure cannot be measured here; the others still can."""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def process(
    command: list[str], log: Path, *, folder: Path = ROOT, environment: Mapping[str, str] | None = None
) -> Iterator[psutil.Popen]:
    """A process and all its children, which end with the block: politely at first.

    It has a session of its own, so that Ctrl-C reaches only this program, which then ends it here.
    """
    with log.open("wb") as output:
        started = psutil.Popen(
            command, cwd=folder, env=environment, stdout=output, stderr=subprocess.STDOUT, start_new_session=True
        )
    try:
        yield started
    finally:
        _end(started)


def wait_until(
    answers: Callable[[], bool], started: psutil.Popen, log: Path, *, seconds: float = 120.0, pause: float = 0.05
) -> None:
    """Return when `answers`; raises BenchError with the end of the log when the process ends before or takes longer."""
    deadline = time.monotonic() + seconds
    while not answers():
        if started.poll() is not None or time.monotonic() > deadline:
            ended = "ended" if started.poll() is not None else f"did not answer in {seconds:.0f} s"
            raise BenchError(f"{log.stem} {ended}: ...{log.read_text('utf-8', 'replace').strip()[-300:]}")
        time.sleep(pause)


def run(command: list[str], *, environment: Mapping[str, str] | None = None) -> str:
    """What a program printed that ran to its end; raises BenchError with its last output when it failed."""
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise BenchError(f"{' '.join(command[:4])}: ...{done.stderr.strip()[-500:]}")
    return done.stdout


def end_in_order() -> None:
    """Ctrl-C and `kill` end this program through every `finally`, and without a traceback."""
    for each in (signal.SIGINT, signal.SIGTERM):
        signal.signal(each, lambda number, _: sys.exit(128 + number))


def _end(started: psutil.Popen) -> None:
    family: list[psutil.Process] = [started]
    with suppress(psutil.NoSuchProcess):
        family += started.children(recursive=True)
    for member in family:
        with suppress(psutil.NoSuchProcess):
            member.terminate()
    _, alive = psutil.wait_procs(family, timeout=GRACE_SECONDS)
    for member in alive:
        with suppress(psutil.NoSuchProcess):
            member.kill()
    psutil.wait_procs(alive, timeout=GRACE_SECONDS)
