"""The settings that `make up` saves in `stack.json` for later commands, and what has changed since the last start."""

from typing import Any

import psutil

from embedded.environment import stack_environment
from embedded.errors import StackError
from embedded.settings import StackSettings
from embedded.supervision import supervisor
from pipeline import layout, stack_file

# The settings that cannot change while the stack is up: by variable, with the name for messages.
_FIXED = {
    "MODEL": "model",
    "ROLLOUT": "roll-out",
    "MODELS": "folder of model files",
    "AIRFLOW_PORT": "Airflow port",
    "MLFLOW_PORT": "MLflow port",
    "SERVING_PORTS": "ports of the replicas",
}


def file_content(settings: StackSettings) -> dict[str, Any]:
    """What is saved: the settings of the stack, and the addresses that the verbs need."""
    stack = settings.model_dump(mode="json", exclude={"var", "boot_seconds"})
    return stack | {"replicas": ",".join(settings.replicas), "mlflow_url": settings.mlflow_url}


def save(settings: StackSettings) -> list[str]:
    """Write the file. Returns a message for each setting that has changed, or one if it could not be written."""
    now = file_content(settings)
    try:
        before = stack_file.write(settings.var, now)
    except OSError as error:
        return [f"these settings could not be saved ({error}). Give them again with each command"]
    names = [name.lower() for name in _FIXED]
    return [_changed(name, now[name], before[name]) for name in names if before.get(name, now[name]) != now[name]]


def require_unchanged(settings: StackSettings) -> None:
    """Check that the stack, which is up, was started with these settings.

    Raises:
        StackError: the message names each setting that differs; nothing was changed.
    """
    wanted = {name: stack_environment(settings)[f"UNDERSTUDY_{name}"] for name in _FIXED}
    found = wanted | _of_supervisor(settings)
    differ = [name for name in _FIXED if found[name] != wanted[name]]
    if not differ:
        return
    listed = "; ".join(f"{_FIXED[name]} {found[name]}, not {wanted[name]}" for name in differ)
    variables = {name: wanted[name] for name in differ if name != "ROLLOUT"}
    raise StackError(
        f"the stack in {settings.var} is up with other settings: {listed}. Nothing was changed. To start it with the "
        f"new ones: `{settings.command('down')}`, then `{settings.command('up', **variables)}`"
    )


def other_models(settings: StackSettings) -> list[str]:
    """The models with releases in the bucket of this stack, without the one it serves; sorted."""
    folder = settings.bucket / layout.JOURNALS
    found = {path.parent.name for path in folder.glob("*/*.json")}
    return sorted(name for name in found if layout.is_model(name) and name != settings.model)


def other_models_line(settings: StackSettings) -> str | None:
    """A message that names the other models in the bucket, with the command to serve one; None if there are none."""
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


def _of_supervisor(settings: StackSettings) -> dict[str, str]:
    """The variables that the supervisor was started with. Not from the file: it may be damaged, or edited by hand."""
    found = supervisor.find(settings)
    try:
        environment = found.environ() if found else {}
    except psutil.Error:
        return {}
    return {name: environment[f"UNDERSTUDY_{name}"] for name in _FIXED if f"UNDERSTUDY_{name}" in environment}
