"""`new_images` of a model file: what in Google Cloud starts a retrain, and what it waits for.

It says when a run begins and nothing about what is trained, so it is not part of the settings that a run freezes.
"""

from typing import Annotated

from pydantic import AfterValidator, ConfigDict, Field, StringConstraints, model_validator

from pipeline.fields import Fields


def _subscription(text: str) -> str:
    if "/" in text:
        raise ValueError(f"give the short name, {text.rsplit('/', 1)[-1]!r}, and the project in `project`")
    return text


def _prefix(text: str) -> str:
    if text.startswith(("/", "gs://")):
        raise ValueError("give the beginning of the objects' names, without the bucket and without a leading /")
    return text


class _Frozen(Fields):
    model_config = ConfigDict(frozen=True, extra="forbid")


class PubSub(_Frozen):
    """A pull subscription of Pub/Sub. Each message in it says that there may be new images."""

    example = "{project: my-project, subscription: new-images}"

    project: Annotated[str, StringConstraints(pattern=r"^([a-z0-9.-]+:)?[a-z][a-z0-9-]{4,28}[a-z0-9]$")]
    subscription: Annotated[
        str, AfterValidator(_subscription), StringConstraints(pattern=r"^[A-Za-z][A-Za-z0-9_.~+%/-]{2,254}$")
    ]


class Upload(_Frozen):
    """Where images are uploaded. A run waits until no object was added for so many minutes."""

    example = "{bucket: my-bucket, prefix: pets/}"

    bucket: Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9._-]{1,220}[a-z0-9]$")]
    prefix: Annotated[str, AfterValidator(_prefix)] = ""
    inactivity_minutes: Annotated[float, Field(gt=0, le=1440)] = 30


class NewImages(_Frozen):
    """At least one of `pubsub`, which starts runs, and `upload`, for which they wait.

    `connection` is Airflow's connection to Google Cloud.
    """

    example = "{pubsub: {project: my-project, subscription: new-images}}"

    pubsub: PubSub | None = None
    upload: Upload | None = None
    connection: str = "google_cloud_default"

    @model_validator(mode="after")
    def _one_of_both(self) -> "NewImages":
        if self.pubsub is None and self.upload is None:
            raise ValueError("give `pubsub`, which starts a run for a message, or `upload`, for whose end runs wait")
        return self
