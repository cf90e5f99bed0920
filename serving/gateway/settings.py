"""What a gateway is started with, checked before it listens."""

import ipaddress
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from serving.fleet.fleet import Fleet, parse_fleet
from serving.images import MOST_PIXELS
from serving.model_names import MODEL_PATTERN, is_model
from serving.replica import STABLE
from serving.tls import Tls

PORT = 8090
_LAST_PORT = 65535


class SettingsError(ValueError):
    """The gateway cannot be started like this; the message says what to change."""


@dataclass(frozen=True)
class ModelSettings:
    """One model, and who answers for it.

    Attributes:
        name: as clients and servers call it.
        fleet: its replicas.
        source: where they come from, as it was given.
        label: of the version that serves; None if the servers have no labels, and answer from the newest version.
    """

    name: str
    fleet: Fleet = field(repr=False)
    source: str
    label: str | None = STABLE


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What one request may be.

    Attributes:
        body_bytes: of its body.
        images: in it.
        pixels: of all its images together, as their headers claim.
        seconds: until it is answered, from when its body is there.
        body_seconds: until its body is there.
        connections: that are open at once.

    Raises:
        SettingsError: one is not a number above 0.
    """

    body_bytes: int = 32 * 2**20
    images: int = 64
    pixels: int = 50_000_000
    seconds: float = 10.0
    body_seconds: float = 60.0
    connections: int = 8192

    def __post_init__(self) -> None:
        for name, value in asdict(self).items():
            # Not a number, which alone is neither more nor less, is refused too.
            if not 0 < value < math.inf:
                raise SettingsError(f"--{name.replace('_', '-')} {value} is not more than 0 and finite")


@dataclass(frozen=True, kw_only=True)
class Settings:
    """See `python -m serving.gateway --help`.

    Raises:
        SettingsError: they do not fit together, or would open the gateway to a network without keys.
    """

    models: Sequence[ModelSettings]
    host: str = "127.0.0.1"
    port: int = PORT
    keys: Path | None = None
    metrics_port: int | None = None
    metrics_host: str = "127.0.0.1"
    limits: Limits = Limits()

    def __post_init__(self) -> None:
        self._check_models()
        self._check_ports()
        if self.keys is None and not is_loopback(self.host):
            raise SettingsError(
                f"--host {self.host} can be reached from other machines, so --keys FILE is needed. "
                "Without keys a gateway listens on 127.0.0.1 only"
            )
        if not 0 < self.limits.pixels <= MOST_PIXELS:
            raise SettingsError(
                f"--pixels {self.limits.pixels} is not between 1 and {MOST_PIXELS}, the most a model decodes"
            )

    def _check_models(self) -> None:
        if not self.models:
            raise SettingsError("no model is named: add --model NAME=SOURCE, for example --model digits=127.0.0.1:8500")
        names = [model.name for model in self.models]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise SettingsError(f"--model {twice[0]} is given twice; name all of its replicas in one")

    def _check_ports(self) -> None:
        _check_port("--port", self.port)
        if self.metrics_port is not None:
            _check_port("--metrics-port", self.metrics_port)
        if self.metrics_port == self.port:
            raise SettingsError(f"--metrics-port {self.metrics_port} is the port of the gateway too; choose another")


def _check_port(option: str, port: int) -> None:
    # With 0 the system would choose one, and nobody would know where to ask.
    if not 0 < port <= _LAST_PORT:
        raise SettingsError(f"{option} {port} is not between 1 and {_LAST_PORT}")


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches what listens on `host`."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def parse_model(text: str, *, latest: bool, tls: Tls | None) -> ModelSettings:
    """A model from the command line, `NAME=SOURCE`.

    Args:
        text: what was given.
        latest: whether its servers have no labels.
        tls: how to reach its replicas.

    Raises:
        SettingsError: the name or the source cannot be used.
    """
    name, separator, source = text.partition("=")
    if not separator or not is_model(name):
        raise SettingsError(
            f"--model {text!r} is not NAME=SOURCE, where NAME fits {MODEL_PATTERN}: digits=127.0.0.1:8500"
        )
    try:
        fleet = parse_fleet(source, tls=tls)
    except ValueError as error:
        raise SettingsError(f"--model {name}: {error}") from error
    return ModelSettings(name, fleet, source, None if latest else STABLE)
