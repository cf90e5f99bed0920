"""The parts put together, from a free port to an orderly end."""

import logging
import os
import socket
import threading
from concurrent.futures import ThreadPoolExecutor

import grpc

from serving.model_server.api import Api
from serving.model_server.config_file import ConfigFile, read_config
from serving.model_server.core import Core, single_model
from serving.model_server.flags import Flags
from serving.model_server.harness import Load
from serving.model_server.manager import Manager, ManagerOptions
from serving.model_server.monitor import Monitor
from serving.model_server.periodic import Periodic
from serving.model_server.saved_model import SavedModelLoader, import_tensorflow
from serving.model_server.services import handlers
from serving.model_server.source import Source
from serving.model_server.status import InvalidArgumentError, UnknownError

GRACE_SECONDS = 5.0

logger = logging.getLogger(__name__)


class Server:
    """One process's worth of server: started once, stopped once."""

    def __init__(self, flags: Flags, load: Load | None = None) -> None:
        """Load versions with `load`: TensorFlow's SavedModels, unless another format is asked for."""
        self._flags = flags
        self._tensorflow = load is None
        self._core = build_core(flags, load or tensorflow_loader(flags))
        self._grpc: grpc.Server | None = None
        self._polling: Periodic | None = None

    def start(self) -> None:
        """Return when requests are answered: every configured model has a version available. Raises StatusError."""
        flags = self._flags
        for name in flags.ignored:
            logger.warning("--%s is a flag of tensorflow_model_server that this server does not support: ignored", name)
        with reserved_port(flags.host, flags.port):
            if flags.model_config_file:
                config = read_config(flags.model_config_file)
            else:
                config = single_model(flags.model_name, flags.model_base_path)
            if self._tensorflow:
                threading.Thread(target=import_tensorflow, name="import TensorFlow", daemon=True).start()
            self._core.reload(config)
            self._open()
        if flags.model_config_file and flags.model_config_file_poll_wait_seconds > 0:
            file = ConfigFile(flags.model_config_file, self._core)
            self._polling = Periodic(
                file.apply, seconds=flags.model_config_file_poll_wait_seconds, name="model config poll"
            )
            self._polling.start()

    def stop(self) -> None:
        """Take no new requests, let those in flight end within the grace, and let the loops go."""
        if self._polling is not None:
            self._polling.stop()
        self._core.stop()
        if self._grpc is not None:
            self._grpc.stop(GRACE_SECONDS).wait(GRACE_SECONDS + 1)

    def _open(self) -> None:
        address = format_address(self._flags.host, self._flags.port)
        threads = self._flags.grpc_max_threads or 4 * (os.cpu_count() or 1)
        self._grpc = grpc.server(
            ThreadPoolExecutor(threads, thread_name_prefix="grpc"),
            handlers=handlers(Api(self._core, as_content=self._flags.enable_serialization_as_tensor_content)),
            options=[
                ("grpc.so_reuseport", 0),
                ("grpc.max_receive_message_length", -1),
                ("grpc.max_send_message_length", -1),
            ],
        )
        try:
            self._grpc.add_insecure_port(address)
        except RuntimeError as error:
            raise UnknownError(f"cannot listen on {address}: {error}") from error
        self._grpc.start()
        logger.info("Running gRPC ModelServer at %s", address)


def tensorflow_loader(flags: Flags) -> SavedModelLoader:
    intra, inter = session_threads(flags)
    return SavedModelLoader(
        tags=frozenset(flags.saved_model_tags.split(",")),
        warm_up=flags.enable_model_warmup,
        intra_op_threads=intra,
        inter_op_threads=inter,
    )


def build_core(flags: Flags, load: Load) -> Core:
    monitor = Monitor()
    options = ManagerOptions(
        load_threads=flags.num_load_threads,
        unload_threads=flags.num_unload_threads,
        load_retries=flags.max_num_load_retries,
        retry_interval_seconds=flags.load_retry_interval_micros / 1_000_000,
    )
    manager = Manager(load, monitor, options)
    return Core(
        source=Source(manager.aspire, poll_seconds=flags.file_system_poll_wait_seconds),
        manager=manager,
        monitor=monitor,
        allow_labels_for_unavailable=flags.allow_version_labels_for_unavailable_models,
    )


def session_threads(flags: Flags) -> tuple[int, int]:
    """Within and between operations; 0 leaves it to TensorFlow."""
    separate = flags.tensorflow_intra_op_parallelism, flags.tensorflow_inter_op_parallelism
    together = flags.tensorflow_session_parallelism
    if all(number > 0 for number in (*separate, together)):
        raise InvalidArgumentError(
            "Either configure server_options.tensorflow_session_parallelism or "
            "(server_options.tensorflow_intra_op_parallelism, server_options.tensorflow_inter_op_parallelism) "
            "separately. You cannot configure all."
        )
    return separate if any(number > 0 for number in separate) else (together, together)


def format_address(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def reserved_port(host: str, port: int) -> socket.socket:
    """A socket that holds the port without answering on it, so that a port already taken shows before any loading.

    gRPC listens from the moment a port is added to it, and a load balancer would take that for readiness.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        holder = socket.socket(family, kind, protocol)
        holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        holder.bind(address)
    except OSError as error:
        raise UnknownError(f"cannot listen on {format_address(host, port)}: {error.strerror}") from error
    return holder
