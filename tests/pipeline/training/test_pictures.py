"""The sheet of mistakes and the learning curves; a warning of matplotlib is an error here."""

import io
from datetime import UTC, datetime

import numpy as np
import pytest
from PIL import Image

from pipeline.runs.records import Epoch
from pipeline.training.pictures.heat import grey_or_rgb, heat_over, smooth
from pipeline.training.pictures.learning_curves import curves_figure, draw_learning_curves
from pipeline.training.pictures.mistakes import ShownMistake, draw_mistakes, mistakes_figure
from tests.pipeline.training.test_confusion import LABELS, STRANGE


def size(content: bytes) -> tuple[int, int]:
    with Image.open(io.BytesIO(content)) as picture:
        assert "PNG" == picture.format
        return picture.size


def mistake(
    label: str = "cat", *, side: int = 8, channels: int = 1, explained: bool = False, gap: float = 0.0
) -> ShownMistake:
    pixels = np.linspace(0, 1, side * side * channels).reshape(side, side, channels)
    return ShownMistake(
        pixels,
        truth=(0, "dog"),
        given=(1, label),
        probability=0.9,
        attributions=pixels if explained else None,
        gap=gap,
        is_complete=gap <= 0.02,
    )


def epochs(count: int, *, validation: bool = True) -> list[Epoch]:
    names = ["train/loss", "train/accuracy", *(["validation/loss", "validation/accuracy"] if validation else [])]
    return [Epoch(at=datetime.now(UTC), metrics=dict.fromkeys(names, 1 / each)) for each in range(1, count + 1)]


@pytest.mark.parametrize("label", [*LABELS, *STRANGE])
def test_any_label_is_drawn(label: str) -> None:
    assert (700, 265) >= size(draw_mistakes([mistake(label)], wrong=1, images=9))


@pytest.mark.parametrize(("side", "channels"), [(8, 1), (224, 3)])
def test_a_sheet_has_at_most_24_mistakes_of_any_size(side: int, channels: int) -> None:
    """Eight with two pictures each, and sixteen with one: four rows of eight."""
    mistakes = [mistake(side=side, channels=channels, explained=number < 8) for number in range(40)]
    width, height = size(draw_mistakes(mistakes, wrong=40, images=90))

    assert (1400, 900) == (width, height)


def test_without_a_mistake_the_sheet_says_so() -> None:
    assert size(draw_mistakes([], wrong=0, images=90))[1] < 100


def test_a_heat_map_whose_gap_is_too_large_is_marked() -> None:
    """...as the pictures of `understudy explain` are: nothing follows from its colours."""
    found = mistakes_figure([mistake(explained=True, gap=gap) for gap in (0.004, 0.031)], wrong=2, images=9)
    texts = [axes.get_title(loc="left").splitlines()[-1] for axes in found.axes]

    assert ["probability 0.900", "gap 0.4%", "probability 0.900", "NOT EXACT: gap 3.1%"] == texts


def test_what_speaks_for_an_answer_is_red_and_what_speaks_against_it_blue() -> None:
    attributions = np.array([[[1.0], [-1.0], [0.0]]])
    (red, blue, neither) = heat_over(np.full((1, 3, 1), 0.5), attributions)[0]

    assert red[0] > 2 * red[2]
    assert blue[2] > 2 * blue[0]
    assert neither[0] == neither[1] == neither[2]


def test_attributions_of_zero_or_of_no_number_colour_nothing() -> None:
    pixels = np.full((2, 2, 3), 0.5)

    for attributions in (np.zeros((2, 2, 3)), np.full((2, 2, 3), np.nan)):
        found = heat_over(pixels, attributions)
        assert np.allclose(found, found[0, 0, 0])


def test_neighbours_are_averaged_and_their_sum_stays() -> None:
    values = np.zeros((9, 9))
    values[4, 4] = 9

    assert 1 == pytest.approx(smooth(values, width=3)[3, 3])
    assert 9 == pytest.approx(smooth(values, width=3).sum())
    assert np.array_equal(values, smooth(values, width=1))


def test_grey_pictures_are_shown_in_three_equal_channels() -> None:
    assert [[0.5, 0.5, 0.5]] == grey_or_rgb(np.full((1, 1, 1), 0.5))[0].tolist()


@pytest.mark.parametrize(
    ("count", "best", "phases", "validation"), [(1, 0, [], True), (20, 7, [11], True), (500, 500, [3, 9], False)]
)
def test_curves_of_any_training_are_drawn(count: int, best: int, phases: list[int], validation: bool) -> None:
    assert (1000, 400) == size(draw_learning_curves(epochs(count, validation=validation), best=best, phases=phases))


def test_a_loss_that_is_no_number_leaves_a_gap() -> None:
    broken = [*epochs(2), Epoch(at=datetime.now(UTC), metrics={"train/loss": float("nan")})]

    assert (1000, 400) == size(draw_learning_curves(broken, best=2))


def test_the_best_epoch_is_marked() -> None:
    assert draw_learning_curves(epochs(5), best=2) != draw_learning_curves(epochs(5), best=3)
    assert draw_learning_curves(epochs(5), best=0) == draw_learning_curves(epochs(5), best=5)


@pytest.mark.parametrize(
    ("count", "best", "value"), [(5, 1, "1.000"), (5, 2, "0.500"), (5, 0, "0.200"), (1, 1, "1.000")]
)
def test_the_numbers_are_in_the_legend_where_nothing_covers_them(count: int, best: int, value: str) -> None:
    """Beside their points, those of training and validation covered each other."""
    for axes in curves_figure(epochs(count), best=best).axes:
        texts = [text.get_text() for text in axes.get_legend().get_texts()]
        assert [f"training: {value}", f"validation: {value}", f"exported: epoch {best or count}"] == texts
        assert [] == list(axes.texts)


def test_the_legend_says_where_a_phase_begins_and_which_value_is_no_number() -> None:
    broken = Epoch(at=datetime.now(UTC), metrics={"train/loss": float("nan"), "train/accuracy": 0.5})
    loss, _ = curves_figure([*epochs(2, validation=False), broken], best=3, phases=[2]).axes

    assert ["training: no number", "exported: epoch 3", "phase 2: from epoch 2"] == [
        text.get_text() for text in loss.get_legend().get_texts()
    ]
