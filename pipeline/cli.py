"""The command line: one verb per step of a release, the same as a local process, a pod, or by hand."""

import json
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Annotated, Any

import typer
from rich.console import Console

from pipeline.context import Context, make_context
from pipeline.errors import BadInputError, UnderstudyError
from pipeline.forms import RetainForm, RollbackForm
from pipeline.release.abandoned import RECONCILE_KIND
from pipeline.release.decisions import ROLLBACK_KIND
from pipeline.settings import load_settings
from pipeline.spec import load_spec, parse
from pipeline.storage.opening import make_bucket
from pipeline.verbs.history import as_json as history_as_json
from pipeline.verbs.history import tables as history_tables
from pipeline.verbs.holding import freeze, pin, unfreeze
from pipeline.verbs.once import RUN_VERBS, RunVerb, run_once
from pipeline.verbs.readmit import readmit
from pipeline.verbs.reconcile import reconcile
from pipeline.verbs.retain import RETAIN_KIND, retain
from pipeline.verbs.retained import table as retained_table
from pipeline.verbs.rollback import plan, rollback, wish_for
from pipeline.verbs.status import status
from pipeline.verbs.status import table as status_table
from pipeline.verbs.without_bucket import move_label

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, help=__doc__)

Model = Annotated[str, typer.Option("--model", envvar="UNDERSTUDY_MODEL", help="name of a file in models/")]
Run = Annotated[str, typer.Option("--run", help="key of the run, for example retrain-20260101120000000000")]
OptionalRun = Annotated[str | None, typer.Option("--run", help="key of the run; made up when left out")]
Reason = Annotated[str, typer.Option("--reason", help="why; kept in the history")]
AsJson = Annotated[bool, typer.Option("--json", help="for programs")]


def _add_run_verb(verb: RunVerb) -> None:
    def command(model: Model, run: Run) -> None:
        context = make_context(load_settings(), model=model, run_key=run)
        with _canonical_line(verb.name, context) as line:
            line.update(run_once(verb, context).summary())

    app.command(verb.name, help=(verb.work.__doc__ or "").split("\n\n", maxsplit=1)[0])(command)


for _verb in RUN_VERBS:
    _add_run_verb(_verb)


@app.command("rollback")
def rollback_command(
    *,
    model: Model,
    to: Annotated[str | None, typer.Option(help="a version number, or: previous")] = None,
    reason: Annotated[str | None, typer.Option(help="why; kept in the history")] = None,
    run: OptionalRun = None,
    plan_only: Annotated[bool, typer.Option("--plan", help="say what would be done, and do nothing")] = False,
    without_bucket: Annotated[
        bool, typer.Option("--without-bucket", help="only ask the replicas to move the label; nothing is recorded")
    ] = False,
) -> None:
    """Make another version serve, and wait until every replica answers from it."""
    settings = load_settings()
    asked = {name: value for name, value in (("to", to), ("reason", reason)) if value is not None}
    form = parse(RollbackForm, settings.params | asked, source="the roll-back")
    # A run that waited in a queue is about what served when it was asked for; by hand that is now.
    asked_at = _asked_at(run) if run else None
    context = make_context(settings, model=model, run_key=run or _new_key(ROLLBACK_KIND))
    if plan_only and without_bucket:
        raise BadInputError("--plan needs the bucket, which knows what is what; leave out --without-bucket")
    if plan_only:
        wish = wish_for(context, to=form.to, reason=form.reason, asked_at=asked_at)
        typer.echo(plan(context, wish)[1])
        return
    with _canonical_line("rollback", context) as line:
        if without_bucket:
            move_label(context, form.to)
        else:
            wish = wish_for(context, to=form.to, reason=form.reason, asked_at=asked_at)
            line.update(rollback(context, wish).summary())


@app.command("pin")
def pin_command(
    *,
    model: Model,
    to: Annotated[int, typer.Option("--to", min=1, help="the version that serves and stays")],
    reason: Reason = "",
    run: OptionalRun = None,
) -> None:
    """Make a version serve if it does not, and promote nothing else until `unfreeze` or another roll-back."""
    context = make_context(load_settings(), model=model, run_key=run or _new_key(ROLLBACK_KIND))
    with _canonical_line("pin", context) as line:
        wish = wish_for(context, to=str(to), reason=reason, asked_at=_asked_at(run) if run else None)
        line["state"] = str(pin(context, wish).state)


@app.command("freeze")
def freeze_command(
    *,
    model: Model,
    until: Annotated[str, typer.Option("--until", help="2026-12-24, 2026-12-24T08:00 (UTC), 90m, 12h or 3d")],
    reason: Reason = "",
) -> None:
    """Promote nothing until a moment, whatever the verdicts say; roll-backs go on."""
    context = make_context(load_settings(), model=model, run_key=_new_key("freeze-"))
    with _canonical_line("freeze", context) as line:
        line["state"] = str(freeze(context, until=until, reason=reason).state)


