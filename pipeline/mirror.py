"""MLflow follows the journal: a registered version for each published model, its fate, and the aliases of the roles.

Plain REST with a short timeout, so that a roll-back imports no MLflow and waits for none. Nobody asks MLflow what is
in production: a failure here is told and changes nothing, and the next release verb mirrors the whole state again.
"""

import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import httpx

from pipeline.release.journal import Event, History

log = logging.getLogger(__name__)

_SECONDS = 3.0
_ALIASES = ("production", "previous", "candidate")


@dataclass(frozen=True)
class Mlflow:
    """Where MLflow is, and how it is spoken to where that is not plain HTTP."""

    url: str
    transport: httpx.BaseTransport | None = None


@dataclass(frozen=True)
class Trained:
    """Where MLflow keeps a model: its run, and the logged model of that run."""

    run: str
    model: str


def mirror(mlflow: Mlflow, *, model: str, history: History, trained: Callable[[int], Trained | None]) -> str | None:
    """Make MLflow's registered versions, their `decision` and the aliases agree with the journal.

    Args:
        mlflow: where it is.
        model: the name of the registered model.
        history: the journal.
        trained: where MLflow keeps a version; asked for those that are published and not registered yet.

    Returns:
        Why it could not be done; None where it was.
    """
    try:
        with _registry(mlflow, model) as registry:
            registered = registry.register_published(history, trained)
            registry.tell_decisions(history, registered)
            registry.point(history, registered)
    except Exception as error:  # noqa: BLE001 - whatever MLflow answers, the release it mirrors stands
        problem = f"MLflow does not mirror the journal: {type(error).__name__}: {error}"
        log.warning("%s", problem)
        return problem
    return None


def tag_run(mlflow: Mlflow, *, run: str, decision: str) -> None:
    """Say in MLflow what became of a run that published nothing; a failure is told and changes nothing."""
    try:
        with _registry(mlflow, "") as registry:
            registry.tag_run(run, "decision", decision)
    except Exception as error:  # noqa: BLE001 - likewise
        log.warning("MLflow does not know of the decision %r: %s: %s", decision, type(error).__name__, error)


def aliases(mlflow: Mlflow, *, model: str) -> dict[str, int] | None:
    """The served version behind each alias, for comparison with the journal; None where MLflow does not answer."""
    try:
        with _registry(mlflow, model) as registry:
            return registry.aliases()
    except Exception:  # noqa: BLE001 - likewise
        return None


def wanted_aliases(history: History) -> dict[str, int]:
    """The alias of each role that is taken; MLflow knows a reissued version by the number it was trained for."""
    state = history.state
    roles = dict(zip(_ALIASES, (state.serving, state.previous, state.candidate), strict=True))
    return {alias: history.original(version) for alias, version in roles.items() if version is not None}


def decision_about(history: History, version: int) -> str:
    """What became of a version, in one word to filter and group runs by."""
    if history.withdrawal(version):
        return "withdrawn"
    return "promoted" if history.of_version(version, Event.PROMOTED) else "published"


def _run_key(history: History, version: int) -> str:
    entry = history.of_version(version, Event.CLAIMED)
    return entry.run_key if entry else ""


@contextmanager
def _registry(mlflow: Mlflow, model: str) -> Iterator["_Registry"]:
    address = f"{mlflow.url.rstrip('/')}/api/2.0/mlflow/"
    # Certificates are read from the disk for every client, tens of milliseconds; plain HTTP has no use for them.
    secure = address.startswith("https:")
    with httpx.Client(base_url=address, timeout=_SECONDS, transport=mlflow.transport, verify=secure) as client:
        yield _Registry(client, model)


@dataclass(frozen=True)
class _Registered:
    """A registered version: MLflow's own number of it, and what it says there."""

    number: str
    run: str
    decision: str


