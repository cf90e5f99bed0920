"""MLflow follows the journal: the registered version of each published model, and the aliases of the roles.

Plain REST with a short timeout, so that a roll-back imports no MLflow and waits for none. Nobody asks MLflow what is
in production: a failure here is told and changes nothing; the next verb of any run mirrors the whole state again.
"""

import logging
from typing import Any

import httpx

from pipeline.release.journal import Event, History
from pipeline.release.state import State

log = logging.getLogger(__name__)

_SECONDS = 3.0


def mirror(*, url: str, model: str, history: History, registered: dict[int, tuple[str, str]]) -> str | None:
    """Make the aliases `production`, `previous` and `candidate` agree with the journal.

    Args:
        url: MLflow's address.
        model: the name of the registered model.
        history: the journal.
        registered: for each version to register now if it is not yet: its MLflow run and logged model.

    Returns:
        Why it could not be done; None where it was.
    """
    try:
        with httpx.Client(base_url=f"{url.rstrip('/')}/api/2.0/mlflow/", timeout=_SECONDS) as client:
            registry = _Registry(client, model)
            for version, (run, logged_model) in registered.items():
                registry.register(version, run=run, logged_model=logged_model, run_key=_run_key(history, version))
            registry.point(history.state)
    except (httpx.HTTPError, KeyError, ValueError) as error:
        problem = f"MLflow does not mirror the journal: {type(error).__name__}: {error}"
        log.warning("%s", problem)
        return problem
    return None


def aliases(*, url: str, model: str) -> dict[str, int] | None:
    """The served version behind each alias, for comparison with the journal; None where MLflow does not answer."""
    try:
        with httpx.Client(base_url=f"{url.rstrip('/')}/api/2.0/mlflow/", timeout=_SECONDS) as client:
            return _Registry(client, model).aliases()
    except (httpx.HTTPError, KeyError, ValueError):
        return None


def wanted_aliases(state: State) -> dict[str, int]:
    """The alias of each role that is taken."""
    roles = {"production": state.serving, "previous": state.previous, "candidate": state.candidate}
    return {alias: version for alias, version in roles.items() if version is not None}


def _run_key(history: History, version: int) -> str:
    entry = history.of_version(version, Event.CLAIMED)
    return entry.run_key if entry else ""


class _Registry:
    """The calls of MLflow's registry that are needed, on one registered model."""

    def __init__(self, client: httpx.Client, model: str) -> None:
        self._client = client
        self._model = model

    def register(self, version: int, *, run: str, logged_model: str, run_key: str) -> None:
        """Register a served version, once: an existing one is found by its tag."""
        self._call("POST", "registered-models/create", {"name": self._model}, accept=("RESOURCE_ALREADY_EXISTS",))
        if str(version) in self._numbers():
            return
        tags = [{"key": "served_version", "value": str(version)}, {"key": "run_key", "value": run_key}]
        body = {
            "name": self._model,
            "source": f"models:/{logged_model}",
            "run_id": run,
            "model_id": logged_model,
            "tags": tags,
            "description": f"served as version {version}",
        }
        self._call("POST", "model-versions/create", body)

    def point(self, state: State) -> None:
        """Set the alias of every taken role and remove those of free ones."""
        numbers = self._numbers()
        wanted = wanted_aliases(state)
        for alias in ("production", "previous", "candidate"):
            number = numbers.get(str(wanted.get(alias)))
            where = {"name": self._model, "alias": alias}
            if number is None:
                self._call("DELETE", "registered-models/alias", where, accept=("RESOURCE_DOES_NOT_EXIST",))
            else:
                self._call("POST", "registered-models/alias", where | {"version": number})

    def aliases(self) -> dict[str, int]:
        reply = self._call("GET", "registered-models/get", {"name": self._model}, accept=("RESOURCE_DOES_NOT_EXIST",))
        served = {number: int(version) for version, number in self._numbers().items()}
        listed = reply.get("registered_model", {}).get("aliases", [])
        return {each["alias"]: served[each["version"]] for each in listed if each["version"] in served}

    def _numbers(self) -> dict[str, str]:
        """MLflow's own number of each served version."""
        query = {"filter": f"name='{self._model}'", "max_results": 1000}
        found = self._call("GET", "model-versions/search", query).get("model_versions", [])
        numbers = {}
        for each in found:
            tags = {tag["key"]: tag["value"] for tag in each.get("tags", [])}
            if "served_version" in tags:
                numbers[tags["served_version"]] = each["version"]
        return numbers

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
            raise ValueError(f"{path}: {content.get('error_code')}: {content.get('message')}")
        reply.raise_for_status()
        answer: dict[str, Any] = reply.json()
        return answer
