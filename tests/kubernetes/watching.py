"""Watches: the changes of objects, as they happen."""

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from tests.kubernetes.cluster import Change, Cluster, selector
from tests.kubernetes.resources import SERVED, Request
from tests.kubernetes.statuses import ApiError

_POLL_SECONDS = 0.05
_LONGEST_SECONDS = 1800.0
Json = Mapping[str, Any]


def watch(cluster: Cluster, request: Request, stopped: threading.Event) -> Iterator[dict[str, Any]]:
    """The events of a watch: from the version that the client knows or, without one, first the objects as they are.

    A bookmark, if the client allows them, is the last event before the time of the watch is over.

    Raises:
        ApiError: 400, at once, a selector is wrong.
    """
    return _events(cluster, request, stopped, selector(request.resource, request.namespace, request.query))


def _events(
    cluster: Cluster, request: Request, stopped: threading.Event, is_selected: Callable[[Json], bool]
) -> Iterator[dict[str, Any]]:
    ends = time.monotonic() + float(request.query.get("timeoutSeconds") or _LONGEST_SECONDS)
    version = int(request.query.get("resourceVersion") or 0)
    if version == 0:
        found, version = cluster.snapshot(request.resource, request.namespace, request.query)
        yield from (_event(request, "ADDED", each) for each in found)
    while not stopped.is_set() and (left := ends - time.monotonic()) > 0:
        try:
            changes = cluster.changes_after(version, timeout=min(left, _POLL_SECONDS))
        except ApiError as error:
            yield {"type": "ERROR", "object": error.status()}
            return
        for change in changes:
            version = change.version
            if change.resource == request.resource and (kind := _kind(change, is_selected)):
                yield _event(request, kind, change.content)
    if request.flag("allowWatchBookmarks"):
        yield _event(request, "BOOKMARK", {"metadata": {"resourceVersion": str(version)}})


def _kind(change: Change, is_selected: Callable[[Json], bool]) -> str:
    """What the change is for this client; empty if it does not concern it.

    An object that the selectors select no more is deleted, and one that they select now is added.
    """
    was = change.before is not None and is_selected(change.before)
    remains = change.type != "DELETED" and is_selected(change.content)
    return {(True, True): "MODIFIED", (False, True): "ADDED", (True, False): "DELETED"}.get((was, remains), "")


def _event(request: Request, kind: str, content: Json) -> dict[str, Any]:
    resource = SERVED[request.resource]
    return {"type": kind, "object": {"kind": resource.kind, "apiVersion": resource.version, **content}}
