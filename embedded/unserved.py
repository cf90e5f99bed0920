"""The models without replicas, each with the reason and what to do: for the output of `make up` and `make status`."""

from embedded.settings import StackSettings, model_names
from pipeline import layout
from pipeline.model_files import model_files
from serving.model_names import is_model


def lines(settings: StackSettings) -> list[str]:
    """A message for each reason why a model has no replicas; none if every model has some."""
    return [*_misnamed_files(settings), *_new_files(settings), *_without_file(settings)]


def _misnamed_files(settings: StackSettings) -> list[str]:
    return [
        f"{path} has no replicas: {path.stem!r} is not a name of a model. Use small letters, digits and _"
        for path in model_files(settings.models)
        if not is_model(path.stem)
    ]


def _new_files(settings: StackSettings) -> list[str]:
    """Files that were added while the stack was up: the supervisor starts no other processes than at first."""
    new = [name for name in model_names(settings.models) if name not in (settings.models_served or ())]
    if not new:
        return []
    return [
        f"{_listed(new)} {_have(new)} no replicas yet, because the model file was added while the stack was up. To "
        f"start them: `{settings.command('down')}`, then `{settings.command('up')}`."
    ]


def _without_file(settings: StackSettings) -> list[str]:
    found = {path.parent.name for path in (settings.bucket / layout.JOURNALS).glob("*/*.json")}
    known = {*model_names(settings.models), *(settings.models_served or ())}
    others = sorted(name for name in found if is_model(name) and name not in known)
    if not others:
        return []
    return [
        f"The bucket also has releases of {_listed(others)}, which {_have(others)} no model file and so no replicas. "
        f"To serve {others[0]} again: put {others[0]}.yaml back into {settings.models}, then "
        f"`{settings.command('down')}`, then `{settings.command('up')}`."
    ]


def _listed(names: list[str]) -> str:
    return ", ".join(names)


def _have(names: list[str]) -> str:
    return "has" if len(names) == 1 else "have"
