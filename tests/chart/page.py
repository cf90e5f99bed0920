"""A page of commands, run in one shell, with stand-ins for the tools that need a cloud or a cluster.

A stand-in writes down how it was called. So what is judged are the words that a person's shell would make of the page.
"""

import ast
import os
import re
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import yaml

from tests.chart.helm import Manifest, helm, objects_in

PROJECT = Path(__file__).parents[2]
# By program, command, and the options that it has.
OPTIONS: dict[str, dict[str, list[str]]] = yaml.safe_load((Path(__file__).parent / "cloud_options.yaml").read_text())
PROGRAMS = ("gcloud", "kubectl", "minikube", "helm", "make", "understudy", "curl", "git")
# What a stand-in prints if its words contain these.
ANSWERS = {
    "git describe": "v9-8-g76543ab",
    "sql instances describe": "10.77.0.3",
    "--selector component=scheduler": "pod/airflow-scheduler-0",
}
# It imports nothing else, because it is started a hundred times. One write, because some run at the same time.
STAND_IN = f"""#!{sys.executable} -IS
import sys
program, words = sys.argv[0].rpartition("/")[2], sys.argv[1:]
text = sys.stdin.read() if "-" in words else ""
with open("CALLS", "a") as calls:
    calls.write(repr([program, words, text]) + "\\n")
call = " ".join([program, *words])
print(*(answer for part, answer in {ANSWERS!r}.items() if part in call))
"""


@dataclass(frozen=True)
class Call:
    """How a tool was called."""

    program: str
    words: Sequence[str]
    text: str

    @cached_property
    def command(self) -> str:
        """The command, such as `container clusters create`: the longest one that begins these words."""
        plain = [word for word in self._before_dashes if word not in ("--namespace", self.namespace)]
        found = [name for name in OPTIONS[self.program] if plain[: len(name.split())] == name.split()]
        assert found, f"{self.program} {' '.join(plain)} is not in cloud_options.yaml"
        return max(found, key=len)

    @property
    def namespace(self) -> str:
        place = self.words.index("--namespace") if "--namespace" in self.words else -1
        return self.words[place + 1] if place >= 0 else ""

    @property
    def arguments(self) -> list[str]:
        """The words that are neither the command nor options."""
        return [word for name, word in self._parts if not name][len(self.command.split()) :]

    @property
    def options(self) -> list[tuple[str, str]]:
        """The options with their values, as often as they are given."""
        return [(name, value) for name, value in self._parts if name]

    def option(self, name: str) -> str:
        return next((value for each, value in self.options if each == name), "")

    @property
    def inner(self) -> list[str]:
        """What is run in a pod: the words after `--`."""
        return list(self.words[self.words.index("--") + 1 :]) if "--" in self.words else []

    @property
    def _before_dashes(self) -> list[str]:
        return list(self.words[: self.words.index("--")] if "--" in self.words else self.words)

    @property
    def _parts(self) -> Iterator[tuple[str, str]]:
        known = {*OPTIONS[self.program]["*"], *OPTIONS[self.program][self.command]}
        words = iter(self._before_dashes)
        for word in words:
            name, equals, value = word.removeprefix("--").partition("=")
            if not word.startswith("-") or word == "-":
                yield "", word
            elif f"{name}=" in known:
                yield name, value if equals else next(words)
            else:
                assert name in known, f"{self.program} {self.command}: {word} is not in cloud_options.yaml"
                yield name, ""


@dataclass
class Page:
    """A page that was run in a folder with the charts of this project."""

    name: str
    folder: Path
    calls: list[Call] = field(default_factory=list)

    @property
    def text(self) -> str:
        return (PROJECT / "docs" / self.name).read_text(encoding="utf-8")

    def of(self, program: str) -> list[Call]:
        return [call for call in self.calls if call.program == program]

    @cached_property
    def renders(self) -> list[tuple[Manifest, ...]]:
        """What each `helm upgrade` of the chart gives Kubernetes."""
        return [self._rendered(call) for call in self.of("helm") if "charts/understudy" in call.words]

    @property
    def applied(self) -> list[Manifest]:
        """The manifests that are written on the page."""
        return [each for call in self.of("kubectl") if call.command == "apply" for each in objects_in(call.text)]

    @cached_property
    def objects(self) -> list[Manifest]:
        """What is in the namespace `understudy`: all that was rendered, and what the page itself applies there."""
        return [each for render in self.renders for each in render] + self.applied

    def _rendered(self, call: Call) -> tuple[Manifest, ...]:
        local = [str(self.folder / word) if (self.folder / word).exists() else word for word in call.words[1:]]
        done = helm("template", "--kube-version", "1.33.0", *(word for word in local if word != "--install"))
        assert done.returncode == 0, f"{call.words}\n{done.stderr}"
        return objects_in(done.stdout)


def run(name: str, folder: Path) -> Page:
    """Run all blocks of the page, then the blocks and the commands in its text that stand for themselves."""
    text = (PROJECT / "docs" / name).read_text(encoding="utf-8")
    blocks = re.findall(r"^```(\w*)\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)
    prose = re.sub(r"^```.*?^```$", "", text, flags=re.DOTALL | re.MULTILINE)
    first_words = (*PROGRAMS, "in_scheduler", "in_shell")
    inline = [each for each in re.findall(r"`([^`\n]+ [^`\n]+)`", prose) if each.split()[0] in first_words]
    ordered = [body for kind, body in blocks if kind == "sh"] + [body for kind, body in blocks if not kind] + inline
    environment = _prepare(folder)
    script = "set -eu\n" + "\n".join(ordered) + "\nwait\n"
    done = subprocess.run(
        ["bash", "-c", script], cwd=folder, env=environment, capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stderr
    lines = (folder / "calls").read_text().splitlines()
    return Page(name, folder, [Call(*ast.literal_eval(line)) for line in lines])


def _prepare(folder: Path) -> dict[str, str]:
    (folder / "bin").mkdir()
    (folder / "docker").mkdir()
    (folder / "charts").symlink_to(PROJECT / "charts")
    for path in [*(folder / "bin" / program for program in PROGRAMS), folder / "docker" / "images"]:
        path.write_text(STAND_IN.replace("CALLS", str(folder / "calls")))
        path.chmod(0o755)
    return {"PATH": f"{folder / 'bin'}:{os.environ['PATH']}", "HOME": str(folder)}


def labels(manifest: Manifest) -> list[dict[str, str]]:
    """The labels of an object, and of the pods that it makes."""
    pods: Any = manifest.get("spec", {}).get("template", {}) if manifest["kind"] in ("Deployment", "Job") else {}
    return [each.get("metadata", {}).get("labels", {}) for each in (manifest, pods)]
