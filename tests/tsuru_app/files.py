"""The app of docs/tsuru.md: its files, and its processes as Tsuru starts them."""

import re
import shlex
import subprocess
from pathlib import Path

PROJECT = Path(__file__).parents[2]
EXAMPLE = PROJECT / "examples" / "tsuru"
DOCUMENT = (PROJECT / "docs" / "tsuru.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```\w*\n(.*?)^```$", DOCUMENT, re.DOTALL | re.MULTILINE)
# Tsuru's own expression for a line of a Procfile.
LINE = re.compile(r"^([A-Za-z0-9_-]+):\s*(.+)$", re.MULTILINE)


def block(mark: str) -> str:
    (found,) = (each for each in BLOCKS if mark in each)
    return str(found)


def processes(folder: Path) -> dict[str, str]:
    return dict(LINE.findall((folder / "Procfile").read_text(encoding="utf-8")))


def as_tsuru_starts(command: str) -> list[str]:
    """What Tsuru makes of a line of the Procfile; it is the first command of a unit."""
    return ["/bin/sh", "-lc", f"[ -d /home/application/current ] && cd /home/application/current; exec {command}"]


def variables_of_tsuru(process: str, ports: str) -> dict[str, str]:
    """What a unit has of a process with these ports; of the variables of its app, none."""
    return {
        "TSURU_APPNAME": "digits",
        "TSURU_APPDIR": "/home/application/current",
        "TSURU_PROCESSNAME": process,
        "TSURU_APPVERSION": "1",
        f"PORT_{process}": ports,
    }


def write_program(path: Path, text: str) -> None:
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)


def collected(folder: Path) -> Path:
    """The folder that the document deploys on the platform `python`, made by its commands."""
    commands = block("mkdir -p var/tsuru").replace("var/tsuru", shlex.quote(str(folder)))
    local = [line for line in commands.splitlines() if not line.startswith("tsuru ")]
    subprocess.run(["bash", "-euc", "\n".join(local)], cwd=PROJECT, check=True)
    return folder


def line_of_document(mark: str) -> str:
    """A command of the document, with the lines that it continues on."""
    (found,) = re.findall(rf"^{re.escape(mark)}(?:.*\\\n)*.*$", DOCUMENT, re.MULTILINE)
    return str(found)
