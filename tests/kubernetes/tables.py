"""Pods as a table, which `kubectl get` asks for."""

import datetime
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

Json = Mapping[str, Any]
_COLUMNS = (("Name", "string"), ("Ready", "string"), ("Status", "string"), ("Restarts", "string"), ("Age", "string"))


def is_table_wanted(accept: str) -> bool:
    return accept.startswith("application/json;as=Table;v=v1;")


def pod_table(pods: Sequence[Json], metadata: Json) -> dict[str, Any]:
    columns = [
        {"name": name, "type": kind, "format": "name" if name == "Name" else "", "description": "", "priority": 0}
        for name, kind in _COLUMNS
    ]
    return {
        "kind": "Table",
        "apiVersion": "meta.k8s.io/v1",
        "metadata": dict(metadata),
        "columnDefinitions": columns,
        "rows": [{"cells": _cells(each), "object": _partial(each)} for each in pods],
    }


def _cells(pod: Json) -> list[str]:
    statuses = pod["status"].get("containerStatuses") or []
    ready = sum(bool(each.get("ready")) for each in statuses)
    restarts = sum(each.get("restartCount", 0) for each in statuses)
    count = f"{ready}/{len(pod['spec']['containers'])}"
    return [pod["metadata"]["name"], count, _status(pod), str(restarts), _age(pod)]


def _status(pod: Json) -> str:
    """The one word that kubectl shows."""
    if "deletionTimestamp" in pod["metadata"]:
        return "Terminating"
    word = pod["status"].get("reason") or pod["status"]["phase"]
    for each in pod["status"].get("containerStatuses") or ():
        for kind in ("waiting", "terminated"):
            word = each.get("state", {}).get(kind, {}).get("reason", word)
    return str(pod["status"].get("reason") or word)


def _age(pod: Json) -> str:
    born = datetime.datetime.fromisoformat(pod["metadata"]["creationTimestamp"])
    return f"{(datetime.datetime.now(datetime.UTC) - born).total_seconds():.0f}s"


def _partial(pod: Json) -> dict[str, Any]:
    return {"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": pod["metadata"]}


def table_events(events: Iterable[Json]) -> Iterator[Json]:
    """The events of a watch with tables in place of pods."""
    for event in events:
        content = event["object"]
        is_pod = event["type"] in ("ADDED", "MODIFIED", "DELETED")
        yield {**event, "object": pod_table([content], {})} if is_pod else event
