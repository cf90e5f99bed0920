"""MLflow's model registry in memory: the calls of its REST API that the mirror makes, at the speed of a function.

Held to the real server by `tests/pipeline/tracking/test_mirror.py`, whose tests run on both.
"""

import json
import re
from collections.abc import Callable
from typing import Any

import httpx

Call = Callable[[Callable[[], bool]], bool]


def _happens(change: Callable[[], bool]) -> bool:
    return change()


class MlflowRegistry:
    """`down`: nothing answers. `transport`: what an `httpx.Client` speaks to it through. `calls`: what it was asked."""

    def __init__(self, effect: Call = _happens) -> None:
        self.down = False
        self.calls: list[str] = []
        self.transport = httpx.MockTransport(self._handle)
        self.runs: dict[str, dict[str, str]] = {}
        self._deleted: set[str] = set()
        self._effect = effect
        self._models: dict[str, dict[str, str]] = {}
        self._tags: dict[str, dict[str, str]] = {}
        self._versions: dict[str, list[dict[str, Any]]] = {}

    def trained(self, name: str) -> str:
        """A run as `train` leaves it; its id."""
        self.runs[f"run-{name}"] = {}
        return f"run-{name}"

    def _handle(self, request: httpx.Request) -> httpx.Response:
        if self.down:
            raise httpx.ConnectError("Connection refused", request=request)
        self.calls.append(f"{request.method} {request.url.path}")
        name = f"{request.method} {request.url.path.partition('/mlflow/')[2]}"
        handler = _HANDLERS[name]
        if request.method == "GET":
            return handler(self, dict(request.url.params))
        answers: list[httpx.Response] = []

        def change() -> bool:
            answers.append(handler(self, json.loads(request.content)))
            return True

        self._effect(change)
        return answers[0]

    def _create_experiment(self, values: dict[str, Any]) -> httpx.Response:
        return httpx.Response(200, json={"experiment_id": values["name"]})

    def _create_run(self, values: dict[str, Any]) -> httpx.Response:
        run = self.trained(f"{values['experiment_id']}-{len(self.runs)}")
        return httpx.Response(200, json={"run": {"info": {"run_id": run}}})

    def _get_run(self, values: dict[str, Any]) -> httpx.Response:
        if values["run_id"] not in self.runs:
            return _no_run(values["run_id"])
        tags = _listed(self.runs[values["run_id"]])
        stage = "deleted" if values["run_id"] in self._deleted else "active"
        return httpx.Response(200, json={"run": {"info": {"lifecycle_stage": stage}, "data": {"tags": tags}}})

    def _delete_run(self, values: dict[str, Any]) -> httpx.Response:
        if values["run_id"] not in self.runs:
            return _no_run(values["run_id"])
        self._deleted.add(values["run_id"])
        return httpx.Response(200, json={})

    def _create_logged_model(self, values: dict[str, Any]) -> httpx.Response:
        return httpx.Response(200, json={"model": {"info": {"model_id": f"m-{values['source_run_id']}"}}})

    def _create_model(self, values: dict[str, Any]) -> httpx.Response:
        if values["name"] in self._models:
            return _error("RESOURCE_ALREADY_EXISTS", f"Registered Model (name={values['name']}) already exists.")
        self._models[values["name"]], self._versions[values["name"]] = {}, []
        self._tags[values["name"]] = {}
        return httpx.Response(200, json={"registered_model": {"name": values["name"]}})

    def _get_model(self, values: dict[str, Any]) -> httpx.Response:
        aliases = self._models.get(values["name"])
        if aliases is None:
            return _no_model(values["name"])
        found = {
            "name": values["name"],
            "aliases": [{"alias": alias, "version": version} for alias, version in aliases.items()],
            "tags": _listed(self._tags[values["name"]]),
        }
        return httpx.Response(200, json={"registered_model": found})

    def _delete_model(self, values: dict[str, Any]) -> httpx.Response:
        if values["name"] not in self._models:
            return _no_model(values["name"])
        del self._models[values["name"]], self._versions[values["name"]]
        return httpx.Response(200, json={})

    def _tag_model(self, values: dict[str, Any]) -> httpx.Response:
        if values["name"] not in self._models:
            return _no_model(values["name"])
        self._tags[values["name"]][values["key"]] = values["value"]
        return httpx.Response(200, json={})

    def _delete_model_tag(self, values: dict[str, Any]) -> httpx.Response:
        self._tags[values["name"]].pop(values["key"], None)
        return httpx.Response(200, json={})

    def _create_version(self, values: dict[str, Any]) -> httpx.Response:
        if values["name"] not in self._models:
            return _no_model(values["name"])
        if values["model_id"].removeprefix("m-") not in self.runs:
            return _error("INTERNAL_ERROR", f"Logged model with ID '{values['model_id']}' not found.", status=500)
        versions = self._versions[values["name"]]
        made = {
            "version": str(len(versions) + 1),
            "run_id": values["run_id"],
            "tags": list(values["tags"]),
            "description": values.get("description", ""),
        }
        versions.append(made)
        return httpx.Response(200, json={"model_version": made})

    def _search_versions(self, values: dict[str, Any]) -> httpx.Response:
        """The filters that the mirror uses; like the server it needs no registered model for an empty answer."""
        asked = re.fullmatch(r"name='(.*?)'(?: and tags\.served_version='(\d+)')?", values["filter"])
        assert asked, values["filter"]
        tag = {"key": "served_version", "value": asked[2]}
        kept = [each for each in self._versions.get(asked[1], []) if not each.get("deleted")]
        found = [each for each in kept if asked[2] is None or tag in each["tags"]]
        first, size = int(values.get("page_token", 0)), int(values.get("max_results", 10_000))
        rest = {"next_page_token": str(first + size)} if len(found) > first + size else {}
        return httpx.Response(200, json={"model_versions": found[first : first + size]} | rest)

    def _get_version(self, values: dict[str, Any]) -> httpx.Response:
        found = self._versions.get(values["name"], [])[int(values["version"]) - 1 : int(values["version"])]
        if not found or found[0].get("deleted"):
            message = f"Model Version (name={values['name']}, version={values['version']}) not found"
            return _error("RESOURCE_DOES_NOT_EXIST", message, status=404)
        return httpx.Response(200, json={"model_version": found[0]})

    def _delete_version(self, values: dict[str, Any]) -> httpx.Response:
        """Its number is never given again, and no alias points to it any more."""
        self._versions[values["name"]][int(values["version"]) - 1]["deleted"] = True
        aliases = self._models[values["name"]]
        for alias in [alias for alias, number in aliases.items() if number == values["version"]]:
            del aliases[alias]
        return httpx.Response(200, json={})

    def _tag_version(self, values: dict[str, Any]) -> httpx.Response:
        found = self._versions[values["name"]][int(values["version"]) - 1]
        found["tags"] = [tag for tag in found["tags"] if tag["key"] != values["key"]]
        found["tags"].append({"key": values["key"], "value": values["value"]})
        return httpx.Response(200, json={})

    def _update_version(self, values: dict[str, Any]) -> httpx.Response:
        found = self._versions[values["name"]][int(values["version"]) - 1]
        found["description"] = values["description"]
        return httpx.Response(200, json={"model_version": found})

    def _tag_run(self, values: dict[str, Any]) -> httpx.Response:
        if values["run_id"] not in self.runs:
            return _no_run(values["run_id"])
        if values["run_id"] in self._deleted:
            return _error("INVALID_PARAMETER_VALUE", f"The run {values['run_id']} must be in the 'active' state.")
        self.runs[values["run_id"]] |= {tag["key"]: tag["value"] for tag in values["tags"]}
        return httpx.Response(200, json={})

    def _set_alias(self, values: dict[str, Any]) -> httpx.Response:
        if values["name"] not in self._models:
            return _no_model(values["name"])
        self._models[values["name"]][values["alias"]] = values["version"]
        return httpx.Response(200, json={})

    def _delete_alias(self, values: dict[str, Any]) -> httpx.Response:
        if values["name"] not in self._models:
            return _no_model(values["name"])
        self._models[values["name"]].pop(values["alias"], None)
        return httpx.Response(200, json={})


