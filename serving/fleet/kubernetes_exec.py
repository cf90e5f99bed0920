"""Ask the plug-in of a kubeconfig, such as `gke-gcloud-auth-plugin`, for a token or a certificate.

What it gives is kept in memory until a minute before it expires.
"""

import json
import os
import subprocess
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

_SECONDS = 10.0
_MARGIN = timedelta(minutes=1)
_kept: dict[str, "Credential"] = {}
_asking = threading.Lock()


@dataclass(frozen=True)
class Credential:
    """Who asks: a token, or a client certificate with its key, in PEM.

    Attributes:
        token: the bearer token.
        certificate: the certificate of the client.
        key: its private key.
        expires: until when it is valid; None if that is not known.
    """

    token: str | None = field(default=None, repr=False)
    certificate: str | None = None
    key: str | None = field(default=None, repr=False)
    expires: datetime | None = None


def run_plugin(plugin: Mapping[str, Any], folder: Path) -> Credential:
    """What the plug-in gives.

    Args:
        plugin: `exec` of a user of a kubeconfig.
        folder: where the kubeconfig is.

    Raises:
        ValueError: it cannot be started, failed, took too long, or gave something else.
    """
    key = json.dumps([str(folder), plugin], sort_keys=True)
    with _asking:
        kept = _kept.get(key)
        if kept and kept.expires and kept.expires - _MARGIN > datetime.now(UTC):
            return kept
        _kept[key] = fresh = _parse(_output(plugin, folder), str(plugin.get("command")))
        return fresh


def _output(plugin: Mapping[str, Any], folder: Path) -> bytes:
    command = str(plugin.get("command") or "")
    # A path is relative to the kubeconfig; a name without a slash is searched in PATH.
    program = str(folder / command) if "/" in command else command
    given = {each["name"]: each["value"] for each in plugin.get("env") or ()}
    request = {"apiVersion": plugin.get("apiVersion"), "kind": "ExecCredential", "spec": {"interactive": False}}
    try:
        done = subprocess.run(
            [program, *(plugin.get("args") or ())],
            env={**os.environ, **given, "KUBERNETES_EXEC_INFO": json.dumps(request)},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_SECONDS,
            check=False,
        )
    except OSError as error:
        hint = plugin.get("installHint") or "Install it, or use a token or a client certificate"
        raise ValueError(f"the plug-in {command} of the kubeconfig cannot be started ({error}). {hint}") from error
    except subprocess.TimeoutExpired as error:
        raise ValueError(f"the plug-in {command} of the kubeconfig took longer than {_SECONDS:.0f} s") from error
    if done.returncode != 0:
        last = done.stderr.decode(errors="replace").strip().rpartition("\n")[2]
        raise ValueError(f"the plug-in {command} of the kubeconfig ended with {done.returncode}: {last}")
    return done.stdout


def _parse(output: bytes, command: str) -> Credential:
    try:
        status = json.loads(output)["status"]
        expires = status.get("expirationTimestamp")
        return Credential(
            token=status.get("token"),
            certificate=status.get("clientCertificateData"),
            key=status.get("clientKeyData"),
            expires=datetime.fromisoformat(expires) if expires else None,
        )
    except (ValueError, KeyError, TypeError, AttributeError):
        # Not its output: that may have a token.
        raise ValueError(f"the plug-in {command} of the kubeconfig gave no ExecCredential") from None
