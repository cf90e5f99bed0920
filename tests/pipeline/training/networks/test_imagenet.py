"""Published weights: downloaded once and compared; without a network the message says how to get them."""

from typing import Any, get_args

import pytest

from pipeline.spec.networks import ApplicationName
from tests.pipeline.training.networks.programs import seen_once


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> Any:
    return seen_once(tmp_path_factory, "imagenet", tmp_path_factory.mktemp("weights"))


def test_a_file_is_downloaded_once_and_kept(seen: Any) -> None:
    assert seen["right"]
    assert 1 == seen["requests"]


def test_a_file_that_was_damaged_in_the_cache_is_downloaded_again(seen: Any) -> None:
    assert seen["repaired"]


def test_nothing_else_stays_in_the_cache_and_nothing_is_printed(seen: Any) -> None:
    assert ["some_notop.h5"] == seen["left"]
    assert "" == seen["printed"]


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("absent", "imagenet: absent.h5 was not downloaded: URL fetch failure on http://127.0.0.1:"),
        ("damaged", "imagenet: other.h5 was not downloaded: Incomplete or corrupted file detected."),
        ("silent", "imagenet: silent.h5 was not downloaded: timed out. "),
        ("no network", "imagenet: some.h5 was not downloaded: URL fetch failure on "),
    ],
)
def test_a_file_that_was_not_downloaded_is_named_with_ways_to_get_it(seen: Any, name: str, problem: str) -> None:
    message = seen["messages"][name]

    assert message.startswith(f"training.network.weights: {problem}")
    assert "If this machine has no network, download http://127.0.0.1:" in message
    assert "write in the model file `network: {name: resnet50, weights: <path>/" in message


def test_a_cache_that_cannot_be_written_is_named_with_its_setting(seen: Any) -> None:
    assert seen["messages"]["no folder"].endswith(
        "/a file/weights: Not a directory. Set UNDERSTUDY_CACHE to a folder that can be written"
    )


def test_the_files_are_those_that_keras_knows(seen: Any) -> None:
    assert set(get_args(ApplicationName)) == set(seen["known to keras"])
    assert seen["known to keras"] == seen["published"]
