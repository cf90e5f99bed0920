"""The server: its parts put together, started and stopped."""

import logging
import socket
import threading
from contextlib import AbstractContextManager, nullcontext

from serving.model_server.api import Api
from serving.model_server.batching.loader import BatchingLoader
from serving.model_server.batching.parameters import parameters_for
from serving.model_server.config_file import ConfigFile, read_config
from serving.model_server.flags import Flags
from serving.model_server.grpc.grpc_server import GrpcServer, format_address
from serving.model_server.lifecycle.aspired_versions_manager import AspiredVersionsManager, ManagerOptions
from serving.model_server.lifecycle.periodic_function import PeriodicFunction
from serving.model_server.lifecycle.servable import Load
from serving.model_server.lifecycle.servable_state_monitor import ServableStateMonitor
from serving.model_server.lifecycle.server_core import ServerCore, single_model
from serving.model_server.lifecycle.storage_path_source import StoragePathSource
from serving.model_server.loading.saved_model_loader import SavedModelLoader
from serving.model_server.loading.session_config import session_config
from serving.model_server.loading.warmup_loader import WarmupLoader
from serving.model_server.rest.handler import Handler
from serving.model_server.rest.http_server import RestServer
from serving.model_server.rest.monitoring_config import metrics_path
from serving.status import StatusError, UnknownError
from serving.tensorflow import c_api

GRACE_SECONDS = 5

logger = logging.getLogger(__name__)


class Server:
    """A model server; started once, stopped once."""

    def __init__(self, flags: Flags, load: Load | None = None) -> None:
        """Load versions with `load`: TensorFlow's SavedModels, unless another format is asked for."""
        self._flags = flags
        self._tensorflow = load is None
        self._batching = BatchingLoader(
            load or tensorflow_loader(flags), per_model=flags.enable_per_model_batching_parameters
        )
        self._core = build_core(flags, warming(flags, self._batching))
        self._grpc: GrpcServer | None = None
        self._rest: RestServer | None = None
        self._polling: PeriodicFunction | None = None

    def start(self) -> None:
        """Return when requests are answered: every configured model has a version available. Raises StatusError."""
        flags = self._flags
        for name in flags.ignored:
            logger.warning("--%s is a flag of tensorflow_model_server that this server does not support: ignored", name)
        api = build_api(self._core, flags, as_content=flags.enable_serialization_as_tensor_content)
        opening = GrpcServer(flags, api)
        with (
            reserved_port(flags.host, flags.port) if flags.port else nullcontext(),
            reserved_rest_port(flags) as rest_port,
        ):
            if flags.model_config_file:
                config = read_config(flags.model_config_file)
            else:
                config = single_model(flags.model_name, flags.model_base_path)
            self._batching.start(parameters_for(flags))
            if self._tensorflow:
                threading.Thread(target=c_api.library, name="load TensorFlow", daemon=True).start()
            rest = build_rest(self._core, flags) if rest_port is not None else None
            self._core.reload(config)
            opening.open()
            self._grpc = opening
            if rest is not None and rest_port is not None:
                self._open_rest(rest, rest_port)
        if flags.model_config_file and flags.model_config_file_poll_wait_seconds > 0:
            file = ConfigFile(flags.model_config_file, self._core)
            self._polling = PeriodicFunction(
                file.apply, seconds=flags.model_config_file_poll_wait_seconds, name="model config poll"
            )
            self._polling.start()

    def stop(self) -> None:
        """Take no new requests, let those in flight end within the grace, and stop the loops."""
        if self._polling is not None:
            self._polling.stop()
        self._core.stop()
        if self._rest is not None:
            self._rest.stop()
        if self._grpc is not None:
            self._grpc.stop(GRACE_SECONDS)
        if self._rest is not None:
            self._rest.wait()
        self._batching.stop()

    def _open_rest(self, rest: RestServer, port: socket.socket) -> None:
        try:
            rest.start(port)
        except OSError as error:
            log_rest_failure(self._flags, error)
            return
        self._rest = rest
        logger.info("Exporting HTTP/REST API at:localhost:%d ...", self._flags.rest_api_port)


def build_api(core: ServerCore, flags: Flags, *, as_content: bool) -> Api:
    return Api(core, as_content=as_content, check_method_names=flags.enable_signature_method_name_check)


def build_rest(core: ServerCore, flags: Flags) -> RestServer:
    """Raises StatusError for a monitoring config that cannot be read."""
    handler = Handler(
        # Nobody outside sees the tensors that become JSON, so they travel the short way.
        build_api(core, flags, as_content=True),
        timeout_seconds=flags.rest_api_timeout_in_ms / 1000 if flags.rest_api_timeout_in_ms > 0 else None,
        metrics_path=metrics_path(flags.monitoring_config_file) if flags.monitoring_config_file else None,
        cors=flags.rest_api_enable_cors_support,
    )
    return RestServer(handler, threads=max(flags.rest_api_num_threads, 0), grace_seconds=GRACE_SECONDS)


def tensorflow_loader(flags: Flags) -> SavedModelLoader:
    """Raises StatusError for a session config that cannot be read."""
    return SavedModelLoader(tags=frozenset(flags.saved_model_tags.split(",")), session_config=session_config(flags))


def warming(flags: Flags, load: Load) -> Load:
    if not flags.enable_model_warmup:
        return load
    return WarmupLoader(
        load=load,
        times=max(flags.num_request_iterations_for_warmup, 1),
        check_method_names=flags.enable_signature_method_name_check,
    )


def build_core(flags: Flags, load: Load) -> ServerCore:
    monitor = ServableStateMonitor()
    options = ManagerOptions(
        load_threads=flags.num_load_threads,
        unload_threads=flags.num_unload_threads,
        load_retries=flags.max_num_load_retries,
        retry_interval_seconds=flags.load_retry_interval_micros / 1_000_000,
    )
    manager = AspiredVersionsManager(load, monitor, options)
    return ServerCore(
        source=StoragePathSource(manager.aspire, poll_seconds=flags.file_system_poll_wait_seconds),
        manager=manager,
        monitor=monitor,
        allow_labels_for_unavailable=flags.allow_version_labels_for_unavailable_models,
    )


def reserved_port(host: str, port: int) -> socket.socket:
    """A socket that holds the port without answering on it, so that a port already taken shows before any loading.

    gRPC listens from the moment a port is added to it, and a load balancer would take that for readiness.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        holder = socket.socket(family, kind, protocol)
        try:
            holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            holder.bind(address)
        except OSError:
            holder.close()
            raise
    except OSError as error:
        raise UnknownError(f"cannot listen on {format_address(host, port)}: {error.strerror}") from error
    return holder


def reserved_rest_port(flags: Flags) -> AbstractContextManager[socket.socket | None]:
    """None where there will be no REST API. Whatever the reason, gRPC is served: upstream says it and goes on."""
    if flags.rest_api_port == 0:
        return nullcontext()
    if flags.rest_api_port == flags.port:
        logger.error(
            "server_options.http_port cannot be same as grpc_port. Please use a different port for HTTP/REST API. "
            "Skipped exporting HTTP/REST API."
        )
        return nullcontext()
    try:
        return reserved_port(flags.host, flags.rest_api_port)
    except StatusError as error:
        log_rest_failure(flags, error)
        return nullcontext()


def log_rest_failure(flags: Flags, reason: Exception) -> None:
    logger.error("Failed to start HTTP Server at localhost:%d (%s)", flags.rest_api_port, reason)
