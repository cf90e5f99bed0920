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

from embedded import examples, health, prepare, saved_settings, stack
from embedded.environment import stack_environment
from embedded.errors import StackError
from embedded.settings import PROJECT, StackSettings, load_all_settings, load_settings
from embedded.status import status_lines
from embedded.supervision import processes, supervisor
from embedded.supervision.procfile import entries

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)


@app.command()
def up() -> None:
    """Start the stack, and wait until every component is up."""
    with _plain_errors():
        settings = load_settings()
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
            _status(settings)


@app.command()
def demo() -> None:
    """Retrain, release, damage and roll back a model on the stack; starts the stack if it is not up."""
    from embedded.demo.scenario import run  # noqa: PLC0415 - the other commands need none of what it imports

    with _plain_errors():
        settings = load_settings()
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
    typer.echo("")
    prepare.create_folders(settings)
    environment = stack_environment(settings)
    command = [sys.executable, "-m", "pipeline", "status", "--model", settings.model]
    subprocess.run(command, cwd=PROJECT, env=environment, stdin=subprocess.DEVNULL, check=False)


# The variables that a verb typed by hand may need.
_BY_HAND = ("ROOT", "ROLLOUT", "REPLICAS", "MLFLOW_URL")


def _addresses(settings: StackSettings) -> None:
    environment = stack_environment(settings)
    variables = [f"UNDERSTUDY_{name}" for name in _BY_HAND]
    by_hand = " ".join(f"{name}={shlex.quote(environment[name])}" for name in variables)
    typer.echo(
        f"Model     {settings.model}, roll-out {settings.rollout}\n"
        f"Airflow   {settings.airflow_url}   users admin and oncall, passwords in {settings.passwords}\n"
        f"MLflow    {health.mlflow_page(settings)}\n"
        f"Replicas  {', '.join(settings.replicas)}   gRPC\n"
        f"          {', '.join(settings.rest_urls)}   REST\n"
        f"Logs      {settings.logs}\n"
        f"Command   {Path(sys.executable).parent / 'understudy'}\n"
        f"By hand   {by_hand}"
    )
    if others := saved_settings.other_models_line(settings):
        typer.echo(others)
    typer.echo(f"\n{examples.text(settings)}")


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
