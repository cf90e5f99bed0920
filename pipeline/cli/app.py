"""The app: its groups of commands, in the order in which the help shows them, and its exit codes."""

from typing import Annotated

import typer

from pipeline.cli import classify, data, fleet, history, inspect, on_call, profile, release
from pipeline.cli.version import print_version

EXIT_CODES = (
    "Exit codes: 0 done; 1 failed; 2 the command line is wrong; 3 `status` found differences that no running "
    "command explains, or `history --verify` found only checkpoints whose damage cannot make a decision wrong; 75 "
    "could not tell, because something did not answer in time: try again; 99 declined by a rule: nothing is broken; "
    "130 `classify` or `profile` was interrupted."
)

app = typer.Typer(no_args_is_help=True, pretty_exceptions_enable=False, epilog=EXIT_CODES)
app.add_typer(on_call.commands)
app.add_typer(inspect.commands)
app.add_typer(history.commands)
app.add_typer(classify.commands)
app.add_typer(profile.commands)
app.add_typer(release.commands)
app.add_typer(fleet.commands)
app.add_typer(data.commands)


@app.callback()
def understudy(
    version: Annotated[
        bool, typer.Option("--version", callback=print_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    """Release image classifiers, roll them back, and see what serves."""
