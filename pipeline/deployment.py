"""How one model is served: what its servers poll, how long they may take, and where MLflow is."""

from pathlib import Path
from typing import ClassVar, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

# How the servers of a fleet learn what to serve; see `pipeline.rollout.placement`.
RolloutName = Literal["pinned", "latest"]


class Deployment(BaseModel):
    """What the fleet of a model and every verb must agree on. Times are seconds.

    A fleet record holds it (`pipeline.fleets`). For a bucket without a record the environment says it.

    Attributes:
        rollout: how servers learn what to serve.
        server_root: where servers find the bucket, if that is another place than for the verbs: a folder that `sync`
            keeps, or a mounted bucket.
        config_poll_seconds: how often servers look for what to serve.
        load_seconds: how long every replica may take to load a version.
        follow_seconds: how long every replica may take to answer from another version.
        soak_seconds: how long a candidate is observed in the first ring before the other replicas load it.
        silent_seconds: how long a replica that answered before may give no answer while a candidate is exposed to it.
            Then the candidate is taken back: whether it is the reason is not known, but users have no answer.
        abandoned_seconds: after this long without an entry, a run that began something is taken to be gone, and
            `reconcile` ends it.
        server_tensorflow: the oldest TensorFlow that any model server of the fleet was built with.
        mlflow_url: where MLflow is.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    # How the names of fields are written where a person has to change them.
    field_name: ClassVar[str] = "{}"

    rollout: RolloutName = "pinned"
    server_root: str | None = None
    config_poll_seconds: float = Field(default=1.0, gt=0)
    load_seconds: float = Field(default=120.0, gt=0)
    follow_seconds: float = Field(default=60.0, gt=0)
    soak_seconds: float = Field(default=10.0, ge=0)
    silent_seconds: float = Field(default=5.0, gt=0)
    abandoned_seconds: float = Field(default=3600.0, gt=0)
    server_tensorflow: str = Field(default="2.21", pattern=r"^[0-9]+\.[0-9]+(\.[0-9]+)?$")
    mlflow_url: str = "http://127.0.0.1:5000"

    @property
    def polled_seconds(self) -> float:
        """Long enough for a server to have looked: the poll that is under way, and one that has begun since.

        In `pinned` the second is that of the folders, in which a server finds a version that its config names.
        """
        return 2.5 * self.config_poll_seconds

    @field_validator("server_root")
    @classmethod
    def _place(cls, root: str | None) -> str | None:
        return None if root is None else bucket_address(root)

    @model_validator(mode="after")
    def _patient(self) -> Self:
        wait = self.load_seconds + self.follow_seconds
        if self.abandoned_seconds <= wait:
            raise ValueError(
                f"{self._named('abandoned_seconds')} ({self.abandoned_seconds:g}) must be greater than "
                f"{self._named('load_seconds')} + {self._named('follow_seconds')} ({wait:g})"
            )
        return self

    def _named(self, field: str) -> str:
        name = self.field_name.format(field)
        return name.upper() if name != field else name


def bucket_address(root: str) -> str:
    """The address of a bucket as servers and verbs use it: a local path is made absolute.

    Raises:
        ValueError: it is neither a path nor an address.
    """
    if not root.strip() or (":/" in root and "://" not in root):
        raise ValueError("give a folder, gs://bucket/prefix or s3://bucket/prefix")
    # A path goes into the servers' config, and a server does not share our working directory.
    return root if "://" in root else str(Path(root).absolute())
