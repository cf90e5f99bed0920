"""The files in `models/`: read one by one, so that a bad one is named and takes no other with it."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from pipeline.errors import BadInputError
from pipeline.spec import FROM_A_FILE, Data, Image, ModelSpec
from pipeline.validation import is_tag, problem_of


class WrongFieldsError(BadInputError):
    """Fields of a model file that cannot be used: for each one the line, the name and the value."""

    def __init__(self, path: Path, fields: Sequence[str]) -> None:
        super().__init__(f"{path}: {'; '.join(fields)}")
        self.fields = tuple(fields)


def load_spec(path: Path) -> ModelSpec:
    """Read one model file.

    Raises:
        WrongFieldsError: names every field that is wrong.
        BadInputError: the file is missing, cannot be read, is no YAML, or does not have the name of its model.
    """
    content, nodes = _read(path)
    try:
        spec = ModelSpec.model_validate(content, context=FROM_A_FILE)
    except ValidationError as error:
        raise WrongFieldsError(path, [f"line {_line(nodes, e['loc'])}: {problem_of(e)}" for e in error.errors()]) from (
            error
        )
    if spec.name != path.stem:
        raise BadInputError(f"{path} describes a model named {spec.name!r}; name the file {spec.name}.yaml")
    return spec


def load_data(path: Path) -> tuple[Data, int] | None:
    """Where the images of a model are and its number of channels, whatever else is wrong in the file.

    None where these fields are wrong themselves. Raises BadInputError where the file cannot be read as YAML.
    """
    content, _ = _read(path)
    try:
        data = Data.model_validate(content["data"], context=FROM_A_FILE)
        return data, Image.model_validate(content["image"], context=FROM_A_FILE).channels
    except (ValidationError, LookupError, TypeError):
        return None


def _read(path: Path) -> tuple[Any, yaml.Node | None]:
    """The content of a file, and the nodes of its YAML, which know their lines."""
    try:
        text = path.read_text(encoding="utf-8")
        return yaml.safe_load(text), yaml.compose(text, Loader=yaml.SafeLoader)
    except FileNotFoundError as error:
        known = ", ".join(sorted(other.stem for other in path.parent.glob("*.yaml"))) or "none"
        raise BadInputError(f"the model file {path} does not exist. Models in that folder: {known}") from error
    except (yaml.YAMLError, ValueError) as error:  # ValueError: no text, or a date that does not exist
        raise BadInputError(f"{path} is not YAML: {error}") from error
    except OSError as error:
        raise BadInputError(f"{path} cannot be read: {error}") from error


def model_files(folder: Path) -> list[Path]:
    """Every file of a folder that should describe a model, by name."""
    return sorted(folder.glob("*.yaml"))


def _line(node: yaml.Node | None, location: Sequence[int | str]) -> int:
    """Where a field stands, or what it is missing from; the first line is 1."""
    line = 1
    for part in (each for each in location if not is_tag(each)):
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
