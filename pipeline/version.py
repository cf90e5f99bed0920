"""The version of the project."""

import tomllib

from pipeline.stack_file import PROJECT


def project_version() -> str:
    """What pyproject.toml says; `unknown` where that file does not exist."""
    try:
        text = (PROJECT / "pyproject.toml").read_text(encoding="utf-8")
    except FileNotFoundError:
        return "unknown"
    return str(tomllib.loads(text)["project"]["version"])
