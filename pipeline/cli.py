"""The command line: one verb per step of a release, the same as a local process, a pod, or by hand."""

import json
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Annotated, Any, TypeVar

import typer
from pydantic import BaseModel
from rich.console import Console

from pipeline import result
from pipeline.context import Context, make_context
from pipeline.errors import BadInputError, UnderstudyError
from pipeline.forms import FreezeForm, PinForm, ReadmitForm, ReasonForm, RetainForm, RollbackForm
from pipeline.model_files import load_spec
from pipeline.release.abandoned import RECONCILE_KIND
from pipeline.release.decisions import ROLLBACK_KIND
from pipeline.settings import Settings, load_settings
from pipeline.spec import parse
from pipeline.storage.opening import make_bucket
from pipeline.verbs.check import check
from pipeline.verbs.history import as_json as history_as_json
from pipeline.verbs.history import tables as history_tables
from pipeline.verbs.holding import freeze, pin, unfreeze
from pipeline.verbs.known import nothing_released, require_known, require_released
from pipeline.verbs.once import RUN_VERBS, RunVerb, run_once
from pipeline.verbs.readmit import readmit
from pipeline.verbs.reconcile import reconcile
from pipeline.verbs.retain import RETAIN_KIND, retain
from pipeline.verbs.retained import table as retained_table
from pipeline.verbs.rollback import rollback, wish_for
from pipeline.verbs.rollback_plan import plan
from pipeline.verbs.status import status
from pipeline.verbs.status import table as status_table
from pipeline.verbs.sync import keep_in_sync, server_folder, sync
from pipeline.verbs.targets import table as targets_table
from pipeline.verbs.targets import targets
from pipeline.verbs.without_bucket import move_label

Form = TypeVar("Form", bound=BaseModel)

# As many periods and decisions as a person looks through.
_SHOWN = 20
# The kinds of run that a person asks for by hand, beside those that the release rules know.
FREEZE_KIND = "freeze-"
UNFREEZE_KIND = "unfreeze-"
READMIT_KIND = "readmit-"

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, help=__doc__)

Model = Annotated[str, typer.Option("--model", envvar="UNDERSTUDY_MODEL", help="name of a file in models/")]
Run = Annotated[str, typer.Option("--run", help="key of the run, for example retrain-20260101120000000000")]
OptionalRun = Annotated[str | None, typer.Option("--run", help="key of the run; made up when left out")]
OptionalReason = Annotated[str | None, typer.Option("--reason", help="why; kept in the history")]
AsJson = Annotated[bool, typer.Option("--json", help="for programs")]
Last = Annotated[
    int | None,
    typer.Option("--last", min=1, help=f"the newest N periods and decisions; else {_SHOWN}, with --json all of them"),
]


def _add_run_verb(verb: RunVerb) -> None:
    def command(model: Model, run: Run) -> None:
        context = make_context(load_settings(), model=model, run_key=run)
        with _canonical_line(verb.name, context) as line:
            line.update(run_once(verb, context).summary())

    app.command(verb.name, help=(verb.work.__doc__ or "").split("\n\n", maxsplit=1)[0])(command)


for _verb in RUN_VERBS:
    _add_run_verb(_verb)


@app.command("check")
def check_command(model: Model) -> None:
    """Say everything that is wrong with a model file and its images; reads no bucket and changes nothing."""
    path = load_settings().models / f"{model}.yaml"
    typer.echo(f"{path}: no problems found. {check(path)}")


