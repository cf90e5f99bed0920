"""A server under test: its files as this machine and as the server see them, and what a client asks it."""

import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import httpx

from serving.apis import (
    get_model_metadata_pb2,
    get_model_status_pb2,
    model_management_pb2,
    model_server_config_pb2,
    model_service_pb2_grpc,
    predict_pb2,
    prediction_service_pb2_grpc,
)
from tests.conformance.expectations import Expectations
from tests.conformance.facts import NotRunError
from tests.conformance.gate import Gate
from tests.conformance.models import tensor, write_model

# Of one request. A load that waits takes as long as it takes.
REQUEST_SECONDS = 10.0
# Of a load, or of a request that waits for one.
LOAD_SECONDS = 30.0
CONFIG = "models.config"
MONITORING = "monitoring.config"
# The model of the checks that only ask: versions 1 and 2, and the label on 1.
ASKED = "asked"
STABLE = "stable"

_UNLIMITED = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]
_State = get_model_status_pb2.ModelVersionStatus.State


@dataclass(frozen=True)
class Folder:
    """Where models and configs are: `here` on this machine, `there` for the server."""

    here: Path
    there: str

    def prepare(self) -> None:
        """Create it, with the files that a server under test is started with, and delete what earlier runs left."""
        self.here.mkdir(parents=True, exist_ok=True)
        for old in self.here.iterdir():
            if old.is_dir():
                shutil.rmtree(old)
            elif old.name not in (CONFIG, MONITORING):
                old.unlink()
        self.write(CONFIG, "model_config_list {}\n")
        self.write(MONITORING, "prometheus_config { enable: true }\n")

    def write(self, name: str, text: str) -> str:
        """Replace a file at once, and return its path for the server."""
        file = self.here / name
        file.parent.mkdir(parents=True, exist_ok=True)
        temporary = file.with_name(f"{file.name}.new")
        temporary.write_text(text)
        temporary.replace(file)
        return f"{self.there}/{name}"

    def base(self, model: str) -> str:
        return f"{self.there}/{model}"

    def add(
        self,
        model: str,
        *versions: int | str,
        warm_up: Sequence[bytes] = (),
        change: Callable[[Path], object] | None = None,
    ) -> None:
        """Put versions below the model's base path, each at once; the factor is its number.

        Args:
            model: its folder.
            versions: names of folders.
            warm_up: records of warm-up requests.
            change: what to do to the folder before the server can see it.
        """
        for version in versions:
            hidden = self.here / ".hidden" / model / str(version)
            write_model(hidden, factor=float(version), warm_up=warm_up)
            if change is not None:
                change(hidden)
            (self.here / model).mkdir(exist_ok=True)
            hidden.rename(self.here / model / str(version))

    def remove(self, model: str, *versions: int | str) -> None:
        """Take versions away, each at once."""
        for version in versions:
            gone = self.here / ".hidden" / f"{model}-{version}-{time.monotonic_ns()}"
            gone.parent.mkdir(exist_ok=True)
            (self.here / model / str(version)).rename(gone)

    def model(self, name: str, *, versions: Sequence[int] = (), base: str | None = None, **labels: int) -> Any:
        """A ModelConfig: policy `specific` if versions are given, else the default one."""
        made = model_server_config_pb2.ModelConfig(
            name=name, base_path=base or self.base(name), model_platform="tensorflow"
        )
        if versions:
            made.model_version_policy.specific.versions.extend(versions)
        for label, version in labels.items():
            made.version_labels[label] = version
        return made

    def gate(self, name: str) -> Gate:
        return Gate(self.here / name, f"{self.there}/{name}")


def config(*models: Any) -> Any:
    """A ModelServerConfig of these models; of none it is the empty list."""
    whole = model_server_config_pb2.ModelServerConfig(model_config_list={})
    whole.model_config_list.config.extend(models)
    return whole


