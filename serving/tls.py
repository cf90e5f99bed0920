"""Encrypted connections to model servers, with or without a certificate of the client (mTLS)."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import grpc
import grpc.aio


@dataclass(frozen=True)
class Tls:
    """How a client and a server recognise each other. All contents are PEM.

    Raises:
        ValueError: a certificate has no key, or a key no certificate.

    Attributes:
        ca: the authority that has signed the servers' certificates; None for those that gRPC trusts.
        server_name: the name in the servers' certificates, if it is not the host of their address; None if it is.
        certificate: of the client; None if servers ask for none.
        key: the private key of that certificate.
    """

    ca: bytes | None = None
    server_name: str | None = None
    certificate: bytes | None = None
    key: bytes | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        if (self.certificate is None) != (self.key is None):
            raise ValueError("a client certificate and its private key are given together or not at all")

    @property
    def credentials(self) -> grpc.ChannelCredentials:
        return grpc.ssl_channel_credentials(self.ca, self.key, self.certificate)

    @property
    def options(self) -> tuple[tuple[str, str], ...]:
        """Options of a channel, besides its own."""
        return (("grpc.ssl_target_name_override", self.server_name),) if self.server_name else ()


def open_channel(address: str, *, tls: Tls | None, options: Sequence[tuple[str, object]]) -> grpc.Channel:
    """A channel to one server. Nothing is connected yet."""
    if tls is None:
        return grpc.insecure_channel(address, options=options)
    return grpc.secure_channel(address, tls.credentials, options=[*options, *tls.options])


def open_aio_channel(address: str, *, tls: Tls | None, options: Sequence[tuple[str, object]]) -> grpc.aio.Channel:
    """The same for asyncio. It belongs to the running event loop."""
    if tls is None:
        return grpc.aio.insecure_channel(address, options=options)
    return grpc.aio.secure_channel(address, tls.credentials, options=[*options, *tls.options])
