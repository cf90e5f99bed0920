"""How the pods of steps look: the file that `UNDERSTUDY_PODS` names.

Fields that a Pod has are named and written as in its manifest, and Kubernetes alone says what they mean. The file is
read while Airflow reads the DAGs, so nothing here imports the client of Kubernetes.
"""

import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator
from pydantic.alias_generators import to_camel

from dags.tasks.step_settings import Execution
from pipeline.errors import BadInputError
from pipeline.validation import problems

# The verbs that DAGs run.
VERBS = (
    "snapshot",
    "train",
    "evaluate",
    "gate",
    "publish",
    "canary",
    "promote",
    "withdraw",
    "announce",
    "retain",
    "rollback",
    "pin",
    "freeze",
    "unfreeze",
    "readmit",
    "reconcile",
)
_SECRET = re.compile("SECRET|PASSWORD|PASSPHRASE|TOKEN|CREDENTIAL", re.IGNORECASE)
_USER_IN_URL = re.compile(r"://[^/@\s]+:[^/@\s]+@")

_Objects = list[dict[str, Any]]


class _Form(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, alias_generator=to_camel)


class Gke(_Form):
    """The GKE cluster of the pods, for an Airflow outside it.

    Attributes:
        project: the Google Cloud project.
        location: the region or zone.
        cluster: its name.
        dns_endpoint: whether to reach it by its DNS name rather than by its address.
        connection: Airflow's connection to Google Cloud.
    """

    project: str
    location: str
    cluster: str
    dns_endpoint: bool = False
    connection: str = "google_cloud_default"


class PodFields(_Form):
    """The fields that all verbs may have, and each verb of its own.

    Attributes:
        execution: `local` or `pod` for these verbs, whatever `UNDERSTUDY_EXECUTION` says.
        retries: how many times Airflow tries again after a pod that gave no answer.
        start_seconds: how long a pod may take from its creation until it runs.
    """

    execution: Execution | None = None
    retries: int | None = Field(default=None, ge=0, le=100)
    start_seconds: int | None = Field(default=None, ge=1, le=86400)

    namespace: str | None = None
    image: str | None = None
    image_pull_policy: str | None = None
    image_pull_secrets: _Objects | None = None
    service_account_name: str | None = None
    automount_service_account_token: bool | None = None
    env: _Objects | None = None
    env_from: _Objects | None = None
    volumes: _Objects | None = None
    volume_mounts: _Objects | None = None
    resources: dict[str, Any] | None = None
    node_selector: dict[str, str] | None = None
    tolerations: _Objects | None = None
    priority_class_name: str | None = None
    labels: dict[str, str] | None = None
    annotations: dict[str, str] | None = None

    @field_validator("env")
    @classmethod
    def _texts(cls, env: _Objects | None) -> _Objects | None:
        for variable in env or ():
            if not isinstance(variable.get("value", ""), str):
                raise ValueError(f"{variable.get('name')}: Kubernetes takes only text, so write the value in quotes")
        return env

    @field_validator("env")
    @classmethod
    def _secrets_by_reference(cls, env: _Objects | None) -> _Objects | None:
        """Airflow shows these values to everybody who may see the DAG, and so does Kubernetes."""
        for variable in env or ():
            name, value = str(variable.get("name", "")), str(variable.get("value", ""))
            if value and (_SECRET.search(name) or _USER_IN_URL.search(value)):
                raise ValueError(
                    f"{name} has a secret as its value. Put it into a Secret, and name that: {{name: {name}, "
                    "valueFrom: {secretKeyRef: {name: ..., key: ...}}}"
                )
        return env


class PodSettings(PodFields):
    """The whole file.

    Attributes:
        gke: the cluster, if Airflow is outside it and it is one of GKE; None for the one that Airflow runs in, or the
            one of `connection` or of KUBECONFIG.
        connection: Airflow's connection to the cluster. None for KUBECONFIG, or for the cluster that Airflow runs in.
        verbs: fields of single verbs, instead of the general ones.
    """

    gke: Gke | None = None
    connection: str | None = None
    verbs: dict[str, PodFields] = {}

    @field_validator("verbs")
    @classmethod
    def _known(cls, verbs: dict[str, PodFields]) -> dict[str, PodFields]:
        for name in verbs:
            if name not in VERBS:
                raise ValueError(f"{name} is no step of a DAG. Steps: {', '.join(VERBS)}")
        return verbs

    def of(self, verb: str) -> PodFields:
        """The fields of one verb: its own, and the general ones for what it does not have."""
        own = self.verbs.get(verb, PodFields())
        general = {name: getattr(self, name) for name in PodFields.model_fields}
        return PodFields.model_construct(**general | {name: getattr(own, name) for name in own.model_fields_set})

    def variables(self, verb: str) -> Mapping[str, Any]:
        """The variables of a verb that the file gives a value."""
        return {str(each.get("name")): each.get("value") for each in self.of(verb).env or ()}


@cache
def load_pods(path: Path | None) -> PodSettings:
    """Read the file.

    Raises:
        BadInputError: it is missing, or names every field that is wrong.
    """
    if path is None:
        raise BadInputError(
            "UNDERSTUDY_EXECUTION is pod, and UNDERSTUDY_PODS names no file. Steps need to know the image and the "
            "namespace of their pods: set UNDERSTUDY_PODS to the path of a file like the one in docs/pods.md, or set "
            "UNDERSTUDY_EXECUTION to local"
        )
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
        pods = PodSettings.model_validate({} if content is None else content)
    except OSError as error:
        raise BadInputError(f"UNDERSTUDY_PODS: {path} cannot be read: {error}") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise BadInputError(f"UNDERSTUDY_PODS: {path} is not YAML: {error}") from error
    except ValidationError as error:
        raise BadInputError(f"UNDERSTUDY_PODS: {path}: {problems(error, values=False)}") from error
    without = [verb for verb in VERBS if pods.of(verb).execution != "local" and not pods.of(verb).image]
    if without:
        raise BadInputError(f"UNDERSTUDY_PODS: {path}: image: say which image pods have (missing for {without[0]})")
    return pods
