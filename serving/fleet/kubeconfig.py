"""Read kubeconfig files: the current context, its cluster and its user.

Several files are read as one, as `kubectl` does: the first that has an entry counts. Paths in a file are relative to
it.

Source of the format: the API reference of `client.authentication.k8s.io/v1` and of kubeconfig (v1).
"""

import base64
import binascii
import ssl
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from serving.fleet.kubernetes_access import Access, require_address, tls_context
from serving.fleet.kubernetes_exec import Credential, run_plugin

# To leave one of these out would ask as somebody else, or trust another server.
_UNSUPPORTED = {
    "cluster": {
        "insecure-skip-tls-verify": "Give the certificate-authority",
        "proxy-url": "Set HTTPS_PROXY instead",
    },
    "user": {
        "auth-provider": "Use exec, token or a client certificate",
        "username": "Use exec, token or a client certificate",
        "as": "Use a token of that user",
    },
}


@dataclass(frozen=True)
class _Entry:
    """A cluster, user or context, with the folder of its file."""

    content: Mapping[str, Any]
    folder: Path

    def text(self, name: str) -> str | None:
        """The content of `NAME-data`, in base64, or of the file that NAME names; None if there is neither."""
        if data := self.content.get(f"{name}-data"):
            try:
                return base64.b64decode(data, validate=True).decode()
            except (binascii.Error, ValueError) as error:
                raise ValueError(f"{name}-data of the kubeconfig is not base64 ({error})") from error
        return self.read(name)

    def read(self, name: str) -> str | None:
        path = self.content.get(name)
        return (self.folder / path).read_text(encoding="utf-8") if path else None


def access_of_kubeconfig(paths: Sequence[Path]) -> Access:
    """The access of the current context.

    Raises:
        ValueError: the files do not have it, or have something that is not supported; says what.
        OSError: a file cannot be read.
    """
    try:
        return _current(paths)
    except (TypeError, KeyError, AttributeError) as error:
        raise ValueError(f"{', '.join(map(str, paths))} is not a kubeconfig ({error})") from error


def _current(paths: Sequence[Path]) -> Access:
    # As kubectl does: of several files, some may be missing.
    files = [(path, _load(path)) for path in paths if path.exists() or len(paths) == 1]
    where = ", ".join(map(str, paths))
    context = next((each["current-context"] for _, each in files if each.get("current-context")), None)
    if not context:
        raise ValueError(f"{where} has no current-context. Choose one with `kubectl config use-context`")
    chosen = _entry(files, "context", context, where).content
    cluster = _entry(files, "cluster", chosen.get("cluster"), where)
    user = _entry(files, "user", chosen.get("user"), where)
    return _access(cluster, user, f"the context {context} of {where}")


def _load(path: Path) -> Mapping[str, Any]:
    import yaml  # noqa: PLC0415 - most fleets do without

    try:
        # The one in C if there is one: a file with the access to many clusters takes the other half a second.
        loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
        content = yaml.load(path.read_text(encoding="utf-8"), Loader=loader)  # noqa: S506 - it is safe
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        # Not its text: that may show a token.
        raise ValueError(f"{path} is not YAML") from error
    if not isinstance(content, Mapping):
        raise ValueError(f"{path} is not a kubeconfig")
    return content


def _entry(files: Sequence[tuple[Path, Mapping[str, Any]]], kind: str, name: object, where: str) -> _Entry:
    for path, content in files:
        for each in content.get(f"{kind}s") or ():
            if each.get("name") == name:
                found = _Entry(each.get(kind) or {}, path.parent)
                _require_supported(found, kind, where)
                return found
    raise ValueError(f"{where} has no {kind} {name!r}, which its current-context needs")


def _require_supported(entry: _Entry, kind: str, where: str) -> None:
    for name, instead in _UNSUPPORTED.get(kind, {}).items():
        if entry.content.get(name):
            raise ValueError(f"{where} has {name} in its {kind}, which is not supported. {instead}")


def _access(cluster: _Entry, user: _Entry, origin: str) -> Access:
    server = require_address(cluster.content.get("server"), origin)
    credential = _credential(user)
    tls = tls_context(cluster.text("certificate-authority")) if server.startswith("https:") else None
    if tls is not None and credential.certificate and credential.key:
        _add_certificate(tls, credential.certificate, credential.key, origin)
    return Access(server, origin, tls, credential.token, cluster.content.get("tls-server-name"))


def _credential(user: _Entry) -> Credential:
    if plugin := user.content.get("exec"):
        return run_plugin(plugin, user.folder)
    token = user.content.get("token") or user.read("tokenFile")
    return Credential(
        token=token.strip() if token else None,
        certificate=user.text("client-certificate"),
        key=user.text("client-key"),
    )


def _add_certificate(tls: ssl.SSLContext, certificate: str, key: str, origin: str) -> None:
    """OpenSSL reads both from files only. The folder and what is in it can be read by this user alone."""
    with tempfile.TemporaryDirectory() as folder:
        pair = Path(folder, "certificate.pem")
        pair.touch(mode=0o600)
        pair.write_text(f"{key}\n{certificate}\n", encoding="utf-8")
        try:
            tls.load_cert_chain(pair)
        except ssl.SSLError as error:
            raise ValueError(f"the client certificate of {origin} does not fit its key ({error})") from error
