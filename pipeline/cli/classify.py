"""Ask what serves about images."""

import signal

import typer

GROUP = "Ask: what serves, and how fast"

# What a shell makes of a program that Ctrl-C has ended.
INTERRUPTED = 128 + signal.SIGINT

commands = typer.Typer()
