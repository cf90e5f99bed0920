"""`python -m embedded up|down|status|demo`: the whole system on one machine."""

import logging
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import typer

from embedded import examples, health, prepare, processes, remembered, stack, supervisor
from embedded.environment import stack_environment
from embedded.errors import StackError
from embedded.procfile import entries
from embedded.settings import PROJECT, StackSettings, load_all_settings, load_settings
from embedded.status import lines

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)


@app.command()
def up() -> None:
    """Start everything and wait until all of it answers."""
    with _plain_errors():
        settings = load_settings()
        began = time.monotonic()
        started = stack.up(settings, typer.echo)
        typer.echo(f"Up after {time.monotonic() - began:.0f} s." if started else "Already up.")
        _addresses(settings)


@app.command()
def down() -> None:
    """End everything that belongs to a stack: those of both roll-outs, unless the environment names one."""
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
    """Which parts are up, where they listen, and which version serves: of every stack that runs, if any does."""
    with _plain_errors():
        meant = load_all_settings()
        for settings in [each for each in meant if processes.members(each.var)] or meant[:1]:
            _status(settings)


@app.command()
def demo() -> None:
    """Retrain, release, break and roll back a model, on the stack; starts it where it is not up."""
    from embedded.demo import run  # noqa: PLC0415 - the other commands need none of what it imports

    with _plain_errors():
        settings = load_settings()
        stack.up(settings, typer.echo)
        told = run(settings)
        typer.echo("The stack keeps running: `make status` shows it, `make down` ends it.")
        _addresses(settings)
        raise typer.Exit(told)


@app.command(hidden=True)
def supervise() -> None:
    """The process that `up` leaves behind."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    settings = load_settings()
    supervisor.supervise(settings, entries(settings))


@app.command(hidden=True)
def wait_for_airflow() -> None:
    """What comes before the scheduler in the Procfile: wait until the API server answers, however long it takes."""
    settings = load_settings()
    typer.echo(f"waiting for {settings.airflow_url}")
    while not health.airflow_answers(settings):
        time.sleep(0.5)


def _status(settings: StackSettings) -> None:
    for line in lines(settings):
        typer.echo(line)
    typer.echo("")
    prepare.folders(settings)
    environment = stack_environment(settings)
    command = [sys.executable, "-m", "pipeline", "status", "--model", settings.model]
    subprocess.run(command, cwd=PROJECT, env=environment, stdin=subprocess.DEVNULL, check=False)


# What a verb by hand must be told where it is not the default.
_BY_HAND = ("ROOT", "ROLLOUT", "REPLICAS", "MLFLOW_URL")


def _addresses(settings: StackSettings) -> None:
    told = stack_environment(settings)
    by_hand = " ".join(f"UNDERSTUDY_{name}={told[f'UNDERSTUDY_{name}']}" for name in _BY_HAND)
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
    if others := remembered.other_models_line(settings):
        typer.echo(others)
    typer.echo(f"\n{examples.text(settings)}")


@contextmanager
def _plain_errors() -> Iterator[None]:
    """What we refuse with is a message for a person, not a traceback."""
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
