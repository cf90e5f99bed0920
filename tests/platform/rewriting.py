"""How a command or a variable of a container is written for a process of this machine.

These are the only rules, and what they do not know is an error:

- An address `service:port` becomes `127.0.0.1:` and the port that stands for it here. The service must listen there.
- `127.0.0.1:port` and `0.0.0.0:port` are the service's own. `localhost:port` is what a browser on the host asks: a port
  that some service publishes.
- A word that is a port of the service alone, or follows a `=` at its end, becomes the port that stands for it.
- `0.0.0.0` becomes `127.0.0.1`.
- A path becomes the folder or the file that is mounted there, or what the image has there; the longest mount counts.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

_ADDRESS = re.compile(r"(?<![\w.-])(?P<host>[a-z][a-z0-9-]*|127\.0\.0\.1|0\.0\.0\.0):(?P<port>\d+)\b")
_PATH = re.compile(r"(?<![\w.:/*}-])/\w[\w.+-]*(?:/[\w.+-]+)*")
_PORT = re.compile(r"(?:(?<=^)|(?<==))\d+$")


class UnknownPlaceError(Exception):
    """An address or a path that no service and no mount has."""


@dataclass(frozen=True)
class Ports:
    """The port of this machine for each port of a container.

    Attributes:
        listening: by the name of the service and its own port.
        published: by the port of the host that Compose opens.
    """

    listening: Mapping[tuple[str, int], int]
    published: Mapping[int, int]


@dataclass(frozen=True)
class Rules:
    """The rules for one service.

    Attributes:
        service: its name.
        ports: of all services.
        mounts: what stands for each path of its container.
    """

    service: str
    ports: Ports
    mounts: Mapping[str, Path]

    def rewritten(self, text: str) -> str:
        """A word of a command, the value of a variable, or a configuration file.

        Raises:
            UnknownPlaceError: there is nothing at an address or a path in it.
        """
        text = _ADDRESS.sub(lambda found: self._address(found["host"], int(found["port"])), text)
        text = _PATH.sub(lambda found: str(self.path(found[0])), text)
        text = _PORT.sub(lambda found: self._own_port(found[0]), text)
        return re.sub(r"(?<![\w.])0\.0\.0\.0(?![\w.])", "127.0.0.1", text)

    def path(self, path: str) -> Path:
        """What stands for a path of the container.

        Raises:
            UnknownPlaceError: nothing is mounted there.
        """
        for mount in sorted(self.mounts, key=len, reverse=True):
            if path == mount or path.startswith(f"{mount}/"):
                return self.mounts[mount] / path[len(mount) :].lstrip("/")
        raise UnknownPlaceError(f"{self.service}: nothing is mounted at {path}, which has {sorted(self.mounts)}")

    def _address(self, host: str, port: int) -> str:
        if host == "localhost":
            here = self.ports.published.get(port)
        else:
            name = self.service if host[0].isdigit() else host
            here = self.ports.listening.get((name, port))
        if here is None:
            raise UnknownPlaceError(f"{self.service}: nothing listens at {host}:{port}")
        return f"{'localhost' if host == 'localhost' else '127.0.0.1'}:{here}"

    def _own_port(self, word: str) -> str:
        return str(self.ports.listening.get((self.service, int(word)), word))