@app.command("rollback")
def rollback_command(
    *,
    model: Model,
    to: Annotated[str | None, typer.Option(help="a version number, 4 or v4, or: previous")] = None,
    reason: OptionalReason = None,
    hold: Annotated[
        str | None,
        typer.Option(help="how long nothing is promoted after it: until lifted (the default), 90m, 24h, 3d, or none"),
    ] = None,
    run: OptionalRun = None,
    plan_only: Annotated[bool, typer.Option("--plan", help="say what would be done, and do nothing")] = False,
    without_bucket: Annotated[
        bool, typer.Option("--without-bucket", help="only ask the replicas to move the label; nothing is recorded")
    ] = False,
) -> None:
    """Make another version serve, and wait until every replica answers from it."""
    settings = load_settings()
    form = _form(RollbackForm, settings, "the roll-back", to=to, reason=reason, hold=hold)
    # A run that waited in a queue is about what served when it was asked for; by hand that is now.
    asked_at = _asked_at(run) if run else None
    context = make_context(settings, model=model, run_key=run or _new_key(ROLLBACK_KIND))
    if plan_only and without_bucket:
        raise BadInputError("--plan needs the bucket, which knows what is what; leave out --without-bucket")
    if plan_only:
        # A person reads the plan, so its sentence stays the last line.
        with _result("rollback", context):
            wish = wish_for(context, to=form.to, reason=form.reason, asked_at=asked_at, hold=form.hold)
            history = context.journal.read()
            require_released(context, history)
            _whole_lines().print(targets_table(model, targets(context, history)))
            typer.echo(plan(context, wish)[1])
        return
    with _canonical_line("rollback", context) as line:
        if without_bucket:
            move_label(context, form.to)
        else:
            wish = wish_for(context, to=form.to, reason=form.reason, asked_at=asked_at, hold=form.hold)
            line.update(rollback(context, wish).summary() | {"reason": form.reason})


@app.command("pin")
def pin_command(
    *,
    model: Model,
    to: Annotated[str | None, typer.Option("--to", help="the version that serves and stays, 4 or v4")] = None,
    reason: OptionalReason = None,
    run: OptionalRun = None,
) -> None:
    """Make a version serve if it does not, and promote nothing else until `unfreeze`."""
    settings = load_settings()
    form = _form(PinForm, settings, "the pin", to=to, reason=reason)
    context = make_context(settings, model=model, run_key=run or _new_key(ROLLBACK_KIND))
    with _canonical_line("pin", context) as line:
        wish = wish_for(context, to=str(form.to), reason=form.reason, asked_at=_asked_at(run) if run else None)
        line["state"] = str(pin(context, wish).state)


@app.command("freeze")
def freeze_command(
    *,
    model: Model,
    until: Annotated[
        str | None, typer.Option("--until", help="2026-12-24, 2026-12-24T08:00 (UTC), 90m, 12h or 3d")
    ] = None,
    reason: OptionalReason = None,
    run: OptionalRun = None,
) -> None:
    """Promote nothing until a moment, whatever the verdicts say; roll-backs go on."""
    settings = load_settings()
    form = _form(FreezeForm, settings, "the freeze", until=until, reason=reason)
    context = make_context(settings, model=model, run_key=run or _new_key(FREEZE_KIND))
    with _canonical_line("freeze", context) as line:
        asked_at = _asked_at(run) if run else None
        line["state"] = str(freeze(context, until=form.until, reason=form.reason, asked_at=asked_at).state)


@app.command("unfreeze")
def unfreeze_command(*, model: Model, reason: OptionalReason = None, run: OptionalRun = None) -> None:
    """Let promotions go on: ends a freeze, a pin, and the hold of a roll-back."""
    settings = load_settings()
    form = _form(ReasonForm, settings, "`unfreeze`", reason=reason)
    context = make_context(settings, model=model, run_key=run or _new_key(UNFREEZE_KIND))
    with _canonical_line("unfreeze", context) as line:
        line["state"] = str(unfreeze(context, reason=form.reason).state)


@app.command("readmit")
def readmit_command(
    *,
    model: Model,
    version: Annotated[str | None, typer.Option("--version", help="the version that was withdrawn, 4 or v4")] = None,
    reason: OptionalReason = None,
    run: OptionalRun = None,
) -> None:
    """Let the model of a withdrawn version be published again, under a new number."""
    settings = load_settings()
    form = _form(ReadmitForm, settings, "`readmit`", version=version, reason=reason)
    context = make_context(settings, model=model, run_key=run or _new_key(READMIT_KIND))
    with _canonical_line("readmit", context) as line:
        readmit(context, version=form.version, reason=form.reason)
        line["version"] = form.version


