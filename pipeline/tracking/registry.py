"""The calls of MLflow's REST API that the mirror needs, on one registered model.

Plain REST with a short time limit, so a roll-back neither imports MLflow nor waits for it. Paths and fields are those
of https://mlflow.org/docs/latest/rest-api.html.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import httpx

from pipeline import layout
from pipeline.storage.identity import Identity

_SECONDS = 3.0
# Versions that MLflow returns at once.
_PAGE = 1000
ALIASES = ("production", "previous", "candidate")
BUCKET_TAG = "understudy.bucket"
_ADDRESS_TAG = "understudy.bucket_address"


@dataclass(frozen=True)
class Mlflow:
    """Where MLflow is. Tests may replace the `transport`."""

    url: str
    transport: httpx.BaseTransport | None = None


@dataclass(frozen=True)
class Trained:
    """Where MLflow keeps a model: the id of its run, and the id of the logged model."""

    run: str
    model: str


@dataclass(frozen=True)
class Registered:
    """A version of the registered model.

    Attributes:
        number: MLflow's own number of it.
        run: the id of the run it came from.
        tags: by name.
        description: as people see it.
    """

    number: str
    run: str
    tags: Mapping[str, str]
    description: str = ""

    @property
    def served(self) -> int | None:
        """The number it is served under; None if no bucket has registered it."""
        return layout.version_number(self.tags.get("served_version", ""))

    @property
    def bucket(self) -> str:
        """The id of its bucket; empty if an earlier release registered it without one."""
        return self.tags.get(BUCKET_TAG, "")

    @property
    def owner(self) -> str:
        """The bucket as text for people."""
        if self.bucket:
            return f"the bucket {self.tags.get(_ADDRESS_TAG, 'of unknown address')}, id {self.bucket}"
        return "a bucket of an earlier release" if self.served is not None else "another bucket"


@dataclass(frozen=True)
class RegisteredModel:
    """The registered model itself.

    Attributes:
        aliases: MLflow's own number behind each of `ALIASES` that is set.
        tags: by name.
    """

    aliases: Mapping[str, str]
    tags: Mapping[str, str]


# What one that does not exist says.
NO_MODEL = RegisteredModel({}, {})


class RefusedError(Exception):
    """MLflow refused a call; the message has its reason."""


def bucket_tags(bucket: Identity) -> dict[str, str]:
    """The tags that say which bucket a run or a registered version belongs to."""
    return {BUCKET_TAG: bucket.id, _ADDRESS_TAG: bucket.address}


class Registry:
    """One registered model in MLflow.

    Every method raises `RefusedError` if MLflow refuses, and an error of httpx if it does not answer within 3 s.
    """

    def __init__(self, client: httpx.Client, model: str) -> None:
        self._client = client
        self.model = model

    def versions(self) -> Iterator[Registered]:
        """All versions of the registered model, of all buckets, the first registered one first; read page by page."""
        return self._found(f"name='{self.model}'")

    def served_as(self, version: int) -> list[Registered]:
        """The versions that are served under a number, of all buckets, the first registered one first."""
        return list(self._found(f"name='{self.model}' and tags.served_version='{version}'"))

    def version(self, number: str) -> Registered | None:
        """The version with MLflow's own number; None if it does not exist."""
        where = {"name": self.model, "version": number}
        reply = self._call("GET", "model-versions/get", where, accept=("RESOURCE_DOES_NOT_EXIST",))
        return _registered(reply["model_version"]) if reply else None

    def registered_model(self) -> RegisteredModel | None:
        """The registered model; None if it does not exist."""
        reply = self._call("GET", "registered-models/get", {"name": self.model}, accept=("RESOURCE_DOES_NOT_EXIST",))
        if not reply:
            return None
        found = reply["registered_model"]
        aliases = {each["alias"]: str(each["version"]) for each in found.get("aliases", [])}
        return RegisteredModel({alias: aliases[alias] for alias in ALIASES if alias in aliases}, _tags(found))

    def tag_model(self, key: str, value: str) -> None:
        """Tag the registered model."""
        self._call("POST", "registered-models/set-tag", {"name": self.model, "key": key, "value": value})

    def create_model(self) -> None:
        """Create the registered model unless it exists."""
        self._call("POST", "registered-models/create", {"name": self.model}, accept=("RESOURCE_ALREADY_EXISTS",))

    def create_version(self, trained: Trained, tags: Mapping[str, str], *, description: str) -> None:
        """Register a logged model as a new version. MLflow allows that more than once."""
        body = {
            "name": self.model,
            "source": f"models:/{trained.model}",
            "run_id": trained.run,
            "model_id": trained.model,
            "tags": [{"key": key, "value": value} for key, value in tags.items()],
            "description": description,
        }
        self._call("POST", "model-versions/create", body)

    def tag_version(self, number: str, tags: Mapping[str, str]) -> None:
        for key, value in tags.items():
            tag = {"name": self.model, "version": number, "key": key, "value": value}
            self._call("POST", "model-versions/set-tag", tag)

    def describe_version(self, number: str, description: str) -> None:
        values = {"name": self.model, "version": number, "description": description}
        self._call("PATCH", "model-versions/update", values)

    def run_tags(self, run: str) -> dict[str, str] | None:
        """The tags of a run; None if it does not exist, or a person has deleted it."""
        reply = self._call("GET", "runs/get", {"run_id": run}, accept=("RESOURCE_DOES_NOT_EXIST",))
        found = reply.get("run", {})
        if not found or found.get("info", {}).get("lifecycle_stage") == "deleted":
            return None
        return _tags(found.get("data", {}))

    def tag_run(self, run: str, tags: Mapping[str, str]) -> None:
        listed = [{"key": key, "value": value} for key, value in tags.items()]
        self._call("POST", "runs/log-batch", {"run_id": run, "tags": listed})

    def set_alias(self, alias: str, number: str) -> None:
        where = {"name": self.model, "alias": alias}
        self._call("POST", "registered-models/alias", where | {"version": number})

    def delete_alias(self, alias: str) -> None:
        self._call("DELETE", "registered-models/alias", {"name": self.model, "alias": alias})

    def _found(self, condition: str) -> Iterator[Registered]:
        # In an order that no change of a version alters, so that no page leaves one out.
        page: dict[str, Any] = {"filter": condition, "max_results": _PAGE, "order_by": "version_number ASC"}
        while True:
            reply = self._call("GET", "model-versions/search", page)
            yield from map(_registered, reply.get("model_versions", []))
            if not reply.get("next_page_token"):
                return
            page["page_token"] = reply["next_page_token"]

    def _call(self, method: str, path: str, values: dict[str, Any], accept: tuple[str, ...] = ()) -> dict[str, Any]:
        """One call; error codes in `accept` are answers, not errors."""
        if method == "GET":
            reply = self._client.get(path, params=values)
        else:
            reply = self._client.request(method, path, json=values)
        if reply.is_error and reply.headers.get("content-type", "").startswith("application/json"):
            content: dict[str, Any] = reply.json()
            if content.get("error_code") in accept:
                return {}
            raise RefusedError(f"{path}: {content.get('error_code')}: {content.get('message')}")
        reply.raise_for_status()
        answer: dict[str, Any] = reply.json()
        return answer


def _registered(found: dict[str, Any]) -> Registered:
    return Registered(str(found["version"]), found.get("run_id", ""), _tags(found), found.get("description", ""))


def _tags(found: dict[str, Any]) -> dict[str, str]:
    return {tag["key"]: tag["value"] for tag in found.get("tags", [])}


@contextmanager
def open_registry(mlflow: Mlflow, model: str) -> Iterator[Registry]:
    """A client for one registered model, inside the block. Nothing is sent before the first call."""
    address = f"{mlflow.url.rstrip('/')}/api/2.0/mlflow/"
    # Reading the certificates takes tens of milliseconds per client; plain HTTP does not need them.
    secure = address.startswith("https:")
    with httpx.Client(base_url=address, timeout=_SECONDS, transport=mlflow.transport, verify=secure) as client:
        yield Registry(client, model)
