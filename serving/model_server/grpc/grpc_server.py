"""The gRPC side of a server: its services, its options, and the ports they are reached through."""

import logging
import re
from concurrent.futures import ThreadPoolExecutor

import grpc
from grpc_health.v1 import health, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from serving.model_server.api import Api
from serving.model_server.cpus import usable_cpus
from serving.model_server.flags import Flags
from serving.model_server.grpc import tls
from serving.model_server.grpc.health import Health
from serving.model_server.grpc.services import SERVICE_NAMES, handlers
from serving.status import InvalidArgumentError, UnknownError

INT32 = range(-(2**31), 2**31)
# As upstream: 2 GiB in, and no limit out. The one for what comes in stands last, where no argument replaces it.
MESSAGE_SIZES = ("grpc.max_send_message_length", -1), ("grpc.max_receive_message_length", INT32[-1])

logger = logging.getLogger(__name__)


class GrpcServer:
    """Made early, so that settings which cannot work show before any loading, and opened late.

    gRPC answers from the moment a port is open, and a load balancer takes that for readiness.
    """

    def __init__(self, flags: Flags, api: Api) -> None:
        """Raise StatusError for arguments and for key files that cannot work."""
        self._addresses = addresses(flags)
        self._credentials = tls.credentials(flags)
        self._server = grpc.server(
            ThreadPoolExecutor(flags.grpc_max_threads or 4 * usable_cpus(), thread_name_prefix="grpc"),
            handlers=handlers(api),
            options=server_options(flags.grpc_channel_arguments),
        )
        self._health = Health() if flags.enable_grpc_healthcheck_service else None
        names = [*SERVICE_NAMES, reflection.SERVICE_NAME]
        if self._health is not None:
            health_pb2_grpc.add_HealthServicer_to_server(self._health, self._server)
            names.append(health.SERVICE_NAME)
        # There is no flag for it: upstream's binary is linked with reflection.
        reflection.enable_server_reflection(names, self._server)

    def open(self) -> None:
        """Answer from here on. Raises StatusError when an address cannot be listened on."""
        for address in self._addresses:
            try:
                if self._credentials is None:
                    self._server.add_insecure_port(address)
                else:
                    self._server.add_secure_port(address, self._credentials)
            except RuntimeError as error:
                raise UnknownError(f"cannot listen on {address}: {error}") from error
        self._server.start()
        for address in self._addresses:
            logger.info("Running gRPC ModelServer at %s", address)

    def stop(self, grace_seconds: float) -> None:
        """Refuse new requests now, let those in flight end in time, and cut off those that do not.

        What gRPC has received and not yet handed to a thread is cancelled: it offers no way to answer that.
        """
        stopped = self._server.stop(grace_seconds)
        if self._health is not None:
            self._health.enter_graceful_shutdown()
        stopped.wait(grace_seconds + 1)


def addresses(flags: Flags) -> list[str]:
    found = []
    if flags.port:
        found.append(format_address(flags.host, flags.port))
    if flags.grpc_socket_path:
        found.append(f"unix:{flags.grpc_socket_path}")
    return found


def format_address(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def server_options(arguments: str) -> list[tuple[str, int | str]]:
    """GRPC's options from `name=value,...`: a value that is an int32 is handed on as one, any other as text."""
    # Two servers on one port would share its clients between them.
    options: list[tuple[str, int | str]] = [("grpc.so_reuseport", 0), MESSAGE_SIZES[0]]
    for argument in arguments.split(",") if arguments else []:
        name, equals, rest = argument.partition("=")
        if not equals:
            raise InvalidArgumentError(f"--grpc_channel_arguments: expected name=value, got '{argument}'")
        # What follows a second = is lost, as it is upstream.
        text = rest.split("=")[0]
        number = int(text) if re.fullmatch(r"\s*[+-]?[0-9]+\s*", text) else None
        options.append((name, text if number is None or number not in INT32 else number))
    return [*options, MESSAGE_SIZES[1]]
