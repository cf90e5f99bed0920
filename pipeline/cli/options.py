"""What the commands share: their options, Airflow's form, the context, and the run keys that are made up by hand."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from pipeline.commands import naming

if TYPE_CHECKING:
    from pydantic import BaseModel

    from pipeline.context import ModelContext, RunContext
    from pipeline.runs.run_key import Kind

# The group of the commands that send images to what serves.
ASK = "Ask: what serves, and how fast"

Form = TypeVar("Form", bound="BaseModel")


def _model_names() -> list[str]:
    """The names of the model files, for the shell that completes one; none where the settings are wrong."""
    from pipeline.errors import BadInputError
    from pipeline.settings import load_settings

    try:
        return [path.stem for path in sorted(load_settings().models.glob("*.yaml"))]
    except BadInputError:
        return []


Model = Annotated[
    str,
    typer.Option("--model", envvar="UNDERSTUDY_MODEL", help="name of a file in models/", autocompletion=_model_names),
]
Run = Annotated[str, typer.Option("--run", help="key of the run, for example retrain-20260101120000000000")]
OptionalRun = Annotated[str | None, typer.Option("--run", help="run key; generated if not given")]
OptionalReason = Annotated[str | None, typer.Option("--reason", help="why; kept in the history")]
AsJson = Annotated[bool, typer.Option("--json", help="for programs")]


def run_key_of(run: str | None, *, kind: "Kind | None" = None) -> str:
    """The run key that was given; a new one of `kind` if none was."""
    from pipeline.runs.run_key import RunKey

    if run is not None:
        return run
    assert kind is not None, "a verb that needs no key says what kind of run it is"
    return RunKey.new(kind)


def run_context(model: str, run_key: str, *, without_bucket: bool = False) -> "RunContext":
    """What a verb of a run works with, by the settings of this process.

    Raises:
        BadInputError: a setting, the name of the model or the run key is malformed.
        StorageError: the fleet record cannot be read; the message says what a person can do.
    """
    from pipeline.context import make_run_context
    from pipeline.errors import StorageError
    from pipeline.inspection.unreachable_bucket import explained_before
    from pipeline.settings import load_settings

    settings = load_settings()
    try:
        return make_run_context(settings, model=model, run_key=run_key, without_bucket=without_bucket)
    except StorageError as error:
        raise explained_before(error, settings, model=model, run_key=run_key) from error


@contextmanager
def model_context(model: str) -> "Iterator[ModelContext]":
    """What a verb works with that is not part of a run; an error of it has the name of the model in its commands.

    Raises:
        BadInputError: a setting or the name of the model is malformed.
    """
    from pipeline.context import make_model_context
    from pipeline.settings import load_settings

    with naming(model):
        yield make_model_context(load_settings(), model=model)


def read_form(kind: type[Form], source: str, **options: Any) -> Form:
    """What Airflow's form says, and the options that are given; these count.

    Raises:
        BadInputError: names each field that is missing or cannot be used.
    """
    from pipeline.settings import load_settings
    from pipeline.spec import parse

    given = {name: value for name, value in options.items() if value is not None}
    return parse(kind, load_settings().params | given, source=source)


def asked_at(run_key: str | None) -> datetime | None:
    """When a run was asked for: its key says so, also for one that waited in a queue. None for one that is made up now.

    Raises:
        BadInputError: the key does not contain a time.
    """
    from pipeline.errors import BadInputError
    from pipeline.runs.run_key import RunKey

    if run_key is None:
        return None
    moment = RunKey(run_key).moment
    if moment is None:
        raise BadInputError(
            f"run key {run_key!r} does not contain a time, as rollback-20260101120000000000 does. Leave --run out"
        )
    return moment
