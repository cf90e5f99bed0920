"""The version: that of the project, and that of the code."""

import typer


def print_version(value: bool) -> None:
    """Print `understudy 0.1.0 (code 16acf7a)` and exit, where it is asked for."""
    if not value:
        return
    from pipeline.runs.code_version import code_version
    from pipeline.settings import load_settings

    typer.echo(f"understudy {project_version()} (code {code_version(load_settings().code_version)})")
    raise typer.Exit


def project_version() -> str:
    """What pyproject.toml says; `unknown` where that file does not exist."""
    import tomllib

    from pipeline.stack_file import PROJECT

    try:
        text = (PROJECT / "pyproject.toml").read_text(encoding="utf-8")
    except FileNotFoundError:
        return "unknown"
    return str(tomllib.loads(text)["project"]["version"])
