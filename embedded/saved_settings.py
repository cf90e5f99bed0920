"""What this stack serves and where it listens, from one `make up` to the next, and what has changed between them."""

from typing import Any

import psutil

from embedded import supervisor
from embedded.environment import stack_environment
from embedded.errors import StackError
from embedded.settings import StackSettings
from pipeline import layout, stack_file

# What may not change while the stack is up, by the names of variables and for people.
_FIXED = {
    "MODEL": "model",
    "ROLLOUT": "roll-out",
    "MODELS": "folder of model files",
    "AIRFLOW_PORT": "Airflow port",
    "MLFLOW_PORT": "MLflow port",
    "SERVING_PORTS": "ports of the replicas",
}


def values(settings: StackSettings) -> dict[str, Any]:
    """What the file holds: the settings of the stack, and what the verbs must know of it."""
    stack = settings.model_dump(mode="json", exclude={"var", "boot_seconds"})
    return stack | {"replicas": ",".join(settings.replicas), "mlflow_url": settings.mlflow_url}


def keep(settings: StackSettings) -> list[str]:
    """Write the file; a line for each setting that is another one than before, and one if it could not be written."""
    now = values(settings)
    try:
        before = stack_file.write(settings.var, now)
    except OSError as error:
        return [f"these settings could not be saved ({error}). Give them again with each command"]
    names = [name.lower() for name in _FIXED]
    return [_changed(name, now[name], before[name]) for name in names if before.get(name, now[name]) != now[name]]


def require_same(settings: StackSettings) -> None:
    """Ask whether the stack, which is up, was started with these settings.

    Raises:
        StackError: names each that differs; nothing was changed.
    """
    asked = {name: stack_environment(settings)[f"UNDERSTUDY_{name}"] for name in _FIXED}
    found = asked | _of_running(settings)
    differ = [name for name in _FIXED if found[name] != asked[name]]
    if not differ:
        return
    listed = "; ".join(f"{_FIXED[name]} {found[name]}, not {asked[name]}" for name in differ)
    again = {name: asked[name] for name in differ if name != "ROLLOUT"}
    raise StackError(
        f"the stack in {settings.var} is up with other settings: {listed}. Nothing was changed. To start it with the "
        f"new ones: `{settings.command('down')}`, then `{settings.command('up', **again)}`"
    )


def other_models(settings: StackSettings) -> list[str]:
    """Models with releases in the bucket of this stack, other than the one it serves."""
    folder = settings.bucket / layout.JOURNALS
    found = {path.parent.name for path in folder.glob("*/*.json")}
    return sorted(name for name in found if layout.is_model(name) and name != settings.model)


def other_models_line(settings: StackSettings) -> str | None:
    """For a person: which other models the bucket has, and how to serve one; None where there are none."""
    others = other_models(settings)
    if not others:
        return None
    return (
        f"The bucket also has releases of {', '.join(others)}, not served now. To serve {others[0]} instead of "
        f"{settings.model}: `{settings.command('down')}`, then `{settings.command('up', MODEL=others[0])}`."
    )


def _changed(name: str, now: object, before: object) -> str:
    verb = "served" if name == "model" else "had"
    return f"{_FIXED[name.upper()]} {_text(now)} instead of {_text(before)}, which this stack {verb} until now"


def _text(value: object) -> str:
    return ",".join(map(str, value)) if isinstance(value, list) else str(value)


def _of_running(settings: StackSettings) -> dict[str, str]:
    """The variables that the supervisor was started with; the file may be damaged, or written by hand."""
    found = supervisor.find(settings)
    try:
        environment = found.environ() if found else {}
    except psutil.Error:
        return {}
    return {name: environment[f"UNDERSTUDY_{name}"] for name in _FIXED if f"UNDERSTUDY_{name}" in environment}
