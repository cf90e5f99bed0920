"""The servers under comparison, each a running process that has proved that it computes the same."""

import json
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import psutil

from bench.serving.environments import environment
from bench.serving.load import Target, connected
from bench.serving.made import made
from bench.serving.processes import BenchError, free_port, process, run, wait_until
from serving.apis import predict_pb2
from serving.wire import Array, from_proto, to_proto

HERE = Path(__file__).parent
KSERVE_SERVER = HERE / "kserve_server.py"
PREDICT = "/tensorflow.serving.PredictionService/Predict"
TOLERANCE = 1e-4


@dataclass(frozen=True)
class Bench:
    """Where things are kept from run to run, where this run may write, and how long it measures."""

    cache: Path
    scratch: Path
    rounds: int
    seconds: float

    def model(self, name: str) -> Path:
        """The folder that holds `name`/1 and what belongs to it; exported on first use."""
        program = HERE / "export.py"
        words = [sys.executable, "-m", "bench.serving.export"]
        return made(self.cache / "models" / name, lambda root: run([*words, str(root), name]), sources=[program])

    def example(self) -> tuple[Array, Array]:
        with np.load(self.model("cnn") / "cnn.npz") as saved:
            return saved["image"], saved["probabilities"]


@dataclass(frozen=True)
class Served:
    """A server that answers `target`, and the processes behind it."""

    process: psutil.Popen
    target: Target
    behind: tuple[psutil.Popen, ...] = ()

    def cpu_seconds(self) -> float:
        """Spent so far by the server and its children; clients on the same cores make a rate look smaller, not this."""
        servers = [self.process, *self.behind]
        family = [each for server in servers for each in [server, *server.children(recursive=True)]]
        return sum(times.user + times.system for times in (each.cpu_times() for each in family))


@contextmanager
def ours(bench: Bench, *flags: str, name: str = "ours", rest: bool = False) -> Iterator[Served]:
    """Our server; over REST when `rest`. Serves the small network unless the flags name a config file.

    Raises:
        BenchError: it does not start, or says that it ignores one of the flags.
    """
    port, rest_port, log = free_port(), free_port(), bench.scratch / f"{name}.log"
    command = [sys.executable, "-m", "serving.model_server", f"--port={port}", *flags]
    if not any(flag.startswith("--model_config_file=") for flag in flags):
        command += ["--model_name=cnn", f"--model_base_path={bench.model('cnn') / 'cnn'}"]
    if rest:
        command += [f"--rest_api_port={rest_port}"]
        target = _rest(bench, rest_port, "/v1/models/cnn:predict")
    else:
        target = _grpc(bench, port)
    with _proved(bench, command, log, target) as served:
        yield served


@contextmanager
def plain(bench: Bench) -> Iterator[Served]:
    port = free_port()
    command = [sys.executable, "-m", "bench.serving.plain_server", str(port), str(bench.model("cnn") / "cnn" / "1")]
    with _proved(bench, command, bench.scratch / "plain.log", _grpc(bench, port)) as served:
        yield served


@contextmanager
def kserve(bench: Bench) -> Iterator[Served]:
    port, python = free_port(), environment("kserve", cache=bench.cache) / "python"
    model = bench.model("cnn") / "cnn" / "1"
    command = [str(python), "-P", str(KSERVE_SERVER), "cnn", str(model)]
    command += [f"--http_port={port}", "--enable_grpc=false"]
    target = _rest(bench, port, "/v1/models/cnn:predict")
    with _proved(bench, command, bench.scratch / "kserve.log", target) as served:
        yield served


@contextmanager
def mlflow(bench: Bench, flavor: str) -> Iterator[Served]:
    """`mlflow models serve` of the network as a Keras model (`keras`) or as a tf.Module (`module`)."""
    tools = environment("mlflow", cache=bench.cache)
    program, source, port = HERE / "mlflow_models.py", bench.model("cnn"), free_port()
    own = os.environ | {"PATH": f"{tools}{os.pathsep}{os.environ['PATH']}", "MLFLOW_DISABLE_TELEMETRY": "true"}
    make = [str(tools / "python"), "-P", str(program), str(source)]
    models = made(
        bench.cache / "models" / "mlflow",
        lambda root: run([*make, str(root)], environment=own),
        sources=[program, HERE / "export.py"],
    )
    command = [str(tools / "mlflow"), "models", "serve", "--model-uri", str(models / flavor)]
    command += ["--env-manager", "local", "--host", "127.0.0.1", "--port", str(port)]
    target = _rest(bench, port, "/invocations")
    with _proved(bench, command, bench.scratch / f"mlflow-{flavor}.log", target, environment=own) as served:
        yield served


def _proved(
    bench: Bench, command: list[str], log: Path, target: Target, *, environment: dict[str, str] | None = None
) -> AbstractContextManager[Served]:
    def right(answer: bytes) -> bool:
        return np.allclose(_probabilities(answer, rest=target.rest), bench.example()[1], atol=TOLERANCE)

    return running(bench, command, log, target, right=right, environment=environment)


@contextmanager
def running(
    bench: Bench,
    command: list[str],
    log: Path,
    target: Target,
    *,
    right: Callable[[bytes], bool],
    environment: dict[str, str] | None = None,
) -> Iterator[Served]:
    """A server's process, when it answers and its answer to the first body is right.

    Raises:
        BenchError: it does not answer, answers something else, or says that it ignores one of its flags.
    """
    # Not in the checkout: a server that puts its working directory on the path would import our packages.
    folder = {} if "-m" in command else {"folder": bench.scratch}
    with process(command, log, environment=environment, **folder) as started:
        wait_until(lambda: _ignored(log) != "" or _answers(target), started, log)
        if _ignored(log):
            raise BenchError(_ignored(log))
        with connected(target) as ask:
            answer = ask()
        if not right(answer):
            raise BenchError(f"{log.stem} answers something else: {answer[:200]!r}")
        yield Served(started, target)


def _ignored(log: Path) -> str:
    """The flag, where our server says that it does not support one: what it measures then is something else."""
    lines = log.read_text("utf-8", "replace").splitlines()
    return next(("--" + line.partition(" --")[2] for line in lines if "does not support" in line), "")


def _answers(target: Target) -> bool:
    try:
        with connected(target) as ask:
            ask()
    except OSError:
        return False
    return True


def _grpc(bench: Bench, port: int) -> Target:
    request = predict_pb2.PredictRequest(model_spec={"name": "cnn"})
    request.inputs["image"].CopyFrom(to_proto(bench.example()[0], as_content=True))
    return Target(port=port, path=PREDICT, body=request.SerializeToString())


def _rest(bench: Bench, port: int, path: str) -> Target:
    rows = np.round(bench.example()[0].astype("float64"), 6).tolist()
    return Target(port=port, path=path, body=json.dumps({"instances": rows}).encode(), rest=True)


def _probabilities(answer: bytes, *, rest: bool) -> Array:
    if rest:
        return np.array(json.loads(answer)["predictions"])
    return from_proto(predict_pb2.PredictResponse.FromString(answer).outputs["probabilities"])
