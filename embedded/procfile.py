"""The Procfile as the list of processes to start."""

from dataclasses import dataclass
from pathlib import Path

from honcho.environ import parse_procfile

from embedded.settings import PROJECT, StackSettings

PROCFILE = PROJECT / "Procfile"
REPLICA = "replica"


@dataclass(frozen=True)
class Entry:
    """One process: a shell command, and what its environment has beyond the stack's."""

    name: str
    command: str
    extra: dict[str, str]


def entries(settings: StackSettings, procfile: Path = PROCFILE) -> list[Entry]:
    """Every process of the Procfile; the `replica` line once per serving port, as replica-1, replica-2 and so on."""
    lines: dict[str, str] = parse_procfile(procfile.read_text(encoding="utf-8")).processes
    expanded = []
    for name, command in lines.items():
        if name == REPLICA:
            expanded += [
                Entry(f"{REPLICA}-{number}", command, {"PORT": str(port)})
                for number, port in enumerate(settings.serving_ports, start=1)
            ]
        else:
            expanded.append(Entry(name, command, {}))
    return expanded
