"""From a version's appearance on disk to its first answer, less the time that loading it takes anyway."""

import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from bench.serving.load import Target, connected
from bench.serving.processes import ROOT, BenchError
from bench.serving.report import Row
from bench.serving.servers import Bench, ours
from bench.serving.versions import Versions
from serving.apis import predict_pb2

FIGURE = "a version appears"
POLL_SECONDS = 1
ALLOWANCE_SECONDS = 0.2
APPEARANCES_PER_ROUND = 3
DEADLINE_SECONDS = 60.0
ASK_SECONDS = 0.01
UNKNOWN_VERSION = "Servable not found"


def measure(bench: Bench) -> list[Row]:
    source = bench.model("cnn") / "cnn" / "1"
    versions = Versions(source, bench.scratch / "models" / "appearing")
    versions.publish()
    config = bench.scratch / "appearing.config"
    config.write_text(
        f'model_config_list {{ config {{ name: "cnn" base_path: "{versions.folder}" model_platform: "tensorflow" }} }}',
        "utf-8",
    )
    flags = [f"--model_config_file={config}", f"--file_system_poll_wait_seconds={POLL_SECONDS}"]
    loads, waits = [], []
    count = APPEARANCES_PER_ROUND * bench.rounds
    with ours(bench, *flags) as server, bare_loads(source, bench.scratch / "bare-load.log") as load:
        for turn in range(count):
            loads.append(load())
            # At another moment between two polls each time.
            time.sleep(POLL_SECONDS * turn / count)
            waits.append(_first_answer(server.target, versions))
    bare = statistics.median(loads)
    beyond = [wait - bare for wait in waits]
    return [
        Row(
            figure=FIGURE,
            what=f"{which} of {count}: first answer - bare load",
            value=value,
            unit="s",
            ours=f"{value + bare:.2f} s",
            baseline=f"{bare:.2f} s",
            goal=POLL_SECONDS + ALLOWANCE_SECONDS,
        )
        for which, value in (("median", statistics.median(beyond)), ("slowest", max(beyond)))
    ]


@contextmanager
def bare_loads(path: Path, log: Path) -> Iterator[Callable[[], float]]:
    """A call that loads once in a process that does nothing else, and says how many seconds it took."""
    command = [sys.executable, "-m", "bench.serving.bare_load", str(path)]
    pipe = subprocess.PIPE
    with (
        log.open("w") as words,
        subprocess.Popen(command, cwd=ROOT, stdin=pipe, stdout=pipe, stderr=words, text=True) as loader,
    ):
        commands, answers = loader.stdin, loader.stdout
        assert commands is not None
        assert answers is not None

        def load() -> float:
            commands.write("\n")
            commands.flush()
            answer = answers.readline()
            if not answer:
                raise BenchError(f"the bare loader ended: ...{log.read_text('utf-8')[-300:]}")
            return float(answer)

        try:
            # The first load in a process pays for what all later ones share.
            load()
            yield load
        finally:
            commands.close()


def _first_answer(target: Target, versions: Versions) -> float:
    request = predict_pb2.PredictRequest.FromString(target.body)
    version, appeared = versions.publish()
    request.model_spec.version.value = version
    exact = replace(target, body=request.SerializeToString())
    with connected(exact) as ask:
        while time.monotonic() - appeared < DEADLINE_SECONDS:
            try:
                ask()
            except ConnectionError as error:
                if UNKNOWN_VERSION not in str(error):
                    raise
                time.sleep(ASK_SECONDS)
            else:
                return time.monotonic() - appeared
    raise BenchError(f"version {version} was not served in {DEADLINE_SECONDS:.0f} s")
