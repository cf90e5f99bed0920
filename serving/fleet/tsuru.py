"""`tsuru://app/process:port`: the units of a process of a Tsuru app, from the Tsuru API.

The process and the port may be left out. The address of the API and the token come from the environment, from the
variables that Tsuru's own client reads.

Source of the format: `types/provision/unit.go` and `provision/kubernetes/provisioner.go` of github.com/tsuru/tsuru.
"""

import json
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from http.client import HTTPException
from typing import Any
from urllib.error import HTTPError
from urllib.parse import urlsplit
from urllib.request import Request, urlopen

from serving.errors import DiscoveryError

SCHEME = "tsuru"
TARGET = "TSURU_TARGET"
TOKEN = "TSURU_TOKEN"  # noqa: S105 - the name of the variable

# gRPC's port of `tensorflow_model_server`.
_PORT = 8500
_SECONDS = 2.0
_FORM = "expected tsuru://app, tsuru://app/process or tsuru://app/process:port"
_NAME = re.compile(r"[a-z][a-z0-9-]{0,39}")
_PROCESS = re.compile(r"[A-Za-z0-9_-]{1,63}")
# A unit that is stopped, or that is only being built, is no replica. One that has an error may come up again.
_ABSENT = frozenset({"created", "building", "stopped", "succeeded"})
_ADVICE = {
    401: f"The token is missing, wrong or expired. Set {TOKEN}, for example with `tsuru token show`",
    403: f"The token may not read this app. Use another {TOKEN}, or give its team access",
    404: "There is no such app. Check its name with `tsuru app list`",
}


@dataclass(frozen=True)
class TsuruSource:
    """The units of an app; see `serving.fleet.source.Source`.

    Attributes:
        app: the name of the app.
        process: the process of its Procfile that is the model server; None for every process.
        port: where its gRPC port is, for units whose address Tsuru gives without a port.
    """

    app: str
    process: str | None = None
    port: int = _PORT

    @property
    def uri(self) -> str:
        process = f"/{self.process}" if self.process is not None else ""
        return f"{SCHEME}://{self.app}{process}{f':{self.port}' if self.port != _PORT else ''}"

    @property
    def size(self) -> int | None:
        return None

    def addresses(self) -> tuple[str, ...]:
        found = {address for unit in self._units() if (address := self._address(unit)) is not None}
        return tuple(sorted(found))

    def too_few(self, found: int) -> str:  # noqa: ARG002 - the same advice for any number
        process = f" --process {self.process}" if self.process is not None else ""
        return f"See `tsuru app info --app {self.app}`. To start more: `tsuru unit add 1 --app {self.app}{process}`"

    def _units(self) -> Sequence[Mapping[str, Any]]:
        content = self._get()
        try:
            units = json.loads(content)["units"] or []
            return [unit for unit in units if self.process in (None, unit["ProcessName"])]
        except (ValueError, KeyError, TypeError) as error:
            raise DiscoveryError(
                f"{self.uri}: {_target()} did not answer as a Tsuru API does. Check {TARGET}"
            ) from error

    def _get(self) -> bytes:
        target, token = _target(), os.environ.get(TOKEN, "")
        if not token:
            raise DiscoveryError(f"{self.uri}: {TOKEN} is not set. Set it to a token that may read the app {self.app}")
        request = Request(  # noqa: S310 - the scheme is checked
            f"{target}/1.0/apps/{self.app}",
            headers={"Authorization": f"bearer {token}", "Accept": "application/json"},
        )
        try:
            with urlopen(request, timeout=_SECONDS) as answer:  # noqa: S310
                return bytes(answer.read())
        except HTTPError as error:
            error.close()
            advice = _ADVICE.get(error.code, "Read the log of the Tsuru API")
            raise DiscoveryError(f"{self.uri}: {target} answered {error.code}. {advice}") from error
        except (OSError, HTTPException) as error:
            why = getattr(error, "reason", error)
            raise DiscoveryError(
                f"{self.uri}: {target} gave no answer ({why}). Check {TARGET}, and that this machine can reach it"
            ) from error

    def _address(self, unit: Mapping[str, Any]) -> str | None:
        """`host:port` of a unit; None for one that is not there, or has no address yet.

        Units of a Kubernetes cluster have the address of their pod; those of older provisioners a host and a port.
        """
        if unit.get("Status") in _ABSENT:
            return None
        if unit.get("HostAddr") and unit.get("HostPort"):
            return _joined(unit["HostAddr"], unit["HostPort"])
        return _joined(unit["InternalIP"], self.port) if unit.get("InternalIP") else None


def parse_tsuru(text: str) -> TsuruSource:
    """A source from `app`, `app/process` or `app/process:port`.

    Raises:
        ValueError: the text is none of them; says what is expected.
    """
    name, separator, port = text.partition(":")
    app, slash, process = name.partition("/")
    if not _NAME.fullmatch(app):
        raise ValueError(f"tsuru://{text}: {app!r} is not the name of an app; {_FORM}")
    if slash and not _PROCESS.fullmatch(process):
        raise ValueError(f"tsuru://{text}: {process!r} is not the name of a process; {_FORM}")
    if separator and not (re.fullmatch("[0-9]{1,5}", port) and 1 <= int(port) <= 65535):
        raise ValueError(f"tsuru://{text}: {port!r} is not a port; {_FORM}")
    return TsuruSource(app, process if slash else None, int(port) if separator else _PORT)


def _target() -> str:
    target = os.environ.get(TARGET, "").rstrip("/")
    parts = urlsplit(target)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        given = f"{TARGET}={target!r} is no address" if target else f"{TARGET} is not set"
        raise DiscoveryError(f"{given}. Set it to the address of the Tsuru API, for example https://tsuru.example.com")
    return target


def _joined(host: str, port: object) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
