"""`python -m embedded up|down|status|demo`: start, stop and inspect the whole system on one machine."""

import logging
import shlex
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import typer

from embedded import examples, first_ring, health, prepare, stack, unserved
from embedded.environment import stack_environment
from embedded.errors import StackError
from embedded.saved_settings import as_it_runs
from embedded.settings import PROJECT, StackSettings, load_all_settings, load_settings
from embedded.status import status_lines
from embedded.supervision import processes, supervisor
from embedded.supervision.procfile import entries

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)


@app.command()
def up() -> None:
    """Start the stack, and wait until every component is up."""
    with _plain_errors():
        settings = as_it_runs(load_settings())
        began = time.monotonic()
        started = stack.up(settings, typer.echo)
        typer.echo(f"Up after {time.monotonic() - began:.0f} s." if started else "Already up.")
        _addresses(settings)


@app.command()
def down() -> None:
    """End all processes of the stack: of both roll-outs, unless the environment names one."""
    with _plain_errors():
        ended = 0
        for settings in load_all_settings():
            found, killed = stack.down(settings, typer.echo)
            ended += found
            if found:
                how = f", {killed} of them by force" if killed else ""
                typer.echo(f"Down: ended {found} processes of {settings.rollout!r} in {settings.var}{how}.")
        if not ended:
            typer.echo("Already down.")


@app.command()
def status() -> None:
    """Show which components are up, where they listen, and which version serves, for each running stack."""
    with _plain_errors():
        stacks = load_all_settings()
        for settings in [each for each in stacks if processes.members(each.var)] or stacks[:1]:
            _status(as_it_runs(settings))


@app.command()
def demo() -> None:
    """Retrain, release, damage and roll back a model on the stack; starts the stack if it is not up."""
    from embedded.demo.scenario import run  # noqa: PLC0415 - the other commands need none of what it imports

    with _plain_errors():
        settings = as_it_runs(load_settings())
        stack.up(settings, typer.echo)
        exit_code = run(settings)
        typer.echo("The stack keeps running: `make status` shows it, `make down` ends it.")
        _addresses(settings)
        raise typer.Exit(exit_code)


@app.command(hidden=True)
def supervise() -> None:
    """Run the supervisor; `up` starts it in the background."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    settings = load_settings()
    supervisor.supervise(settings, entries(settings))


@app.command(hidden=True)
def wait_for_airflow() -> None:
    """Wait until Airflow's API server answers, without a time limit. The Procfile runs it before the scheduler."""
    settings = load_settings()
    typer.echo(f"waiting for {settings.airflow_url}")
    while not health.airflow_answers(settings):
        time.sleep(0.5)


def _status(settings: StackSettings) -> None:
    for line in status_lines(settings):
        typer.echo(line)
    prepare.create_folders(settings)
    environment = stack_environment(settings)
    for fleet in settings.fleets:
        typer.echo("")
        command = [sys.executable, "-m", "pipeline", "status", "--model", fleet.model]
        subprocess.run(command, cwd=PROJECT, env=environment, stdin=subprocess.DEVNULL, check=False)


def _addresses(settings: StackSettings) -> None:
    models = ", ".join(fleet.model for fleet in settings.fleets)
    lines = [
        ("Models" if len(settings.fleets) > 1 else "Model", f"{models}, roll-out {settings.rollout}"),
        ("Airflow", f"{settings.airflow_url}   users admin and oncall, passwords in {settings.passwords}"),
        *_pages(settings),
        ("Gateway", f"{settings.gateway_url}   a page to drop images on; /fleet, /docs"),
        *_replicas(settings),
        *(("" if number else "Ring", line) for number, line in enumerate(first_ring.lines(settings))),
        ("Logs", str(settings.logs)),
        ("Command", str(Path(sys.executable).parent / "understudy")),
        ("By hand", f"UNDERSTUDY_ROOT={shlex.quote(str(settings.bucket))}"),
    ]
    for name, value in lines:
        typer.echo(f"{name:8}  {value}")
    for line in unserved.lines(settings):
        typer.echo(line)
    typer.echo(f"\n{examples.text(settings)}")


def _pages(settings: StackSettings) -> Iterator[tuple[str, str]]:
    """MLflow's page of each model, after its name if there are several pages."""
    models: dict[str, list[str]] = {}
    for fleet in settings.fleets:
        models.setdefault(health.mlflow_page(settings, fleet.model), []).append(fleet.model)
    for number, (page, of_page) in enumerate(models.items()):
        yield "" if number else "MLflow", f"{page}   {', '.join(of_page)}" if len(models) > 1 else page


def _replicas(settings: StackSettings) -> Iterator[tuple[str, str]]:
    """The addresses of each model, after its name if there are several."""
    several = len(settings.fleets) > 1
    for number, fleet in enumerate(settings.fleets):
        name = "" if number else "Replicas"
        yield name, f"{', '.join(fleet.addresses)}   gRPC{f' of {fleet.model}' if several else ''}"
        yield "", f"{', '.join(fleet.rest_urls)}   REST{f' of {fleet.model}' if several else ''}"


@contextmanager
def _plain_errors() -> Iterator[None]:
    """Print an expected error as one message without a traceback, and end with exit code 1."""
    try:
        yield
    except StackError as error:
        typer.echo(f"error: {error}", err=True)
        raise typer.Exit(1) from error
    except OSError as error:
        text = f"error: {error}. Check that the folder of the stack can be written and that its disk is not full"
        typer.echo(text, err=True)
        raise typer.Exit(1) from error


if __name__ == "__main__":
    app()