_HANDLERS: dict[str, Callable[[MlflowRegistry, dict[str, Any]], httpx.Response]] = {
    "POST experiments/create": MlflowRegistry._create_experiment,
    "POST runs/create": MlflowRegistry._create_run,
    "GET runs/get": MlflowRegistry._get_run,
    "POST runs/delete": MlflowRegistry._delete_run,
    "POST logged-models": MlflowRegistry._create_logged_model,
    "POST registered-models/create": MlflowRegistry._create_model,
    "GET registered-models/get": MlflowRegistry._get_model,
    "DELETE registered-models/delete": MlflowRegistry._delete_model,
    "POST registered-models/set-tag": MlflowRegistry._tag_model,
    "DELETE registered-models/delete-tag": MlflowRegistry._delete_model_tag,
    "POST model-versions/create": MlflowRegistry._create_version,
    "GET model-versions/search": MlflowRegistry._search_versions,
    "GET model-versions/get": MlflowRegistry._get_version,
    "DELETE model-versions/delete": MlflowRegistry._delete_version,
    "POST model-versions/set-tag": MlflowRegistry._tag_version,
    "PATCH model-versions/update": MlflowRegistry._update_version,
    "POST runs/log-batch": MlflowRegistry._tag_run,
    "POST registered-models/alias": MlflowRegistry._set_alias,
    "DELETE registered-models/alias": MlflowRegistry._delete_alias,
}


def _listed(tags: dict[str, str]) -> list[dict[str, str]]:
    return [{"key": key, "value": value} for key, value in tags.items()]


def _no_model(name: str) -> httpx.Response:
    return _error("RESOURCE_DOES_NOT_EXIST", f"Registered Model with name={name} not found", status=404)


def _no_run(run: str) -> httpx.Response:
    return _error("RESOURCE_DOES_NOT_EXIST", f"Run with id={run} not found", status=404)


def _error(code: str, message: str, *, status: int = 400) -> httpx.Response:
    return httpx.Response(status, json={"error_code": code, "message": message})
