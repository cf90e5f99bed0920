"""`--ssl_config_file` and `--use_alts_credentials`: how a client and this server make sure of each other."""

import logging
from concurrent.futures import ThreadPoolExecutor

import grpc

from serving.model_server.flags import Flags
from serving.model_server.storage import text_proto
from serving.status import InvalidArgumentError

SSLConfig = text_proto.declare(
    """
    name: "ssl_config.proto" package: "tensorflow.serving" syntax: "proto3"
    message_type {
      name: "SSLConfig"
      field { name: "server_key" number: 1 type: TYPE_STRING label: LABEL_OPTIONAL }
      field { name: "server_cert" number: 2 type: TYPE_STRING label: LABEL_OPTIONAL }
      field { name: "custom_ca" number: 3 type: TYPE_STRING label: LABEL_OPTIONAL }
      field { name: "client_verify" number: 4 type: TYPE_BOOL label: LABEL_OPTIONAL }
    }
    """,
    "tensorflow.serving.SSLConfig",
)

logger = logging.getLogger(__name__)


def credentials(flags: Flags) -> grpc.ServerCredentials | None:
    """What the ports are opened with; None is plain text.

    Raises StatusError for a file that is missing or does not parse and for a key and certificate that gRPC refuses,
    before anything is loaded; upstream finds that out afterwards, and aborts.
    """
    if flags.use_alts_credentials:
        logger.info("Using ALTS credentials")
        return _usable(grpc.alts_server_credentials(), "ALTS works on Google Cloud only")
    if not flags.ssl_config_file:
        return None
    config = text_proto.read(flags.ssl_config_file, SSLConfig(), secret=True)  # a private key is in it
    if config.client_verify and not config.custom_ca:
        raise InvalidArgumentError(
            f"{flags.ssl_config_file}: client_verify without custom_ca would refuse every client; "
            "put the authority that signs their certificates into custom_ca"
        )
    logger.info("Using SSL credentials")
    # Clients are not even asked for a certificate unless they must have one.
    made = grpc.ssl_server_credentials(
        [(config.server_key.encode(), config.server_cert.encode())],
        root_certificates=config.custom_ca.encode() or None,
        require_client_auth=config.client_verify,
    )
    return _usable(made, f"gRPC refuses the key or a certificate in {flags.ssl_config_file}; its own words are above")


def _usable(made: grpc.ServerCredentials, otherwise: str) -> grpc.ServerCredentials:
    """The same, once a server that never answers has opened a port with them: gRPC has no other way to ask."""
    probe = grpc.server(ThreadPoolExecutor(1))
    try:
        probe.add_secure_port("127.0.0.1:0", made)
    except RuntimeError as error:
        raise InvalidArgumentError(otherwise) from error
    finally:
        probe.stop(None)
    return made
