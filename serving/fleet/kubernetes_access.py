"""Where the Kubernetes API is, and who asks it: from the service account of a pod, or from a kubeconfig.

- `KUBECONFIG` names kubeconfig files; they are used if it is set.
- In a pod, its service account is used.
- Otherwise `~/.kube/config` is, as `kubectl` does.

All of it is read at every call, because tokens are replaced while a process runs.
"""

import os
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from serving.errors import DiscoveryError

KUBECONFIG = "KUBECONFIG"
SERVICE_HOST = "KUBERNETES_SERVICE_HOST"
SERVICE_PORT = "KUBERNETES_SERVICE_PORT"
# Where Kubernetes mounts the service account of a pod: token, ca.crt and namespace.
SERVICE_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")


@dataclass(frozen=True)
class Access:
    """Where the API is, and who asks.

    Attributes:
        server: its address, without a slash at the end.
        origin: where this was read, for messages.
        tls: how the connection is encrypted, with the certificate of the client if it has one; None for plain text.
        token: the bearer token; None if a certificate says who asks.
        server_name: the name in the server's certificate, if it is not that of the address.
    """

    server: str
    origin: str
    tls: ssl.SSLContext | None = None
    token: str | None = field(default=None, repr=False)
    server_name: str | None = None

    def __post_init__(self) -> None:
        # Else the library that sends it would refuse it, and show it.
        if self.token and not (self.token.isascii() and self.token.isprintable()):
            raise ValueError(f"the token of {self.origin} has characters that no token has. Write it again")

    @property
    def headers(self) -> Mapping[str, str]:
        token = {"Authorization": f"Bearer {self.token}"} if self.token else {}
        return {"Accept": "application/json", **token}

    @property
    def extensions(self) -> dict[str, str]:
        """The name in the certificate, for httpx."""
        return {"sni_hostname": self.server_name} if self.server_name else {}


def access(uri: str) -> Access:
    """Where the API is now, and who asks.

    Args:
        uri: the source that asks, for messages.

    Raises:
        DiscoveryError: there is no access, or it cannot be read; says what to set.
    """
    try:
        found = _found()
    except (OSError, ValueError) as error:
        raise DiscoveryError(f"{uri}: {error}") from error
    if found is None:
        raise DiscoveryError(
            f"{uri}: no access to a Kubernetes API: this is no pod with a service account, and there is no "
            f"~/.kube/config. Set {KUBECONFIG} to a kubeconfig file"
        )
    return found


def _found() -> Access | None:
    from serving.fleet.kubeconfig import access_of_kubeconfig  # noqa: PLC0415 - it needs this module

    if named := [Path(each) for each in os.environ.get(KUBECONFIG, "").split(os.pathsep) if each]:
        return access_of_kubeconfig(named)
    if os.environ.get(SERVICE_HOST) and (SERVICE_ACCOUNT / "token").exists():
        return _access_of_pod()
    usual = Path.home() / ".kube" / "config"
    return access_of_kubeconfig([usual]) if usual.exists() else None


def _access_of_pod() -> Access:
    host, port = os.environ[SERVICE_HOST], os.environ.get(SERVICE_PORT) or "443"
    return Access(
        server=f"https://{f'[{host}]' if ':' in host else host}:{port}",
        origin="the service account of this pod",
        tls=tls_context((SERVICE_ACCOUNT / "ca.crt").read_text(encoding="utf-8")),
        token=(SERVICE_ACCOUNT / "token").read_text(encoding="utf-8").strip(),
    )


def tls_context(authorities: str | None) -> ssl.SSLContext:
    """Encryption for a client that trusts these authorities, in PEM; None for those that the machine knows.

    Raises:
        ValueError: it has no certificates.
    """
    try:
        return ssl.create_default_context(cadata=authorities)
    except ssl.SSLError as error:
        raise ValueError(f"the certificate of the API's authority is not a certificate in PEM ({error})") from error


def require_address(server: object, origin: str) -> str:
    """The address of an API, without a slash at the end.

    Raises:
        ValueError: it is no address.
    """
    text = str(server or "").rstrip("/")
    parts = urlsplit(text)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError(f"{origin} has the server {text!r}, which is no address. It looks like https://10.0.0.1:6443")
    return text
