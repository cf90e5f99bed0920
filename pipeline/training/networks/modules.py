"""Find the modules of the user, whose functions a model file names."""

import sys
from importlib.machinery import PathFinder
from importlib.util import find_spec
from pathlib import Path

from pipeline.stack_file import PROJECT


def user_folders() -> list[str]:
    """The folders that are searched after `sys.path`: the working directory, and that of the project.

    After it, so that no file of the user replaces a module of a library.
    """
    return [folder for folder in dict.fromkeys([str(Path.cwd()), str(PROJECT)]) if folder not in sys.path]


def missing_module(name: str) -> str | None:
    """The first part of the name of a module that cannot be found, such as `a.b` of `a.b.c`; None if there is none.

    Nothing is imported: a module of the user may import TensorFlow.
    """
    first, *rest = name.split(".")
    found = first
    spec = find_spec(first) or PathFinder.find_spec(first, user_folders())
    for part in rest:
        if spec is None:
            break
        found = f"{found}.{part}"
        # By its own name alone: with the whole name, what is found may ask for its package, which is not imported.
        spec = PathFinder.find_spec(part, list(spec.submodule_search_locations or ()))
    return found if spec is None else None


def require_module(name: str) -> str | None:
    """Why a module cannot be imported, as a message for the user; None if it can be found."""
    missing = missing_module(name)
    if missing is None:
        return None
    return (
        f"training.network.function: there is no module {missing}. Put its file into {Path.cwd()}, or install its "
        f"package; in a container, it must be in the image"
    )
