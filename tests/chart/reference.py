"""The comments of values.yaml, as a table in README.md and as the descriptions in values.schema.json.

`python -m tests.chart.reference` writes both. A comment stands above its value and begins with the value's name. What
has no default has a comment with its whole path, in which `<...>` is any name.
"""

import json
import re
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import yaml

from tests.chart.helm import CHART

VALUES, SCHEMA, README = CHART / "values.yaml", CHART / "values.schema.json", CHART / "README.md"
# In the README, what follows is written by this module.
TITLE = "## Values\n"

_COMMENT = re.compile(r"( *)# ?(.*)")
_VALUE = re.compile(r"( *)([A-Za-z0-9]+):")
_BEGIN = re.compile(r"([A-Za-z0-9.<>]+): (.*)")


@dataclass(frozen=True)
class Entry:
    """One value: its path, and what its comment says."""

    path: str
    text: str


def entries(text: str) -> list[Entry]:
    """The documented values of a values file, in its order.

    Raises:
        ValueError: a comment does not begin with the name of the value below it.
    """
    found: list[Entry] = []
    parents: list[str] = []
    block: list[str] = []
    for line in text.splitlines():
        if comment := _COMMENT.fullmatch(line):
            block.append(comment[2])
        elif value := _VALUE.match(line):
            parents[len(value[1]) // 2 :] = [value[2]]
            found += _documented(block, ".".join(parents))
            block = []
        else:
            block = []
    return found


def _documented(block: list[str], path: str) -> Iterator[Entry]:
    """The entries of the comment above a value: of the value itself, and of paths that have no default."""
    texts: dict[str, str] = {}
    name = ""
    for line in block:
        begin = _BEGIN.fullmatch(line)
        if begin and (begin[1] == path.rpartition(".")[2] or "<" in begin[1]):
            name = begin[1] if "<" in begin[1] else path
            texts[name] = begin[2]
        elif name:
            texts[name] += f" {line.strip()}"
    if path not in texts and block:
        raise ValueError(f"the comment above {path} does not begin with its name: {block[0]!r}")
    return (Entry(name, text) for name, text in texts.items())


def described_schema() -> dict[str, Any]:
    """The schema with the text of each value's comment as its description."""
    schema: dict[str, Any] = json.loads(SCHEMA.read_text())
    for entry in entries(VALUES.read_text()):
        for part in _places(schema, entry.path):
            description = {"description": entry.text}
            rest = {name: value for name, value in part.items() if name != "description"}
            part.clear()
            part.update(description | rest)
    return schema


def _places(schema: dict[str, Any], path: str) -> list[dict[str, Any]]:
    """Where a value is in the schema: a default of a fleet is in three places."""
    paths = [path]
    if path.startswith("defaults."):
        rest = path.removeprefix("defaults.")
        paths += [f"fleets.<model>.{rest}", f"fleets.<model>.groups.<group>.{rest}"]
    if path.startswith("networkPolicy.clients."):
        others = ("pipelines", "metrics", "mlflow", "apiServer", "bucketPeers")
        paths += [path.replace("clients", other) for other in others]
    if path.startswith("stepPods."):
        paths.append(path.replace("stepPods.", "stepPods.verbs.<verb>.", 1))
    found = {id(place): place for each in paths if (place := _place(schema, each.split("."))) is not None}
    return [*found.values()]


def _place(schema: dict[str, Any], names: list[str]) -> dict[str, Any] | None:
    part = schema
    for name in names:
        part = _resolved(schema, part)
        inner = part.get("additionalProperties") if name.startswith("<") else part.get("properties", {}).get(name)
        if not isinstance(inner, dict):
            return None
        part = inner
    return part


def _resolved(schema: dict[str, Any], part: dict[str, Any]) -> dict[str, Any]:
    reference = part.get("$ref")
    if reference is None:
        return part
    resolved: dict[str, Any] = schema["definitions"][reference.rpartition("/")[2]]
    return resolved


def readme() -> str:
    """The page of the chart: what a person wrote there, and a table of all values."""
    defaults = yaml.safe_load(VALUES.read_text())
    rows = [
        f"| `{entry.path}` | {_default(defaults, entry.path)} | {entry.text} |" for entry in entries(VALUES.read_text())
    ]
    table = "\n".join(["| value | default | |", "|---|---|---|", *rows])
    return f"{README.read_text().partition(TITLE)[0]}{TITLE}\n{table}\n"


def _default(values: Mapping[str, Any], path: str) -> str:
    part: Any = values
    for name in path.split("."):
        if not isinstance(part, dict) or name not in part:
            return ""
        part = part[name]
    if isinstance(part, dict) and part:
        return ""
    text = part if isinstance(part, str) and part else json.dumps(part)
    return f"`{text}`" if "\n" not in text else "see values.yaml"


def main() -> None:
    SCHEMA.write_text(json.dumps(described_schema(), indent=2) + "\n")
    README.write_text(readme())
    sys.stdout.write(f"written: {SCHEMA} and {README}\n")


if __name__ == "__main__":
    main()
