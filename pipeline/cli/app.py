"""The app: its groups of commands, in the order in which the help shows them, and its exit codes."""

import typer

from pipeline.cli import data, inspect, on_call, release

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="One verb per step of a release, the same as a local process, a pod, or by hand.",
)
app.add_typer(on_call.commands)
app.add_typer(inspect.commands)
app.add_typer(release.commands)
app.add_typer(data.commands)