@app.command("init")
def init_command(model: Model) -> None:
    """Create the config the model servers read, before anything was released; changes nothing later."""
    settings = load_settings()
    context = make_context(settings, model=model, run_key="init-0")
    require_known(context)
    make_bucket(settings.root)
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
def history_command(model: Model, as_json: AsJson = False, last: Last = None) -> None:
    """Show what served when, who or what moved it, why, and what the verdicts said."""
    context = make_context(load_settings(), model=model, run_key="history-0")
    history = context.journal.read()
    if not history.entries:
        require_known(context)
    if as_json:
        typer.echo(json.dumps(history_as_json(model, history, last=last), indent=1))
    elif not history.entries:
        typer.echo(nothing_released(context))
    else:
        _whole_lines().print(history_tables(model, history, last=last or _SHOWN))


@app.command("reconcile")
def reconcile_command(model: Model, run: OptionalRun = None) -> None:
    """Finish what a crash left half done, and make the replicas and MLflow agree with the journal."""
    context = make_context(load_settings(), model=model, run_key=run or _new_key(RECONCILE_KIND))
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
    form = _form(RetainForm, settings, "the retention", dry_run=dry_run, keep=keep, days=days)
    changed = form.model_dump(include={"keep", "days"}, exclude_none=True)
    context = make_context(settings, model=model, run_key=run or _new_key(RETAIN_KIND))
    require_known(context)
    policy = load_spec(settings.models / f"{model}.yaml").retention.model_copy(update=changed)
    with _canonical_line("retain", context) as line:
        retained = retain(context, policy, dry_run=form.dry_run)
        _whole_lines().print(retained_table(model, retained))
        line.update(retained.summary())


@app.command("sync")
def sync_command(
    *,
    model: Model,
    every: Annotated[
        float | None, typer.Option("--every", min=0.1, help="go on, and look at the bucket again after so many seconds")
    ] = None,
) -> None:
    """Copy what servers should find from the bucket to the folder UNDERSTUDY_SERVER_ROOT of this machine."""
    settings = load_settings()
    root = server_folder(settings)
    bucket = make_context(settings, model=model, run_key="sync-0").bucket
    if every is not None:
        keep_in_sync(bucket, model, root, seconds=every)
    typer.echo(f"{root}: {', '.join(sync(bucket, model, root)) or 'nothing to change'}")


@contextmanager
def _canonical_line(verb: str, context: Context) -> Iterator[dict[str, Any]]:
    """One line on standard output when a verb ends, however it ends: for people at a terminal, JSON elsewhere."""
    line: dict[str, Any] = {}
    try:
        with _result(verb, context) as line:
            yield line
    finally:
        if sys.stdout.isatty():
            typer.echo(" ".join(f"{name}={value}" for name, value in line.items()))
        else:
            typer.echo(json.dumps(line, default=str))


@contextmanager
def _result(verb: str, context: Context) -> Iterator[dict[str, Any]]:
    """What is left for the program that has started the verb, however it ends."""
    line: dict[str, Any] = {"verb": verb, "model": context.model, "run": context.run_key, "outcome": "crashed"}
    start = time.monotonic()
    try:
        yield line
        line["outcome"] = "done"
    except UnderstudyError as error:
        line["outcome"] = error.outcome
        line["reason"] = str(error)
        raise
    finally:
        line["seconds"] = round(time.monotonic() - start, 2)
        known = context.journal.known
        result.leave(line | {"serving": known.state.serving} if known.entries else line)


def _form(kind: type[Form], settings: Settings, source: str, **options: Any) -> Form:
    """What Airflow's form says, and the options that are given; these count.

    Raises:
        BadInputError: names each field that is missing or cannot be used.
    """
    given = {name: value for name, value in options.items() if value is not None}
    return parse(kind, settings.params | given, source=source)


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
