"""docker-compose.yaml as Compose itself reads it, with the `.env` that docker/make-env writes."""

import json
import os
import re
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

PROJECT = Path(__file__).parents[2]
FILE = PROJECT / "docker-compose.yaml"
TEXT = FILE.read_text(encoding="utf-8")
# Profiles of which one is not started at a time, so that every address in the file has a service.
ALL_ADDRESSES = "cpu,s3"
MAKE_ENV = PROJECT / "docker" / "make-env"
HOW_TO_GET_IT = "needs docker-compose 2.25 or later: install Docker Compose, or Debian's package docker-compose of sid"


def compose_program() -> Sequence[str]:
    """Compose, as a program of its own or as a plug-in of Docker; skips the test where there is none."""
    for command in (("docker-compose",), ("docker", "compose")):
        if shutil.which(command[0]):
            asked = subprocess.run([*command, "version", "--short"], capture_output=True, text=True, check=False)
            numbers = [int(number) for number in re.findall(r"\d+", asked.stdout)[:2]]
            if numbers >= [2, 25]:
                return command
    pytest.skip(HOW_TO_GET_IT)


@dataclass(frozen=True)
class Checkout:
    """A folder in which make-env writes `.env`, beside a copy of itself."""

    folder: Path

    @property
    def env(self) -> Path:
        return self.folder / ".env"

    @property
    def keys(self) -> Path:
        """The hashes of the gateway's keys."""
        return self.folder / ".env.gateway-keys"

    def make_env(self, *options: str, **variables: str) -> "subprocess.CompletedProcess[str]":
        script = self.folder / "docker" / "make-env"
        script.parent.mkdir(exist_ok=True)
        shutil.copy(MAKE_ENV, script)
        return subprocess.run(
            ["sh", str(script), *options],
            cwd=self.folder,
            env=os.environ | variables,
            capture_output=True,
            text=True,
            check=False,
        )

    def values(self) -> dict[str, str]:
        """The variables of `.env`, without quotes."""
        lines = self.env.read_text(encoding="utf-8").splitlines()
        pairs = [line.split("=", 1) for line in lines if "=" in line and not line.startswith("#")]
        return {name: value.strip("'") for name, value in pairs}

    def compose(self, *words: str, **variables: str) -> "subprocess.CompletedProcess[str]":
        """Run Compose on the file of the project with this `.env`, and without the variables of the caller."""
        kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
        where = ["--file", str(FILE), "--env-file", str(self.env)]
        return subprocess.run(
            [*compose_program(), *where, *words], env=kept | variables, capture_output=True, text=True, check=False
        )

    def gateway_command(self) -> list[str]:
        """The words of the gateway's command, for one model."""
        return words_of(self.resolved()["services"]["gateway"], "command")

    def resolved(self, *options: str, **variables: str) -> Mapping[str, Any]:
        """The file with all variables replaced; `options` may name more files."""
        done = self.compose(*options, "config", "--format", "json", **variables)
        assert done.returncode == 0, done.stderr
        content: Mapping[str, Any] = json.loads(done.stdout)
        return content


def started(resolved: Mapping[str, Any]) -> Mapping[str, Any]:
    """The services that `up` starts: all but those of which it starts none."""
    return {name: each for name, each in resolved["services"].items() if each.get("scale") != 0}


def words_of(service: Mapping[str, Any], name: str) -> list[str]:
    """A command or an entry point as words; none if the service does not set it."""
    return list(service.get(name) or [])
