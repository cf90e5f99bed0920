"""What `make up` and `make status` say about models without replicas."""

from pathlib import Path

from embedded import unserved
from embedded.settings import StackSettings
from pipeline import layout


def of_folder(settings: StackSettings, folder: Path, *names: str) -> StackSettings:
    """The stack of a folder with these model files, started when it had only digits."""
    folder.mkdir()
    for name in names:
        (folder / f"{name}.yaml").touch()
    return settings.model_copy(update={"models": folder})


def test_a_stack_that_serves_every_model_needs_no_line(settings: StackSettings, tmp_path: Path) -> None:
    assert [] == unserved.lines(of_folder(settings, tmp_path / "models", "digits"))


def test_a_file_that_was_added_while_the_stack_is_up_is_named_with_the_commands(
    settings: StackSettings, tmp_path: Path
) -> None:
    (line,) = unserved.lines(of_folder(settings, tmp_path / "models", "digits", "pets"))

    assert line.startswith("pets has no replicas yet, because the model file was added while the stack was up.")
    assert line.endswith(
        f"`UNDERSTUDY_VAR='{settings.var}' make down`, then `UNDERSTUDY_VAR='{settings.var}' make up`."
    )


def test_a_file_whose_name_is_no_models_is_named(settings: StackSettings, tmp_path: Path) -> None:
    (line,) = unserved.lines(of_folder(settings, tmp_path / "models", "digits", "My-Pets"))

    assert f"{tmp_path / 'models' / 'My-Pets.yaml'} has no replicas: 'My-Pets' is not a name of a model" in line


def test_models_with_releases_and_without_a_file_are_named_with_the_file_to_put_back(settings: StackSettings) -> None:
    for model in ("pets", "digits"):
        journal = settings.bucket / layout.journal(model)
        journal.mkdir(parents=True)
        (journal / "00000001.json").touch()
    (settings.bucket / layout.journal("empty")).mkdir()

    (line,) = unserved.lines(settings)

    assert line.startswith("The bucket also has releases of pets, which has no model file and so no replicas. ")
    assert f"put pets.yaml back into {settings.models}, then `UNDERSTUDY_VAR='{settings.var}' make down`" in line