class ServerUnderTest(Expectations):
    """A server that answers; `close` ends the connections.

    Args:
        address: `host:port` of gRPC.
        rest: `host:port` of REST, or None.
        folder: its files.
    """

    def __init__(self, address: str, rest: str | None, folder: Folder) -> None:
        super().__init__()
        self.address, self.rest, self.folder = address, rest, folder
        self.channel = grpc.insecure_channel(address, options=[*_UNLIMITED, ("grpc.enable_http_proxy", 0)])
        self.prediction: Any = prediction_service_pb2_grpc.PredictionServiceStub(self.channel)
        self.models: Any = model_service_pb2_grpc.ModelServiceStub(self.channel)
        self._http = httpx.Client(base_url=f"http://{rest}", trust_env=False, timeout=REQUEST_SECONDS)
        self._deployed: Any = None

    def close(self) -> None:
        self.channel.close()
        self._http.close()

    # What a client asks.

    def request(
        self,
        model: str = ASKED,
        *,
        version: int | None = None,
        label: str | None = None,
        signature: str = "",
        inputs: Mapping[str, Any] | None = None,
    ) -> Any:
        request: Any = predict_pb2.PredictRequest(model_spec={"name": model, "signature_name": signature})
        if version is not None:
            request.model_spec.version.value = version
        if label is not None:
            request.model_spec.version_label = label
        for alias, value in ({"x": [2.0]} if inputs is None else inputs).items():
            request.inputs[alias].CopyFrom(tensor(value))
        return request

    def predict(self, model: str = ASKED, **asked: Any) -> Any:
        return self.prediction.Predict(self.request(model, **asked), timeout=REQUEST_SECONDS)

    def answering(self, model: str = ASKED, **asked: Any) -> object:
        """The version that answers, or the code of the refusal."""
        try:
            return int(self.predict(model, **asked).model_spec.version.value)
        except grpc.RpcError as error:
            return str(error.code().name)

    def answer_of(self, model: str = ASKED, **asked: Any) -> str:
        """`OK`, or code and message of the refusal."""
        return refusal(lambda: self.predict(model, **asked))

    def metadata(self, model: str, *, label: str | None = None, fields: Sequence[str] = ("signature_def",)) -> Any:
        request: Any = get_model_metadata_pb2.GetModelMetadataRequest(model_spec={"name": model}, metadata_field=fields)
        if label is not None:
            request.model_spec.version_label = label
        return self.prediction.GetModelMetadata(request, timeout=REQUEST_SECONDS)

    def status(self, model: str, version: int | None = None, label: str | None = None) -> list[Any]:
        request: Any = get_model_status_pb2.GetModelStatusRequest(model_spec={"name": model})
        if version is not None:
            request.model_spec.version.value = version
        if label is not None:
            request.model_spec.version_label = label
        return list(self.models.GetModelStatus(request, timeout=REQUEST_SECONDS).model_version_status)

    def states(self, model: str) -> list[tuple[int, str]]:
        """Versions in the order of the answer, with their states; END with an error is FAILED here."""
        try:
            listed = self.status(model)
        except grpc.RpcError as error:
            if error.code() is grpc.StatusCode.NOT_FOUND:
                return []
            raise
        return [(each.version, _state(each)) for each in listed]

    def state(self, model: str, version: int) -> str:
        return dict(self.states(model)).get(version, "unseen")

    def get(self, path: str, **options: Any) -> httpx.Response:
        return self._http.get(path, **options)

    def http_status(self, path: str) -> object:
        """The status code of a page, or the kind of error."""
        try:
            return self.get(path).status_code
        except httpx.TransportError as error:
            return type(error).__name__

    def post(self, path: str, **options: Any) -> httpx.Response:
        return self._http.post(path, **options)

    def http(self, method: str, path: str, **options: Any) -> httpx.Response:
        return self._http.request(method, path, **options)

    # What an operator does.

    def request_config(self, whole: Any, *, timeout: float = LOAD_SECONDS) -> Any:
        return self.models.HandleReloadConfigRequest(
            model_management_pb2.ReloadConfigRequest(config=whole), timeout=timeout
        )

    def write_config(self, *models: Any) -> None:
        """Write the file that the server polls."""
        self._deployed = None
        self.folder.write(CONFIG, str(config(*models)))

    def deploy(self, *models: Any) -> None:
        """Write the file, and request the same config, so that it is in force when this returns."""
        self.write_config(*models)
        self.request_config(config(*models))

    def serve(self, name: str, *versions: int, **labels: int) -> None:
        """Add these versions to the model's folder, and return when the server has loaded them all, and nothing else.

        Raises NotRunError: the server does not do it; an earlier check may have left its configs blocked.
        """
        self.folder.add(name, *versions)
        self.deploy(self.folder.model(name, versions=versions))
        wanted = [(version, "AVAILABLE") for version in sorted(versions, reverse=True)]
        deadline = time.monotonic() + LOAD_SECONDS
        while (states := self.states(name)) != wanted:
            if time.monotonic() > deadline:
                raise NotRunError(f"the server did not load {wanted} of model {name}, but has {states}")
            time.sleep(0.03)
        if labels:
            self.deploy(self.folder.model(name, versions=versions, base=None, **labels))

    def serve_asked(self) -> None:
        """Serve the model that many checks share; later calls do nothing."""
        if self._deployed != ASKED:
            shutil.rmtree(self.folder.here / ASKED, ignore_errors=True)
            self.serve(ASKED, 1, 2, stable=1)
            self._deployed = ASKED


def _state(status: Any) -> str:
    name = str(_State.Name(status.state))
    return "FAILED" if name == "END" and status.status.error_code else name


def refusal(ask: Callable[[], object]) -> str:
    """`CODE: message` of what a call is refused with, or `OK`."""
    try:
        ask()
    except grpc.RpcError as error:
        return f"{error.code().name}: {error.details()}"
    return "OK"
