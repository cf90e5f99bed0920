"""What a person does who is on call: make another version serve, hold promotions, finish what has stopped."""

from typing import Annotated

import typer

from pipeline.cli.options import (
    Model,
    OptionalReason,
    OptionalRun,
    asked_at,
    read_form,
)
from pipeline.cli.output import canonical_line, whole_lines, written_result

GROUP = "On call: change what serves"

commands = typer.Typer()


@commands.command("rollback", rich_help_panel=GROUP)
def rollback_command(
    *,
    model: Model,
    to: Annotated[str | None, typer.Option(help="a version number, 4 or v4, or: previous")] = None,
    reason: OptionalReason = None,
    hold: Annotated[
        str | None,
        typer.Option(help="how long promotions are held afterwards: until lifted (default), 90m, 24h, 3d, or none"),
    ] = None,
    run: OptionalRun = None,
    plan_only: Annotated[bool, typer.Option("--plan", help="show what would be done; change nothing")] = False,
    without_bucket: Annotated[
        bool, typer.Option("--without-bucket", help="only ask the replicas to move the label; nothing is recorded")
    ] = False,
) -> None:
    """Make another version serve, and wait until every replica answers from it."""
    from pipeline.errors import BadInputError
    from pipeline.inspection.known_models import require_released
    from pipeline.inspection.rollback_plan import plan
    from pipeline.inspection.rollback_targets import table, targets
    from pipeline.runs.forms import RollbackForm
    from pipeline.runs.run_key import Kind
    from pipeline.verbs.rollback import request_for, rollback

    form = read_form(RollbackForm, "the roll-back", to=to, reason=reason, hold=hold)
    # A run that waited in a queue is about what served when it was asked for; by hand that is now.
    asked = asked_at(run)
    if plan_only and without_bucket:
        raise BadInputError("--plan needs the bucket. Leave --without-bucket out")
    if plan_only:
        # A person reads the plan, so its sentence stays the last line.
        with written_result("rollback", model, run, kind=Kind.ROLLBACK) as (context, _):
            request = request_for(context, to=form.to, reason=form.reason, asked_at=asked, hold=form.hold)
            history = context.journal.read()
            require_released(context, history)
            whole_lines().print(table(model, targets(context, history)))
            typer.echo(plan(context, request)[1])
        return
    with canonical_line("rollback", model, run, kind=Kind.ROLLBACK, without_bucket=without_bucket) as (context, line):
        if without_bucket:
            context.strategy.move_without_bucket(form.to)
        else:
            request = request_for(context, to=form.to, reason=form.reason, asked_at=asked, hold=form.hold)
            line.update(rollback(context, request).summary() | {"reason": form.reason})


@commands.command("pin", rich_help_panel=GROUP)
def pin_command(
    *,
    model: Model,
    to: Annotated[str | None, typer.Option("--to", help="the version that must keep serving, 4 or v4")] = None,
    reason: OptionalReason = None,
    run: OptionalRun = None,
) -> None:
    """Keep one version serving: make it serve if it does not, and promote nothing else until `unfreeze`."""
    from pipeline.runs.forms import PinForm
    from pipeline.runs.run_key import Kind
    from pipeline.verbs.pin import pin
    from pipeline.verbs.rollback import request_for

    form = read_form(PinForm, "the pin", to=to, reason=reason)
    with canonical_line("pin", model, run, kind=Kind.ROLLBACK) as (context, line):
        request = request_for(context, to=str(form.to), reason=form.reason, asked_at=asked_at(run))
        line["state"] = str(pin(context, request).state)


@commands.command("freeze", rich_help_panel=GROUP)
def freeze_command(
    *,
    model: Model,
    until: Annotated[
        str | None, typer.Option("--until", help="2026-12-24, 2026-12-24T08:00 (UTC), 90m, 12h or 3d")
    ] = None,
    reason: OptionalReason = None,
    run: OptionalRun = None,
) -> None:
    """Stop all promotions until a date or for a time. Roll-backs still work."""
    from pipeline.runs.forms import FreezeForm
    from pipeline.runs.run_key import Kind
    from pipeline.verbs.freeze import freeze

    form = read_form(FreezeForm, "the freeze", until=until, reason=reason)
    with canonical_line("freeze", model, run, kind=Kind.FREEZE) as (context, line):
        line["state"] = str(freeze(context, until=form.until, reason=form.reason, asked_at=asked_at(run)).state)


@commands.command("unfreeze", rich_help_panel=GROUP)
def unfreeze_command(*, model: Model, reason: OptionalReason = None, run: OptionalRun = None) -> None:
    """Allow promotions again: end a freeze, a pin, and the hold of a roll-back."""
    from pipeline.runs.forms import ReasonForm
    from pipeline.runs.run_key import Kind
    from pipeline.verbs.unfreeze import unfreeze

    form = read_form(ReasonForm, "`unfreeze`", reason=reason)
    with canonical_line("unfreeze", model, run, kind=Kind.UNFREEZE) as (context, line):
        line["state"] = str(unfreeze(context, reason=form.reason).state)


@commands.command("readmit", rich_help_panel=GROUP)
def readmit_command(
    *,
    model: Model,
    version: Annotated[str | None, typer.Option("--version", help="the version that was withdrawn, 4 or v4")] = None,
    reason: OptionalReason = None,
    run: OptionalRun = None,
) -> None:
    """Allow a withdrawn model to be published again, under a new number."""
    from pipeline.runs.forms import ReadmitForm
    from pipeline.runs.run_key import Kind
    from pipeline.verbs.readmit import readmit

    form = read_form(ReadmitForm, "`readmit`", version=version, reason=reason)
    with canonical_line("readmit", model, run, kind=Kind.READMIT) as (context, line):
        readmit(context, version=form.version, reason=form.reason)
        line["version"] = form.version


@commands.command("reconcile", rich_help_panel=GROUP)
def reconcile_command(model: Model, run: OptionalRun = None) -> None:
    """Finish what a crash left half done: make the replicas and MLflow agree with the journal."""
    from pipeline.runs.run_key import Kind
    from pipeline.verbs.reconcile import reconcile

    with canonical_line("reconcile", model, run, kind=Kind.RECONCILE) as (context, line):
        repairs = reconcile(context)
        line.update(repairs.summary())
        repairs.require_complete()
