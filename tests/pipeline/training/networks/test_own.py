"""Functions of users: what they may return, and what is said about everything else."""

from typing import Any

import pytest

from tests.pipeline.training.networks.documented import documented_blocks
from tests.pipeline.training.networks.made import BAD, GOOD
from tests.pipeline.training.networks.programs import seen_once

START = "training.network.function: "
ONE_OUTPUT = "must return a model with one output of shape (None, 3) in float32, the probabilities of the 3 labels; it "


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> Any:
    return seen_once(tmp_path_factory, "made", tmp_path_factory.mktemp("users"), documented_blocks("python")[0])


@pytest.mark.parametrize("name", [*GOOD, "documented"])
def test_every_way_to_make_a_keras_model_is_taken(seen: Any, name: str) -> None:
    made = seen["good"][name]

    assert ([None, 6, 5, 1], [None, 3]) == (made["input"], made["output"])
    assert 1 == pytest.approx(made["sum"], abs=1e-5)
    assert made["shapes"][0] == made["shapes"][1]


def test_options_are_arguments(seen: Any) -> None:
    assert [[30, 3], [3], [3, 3], [3]] == seen["good"]["good"]["shapes"][0]


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("nowhere", "there is no module nowhere. Put its file into /"),
        ("users.nowhere", "there is no module users.nowhere. Put its file into /"),
        ("wrong_import", "the module wrong_import cannot be imported: ModuleNotFoundError: No module named 'no_such"),
        ("wrong_syntax", "the module wrong_syntax cannot be imported: File "),
        ("absent", "the module users.nets has no function with the name absent"),
        ("number", "the module users.nets has a int and no function with the name number"),
        ("one_argument", "users.nets:one_argument must take (shape, classes): too many positional arguments. Correct "),
        ("no_options", "must take (shape, classes, width=...): got an unexpected keyword argument 'width'. Correct "),
        ("good", "must take (shape, classes, depth=...): got an unexpected keyword argument 'depth'. Correct the fun"),
        ("fails", "users.nets:fails: failed: ValueError: no network for 3 labels\nand a second line (/"),
        ("ends", "users.nets:ends: failed: SystemExit: the end (/"),
        ("broken", "users.nets:broken: returned a model that cannot be used: "),
        ("dictionary", "users.nets:dictionary must return a Keras model; it returned a dict"),
        ("other_size", "with one input of shape (None, 6, 5, 1) in float32; it has (None, 32, 32, 3) in float32"),
        ("one_more", f"{ONE_OUTPUT}has (None, 4) in float32"),
        ("two_outputs", f"{ONE_OUTPUT}has a list"),
        ("image_out", f"{ONE_OUTPUT}has (None, 6, 5, 3) in float32"),
        ("class_number", f"{ONE_OUTPUT}has (None, 3) in int32"),
        ("sequential", "outputs are probabilities; its outputs for one image are between "),
    ],
)
def test_everything_else_is_refused_with_what_is_expected(seen: Any, name: str, problem: str) -> None:
    message = seen["bad"][name]

    assert message.startswith(START)
    assert problem in message
    assert "Traceback" not in message


def test_every_wrong_function_has_its_message(seen: Any) -> None:
    assert [] == [name for name in BAD if not seen["bad"][name]]


def test_an_exception_is_described_with_its_line(seen: Any) -> None:
    assert seen["bad"]["fails"].endswith("/users/nets.py, line 66)")


def test_pixels_come_in_float32(seen: Any) -> None:
    assert seen["wrong_kind"].endswith(
        "with one input of shape (None, 6, 5, 1) in float32; it has (None, 6, 5, 1) in uint8"
    )
