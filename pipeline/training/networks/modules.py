"""Find the modules of the user, whose functions a model file names."""

import hashlib
import sys
from importlib.machinery import ModuleSpec, PathFinder
from importlib.util import find_spec
from pathlib import Path

from pipeline.spec import OwnNetwork, Training
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
    found, spec = _found(name)
    return found if spec is None else None


def source_digest(training: Training | None) -> str:
    """The SHA-256 of the file with the function that makes the network, in hexadecimal; empty if there is none.

    Only this file counts, not the modules that it imports. Nothing is imported.
    """
    if training is None or not isinstance(training.network, OwnNetwork):
        return ""
    _, spec = _found(training.network.function.partition(":")[0])
    if spec is None or not spec.has_location or spec.origin is None:
        return ""
    try:
        return hashlib.sha256(Path(spec.origin).read_bytes()).hexdigest()
    except OSError:
        # Within an archive, for example. Then it belongs to a package, whose version is recorded.
        return ""


def _found(name: str) -> tuple[str, ModuleSpec | None]:
    """A module, or the first part of its name that cannot be found, with None."""
    first, *rest = name.split(".")
    found = first
    spec = find_spec(first) or PathFinder.find_spec(first, user_folders())
    for part in rest:
        if spec is None:
            break
        found = f"{found}.{part}"
        # By its own name alone: with the whole name, what is found may ask for its package, which is not imported.
        spec = PathFinder.find_spec(part, list(spec.submodule_search_locations or ()))
    return found, spec


def require_module(name: str) -> str | None:
    """Why a module cannot be imported, as a message for the user; None if it can be found."""
    missing = missing_module(name)
    if missing is None:
        return None
    return (
        f"training.network.function: there is no module {missing}. Put its file into {Path.cwd()}, or install its "
        f"package; in a container, it must be in the image"
    )
