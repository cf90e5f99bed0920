"""The commands that `make up` ends with; tests/test_recipes.py runs them against real servers."""

import shlex
from pathlib import Path

from embedded import examples
from embedded.settings import StackSettings
from pipeline import layout


def test_they_use_an_image_of_the_bucket(settings: StackSettings) -> None:
    folder = settings.bucket / layout.images("digits")
    folder.mkdir(parents=True)
    (folder / "abc.png").touch()

    assert f"\nIMAGE={shlex.quote(str(folder / 'abc.png'))}\n" in examples.text(settings)


def test_before_the_first_release_they_have_a_placeholder_for_the_image(settings: StackSettings) -> None:
    text = examples.text(settings)

    assert text.startswith("To ask what serves, after the first release, with curl and in Python:\n")
    assert "\nIMAGE=path/to/an/image.png\n" in text


def test_requests_in_the_latest_roll_out_have_no_label(tmp_path: Path) -> None:
    latest = StackSettings(var=tmp_path, rollout="latest", serving_ports=(9000, 9010)).with_models(["pets"])
    (fleet,) = latest.fleets

    assert 'curl -s -F image=@"$IMAGE" http://127.0.0.1:8090/v1/classify/pets' == examples.curl(latest, fleet)
    assert 'parse_fleet("127.0.0.1:9000,127.0.0.1:9010"), label=None)' in examples.python(latest, fleet)


def test_with_several_models_the_commands_are_for_the_first_and_the_others_have_a_line(settings: StackSettings) -> None:
    text = examples.text(settings.with_models(["digits", "pets"]))

    assert text.startswith("To ask what serves digits, ")
    assert "http://127.0.0.1:8090/v1/classify/digits" in text
    assert text.endswith(
        "\nThe same for pets: http://127.0.0.1:8090/v1/classify/pets, and 127.0.0.1:8520,127.0.0.1:8530 in Python."
    )
