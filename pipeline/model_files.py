"""The files in `models/`: read one by one, so that a bad one is named and takes no other with it."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from pipeline.errors import BadInputError
from pipeline.spec import FROM_A_FILE, ModelSpec
from pipeline.validation import problem_of


def load_spec(path: Path) -> ModelSpec:
    """Read one model file.

    Raises:
        BadInputError: the file is missing, is no YAML, or a field is wrong; names the file, and the line, the name and
            the value of every wrong field.
    """
    try:
        text = path.read_text(encoding="utf-8")
        content, nodes = yaml.safe_load(text), yaml.compose(text, Loader=yaml.SafeLoader)
    except FileNotFoundError as error:
        known = ", ".join(sorted(other.stem for other in path.parent.glob("*.yaml"))) or "none"
        raise BadInputError(f"no model file {path}; models there: {known}") from error
    except (yaml.YAMLError, ValueError) as error:  # ValueError: no text, or a date that does not exist
        raise BadInputError(f"{path} is not YAML: {error}") from error
    except OSError as error:
        raise BadInputError(f"{path} cannot be read: {error}") from error
    try:
        spec = ModelSpec.model_validate(content, context=FROM_A_FILE)
    except ValidationError as error:
        found = "; ".join(f"line {_line(nodes, each['loc'])}: {problem_of(each)}" for each in error.errors())
        raise BadInputError(f"{path}: {found}") from error
    if spec.name != path.stem:
        raise BadInputError(f"{path} describes a model named {spec.name!r}; name the file {spec.name}.yaml")
    return spec


def model_files(folder: Path) -> list[Path]:
    """Every file of a folder that should describe a model, by name."""
    return sorted(folder.glob("*.yaml"))


def _line(node: yaml.Node | None, location: Sequence[int | str]) -> int:
    """Where a field stands, or what it is missing from; the first line is 1."""
    line = 1
    for part in location:
        found = _child(node, part)
        if found is None:
            break
        line, node = found
    return line


def _child(node: yaml.Node | None, part: int | str) -> tuple[int, yaml.Node] | None:
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            if _scalar(key) == str(part):
                return key.start_mark.line + 1, value
    if isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
        value = node.value[part]
        return value.start_mark.line + 1, value
    return None


def _scalar(node: Any) -> str | None:
    return str(node.value) if isinstance(node, yaml.ScalarNode) else None
