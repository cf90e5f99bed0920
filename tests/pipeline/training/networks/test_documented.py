"""What the page about training says: its examples are parts of model files, and its tables name what is there."""

from typing import Any

import pytest
import yaml

from pipeline.spec import FROM_A_FILE, ModelSpec
from pipeline.training.networks.published import PUBLISHED
from tests.pipeline.training.networks.documented import blocks_of_page, section

REST: dict[str, Any] = {
    "name": "pets",
    "description": "Cats and dogs",
    "owner": "you",
    "data": {"images": "/data/pets"},
    "image": {"height": 224, "width": 224},
}
BLOCKS = blocks_of_page("yaml")


@pytest.mark.parametrize("block", BLOCKS)
def test_each_example_is_a_part_of_a_model_file(block: str) -> None:
    part = yaml.safe_load(block)
    found = ModelSpec.model_validate(REST | part, context=FROM_A_FILE)

    assert found.training or found.imported


def test_a_network_an_epoch_and_an_import_have_an_example() -> None:
    """...so that a block in another notation is not left out silently."""
    fields = {name for block in BLOCKS for part in yaml.safe_load(block).values() for name in part}

    assert {"network", "fine_tuning", "warm_start", "schedule", "model", "sha256"} <= fields


@pytest.mark.parametrize("name", PUBLISHED)
def test_each_published_file_is_named_with_its_network(name: str) -> None:
    path = PUBLISHED[name].url.partition("keras-applications/")[2]

    assert f"| `{name}` | `{path}` |" in section()
