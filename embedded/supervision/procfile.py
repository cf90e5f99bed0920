"""Read the Procfile: the list of processes to start, with one entry for each replica."""

import re
import shlex
from dataclasses import dataclass
from pathlib import Path

from embedded.environment import POLL_SECONDS
from embedded.settings import PROJECT, StackSettings
from pipeline import layout
from serving.server_flags import BasePathSource, ConfigSource, Source, replica_flags

PROCFILE = PROJECT / "Procfile"
REPLICA = "replica"
_LINE = re.compile(r"([A-Za-z0-9_-]+):\s*(\S.*)")


@dataclass(frozen=True)
class Entry:
    """One process: a shell command, and its variables beyond those of the stack."""

    name: str
    command: str
    extra: dict[str, str]


def entries(settings: StackSettings, procfile: Path = PROCFILE) -> list[Entry]:
    """Every process of the Procfile; the `replica` line once for each serving port, as replica-1, replica-2 and so on.

    Raises:
        OSError: the file cannot be read.
    """
    lines = map(_LINE.fullmatch, procfile.read_text(encoding="utf-8").splitlines())
    expanded = []
    for name, command in (line.groups() for line in lines if line):
        if name == REPLICA:
            expanded += [
                Entry(f"{REPLICA}-{number}", command, {"REPLICA_FLAGS": shlex.join(_flags(settings, port, rest_port))})
                for number, (port, rest_port) in enumerate(
                    zip(settings.serving_ports, settings.rest_ports, strict=True), start=1
                )
            ]
        else:
            expanded.append(Entry(name, command, {}))
    return expanded


def _flags(settings: StackSettings, port: int, rest_port: int) -> list[str]:
    # One thread for an operation: the replicas share the cores of one machine.
    return replica_flags(_source(settings), port=port, rest_port=rest_port, threads=1)


def _source(settings: StackSettings) -> Source:
    """What the servers of a roll-out poll."""
    if settings.rollout == "latest":
        base_path = settings.bucket / layout.versions(settings.model)
        return BasePathSource(model=settings.model, uri=str(base_path), poll_seconds=POLL_SECONDS)
    return ConfigSource(uri=str(settings.bucket / layout.config(settings.model)), poll_seconds=POLL_SECONDS)
