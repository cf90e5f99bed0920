"""What differs between one place and another: read once from the environment, passed down, never changed."""

import getpass
import os
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, Json, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from pipeline import stack_file
from pipeline.errors import BadInputError
from pipeline.validation import problems

# How the servers of a fleet learn what to serve; see `pipeline.rollout.placement`.
RolloutName = Literal["pinned", "latest"]


def _user() -> str:
    """Who runs this; a container's user often has a number and no name."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return f"user {os.getuid()}"


class Settings(BaseSettings):
    """The environment of one process. Times are seconds.

    `params` is the form of an Airflow run as one JSON object; free text travels there and never in a command.
    """

    model_config = SettingsConfigDict(env_prefix="UNDERSTUDY_", frozen=True)

    # The folder of a stack on this machine: read for what the environment does not say, see `pipeline.stack_file`.
    var: Path | None = None
    root: str = str(stack_file.stack_folder("pinned") / "bucket")
    # Where the servers find the bucket, if that is not `root`: a folder that `sync` keeps, or a mounted bucket.
    server_root: str | None = None
    models: Path = stack_file.PROJECT / "models"
    replicas: str = "127.0.0.1:8500,127.0.0.1:8510"
    rollout: RolloutName = "pinned"
    expected_replicas: int | None = Field(default=None, ge=1)
    mlflow_url: str = "http://127.0.0.1:5000"

    # The oldest TensorFlow that any model server of the fleet was built with.
    server_tensorflow: str = Field(default="2.21", pattern=r"^[0-9]+\.[0-9]+(\.[0-9]+)?$")

    config_poll_seconds: float = Field(default=1.0, gt=0)
    storage_seconds: float = Field(default=30.0, gt=0)
    rpc_seconds: float = Field(default=5.0, gt=0)
    # How many replicas are looked at, questioned or repaired at once.
    canary_threads: int = Field(default=16, ge=1)
    load_seconds: float = Field(default=120.0, gt=0)
    follow_seconds: float = Field(default=60.0, gt=0)
    # After this long without a word a run that began something is taken to be gone, and `reconcile` ends it.
    abandoned_seconds: float = Field(default=3600.0, gt=0)

    # Files in PEM. The process that publishes needs the first; without the second no signature is required.
    signing_key: Path | None = None
    verifying_key: Path | None = None

    actor: str = Field(default_factory=_user)
    # Where the run is shown by what has started it.
    run_url: str = Field(default="", pattern=r"^(https?://[^\s()<>]+)?$")
    # Whether a schedule, or another DAG, has started this run, and no person.
    scheduled: bool = False
    params: Json[dict[str, Any]] = Field(default_factory=dict, validate_default=False)
    # Images set it. Without it `pipeline.runs.code_version` asks git.
    code_version: str | None = None

    @property
    def polled_seconds(self) -> float:
        """Long enough for a server to have looked: the poll that is under way, and one that has begun since."""
        return 2.5 * self.config_poll_seconds

    @field_validator("root", "server_root")
    @classmethod
    def _address(cls, root: str | None) -> str | None:
        if root is None:
            return None
        if not root.strip() or (":/" in root and "://" not in root):
            raise ValueError("give a folder, gs://bucket/prefix or s3://bucket/prefix")
        # A path goes into the servers' config, and a server does not share our working directory.
        return root if "://" in root else str(Path(root).absolute())

    @model_validator(mode="after")
    def _patient(self) -> "Settings":
        wait = self.load_seconds + self.follow_seconds
        if self.abandoned_seconds <= wait:
            raise ValueError(
                f"UNDERSTUDY_ABANDONED_SECONDS ({self.abandoned_seconds:g}) must be greater than "
                f"UNDERSTUDY_LOAD_SECONDS + UNDERSTUDY_FOLLOW_SECONDS ({wait:g})"
            )
        return self

    @field_validator("models")
    @classmethod
    def _absolute(cls, path: Path) -> Path:
        return path.absolute()


def load_settings() -> Settings:
    """Read the environment. Where it names no bucket, the stack on this machine is meant, as `make up` has left it.

    Where it names no roll-out either, that is the stack which was started last: both may listen on the same ports.

    Raises:
        BadInputError: names each variable whose value cannot be used.
    """
    try:
        named = Settings()
        if "root" in named.model_fields_set:
            return named  # the replicas and the MLflow of a stack here belong to another bucket
        said = "rollout" in named.model_fields_set
        folder = named.var or (stack_file.stack_folder(named.rollout) if said else stack_file.last_started())
        named = Settings(root=str(folder / "bucket"))
    except ValidationError as error:
        raise BadInputError(problems(error, prefix="UNDERSTUDY_")) from error
    return stack_file.complete(named, stack_file.read(folder), folder=folder)
