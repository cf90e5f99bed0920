"""What is found out before any image is fetched."""

from pathlib import Path
from typing import Any, NoReturn, cast

import pytest

from pipeline.errors import BadInputError
from pipeline.spec import ModelSpec, parse
from pipeline.training.candidate import Candidate, Images, train_model

SPEC = {
    "name": "pets",
    "description": "Cats and dogs",
    "owner": "you",
    "data": {"images": "/data/pets"},
    "image": {"height": 8, "width": 8},
    "training": {"epochs": 1, "class_weights": {"bird": 2}},
}


def unread(positions: Any) -> NoReturn:
    raise AssertionError(f"images {positions} were fetched")


def test_a_weight_for_a_label_that_no_image_shows_is_refused_before_an_image_is_fetched(tmp_path: Path) -> None:
    images = Images(cast(Any, None), unread)
    candidate = Candidate(parse(ModelSpec, SPEC, source="test"), ("cat", "dog"), images, images, seconds=1)

    with pytest.raises(BadInputError, match=r"class_weights names 'bird', .*; correct the model file$"):
        train_model(
            candidate,
            tmp_path / "export",
            seed=1,
            checkpoints=cast(Any, None),
            cache=tmp_path / "cache",
            most_bytes=1,
            begin=None,
            on_epoch=cast(Any, None),
        )
