"""What differs between one place and another: read once from the environment, passed down, never changed."""

import getpass
import os
import tempfile
from pathlib import Path
from typing import Any, ClassVar

from pydantic import Field, Json, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from pipeline import stack_file
from pipeline.deployment import Deployment, bucket_address
from pipeline.errors import BadInputError
from pipeline.validation import problems


def _user() -> str:
    """Who runs this; a container's user often has a number and no name."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return f"user {os.getuid()}"


def _caches() -> Path:
    """Of the XDG Base Directory Specification; a user of a container may have no home."""
    try:
        return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    except RuntimeError:
        return Path(tempfile.gettempdir())


class Settings(BaseSettings, Deployment):
    """The environment of one process. Times are seconds.

    The fields of `Deployment`, `replicas` and `tls_*` say how a model is served where its bucket has no fleet record.
    Where it has one, only `replicas` counts, and overrides the replicas of the record. `params` is the form of an
    Airflow run as one JSON object; free text travels there and never in a command.
    """

    model_config = SettingsConfigDict(env_prefix="UNDERSTUDY_", frozen=True)

    field_name: ClassVar[str] = "UNDERSTUDY_{}"

    # The folder of a stack on this machine: read for what the environment does not say, see `pipeline.stack_file`.
    var: Path | None = None
    root: str = str(stack_file.stack_folder("pinned") / "bucket")
    models: Path = stack_file.PROJECT / "models"

    # A source of replicas, see `serving.fleet.sources`, and how many there should be at least.
    replicas: str = "127.0.0.1:8500,127.0.0.1:8510"
    expected_replicas: int | None = Field(default=None, ge=1)
    # Encrypted connections to the servers: a PEM file of the authority that signed their certificates, or `system`.
    tls_ca: str | None = None
    # The name in their certificates, if it is not the host of their address.
    tls_server_name: str | None = None
    # PEM files of this client, for servers that ask for a certificate. These are in no fleet record.
    tls_certificate: Path | None = None
    tls_key: Path | None = None

    # Where decoded images and published weights are kept between trainings on this machine; it may be deleted at any
    # time. The stack here has one of its own, see `load_settings`.
    cache: Path = Field(default_factory=lambda: _caches() / "understudy")
    # The most that the images take. The weights of a network, 4 to 95 MB each, do not count.
    cache_gb: float = Field(default=50, gt=0)

    storage_seconds: float = Field(default=30.0, gt=0)
    rpc_seconds: float = Field(default=5.0, gt=0)
    # How many replicas are looked at, questioned or repaired at once.
    canary_threads: int = Field(default=16, ge=1)

    # Files in PEM. The process that publishes needs the first; without the second no signature is required.
    signing_key: Path | None = None
    verifying_key: Path | None = None

    # The API key for the gateway that `classify --gateway` asks. A file is safer, `--key-file`: other processes of the
    # user can read the environment of a process.
    gateway_key: SecretStr | None = None

    actor: str = Field(default_factory=_user)
    # Where the run is shown by what has started it.
    run_url: str = Field(default="", pattern=r"^(https?://[^\s()<>]+)?$")
    # Where people open MLflow in a browser, if that is another address than the one that verbs use.
    mlflow_public_url: str = Field(default="", pattern=r"^(https?://[^\s()<>]+)?$")
    # Whether a schedule, or another DAG, has started this run, and no person.
    scheduled: bool = False
    # Whether an event has started this run, such as a message that there are new images.
    started_by_event: bool = False
    params: Json[dict[str, Any]] = Field(default_factory=dict, validate_default=False)
    # Images set it. Without it `pipeline.runs.code_version` asks git.
    code_version: str | None = None

    @field_validator("root")
    @classmethod
    def _address(cls, root: str) -> str:
        return bucket_address(root)

    @field_validator("models")
    @classmethod
    def _absolute(cls, path: Path) -> Path:
        return path.absolute()


def load_settings() -> Settings:
    """Read the environment. Where it names no bucket, the stack on this machine is meant, as `make up` has left it.

    So the cache is that of the stack too, unless the environment names one.

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
    remembered = {"cache": str(stack_file.cache_folder(folder)), **stack_file.read(folder)}
    return stack_file.complete(named, remembered, folder=folder)
