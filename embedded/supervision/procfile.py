"""Read the Procfile: the list of processes to start, with one entry for each replica."""

import re
import shlex
from dataclasses import dataclass
from pathlib import Path

from embedded import first_ring
from embedded.environment import POLL_SECONDS
from embedded.local_fleet import LocalFleet
from embedded.settings import PROJECT, StackSettings
from serving.server_flags import BasePathSource, ConfigSource, Source, replica_flags

PROCFILE = PROJECT / "Procfile"
REPLICA = "replica"
GATEWAY = "gateway"
_LINE = re.compile(r"([A-Za-z0-9_-]+):\s*(\S.*)")


@dataclass(frozen=True)
class Entry:
    """One process: a shell command, and its variables beyond those of the stack."""

    name: str
    command: str
    extra: dict[str, str]


def entries(settings: StackSettings, procfile: Path = PROCFILE) -> list[Entry]:
    """Every process of the Procfile; the `replica` line once for each replica of each model, as `replica-digits-1`.

    Without a model there is no gateway.

    Raises:
        OSError: the file cannot be read.
        StackError: a fleet record, which says what each replica polls, cannot be read.
    """
    lines = map(_LINE.fullmatch, procfile.read_text(encoding="utf-8").splitlines())
    expanded = []
    for name, command in (line.groups() for line in lines if line):
        if name == REPLICA:
            expanded += [entry for fleet in settings.fleets for entry in _replicas(settings, fleet, command)]
        elif name == GATEWAY:
            expanded += _gateway(settings, command)
        else:
            expanded.append(Entry(name, command, {}))
    return expanded


def _replicas(settings: StackSettings, fleet: LocalFleet, command: str) -> list[Entry]:
    polled = first_ring.polled(settings, fleet)
    sources = [_source(settings, fleet.model, str(polled[address])) for address in fleet.addresses]
    return [
        # One thread for an operation: the replicas share the cores of one machine.
        Entry(
            name,
            command,
            {"REPLICA_FLAGS": shlex.join(replica_flags(source, port=port, rest_port=rest_port, threads=1))},
        )
        for name, source, port, rest_port in zip(fleet.processes, sources, fleet.ports, fleet.rest_ports, strict=True)
    ]


def _gateway(settings: StackSettings, command: str) -> list[Entry]:
    """One gateway for all models. It listens on this machine alone, so it needs no keys."""
    flags = ["--port", str(settings.gateway_port)]
    for fleet in settings.fleets:
        flags += ["--model", f"{fleet.model}={','.join(fleet.addresses)}"]
        flags += ["--latest", fleet.model] if settings.rollout == "latest" else []
    return [Entry(GATEWAY, command, {"GATEWAY_FLAGS": shlex.join(flags)})] if settings.fleets else []


def _source(settings: StackSettings, model: str, uri: str) -> Source:
    if settings.rollout == "latest":
        return BasePathSource(model=model, uri=uri, poll_seconds=POLL_SECONDS)
    return ConfigSource(uri=uri, poll_seconds=POLL_SECONDS)
