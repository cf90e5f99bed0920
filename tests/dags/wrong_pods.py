"""Files of pods, and environments of Airflow, with which steps cannot be pods, and what people read then."""

from collections.abc import Mapping
from dataclasses import dataclass, field

IMAGE = "image: registry.example/understudy-pipeline:1\n"
# In each secret: no message may contain it.
HIDDEN = "hunter2"
KEYS = "env: [{name: UNDERSTUDY_VERIFYING_KEY, value: /keys/verifying.pem}]\n"
OF_PUBLISH = "{name: UNDERSTUDY_SIGNING_KEY, value: /keys/signing.pem}"


@dataclass(frozen=True, kw_only=True)
class Setup:
    """A file of pods with its environment.

    Attributes:
        content: of the file; None for no file.
        environment: more of Airflow's variables.
        root: where the bucket is; empty where nothing says it.
        says: a part of the reason that people read; empty where nothing is wrong.
    """

    content: str | None = IMAGE
    environment: Mapping[str, str] = field(default_factory=dict)
    root: str = "gs://models/here"
    says: str = ""


def _with(**environment: str) -> Mapping[str, str]:
    return {f"UNDERSTUDY_{name}": value for name, value in environment.items()}


WRONG: Mapping[str, Setup] = {
    "misspelt": Setup(content="image: a\nimagee: b\n", says="imagee"),
    "unknown to a Pod": Setup(
        content="image: a\ntolerations: [{keyy: gpu}]\n", says="a Pod has no field spec.tolerations[0].keyy"
    ),
    "misspelt and empty in a volume": Setup(
        content="image: a\nvolumes: [{name: big, emptyDirr: {}}]\n", says="spec.volumes[1].emptyDirr"
    ),
    "misspelt and empty in a variable": Setup(
        content="image: a\nenv: [{name: KEY, valueFromm: {}}]\n", says="valueFromm"
    ),
    "not the form of a Pod": Setup(content="image: a\nresources: {limits: [cpu]}\n", says="form that it has in a Pod"),
    "no file": Setup(content=None, says="cannot be read"),
    "no image": Setup(content="namespace: understudy\n", says="say which image pods have"),
    "no YAML": Setup(
        content=f"{IMAGE}env: [{{name: PASSWORD, value: {HIDDEN}}}, ]]\n", says="is not YAML: line 2, column"
    ),
    "a secret": Setup(
        content=f"{IMAGE}env: [{{name: MLFLOW_TRACKING_PASSWORD, value: {HIDDEN}}}]\n",
        says="MLFLOW_TRACKING_PASSWORD has a secret as its value",
    ),
    "a secret in a setting of Airflow": Setup(
        environment=_with(MLFLOW_URL=f"http://ml:{HIDDEN}@mlflow:5000"), says="UNDERSTUDY_MLFLOW_URL contains a secret"
    ),
    "no bucket": Setup(root="", says="UNDERSTUDY_ROOT is not set"),
    "no verifying key": Setup(
        environment=_with(VERIFYING_KEY="/etc/verifying.pem"),
        says="UNDERSTUDY_VERIFYING_KEY names a file of Airflow's machine, and the pod of `snapshot` has none",
    ),
    "no authority": Setup(
        environment=_with(TLS_CA="/etc/ca.pem"), says="UNDERSTUDY_TLS_CA names a file of Airflow's machine"
    ),
    "no signing key": Setup(
        environment=_with(SIGNING_KEY="/etc/signing.pem"),
        says="UNDERSTUDY_SIGNING_KEY names a file of Airflow's machine, and the pod of `publish` has none",
    ),
    "keys that a verb takes away": Setup(
        content=f"{IMAGE}{KEYS}verbs: {{gate: {{env: []}}}}\n",
        environment=_with(VERIFYING_KEY="/etc/verifying.pem"),
        says="the pod of `gate` has none",
    ),
}
RIGHT: Mapping[str, Setup] = {
    "keys of its own": Setup(
        content=f"{IMAGE}{KEYS}verbs: {{publish: {{{KEYS.strip()[:-1]}, {OF_PUBLISH}]}}, announce: {{env: []}}}}\n",
        environment=_with(VERIFYING_KEY="/etc/verifying.pem", SIGNING_KEY="/etc/signing.pem"),
    ),
    "authorities of the system": Setup(environment=_with(TLS_CA="system")),
}
