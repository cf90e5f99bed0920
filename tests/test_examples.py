"""The model files in `examples/`, which people copy into `models/`."""

import re
from pathlib import Path

import pytest
import yaml

from pipeline.model_files import load_spec, model_files

PROJECT = Path(__file__).parents[1]
EXAMPLES = model_files(PROJECT / "examples")


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_every_example_is_a_model(path: Path) -> None:
    assert path.stem == load_spec(path).name


def test_the_file_in_the_readme_is_the_example() -> None:
    readme = (PROJECT / "README.md").read_text(encoding="utf-8")
    (shown,) = (block for block in re.findall(r"```yaml\n(.*?)```", readme, re.DOTALL) if "name: pets_off" in block)
    example = (PROJECT / "examples" / "pets_offline.yaml").read_text(encoding="utf-8")

    assert yaml.safe_load(shown) == yaml.safe_load(example)


def test_one_example_needs_no_images() -> None:
    assert "digits_small" in [path.stem for path in EXAMPLES if load_spec(path).data.images.startswith("builtin:")]
