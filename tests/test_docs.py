"""What the documents say is there, and what is there is in the documents."""

import re
from pathlib import Path

import pytest
import yaml
from typer.main import get_command

from pipeline.cli import app
from pipeline.spec import ModelSpec, parse

PROJECT = Path(__file__).parents[1]
README = (PROJECT / "README.md").read_text(encoding="utf-8")
VERBS = sorted(get_command(app).commands)  # type: ignore[attr-defined]


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_is_in_the_readme_and_helps(verb: str) -> None:
    assert f"`{verb}`" in README
    assert get_command(app).commands[verb].help  # type: ignore[attr-defined]


def test_every_make_target_named_in_the_readme_exists() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (PROJECT / "Makefile").read_text(), re.MULTILINE))
    named = set(
        re.findall(r"\bmake ([a-z][a-z-]*)\b", "\n".join(re.findall(r"`[^`]+`|^make .*$", README, re.MULTILINE)))
    )

    assert named
    assert named <= targets


def test_every_link_and_picture_of_the_readme_is_there() -> None:
    targets = [link for link in re.findall(r"\]\(([^)]+)\)", README) if "://" not in link]

    assert targets
    assert [] == [link for link in targets if not (PROJECT / link).exists()]


def test_the_model_file_in_the_readme_is_a_model() -> None:
    (example,) = re.findall(r"```yaml\n(.*?)```", README, re.DOTALL)

    assert "pets" == parse(ModelSpec, yaml.safe_load(example), source="README.md").name
