"""A page of commands, run in one shell, with stand-ins for the tools that need a cloud or a cluster.

A stand-in writes down how it was called. So what is judged are the words that a person's shell would make of the page.
"""

import re
import subprocess
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
PROGRAMS = (
    "gcloud",
    "kubectl",
    "minikube",
    "helm",
    "make",
    "docker/images",
    "understudy",
    "curl",
    "git",
    "openssl",
    ".venv/bin/airflow",
)
SECONDS = 300
# What a stand-in prints if its words contain these.
ANSWERS = {
    "git describe": "v9-8-g76543ab",
    "openssl rand": "5ec7e7",
    "sql instances describe": "10.77.0.3",
}
# Functions of the shell, because there are a hundred calls: the number of words, the words, and what is piped in.
STAND_IN = """
called() {
    local input=
    case " $* " in *" - "*) input=$(cat) ;; esac
    printf '%s\\0' $# "$@" "$input" >> calls
    case "$*" in
ANSWERS
    esac
}
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
    (folder / "charts").symlink_to(PROJECT / "charts")
    script = "\n".join(["set -eu", _stand_ins(), *ordered, "wait"])
    done = subprocess.run(
        ["bash", "-c", script], cwd=folder, capture_output=True, text=True, check=False, timeout=SECONDS
    )
    assert done.returncode == 0, done.stderr
    return Page(name, folder, list(_calls((folder / "calls").read_text())))


def _stand_ins() -> str:
    answers = [f"        *'{part}'*) echo '{answer}' ;;" for part, answer in ANSWERS.items()]
    functions = [f'{program}() {{ called {program} "$@"; }}' for program in PROGRAMS]
    return "\n".join([STAND_IN.replace("ANSWERS", "\n".join(answers)), *functions])


def _calls(text: str) -> Iterator[Call]:
    words = iter(text.split("\0")[:-1])
    for count in words:
        program, *others = [next(words) for _ in range(int(count))]
        yield Call(program, others, next(words))


def labels(manifest: Manifest) -> list[dict[str, str]]:
    """The labels of an object, and of the pods that it makes."""
    pods: Any = manifest.get("spec", {}).get("template", {}) if manifest["kind"] in ("Deployment", "Job") else {}
    return [each.get("metadata", {}).get("labels", {}) for each in (manifest, pods)]
