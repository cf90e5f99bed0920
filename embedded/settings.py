"""The settings of a stack: its folder, ports and model, from the environment, then `stack.json`, then defaults."""

import shlex
from pathlib import Path
from typing import Annotated, Any, get_args

from pydantic import Field, StringConstraints, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from embedded.errors import StackError
from pipeline import stack_file
from pipeline.deployment import RolloutName
from pipeline.stack_file import stack_folder
from pipeline.validation import problems

PROJECT = stack_file.PROJECT

Port = Annotated[int, Field(ge=1, le=65535)]


class StackSettings(BaseSettings):
    """The settings of one stack. Two stacks on one machine need different folders and different ports."""

    model_config = SettingsConfigDict(env_prefix="UNDERSTUDY_", frozen=True)

    rollout: RolloutName = "pinned"
    var: Path
    model: Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,39}$")] = "digits"
    # The folder of model files.
    models: Path = PROJECT / "models"
    airflow_port: Port = 8080
    mlflow_port: Port = 5000
    # The gRPC port of each replica: "8500,8510". The REST port is the next one: 8501 and 8511.
    serving_ports: Annotated[tuple[Port, ...], NoDecode, Field(min_length=1)] = (8500, 8510)
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
    def replicas(self) -> tuple[str, ...]:
        return tuple(f"127.0.0.1:{port}" for port in self.serving_ports)

    @property
    def rest_ports(self) -> tuple[int, ...]:
        """The port after the gRPC port of each replica, as in the official image of TensorFlow Serving."""
        return tuple(port + 1 for port in self.serving_ports)

    @property
    def rest_urls(self) -> tuple[str, ...]:
        return tuple(f"http://127.0.0.1:{port}" for port in self.rest_ports)

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


def load_settings() -> StackSettings:
    """The settings from the environment; for those that it does not set, from the file that `make up` has written.

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
    return stack_file.complete(named, stack_file.read(named.var), folder=named.var)
