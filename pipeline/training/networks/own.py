"""A network that a function of the user makes."""

import importlib
import inspect
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Any

from pipeline.errors import BadInputError
from pipeline.spec import Image, OwnNetwork
from pipeline.training.networks.modules import require_module, user_folders
from pipeline.training.networks.own_model import checked


def build(network: OwnNetwork, image: Image, *, classes: int) -> Any:
    """The Keras model of the function, as in `building.Built`.

    Raises:
        BadInputError: there is no such function, it failed, or it gives another model than what is asked for.
    """
    function = _function(network.function)
    arguments = ((image.height, image.width, image.channels), classes)
    _check_signature(network, function, arguments)
    with _failures_of(network.function, "failed"):
        model = function(*arguments, **network.options)
    with _failures_of(network.function, "returned a model that cannot be used"):
        return checked(model, image, classes=classes, source=f"training.network.function: {network.function}")


def _function(name: str) -> Callable[..., Any]:
    module, _, attribute = name.partition(":")
    if problem := require_module(module):
        raise BadInputError(problem)
    # It may import its neighbours later, too.
    sys.path += user_folders()
    importlib.invalidate_caches()
    with _failures_of(name, f"the module {module} cannot be imported"):
        found = getattr(importlib.import_module(module), attribute, None)
    if not callable(found):
        what = "has no function" if found is None else f"has a {type(found).__name__} and no function"
        raise BadInputError(f"training.network.function: the module {module} {what} with the name {attribute}")
    return found  # type: ignore[no-any-return]


def _check_signature(network: OwnNetwork, function: Callable[..., Any], arguments: tuple[Any, ...]) -> None:
    try:
        inspect.signature(function).bind(*arguments, **network.options)
    except TypeError as error:
        options = "".join(f", {name}=..." for name in network.options)
        raise BadInputError(
            f"training.network.function: {network.function} must take (shape, classes{options}): {error}. Correct the "
            f"function, or training.network.options"
        ) from error
    except ValueError:
        # Functions in C do not describe themselves.
        return


@contextmanager
def _failures_of(name: str, what: str) -> Iterator[None]:
    """Describe an exception of the user's code by its last lines, and where it was raised."""
    try:
        yield
    except BadInputError:
        raise
    except (Exception, SystemExit) as error:
        last = "".join(traceback.format_exception_only(error)).strip()
        raise BadInputError(
            f"training.network.function: {name}: {what}: {last}{_place(name, error.__traceback__)}"
        ) from error


def _place(name: str, trace: TracebackType | None) -> str:
    """The last line of the user's module that ran, if any did."""
    module = sys.modules.get(name.partition(":")[0])
    file = getattr(module, "__file__", None)
    lines = [frame.lineno for frame in traceback.extract_tb(trace) if frame.filename == file]
    return f" ({file}, line {lines[-1]})" if lines else ""