class _Registry:
    """The calls of MLflow's REST API that are needed, on one registered model."""

    def __init__(self, client: httpx.Client, model: str) -> None:
        self._client = client
        self._model = model

    def register_published(self, history: History, trained: Callable[[int], Trained | None]) -> dict[int, _Registered]:
        """Register every published version, once: an existing one is found by its tag. All that are registered then."""
        registered = self._registered()
        published = {entry.version for entry in history.entries if entry.event is Event.PUBLISHED}
        missing = {version: trained(version) for version in sorted(published - set(registered))}
        new = {version: kept for version, kept in missing.items() if kept is not None}
        if new:
            self._call("POST", "registered-models/create", {"name": self._model}, accept=("RESOURCE_ALREADY_EXISTS",))
        for version, kept in new.items():
            self._register(version, kept, run_key=_run_key(history, version))
        return self._registered() if new else registered

    def _register(self, version: int, trained: Trained, *, run_key: str) -> None:
        self.tag_run(trained.run, "served_version", str(version))
        body = {
            "name": self._model,
            "source": f"models:/{trained.model}",
            "run_id": trained.run,
            "model_id": trained.model,
            "tags": [{"key": "served_version", "value": str(version)}, {"key": "run_key", "value": run_key}],
            "description": f"served as version {version}",
        }
        self._call("POST", "model-versions/create", body)

    def tell_decisions(self, history: History, registered: Mapping[int, _Registered]) -> None:
        """Tag each version and its run with what became of it; only where that has changed."""
        for version, each in registered.items():
            decision = decision_about(history, version)
            if each.decision != decision:
                self.tag_run(each.run, "decision", decision)
                tag = {"name": self._model, "version": each.number, "key": "decision", "value": decision}
                self._call("POST", "model-versions/set-tag", tag)

    def point(self, history: History, registered: Mapping[int, _Registered]) -> None:
        """Set the alias of every taken role and remove those of free ones; only where that has changed."""
        roles = wanted_aliases(history).items()
        wanted = {alias: registered[version].number for alias, version in roles if version in registered}
        found = self._pointed()
        for alias in _ALIASES:
            where = {"name": self._model, "alias": alias}
            if alias in found and alias not in wanted:
                self._call("DELETE", "registered-models/alias", where)
            elif found.get(alias) != wanted.get(alias):
                self._call("POST", "registered-models/alias", where | {"version": wanted[alias]})

    def aliases(self) -> dict[str, int]:
        """The served version behind each of our aliases; one that points at nothing of ours is as good as none."""
        served = {each.number: version for version, each in self._all_registered()}
        return {alias: served[number] for alias, number in self._pointed().items() if number in served}

    def _pointed(self) -> dict[str, str]:
        """MLflow's own number behind each of our aliases."""
        reply = self._call("GET", "registered-models/get", {"name": self._model}, accept=("RESOURCE_DOES_NOT_EXIST",))
        listed = reply.get("registered_model", {}).get("aliases", [])
        return {each["alias"]: str(each["version"]) for each in listed if each["alias"] in _ALIASES}

    def tag_run(self, run: str, key: str, value: str) -> None:
        self._call("POST", "runs/set-tag", {"run_id": run, "key": key, "value": value})

    def _registered(self) -> dict[int, _Registered]:
        """The registered versions by the number they are served under.

        Two verbs that mirror at once may register a version twice; all of them agree on the one that came first.
        """
        newest_first = sorted(self._all_registered(), key=lambda found: int(found[1].number), reverse=True)
        return dict(newest_first)

    def _all_registered(self) -> Iterator[tuple[int, _Registered]]:
        page: dict[str, Any] = {"filter": f"name='{self._model}'", "max_results": 200}
        while True:
            reply = self._call("GET", "model-versions/search", page)
            for each in reply.get("model_versions", []):
                tags = {tag["key"]: tag["value"] for tag in each.get("tags", [])}
                if "served_version" in tags:
                    registered = _Registered(each["version"], each.get("run_id", ""), tags.get("decision", ""))
                    yield int(tags["served_version"]), registered
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
            raise ValueError(f"{path}: {content.get('error_code')}: {content.get('message')}")
        reply.raise_for_status()
        answer: dict[str, Any] = reply.json()
        return answer
