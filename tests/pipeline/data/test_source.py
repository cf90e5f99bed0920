"""The names of images in shards."""

import pytest

from pipeline.data.source import record_name, record_of, shard_of


@pytest.mark.parametrize("shard", ["train", "a/train-00000-of-00010", "new\nline", "1#000000001"])
@pytest.mark.parametrize("number", [0, 17, 12_345_678_901])
def test_the_name_of_a_record_names_its_shard_and_its_number(shard: str, number: int) -> None:
    name = record_name(shard, number)

    assert (shard, number) == record_of(name)
    assert shard == shard_of(name)


@pytest.mark.parametrize("name", ["train", "cat/#2 red.jpg", "cat/a#000000001.png", "#000000001", "train#1"])
def test_another_name_with_a_number_sign_is_not_that_of_a_record(name: str) -> None:
    assert record_of(name) is None
    assert "" == shard_of(name)
