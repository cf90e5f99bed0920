"""What the commands share: their options, Airflow's form, the context, and the run keys that are made up by hand."""

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

if TYPE_CHECKING:
    from pydantic import BaseModel

    from pipeline.context import Context

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
OptionalRun = Annotated[str | None, typer.Option("--run", help="key of the run; made up when left out")]
OptionalReason = Annotated[str | None, typer.Option("--reason", help="why; kept in the history")]
AsJson = Annotated[bool, typer.Option("--json", help="for programs")]


def run_context(model: str, run_key: str) -> "Context":
    """What a verb of a run works with, by the settings of this process.

    Raises:
        BadInputError: a setting, the name of the model or the run key is malformed.
    """
    from pipeline.context import make_context
    from pipeline.settings import load_settings

    return make_context(load_settings(), model=model, run_key=run_key)


def model_context(model: str, *, verb: str) -> "Context":
    """What a verb works with that is not part of a run.

    Raises:
        BadInputError: a setting or the name of the model is malformed.
    """
    return run_context(model, f"{verb}-0")


def read_form(kind: type[Form], source: str, **options: Any) -> Form:
    """What Airflow's form says, and the options that are given; these count.

    Raises:
        BadInputError: names each field that is missing or cannot be used.
    """
    from pipeline.settings import load_settings
    from pipeline.spec import parse

    given = {name: value for name, value in options.items() if value is not None}
    return parse(kind, load_settings().params | given, source=source)


def new_key(kind: str) -> str:
    """The key of a run that is asked for by hand, now."""
    return f"{kind}{datetime.now(UTC):%Y%m%d%H%M%S%f}"


def asked_at(run_key: str | None) -> datetime | None:
    """When a run was asked for: its key says so, also for one that waited in a queue. None for one that is made up now.

    Raises:
        BadInputError: the key does not contain a time.
    """
    from pipeline.errors import BadInputError

    if run_key is None:
        return None
    try:
        return datetime.strptime(run_key.partition("-")[2], "%Y%m%d%H%M%S%f").replace(tzinfo=UTC)
    except ValueError as error:
        raise BadInputError(
            f"run key {run_key!r} does not contain a time, as rollback-20260101120000000000 does. Leave --run out"
        ) from error
