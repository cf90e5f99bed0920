"""What concerns the bucket: delete old versions, copy for servers that cannot read it."""

from typing import Annotated

import typer

from pipeline.cli.options import Model, OptionalRun, model_context, read_form
from pipeline.cli.output import canonical_line, whole_lines

GROUP = "Data: the bucket"

commands = typer.Typer()


@commands.command("retain", rich_help_panel=GROUP)
def retain_command(
    *,
    model: Model,
    dry_run: Annotated[
        bool | None, typer.Option("--dry-run", help="show what would be deleted, and why; change nothing")
    ] = None,
    keep: Annotated[int | None, typer.Option(help="how many good versions to keep besides the serving one")] = None,
    days: Annotated[float | None, typer.Option(help="keep everything that was used in the last N days")] = None,
    run: OptionalRun = None,
) -> None:
    """Delete versions, runs and leftovers that nothing needs any more."""
    from pipeline.inspection.known_models import require_known
    from pipeline.inspection.retained import table
    from pipeline.model_files import load_spec
    from pipeline.runs.forms import RetainForm
    from pipeline.runs.run_key import Kind
    from pipeline.verbs.retain import retain

    form = read_form(RetainForm, "the retention", dry_run=dry_run, keep=keep, days=days)
    changed = form.model_dump(include={"keep", "days"}, exclude_none=True)
    with canonical_line("retain", model, run, kind=Kind.RETAIN) as (context, line):
        require_known(context)
        policy = load_spec(context.settings.models / f"{model}.yaml").retention.model_copy(update=changed)
        retained = retain(context, policy, dry_run=form.dry_run)
        whole_lines().print(table(model, retained))
        line.update(retained.summary())


@commands.command("sync", rich_help_panel=GROUP)
def sync_command(
    *,
    model: Model,
    every: Annotated[
        float | None, typer.Option("--every", min=0.1, help="keep running, and copy again every N seconds")
    ] = None,
) -> None:
    """Copy the bucket to the folder of this machine that the fleet names, for servers that cannot read the bucket."""
    from pipeline.verbs.sync import keep_in_sync, server_folder, sync

    with model_context(model) as context:
        root = server_folder(context.fleet)
        if every is not None:
            keep_in_sync(context.bucket, model, root, seconds=every)
        changed = sync(context.bucket, model, root)
    typer.echo(f"{root}: {', '.join(changed) or 'nothing to change'}")
