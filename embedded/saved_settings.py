"""The settings that `make up` saves in `stack.json` for later commands, and what has changed since the last start."""

import json
from typing import Any

import psutil

from embedded.environment import supervisor_environment
from embedded.errors import StackError
from embedded.settings import StackSettings, model_names
from embedded.supervision import supervisor
from pipeline import stack_file

# The settings that cannot change while the stack is up: by variable, with the name for messages.
_FIXED = {
    "ROLLOUT": "roll-out",
    "MODELS": "folder of model files",
    "AIRFLOW_PORT": "Airflow port",
    "MLFLOW_PORT": "MLflow port",
    "GATEWAY_PORT": "gateway port",
    "SERVING_PORTS": "ports of the replicas",
}


def as_it_runs(settings: StackSettings) -> StackSettings:
    """The settings with the models for which the stack was started; if it is not up, with every model file.

    Raises:
        StackError: there is no port left for a model.
    """
    if not supervisor.running(settings):
        return settings.with_models(model_names(settings.models))
    # Not from the file: it may be damaged, or edited by hand.
    found = _of_supervisor(settings, "MODELS_SERVED", "REPLICA_PORTS")
    if len(found) < 2:  # it was started by an earlier version, which had one model
        return settings
    ports = {model: tuple(each) for model, each in json.loads(found["REPLICA_PORTS"]).items()}
    return settings.model_copy(
        update={"models_served": tuple(json.loads(found["MODELS_SERVED"])), "replica_ports": ports}
    )


def file_content(settings: StackSettings) -> dict[str, Any]:
    """What is saved."""
    said = {} if settings.cache is None else {"cache": str(settings.cache)}
    return settings.model_dump(mode="json", exclude={"var", "boot_seconds", "cache"}) | said


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
    environment = supervisor_environment(settings)
    wanted = {name: environment[f"UNDERSTUDY_{name}"] for name in _FIXED}
    found = wanted | _of_supervisor(settings, *_FIXED)
    differ = [name for name in _FIXED if found[name] != wanted[name]]
    if not differ:
        return
    listed = "; ".join(f"{_FIXED[name]} {found[name]}, not {wanted[name]}" for name in differ)
    variables = {name: wanted[name] for name in differ if name != "ROLLOUT"}
    raise StackError(
        f"the stack in {settings.var} is up with other settings: {listed}. Nothing was changed. To start it with the "
        f"new ones: `{settings.command('down')}`, then `{settings.command('up', **variables)}`"
    )


def _changed(name: str, now: object, before: object) -> str:
    return f"{_FIXED[name.upper()]} {_text(now)} instead of {_text(before)}, which this stack had until now"


def _text(value: object) -> str:
    return ",".join(map(str, value)) if isinstance(value, list) else str(value)


def _of_supervisor(settings: StackSettings, *names: str) -> dict[str, str]:
    """Those of the variables that the supervisor was started with, without the prefix."""
    found = supervisor.find(settings)
    try:
        environment = found.environ() if found else {}
    except psutil.Error:
        return {}
    return {name: environment[f"UNDERSTUDY_{name}"] for name in names if f"UNDERSTUDY_{name}" in environment}
