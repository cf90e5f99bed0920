"""The names of labels in MLflow's metrics."""

import posixpath
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.tracking.metric_names import metric_name

# What MLflow 3.17 accepts on Windows, where it accepts less than elsewhere.
ACCEPTED = re.compile(r"[/\w.\- ]*")
# What the name of a folder may be.
FOLDERS = st.text(st.characters(exclude_characters="/\0", exclude_categories=["Cs"]), min_size=1, max_size=255).filter(
    lambda text: text not in (".", "..")
)


@pytest.mark.parametrize("label", ["7", "cat", "red fox", "t-shirt", ".hidden", "v1.5", "猫", "été"])
def test_a_label_that_mlflow_takes_stays_as_it_is(label: str) -> None:
    assert label == metric_name(label)


@pytest.mark.parametrize(
    ("label", "begin"),
    [
        ("Corn_(maize)___rust", "Corn__maize____rust-"),
        ("Pepper,_bell", "Pepper__bell-"),
        ("dog & cat", "dog _ cat-"),
        ("cat's", "cat_s-"),
        ("$x", "_x-"),
        ("e\u0301te\u0301", "été-"),
        ("😀", "_-"),
        (" cat", "cat-"),
        ("x" * 255, "x" * 100 + "-"),
    ],
)
def test_any_other_label_gets_a_readable_name_with_a_digest(label: str, begin: str) -> None:
    assert re.fullmatch(f"{re.escape(begin)}[0-9a-f]{{10}}", metric_name(label))


def test_the_name_of_a_label_never_changes() -> None:
    """Else the metrics of older runs could not be compared any more."""
    assert "Pepper__bell-f8d878936e" == metric_name("Pepper,_bell")


@given(FOLDERS)
def test_mlflow_accepts_the_name_of_every_folder(label: str) -> None:
    key = f"holdout_of_serving_recall/{metric_name(label)}"

    assert ACCEPTED.fullmatch(key)
    assert key == posixpath.normpath(key)
    assert len(key) <= 250


@given(FOLDERS, FOLDERS)
def test_two_labels_never_share_a_name(one: str, other: str) -> None:
    assert (one == other) == (metric_name(one) == metric_name(other))


@pytest.mark.parametrize(("one", "other"), [("a?b", "a*b"), ("été", "e\u0301te\u0301"), ("x" * 101, "x" * 102)])
def test_labels_that_look_alike_keep_names_of_their_own(one: str, other: str) -> None:
    assert metric_name(one) != metric_name(other)


def test_a_label_that_looks_like_the_name_of_another_one_is_changed() -> None:
    name = metric_name("a?b")

    assert name != metric_name(name)
