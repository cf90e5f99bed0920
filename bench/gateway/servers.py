"""The model servers and the gateways under test, each a running process that has proved that it computes the same."""

import json
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from bench.gateway.pets import LABELS, NAME, photographs, probabilities
from bench.serving.load import Target
from bench.serving.made import made
from bench.serving.processes import ROOT, free_port, run
from bench.serving.servers import PREDICT, TOLERANCE, Bench, Served, running
from pipeline.training import preprocessing
from pipeline.training.exporting import export
from pipeline.training.networks import applications
from serving.apis import predict_pb2
from serving.replica import STABLE
from serving.server_flags import ConfigSource, replica_flags
from serving.signature import PROBABILITIES, predict_request
from serving.wire import from_proto

CLASSIFY = f"/v1/classify/{NAME}"
_SOURCES = (
    "bench/gateway/pets.py",
    *(str(Path(str(each.__file__)).relative_to(ROOT)) for each in (export, preprocessing, applications)),
)


@dataclass(frozen=True)
class Pets:
    """The exported model, the photographs that each client sends in turn, and the probabilities of the first."""

    folder: Path
    images: Sequence[bytes]
    expected: Mapping[str, float]

    @property
    def saved_model(self) -> Path:
        return self.folder / NAME / "1"


def pets(bench: Bench) -> Pets:
    """Exported on first use."""
    sources = [ROOT / name for name in _SOURCES]
    command = [sys.executable, "-m", "bench.gateway.pets"]
    folder = made(bench.cache / "models" / NAME, lambda root: run([*command, str(root)]), sources=sources)
    first = probabilities(folder)[0].tolist()
    return Pets(folder, photographs(folder), dict(zip(LABELS, first, strict=True)))


def model_server(bench: Bench, model: Pets) -> AbstractContextManager[Served]:
    """The embedded server as the stack starts it; asked over gRPC for the version with the label."""
    port = free_port()
    flags = replica_flags(ConfigSource(uri=str(_config(bench, model.folder))), port=port, threads=1)
    command = [sys.executable, "-m", "serving.model_server", *flags]

    def right(answer: bytes) -> bool:
        outputs = predict_pb2.PredictResponse.FromString(answer).outputs
        return np.allclose(from_proto(outputs[PROBABILITIES])[0], list(model.expected.values()), atol=TOLERANCE)

    return running(bench, command, bench.scratch / "model-server.log", _grpc(port, model), right=right)


def instant_server(bench: Bench, model: Pets) -> AbstractContextManager[Served]:
    """The same with a model that takes no time and gives one answer."""
    port = free_port()
    command = [sys.executable, "-m", "bench.gateway.instant_server", str(_config(bench, model.folder)), str(port)]
    return running(bench, command, bench.scratch / "instant.log", _grpc(port, model), right=bool)


@contextmanager
def gateway(bench: Bench, model: Pets, behind: Served, *, proved: bool = True) -> Iterator[Served]:
    """A gateway in front of a model server; `proved`: whether its answer must be that of the pets model."""
    port = free_port()
    target = upload(port, CLASSIFY, model)
    right = answers(model, gateway_answer) if proved else bool
    with running(bench, gateway_command(port, behind), bench.scratch / "gateway.log", target, right=right) as served:
        yield replace(served, behind=(behind.process,))


def gateway_command(port: int, behind: Served) -> list[str]:
    address = f"127.0.0.1:{behind.target.port}"
    return [sys.executable, "-m", "serving.gateway", "--model", f"{NAME}={address}", "--port", str(port)]


def upload(port: int, path: str, model: Pets) -> Target:
    """The photographs as raw bodies."""
    first, *others = model.images
    return Target(port=port, path=path, body=first, others=tuple(others), rest=True, content_type="image/jpeg")


def gateway_answer(answer: bytes) -> Mapping[str, float]:
    """The probability of each label of the first image in an answer of the gateway."""
    labels = json.loads(answer)["predictions"][0]["labels"]
    return {each["label"]: each["probability"] for each in labels}


def answers(model: Pets, read: Callable[[bytes], Mapping[str, float]]) -> Callable[[bytes], bool]:
    """Whether an answer to the first photograph is right: its labels may be the best ones only."""

    def right(answer: bytes) -> bool:
        try:
            given = read(answer)
        except (ValueError, KeyError, IndexError, TypeError):
            return False
        best = max(model.expected, key=lambda label: model.expected[label])
        known = {label: value for label, value in given.items() if label in model.expected}
        return best in known and all(abs(model.expected[label] - value) < TOLERANCE for label, value in known.items())

    return right


def _grpc(port: int, model: Pets) -> Target:
    def body(image: bytes) -> bytes:
        request = predict_request(NAME, [image])
        request.model_spec.version_label = STABLE
        encoded: bytes = request.SerializeToString()
        return encoded

    first, *others = [body(image) for image in model.images]
    return Target(port=port, path=PREDICT, body=first, others=tuple(others))


def _config(bench: Bench, folder: Path) -> Path:
    file = bench.scratch / "models.config"
    model = f'name: "{NAME}" base_path: "{folder / NAME}" model_platform: "tensorflow"'
    labels = f'version_labels {{ key: "{STABLE}" value: 1 }}'
    file.write_text(f"model_config_list {{\n  config {{ {model} {labels} }}\n}}\n", "utf-8")
    return file