@app.command("unfreeze")
def unfreeze_command(*, model: Model, reason: Reason = "") -> None:
    """Let promotions go on: ends a freeze, and a pin."""
    context = make_context(load_settings(), model=model, run_key=_new_key("unfreeze-"))
    with _canonical_line("unfreeze", context) as line:
        line["state"] = str(unfreeze(context, reason=reason).state)


@app.command("readmit")
def readmit_command(
    *,
    model: Model,
    version: Annotated[int, typer.Option("--version", min=1, help="the version that was withdrawn")],
    reason: Reason = "",
) -> None:
    """Let the model of a withdrawn version be published again, under a new number."""
    context = make_context(load_settings(), model=model, run_key=_new_key("readmit-"))
    with _canonical_line("readmit", context) as line:
        readmit(context, version=version, reason=reason)
        line["version"] = version


@app.command("init")
def init_command(model: Model) -> None:
    """Create the config the model servers read, before anything was released; changes nothing later."""
    settings = load_settings()
    make_bucket(settings.root)
    context = make_context(settings, model=model, run_key="init-0")
    history = context.rollout.settle(first=True)
    typer.echo(f"{model}: {history.state}")


@app.command("status")
def status_command(model: Model, as_json: AsJson = False) -> None:
    """Show who serves what, and every difference between journal, config, files, replicas and MLflow."""
    found = status(make_context(load_settings(), model=model, run_key="status-0"))
    if as_json:
        typer.echo(json.dumps(found.as_json(), indent=1))
    else:
        Console().print(status_table(found))


@app.command("history")
def history_command(model: Model, as_json: AsJson = False) -> None:
    """Show what served when, who or what moved it, why, and what the verdicts said."""
    history = make_context(load_settings(), model=model, run_key="history-0").journal.read()
    if as_json:
        typer.echo(json.dumps(history_as_json(model, history), indent=1))
    else:
        _whole_lines().print(history_tables(model, history))


@app.command("reconcile")
def reconcile_command(model: Model) -> None:
    """Finish what a crash left half done, and make the replicas and MLflow agree with the journal."""
    context = make_context(load_settings(), model=model, run_key=_new_key(RECONCILE_KIND))
    with _canonical_line("reconcile", context) as line:
        mending = reconcile(context)
        line.update(mending.summary())
        mending.require_complete()


@app.command("retain")
def retain_command(
    *,
    model: Model,
    dry_run: Annotated[bool | None, typer.Option("--dry-run", help="say what would go, and why; do nothing")] = None,
    keep: Annotated[int | None, typer.Option(help="good versions to keep before the one that serves")] = None,
    days: Annotated[float | None, typer.Option(help="what was last heard of more recently stays")] = None,
    run: OptionalRun = None,
) -> None:
    """Let go the versions, runs and leftovers that nothing needs any more."""
    settings = load_settings()
    options = {"dry_run": dry_run, "keep": keep, "days": days}
    asked = {name: value for name, value in options.items() if value is not None}
    form = parse(RetainForm, settings.params | asked, source="the retention")
    changed = form.model_dump(include={"keep", "days"}, exclude_none=True)
    policy = load_spec(settings.models / f"{model}.yaml").retention.model_copy(update=changed)
    context = make_context(settings, model=model, run_key=run or _new_key(RETAIN_KIND))
    with _canonical_line("retain", context) as line:
        retained = retain(context, policy, dry_run=form.dry_run)
        _whole_lines().print(retained_table(model, retained))
        line.update(retained.summary())


@contextmanager
def _canonical_line(verb: str, context: Context) -> Iterator[dict[str, Any]]:
    """One line on standard output when a verb ends, however it ends: for people at a terminal, JSON elsewhere."""
    line: dict[str, Any] = {"verb": verb, "model": context.model, "run": context.run_key, "outcome": "crashed"}
    start = time.monotonic()
    try:
        yield line
        line["outcome"] = "done"
    except UnderstudyError as error:
        line["outcome"] = error.exit_code.name.lower().replace("_", " ")
        line["reason"] = str(error)
        raise
    finally:
        line["seconds"] = round(time.monotonic() - start, 2)
        if sys.stdout.isatty():
            typer.echo(" ".join(f"{name}={value}" for name, value in line.items()))
        else:
            typer.echo(json.dumps(line, default=str))


def _whole_lines() -> Console:
    """Whoever reads a table through a pipe, or in a log, wants its lines whole."""
    return Console(width=None if sys.stdout.isatty() else 400)


def _new_key(kind: str) -> str:
    """Of what a person asks for by hand, now."""
    return f"{kind}{datetime.now(UTC):%Y%m%d%H%M%S%f}"


def _asked_at(run_key: str) -> datetime:
    """When a roll-back was asked for: its run key says so, also for one that waited in a queue.

    Raises:
        BadInputError: the key does not say when.
    """
    try:
        return datetime.strptime(run_key.partition("-")[2], "%Y%m%d%H%M%S%f").replace(tzinfo=UTC)
    except ValueError as error:
        raise BadInputError(
            f"run key {run_key!r} names no time, as in rollback-20260101120000000000; leave --run out"
        ) from error
