"""MLflow's model registry in memory: the calls of its REST API that the mirror makes, at the speed of a function.

Held to the real server by `tests/pipeline/tracking/test_mirror.py`, whose tests run on both.
"""

import json
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
        tags = [{"key": key, "value": value} for key, value in self.runs[values["run_id"]].items()]
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
        return httpx.Response(200, json={"registered_model": {"name": values["name"]}})

    def _get_model(self, values: dict[str, Any]) -> httpx.Response:
        aliases = self._models.get(values["name"])
        if aliases is None:
            return _no_model(values["name"])
        listed = [{"alias": alias, "version": version} for alias, version in aliases.items()]
        return httpx.Response(200, json={"registered_model": {"name": values["name"], "aliases": listed}})

    def _delete_model(self, values: dict[str, Any]) -> httpx.Response:
        if values["name"] not in self._models:
            return _no_model(values["name"])
        del self._models[values["name"]], self._versions[values["name"]]
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
        name = values["filter"].removeprefix("name='").removesuffix("'")
        return httpx.Response(200, json={"model_versions": self._versions.get(name, [])})

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
    "POST model-versions/create": MlflowRegistry._create_version,
    "GET model-versions/search": MlflowRegistry._search_versions,
    "POST model-versions/set-tag": MlflowRegistry._tag_version,
    "PATCH model-versions/update": MlflowRegistry._update_version,
    "POST runs/log-batch": MlflowRegistry._tag_run,
    "POST registered-models/alias": MlflowRegistry._set_alias,
    "DELETE registered-models/alias": MlflowRegistry._delete_alias,
}


def _no_model(name: str) -> httpx.Response:
    return _error("RESOURCE_DOES_NOT_EXIST", f"Registered Model with name={name} not found", status=404)


def _no_run(run: str) -> httpx.Response:
    return _error("RESOURCE_DOES_NOT_EXIST", f"Run with id={run} not found", status=404)


def _error(code: str, message: str, *, status: int = 400) -> httpx.Response:
    return httpx.Response(status, json={"error_code": code, "message": message})
