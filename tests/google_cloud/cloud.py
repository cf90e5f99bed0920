"""Google Cloud as far as tests need it: credentials of a pod, Secret Manager and Pub/Sub, under their real names.

The clients are Google's and the provider's, unchanged. Only the environment of their process is that of a test.
"""

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import grpc

from tests.certificates import Authority
from tests.google_cloud.connect_proxy import connect_proxy
from tests.google_cloud.metadata_server import TOKEN, metadata_server


class _OnlyWithToken(grpc.ServerInterceptor):  # type: ignore[type-arg]  # not a generic class at run time
    """Refuses a call without the access token of the metadata server."""

    def intercept_service(self, continuation: Callable[..., Any], details: grpc.HandlerCallDetails) -> Any:
        given = dict(details.invocation_metadata).get("authorization")
        return continuation(details) if given == f"Bearer {TOKEN}" else _refusal()


def _refusal() -> "grpc.RpcMethodHandler[Any, Any]":
    def refuse(_: Any, context: grpc.ServicerContext) -> None:
        context.abort(grpc.StatusCode.UNAUTHENTICATED, "Request had invalid authentication credentials.")

    return grpc.unary_unary_rpc_method_handler(refuse)


@contextmanager
def google_cloud(
    folder: Path, *, hosts: Sequence[str], handlers: "Sequence[grpc.GenericRpcHandler[Any, Any]]"
) -> Iterator[dict[str, str]]:
    """Start everything; the variables with which a process finds it instead of Google Cloud.

    Args:
        folder: for the certificate of the authority.
        hosts: the names of the APIs.
        handlers: what answers their calls.
    """
    authority = Authority()
    roots = folder / "authority.pem"
    roots.write_bytes(authority.pem)
    server = grpc.server(ThreadPoolExecutor(8), interceptors=[_OnlyWithToken()])
    server.add_generic_rpc_handlers(tuple(handlers))
    credentials = grpc.ssl_server_credentials([authority.issue("googleapis", hosts=hosts)])
    port = server.add_secure_port("127.0.0.1:0", credentials)
    server.start()
    try:
        with connect_proxy({f"{host}:443": port for host in hosts}) as proxy, metadata_server() as metadata:
            yield {
                **without_google(),
                "GCE_METADATA_HOST": metadata,
                "GCE_METADATA_IP": metadata,
                "grpc_proxy": proxy,
                # All else is refused by the proxy, so that nothing leaves this machine.
                "https_proxy": proxy,
                "GRPC_DEFAULT_SSL_ROOTS_FILE_PATH": str(roots),
                # No credentials of a person who works on this machine.
                "CLOUDSDK_CONFIG": str(folder / "no gcloud"),
            }
    finally:
        server.stop(None).wait()


def without_google() -> dict[str, str]:
    """The environment of this process without what would lead a client elsewhere."""
    unwanted = ("AIRFLOW", "UNDERSTUDY", "GOOGLE_", "GCE_", "CLOUDSDK_", "STORAGE_EMULATOR", "PUBSUB_")
    others = ("grpc_proxy", "https_proxy", "http_proxy", "no_proxy", "no_grpc_proxy")
    return {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(unwanted) and name.lower() not in others
    }
