"""The journal of a model: shown page by page, or checked as a whole."""

import json
from typing import TYPE_CHECKING, Annotated

import typer

from pipeline.cli.inspect import GROUP
from pipeline.cli.options import Model, model_context
from pipeline.cli.output import whole_lines

if TYPE_CHECKING:
    from pipeline.context import ModelContext

commands = typer.Typer()


@commands.command("history", rich_help_panel=GROUP)
def history_command(
    *,
    model: Model,
    last: Annotated[
        int | None,
        typer.Option("--last", metavar="N", min=1, help="the newest N periods and decisions; 20 if not given"),
    ] = None,
    since: Annotated[
        str | None,
        typer.Option(
            "--since", metavar="MOMENT", help="from then on: 2026-12-24, 2026-12-24T08:00 (UTC), 12h or 3d ago"
        ),
    ] = None,
    before: Annotated[
        int | None,
        typer.Option("--before", metavar="ENTRY", min=1, help="only what came before the entry with this number"),
    ] = None,
    version: Annotated[
        str | None,
        typer.Option("--version", help="only what is about a version, 4 or v4, and its model's other numbers"),
    ] = None,
    everything: Annotated[
        bool, typer.Option("--all", help="everything that the other options select, not only the newest 20")
    ] = False,
    verify: Annotated[
        bool, typer.Option("--verify", help="check every entry and every checkpoint, instead of showing any")
    ] = False,
    as_json: Annotated[
        bool,
        typer.Option(
            "--json",
            help="for programs; `served` has the newest periods that began before --before, so pages repeat periods; "
            "join them by `from`",
        ),
    ] = False,
) -> None:
    """Show which version served when, who changed that, why, and with which verdict. The newest come first.

    With --json, `older` says how many more decisions there are, and `next` is the --before that shows them.

    Exit codes of --verify: 1 if an entry is wrong or a decision can be, 3 if only checkpoints are damaged, harmlessly.
    """
    given = {"--last": last, "--since": since, "--before": before, "--version": version, "--all": everything or None}
    _refuse_contradictions([name for name, value in given.items() if value is not None], verify=verify)
    with model_context(model) as context:
        if verify:
            _verify(context, as_json=as_json)
        else:
            from pipeline.inspection.history_page import SHOWN

            most = None if everything else last or SHOWN
            _show(context, last=most, since=since, before=before, version=version, as_json=as_json)


def _refuse_contradictions(given: list[str], *, verify: bool) -> None:
    from pipeline.errors import BadInputError

    if verify and given:
        raise BadInputError(f"--verify checks all entries. Leave {', '.join(given)} out")
    if {"--all", "--last"} <= set(given):
        raise BadInputError("--all shows everything, and --last a part of it. Leave one of them out")


def _show(
    context: "ModelContext",
    *,
    last: int | None,
    since: str | None,
    before: int | None,
    version: str | None,
    as_json: bool,
) -> None:
    from pipeline.inspection.history import json_lines, tables
    from pipeline.inspection.history_page import Selection, page_of
    from pipeline.inspection.known_models import nothing_released, require_known
    from pipeline.moments import past_moment

    moment = past_moment(since, now=context.clock.now()) if since is not None else None
    selection = Selection(last, moment, before, _number(version) if version is not None else None)
    history = context.journal.read()
    if not history.seq:
        require_known(context)
    if not history.seq and not as_json:
        typer.echo(nothing_released(context))
        return
    page = page_of(context.model, history, selection)
    console = whole_lines()
    for part in json_lines(page) if as_json else tables(page):
        typer.echo(part) if isinstance(part, str) else console.print(part)


def _number(text: str) -> int:
    from pipeline import layout
    from pipeline.errors import BadInputError

    number = layout.version_number(text.strip().removeprefix("v"))
    if number is None:
        raise BadInputError(f"{text!r} is not a version number. Give --version a number, for example 4 or v4")
    return number


def _verify(context: "ModelContext", *, as_json: bool) -> None:
    from pipeline.errors import ExitCode, FailedError
    from pipeline.inspection.known_models import require_known
    from pipeline.inspection.verified_journal import verified

    require_known(context)
    found = verified(context)
    typer.echo(json.dumps(found.as_json(), indent=1) if as_json else found.text())
    if found.wrong:
        count = "1 problem" if len(found.wrong) == 1 else f"{len(found.wrong)} problems"
        raise FailedError(
            f"the journal of {context.model} is damaged: {count}, named above. Run no command that decides anything "
            f"until it is repaired"
        )
    if found.harmless:
        raise typer.Exit(ExitCode.DIFFERENCES)
