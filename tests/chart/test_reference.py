"""Every value is documented, once, and the pages that are made from that are up to date."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from pipeline.deployment import Deployment
from tests.chart import reference
from tests.chart.helm import CHART, VALUES

WRITE = "run `python -m tests.chart.reference`"


def test_the_schema_has_the_comments_of_the_values() -> None:
    assert reference.described_schema() == json.loads(reference.SCHEMA.read_text()), WRITE


def test_the_readme_has_the_comments_of_the_values() -> None:
    assert reference.readme() == reference.README.read_text(), WRITE


def test_every_value_that_has_a_default_has_a_comment() -> None:
    values = yaml.safe_load((CHART / "values.yaml").read_text())
    documented = {entry.path for entry in reference.entries((CHART / "values.yaml").read_text())}

    # The keys of these are names that a user chooses, or Kubernetes.
    chosen = ("monitoring.dashboardLabels.", "stepPods.resources.", "stepPods.verbs.")
    assert [] == [path for path in set(_paths(values)) - documented if not path.startswith(chosen)]


def _paths(values: dict[str, Any], above: str = "") -> Iterator[str]:
    for name, value in values.items():
        yield f"{above}{name}"
        if isinstance(value, dict):
            yield from _paths(value, f"{above}{name}.")


def test_every_property_of_the_schema_has_a_description() -> None:
    """`global` is Helm's own, for charts that have this one as a part."""
    schema = json.loads(reference.SCHEMA.read_text())

    assert [] == [path for path, part in _properties(schema) if "description" not in part and path != "global"]


def test_no_object_of_the_schema_takes_keys_that_it_does_not_know() -> None:
    """A value that is spelled wrong would be ignored."""
    schema = json.loads(reference.SCHEMA.read_text())

    objects = [(path, part) for path, part in _properties(schema) if part.get("type") == "object" and path != "global"]
    assert objects
    assert [] == [path for path, part in objects if "additionalProperties" not in part]


def _properties(part: dict[str, Any], above: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    for name, inner in part.get("properties", {}).items():
        yield f"{above}{name}", inner
        yield from _properties(inner, f"{above}{name}.")
    for name, inner in part.get("definitions", {}).items():
        yield from _properties(inner, f"{above}{name}.")


def test_the_schema_is_draft_07_which_helm_reads() -> None:
    schema = json.loads(reference.SCHEMA.read_text())

    assert "http://json-schema.org/draft-07/schema#" == schema["$schema"]


@pytest.mark.parametrize("name", VALUES)
def test_the_values_files_say_what_they_are_for(name: str) -> None:
    assert (CHART / "ci" / name).read_text().startswith("# ")


def test_a_fleet_has_the_defaults_of_the_command() -> None:
    """Otherwise a fleet of the chart would not be what docs/fleets.md describes."""
    defaults = yaml.safe_load((CHART / "values.yaml").read_text())["defaults"]
    known = Deployment()

    assert known.rollout == defaults["rollout"]
    assert known.config_poll_seconds == defaults["pollSeconds"]
    for name in ("load", "follow", "soak", "silent", "abandoned"):
        assert getattr(known, f"{name}_seconds") == defaults[f"{name}Seconds"], name


def test_the_servers_have_the_tensorflow_that_a_fleet_has_by_default() -> None:
    """With an older one, every model of the pipeline is refused."""
    image = yaml.safe_load((CHART / "values.yaml").read_text())["image"]

    assert image["tag"].startswith(f"{Deployment().server_tensorflow}.")
    assert f"{image['tag']}-gpu" == image["gpuTag"]


def test_a_comment_that_does_not_begin_with_its_name_is_refused() -> None:
    with pytest.raises(ValueError, match="does not begin with its name"):
        reference.entries("# Some words.\nname: 1\n")


def test_an_entry_is_found_with_its_path_and_all_lines() -> None:
    text = (
        "# top: of all.\n# top.<any>.inner: of one,\n#   and more.\ntop: {}\n"
        "# other: another.\nother:\n  # in: inside.\n  in: 1\n"
    )

    found = [(entry.path, entry.text) for entry in reference.entries(text)]

    expected = [
        ("top", "of all."),
        ("top.<any>.inner", "of one, and more."),
        ("other", "another."),
        ("other.in", "inside."),
    ]
    assert expected == found
