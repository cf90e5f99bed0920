"""The settings of a stack: its folder, models and ports, from the environment, then `stack.json`, then defaults."""

import shlex
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any, get_args

from pydantic import Field, StringConstraints, ValidationError, ValidationInfo, field_validator, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from embedded.errors import StackError
from embedded.local_fleet import LocalFleet, assign_ports
from pipeline import stack_file
from pipeline.deployment import RolloutName
from pipeline.model_files import model_files
from pipeline.stack_file import stack_folder
from pipeline.validation import problems
from serving.model_names import MODEL_PATTERN, is_model

PROJECT = stack_file.PROJECT

Port = Annotated[int, Field(ge=1, le=65535)]
Ports = Annotated[tuple[Port, ...], Field(min_length=1)]
Model = Annotated[str, StringConstraints(pattern=f"^{MODEL_PATTERN}$")]


class StackSettings(BaseSettings):
    """The settings of one stack. Two stacks on one machine need different folders and different ports.

    `replica_ports` and `models_served` are not for people: `make up` derives them from the others, and saves them.
    """

    model_config = SettingsConfigDict(env_prefix="UNDERSTUDY_", frozen=True)

    rollout: RolloutName = "pinned"
    var: Path
    # The folder of model files. Each model has replicas of its own.
    models: Path = PROJECT / "models"
    airflow_port: Port = 8080
    mlflow_port: Port = 5000
    gateway_port: Port = 8090
    # The gRPC port of each replica of the first model: "8500,8510". The REST port is the next one: 8501 and 8511. Every
    # other model has as many replicas, at ports that are derived from these.
    serving_ports: Annotated[Ports, NoDecode] = (8500, 8510)
    # The gRPC ports of each model that ever had replicas, in the order in which they were assigned.
    replica_ports: dict[Model, Ports] = Field(default_factory=dict)
    # The models that have replicas, as the stack was started last; None before the first start.
    models_served: tuple[Model, ...] | None = None
    # Where trainings keep decoded images; None: beside the bucket.
    cache: Path | None = None
    # How long `up` waits until every component is up.
    boot_seconds: float = Field(default=300.0, gt=0)

    @model_validator(mode="before")
    @classmethod
    def _default_folder(cls, given: dict[str, Any]) -> dict[str, Any]:
        # A bucket belongs to one roll-out, and the versions that MLflow has registered belong to one bucket.
        return {"var": stack_folder(str(given.get("rollout"))), **given}

    @field_validator("var", "models")
    @classmethod
    def _absolute(cls, path: Path) -> Path:
        # The processes of the stack are found by `var`, so it must not depend on the working directory.
        return path.resolve()

    @field_validator("cache")
    @classmethod
    def _other_cache(cls, path: Path | None, info: ValidationInfo) -> Path | None:
        # The processes of the stack are always given one. That of the stack itself moves with the folder.
        moves = path and "var" in info.data and path.resolve() == stack_file.cache_folder(info.data["var"])
        return path.resolve() if path and not moves else None

    @field_validator("serving_ports")
    @classmethod
    def _leave_room_for_rest(cls, ports: tuple[int, ...]) -> tuple[int, ...]:
        if 65535 in ports:
            raise ValueError(
                "REST uses the port after the gRPC port, and 65535 is the highest port. Use a lower gRPC port"
            )
        return ports

    @field_validator("serving_ports", mode="before")
    @classmethod
    def _split(cls, ports: object) -> object:
        return [port.strip() for port in ports.split(",")] if isinstance(ports, str) else ports

    @property
    def bucket(self) -> Path:
        return self.var / "bucket"

    @property
    def cache_folder(self) -> Path:
        return self.cache or stack_file.cache_folder(self.var)

    @property
    def run(self) -> Path:
        return self.var / "run"

    @property
    def logs(self) -> Path:
        return self.var / "log"

    @property
    def airflow_url(self) -> str:
        return f"http://127.0.0.1:{self.airflow_port}"

    @property
    def mlflow_url(self) -> str:
        return f"http://127.0.0.1:{self.mlflow_port}"

    @property
    def gateway_url(self) -> str:
        return f"http://127.0.0.1:{self.gateway_port}"

    @property
    def fleets(self) -> tuple[LocalFleet, ...]:
        """The replicas of each model that is served."""
        return tuple(LocalFleet(model, self.replica_ports[model]) for model in self.models_served or ())

    def with_models(self, models: Iterable[str]) -> "StackSettings":
        """The same settings with a fleet for each of these models. A model that had ports before keeps them.

        Raises:
            StackError: there is no port left for a model.
        """
        served = tuple(models)
        ports = assign_ports(
            served,
            first=self.serving_ports,
            kept=self.replica_ports,
            others=(self.airflow_port, self.mlflow_port, self.gateway_port),
        )
        return self.model_copy(update={"replica_ports": ports, "models_served": served})

    @property
    def passwords(self) -> Path:
        """The file into which Airflow writes the passwords that it generates."""
        return self.var / "airflow" / "passwords.json"

    def command(self, target: str, **more: str) -> str:
        """The `make` command for this stack, to be copied; `more` are variables without the prefix `UNDERSTUDY_`."""
        variables = dict(more)
        if self.rollout == "latest":
            variables["ROLLOUT"] = self.rollout
        if self.var != stack_folder(self.rollout):
            variables["VAR"] = str(self.var)
        return (
            "".join(f"UNDERSTUDY_{name}={shlex.quote(value)} " for name, value in variables.items()) + f"make {target}"
        )


def model_names(folder: Path) -> list[str]:
    """The models that have a file in the folder, also those whose file cannot be read."""
    return [path.stem for path in model_files(folder) if is_model(path.stem)]


def load_settings() -> StackSettings:
    """The settings from the environment; for those that it does not set, from the file that `make up` has written.

    The models are those of the last start; before the first start every model file is one.

    Raises:
        StackError: names each variable whose value cannot be used.
    """
    return _with_saved(_from_environment())


def load_all_settings() -> list[StackSettings]:
    """The settings of every stack the user may mean: one for each roll-out, or the one that the environment names.

    Raises:
        StackError: names each variable whose value cannot be used.
    """
    named = _from_environment()
    if "rollout" in named.model_fields_set:
        return [_with_saved(named)]
    others = [StackSettings(rollout=rollout) for rollout in get_args(RolloutName) if rollout != named.rollout]
    meant = [named, *(other for other in others if other.var != named.var)]
    return [_with_saved(each) for each in meant]


def _from_environment() -> StackSettings:
    try:
        return StackSettings()
    except ValidationError as error:
        raise StackError(problems(error, prefix="UNDERSTUDY_")) from error


def _with_saved(named: StackSettings) -> StackSettings:
    saved = stack_file.complete(named, _of_this_version(stack_file.read(named.var)), folder=named.var)
    served = saved.models_served
    return saved.with_models(model_names(saved.models) if served is None else served)


def _of_this_version(saved: dict[str, Any]) -> dict[str, Any]:
    """The content of the file. One of an earlier version has one model, which had all replicas and keeps its ports."""
    if isinstance(saved.get("model"), str) and "serving_ports" in saved:
        return {"replica_ports": {saved["model"]: saved["serving_ports"]}, **saved}
    return saved
