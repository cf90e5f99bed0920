"""The Procfile as the list of processes to start."""

import re
from dataclasses import dataclass
from pathlib import Path

from embedded.settings import PROJECT, StackSettings

PROCFILE = PROJECT / "Procfile"
REPLICA = "replica"
_LINE = re.compile(r"([A-Za-z0-9_-]+):\s*(\S.*)")


@dataclass(frozen=True)
class Entry:
    """One process: a shell command, and what its environment has beyond the stack's."""

    name: str
    command: str
    extra: dict[str, str]


def entries(settings: StackSettings, procfile: Path = PROCFILE) -> list[Entry]:
    """Every process of the Procfile; the `replica` line once per serving port, as replica-1, replica-2 and so on."""
    lines = map(_LINE.fullmatch, procfile.read_text(encoding="utf-8").splitlines())
    expanded = []
    for name, command in (line.groups() for line in lines if line):
        if name == REPLICA:
            expanded += [
                Entry(f"{REPLICA}-{number}", command, {"PORT": str(port), "REST_PORT": str(rest_port)})
                for number, (port, rest_port) in enumerate(
                    zip(settings.serving_ports, settings.rest_ports, strict=True), start=1
                )
            ]
        else:
            expanded.append(Entry(name, command, {}))
    return expanded
