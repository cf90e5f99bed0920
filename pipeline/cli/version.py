"""The version: that of the project, and that of the code."""

import typer


def print_version(value: bool) -> None:
    """Print `understudy 0.1.0 (code 16acf7a)` and exit, where it is asked for."""
    if not value:
        return
    from pipeline.runs.code_version import code_version
    from pipeline.settings import load_settings
    from pipeline.version import project_version

    typer.echo(f"understudy {project_version()} (code {code_version(load_settings().code_version)})")
    raise typer.Exit
