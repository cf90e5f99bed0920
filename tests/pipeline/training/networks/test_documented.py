"""What the documents say about networks."""

import pytest
import yaml

from pipeline.spec import FROM_A_FILE, Training
from pipeline.training.networks.published import PUBLISHED
from tests.pipeline.training.networks.documented import documented_blocks, section


@pytest.mark.parametrize("block", documented_blocks("yaml"))
def test_each_example_is_a_training(block: str) -> None:
    training = Training.model_validate(yaml.safe_load(block)["training"], context=FROM_A_FILE)

    assert training.epochs


@pytest.mark.parametrize("name", PUBLISHED)
def test_each_published_file_is_named_with_its_network(name: str) -> None:
    path = PUBLISHED[name].url.partition("keras-applications/")[2]

    assert f"| `{name}` | `{path}` |" in section()
