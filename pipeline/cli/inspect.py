"""What only looks and changes nothing."""

import json
from pathlib import Path
from typing import Annotated

import typer

from pipeline import result
from pipeline.cli.options import AsJson, Model, model_context, read_form
from pipeline.cli.output import whole_lines
from pipeline.commands import naming

GROUP = "Inspect: change nothing"

commands = typer.Typer()


@commands.command("status", rich_help_panel=GROUP)
def status_command(model: Model, as_json: AsJson = False) -> None:
    """Show what each replica serves, and where journal, config, files, replicas and MLflow differ.

    Ends with 3 if there is a difference that no running command explains.
    """
    from rich.console import Console

    from pipeline.errors import ExitCode
    from pipeline.inspection.status import table
    from pipeline.verbs.status import status

    with model_context(model) as context:
        found = status(context)
    if as_json:
        typer.echo(json.dumps(found.as_json(), indent=1))
    else:
        Console().print(table(found))
    if found.differences:
        raise typer.Exit(ExitCode.DIFFERENCES)


@commands.command("announce", rich_help_panel=GROUP)
def announce_command(
    *,
    model: Model,
    grace_seconds: Annotated[
        float | None,
        typer.Option("--grace-seconds", help="list only changes that are at least this many seconds old (default 0)"),
    ] = None,
) -> None:
    """List the changes of what serves that were not announced yet, one JSON object per line, the oldest first.

    UNDERSTUDY_PARAMS='{"announced": [...]}' says which were announced: objects that this verb printed before. Without
    it only the newest change is listed.
    """
    from datetime import timedelta

    from pipeline.runs.forms import AnnounceForm
    from pipeline.verbs.announce import announce

    form = read_form(AnnounceForm, "the announcement", grace_seconds=grace_seconds)
    with model_context(model) as context:
        changes = announce(context, announced=form.announced, grace=timedelta(seconds=form.grace_seconds))
    for change in changes:
        typer.echo(json.dumps(change))
    if not changes:
        typer.echo(f"{model}: nothing to announce", err=True)  # standard output has only JSON
    result.write({"verb": "announce", "model": model, "outcome": "done", "changes": changes})


@commands.command("check", rich_help_panel=GROUP)
def check_command(
    model: Model,
    *,
    data: Annotated[bool, typer.Option("--data", help="show the whole report about the images")] = False,
    report: Annotated[
        Path | None,
        typer.Option("--report", metavar="FOLDER", help="write that report as a page and CSV files, too"),
    ] = None,
) -> None:
    """Find everything that is wrong with a model file and its images. Needs no bucket."""
    from pipeline.settings import load_settings
    from pipeline.verbs.check import check, check_data

    settings = load_settings()
    path = settings.models / f"{model}.yaml"
    with naming(model):
        if data or report is not None:
            checked = check_data(path, show=whole_lines().print, folder=report)
        else:
            checked = check(path, cache=settings.cache)
    typer.echo(f"{path}: no problems found. {checked}")


@commands.command("explain", rich_help_panel=GROUP)
def explain_command(
    images: Annotated[list[Path], typer.Argument(metavar="IMAGE...", help="image files, or folders of them")],
    *,
    model: Model,
    version: Annotated[str, typer.Option("--version", help="a version number, 4 or v4, or: serving")] = "serving",
    output: Annotated[
        Path, typer.Option("--output", metavar="FOLDER", help="where the pictures are written: NAME-vVERSION.png")
    ] = Path(),
    label: Annotated[
        str | None, typer.Option("--class", metavar="LABEL", help="the label to explain, instead of the answer")
    ] = None,
) -> None:
    """Show which pixels speak for the answer of a published version: a picture for each image.

    Needs no replicas. An earlier picture of this command is replaced; any other file stays, and is an error.
    """
    from pipeline.errors import BadInputError
    from pipeline.inspection.explained_images import table
    from pipeline.verbs.explain import explain

    with model_context(model) as context:
        found = explain(context, images, version=version, label=label, output=output)
        if found.images:
            whole_lines().print(table(model, found))
        if found.problems:
            raise BadInputError(found.problems)
