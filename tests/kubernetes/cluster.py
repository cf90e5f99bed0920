"""The objects of a cluster, their versions, and what changed."""

import copy
import threading
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tests.kubernetes import moments
from tests.kubernetes.resources import SERVED
from tests.kubernetes.selectors import field_selector, label_selector
from tests.kubernetes.statuses import ApiError

Json = Mapping[str, Any]
Query = Mapping[str, str]


@dataclass(frozen=True)
class Change:
    """What happened to an object.

    Attributes:
        version: of the object after the change.
        type: ADDED, MODIFIED or DELETED.
        content: the object after the change, or the last one of a deleted object.
        before: the object before it; None if it was not there.
    """

    version: int
    type: str
    resource: str
    content: dict[str, Any]
    before: dict[str, Any] | None


@dataclass
class Cluster:
    """The objects by resource, namespace and name. Those that it returns are never changed: they are replaced.

    Attributes:
        namespaces: those that exist; `put` adds to them.
        changes: all since the begin, or since `forget_changes`.
    """

    objects: dict[tuple[str, str, str], dict[str, Any]] = field(default_factory=dict)
    namespaces: set[str] = field(default_factory=lambda: {"default", "serving"})
    changes: list[Change] = field(default_factory=list)
    version: int = 1
    oldest_version: int = 1

    def __post_init__(self) -> None:
        self.changed = threading.Condition()

    def put(self, resource: str, *objects: Json, namespace: str = "serving") -> None:
        """Create or replace objects as they are. The kubelet runs no pod that is put."""
        with self.changed:
            self.namespaces.add(namespace)
            for each in objects:
                metadata = {"creationTimestamp": moments.now(), **each["metadata"], "namespace": namespace}
                self._store(resource, {**copy.deepcopy(dict(each)), "metadata": metadata})

    def create(self, resource: str, content: Json) -> dict[str, Any]:
        """The object with uid and version.

        Raises:
            ApiError: 409, there is one of its name.
        """
        metadata = content["metadata"]
        with self.changed:
            if self.get(resource, metadata["namespace"], metadata["name"]) is not None:
                raise ApiError(409, f'{resource} "{metadata["name"]}" already exists', reason="AlreadyExists")
            born = {**metadata, "uid": str(uuid.uuid4()), "creationTimestamp": moments.now()}
            return self._store(resource, {**content, "metadata": born})

    def update(
        self, resource: str, namespace: str, name: str, change: Callable[[dict[str, Any]], None], *, uid: str = ""
    ) -> dict[str, Any] | None:
        """Change an object; None if it is not there, or is another of the same name. No change is no new version."""
        with self.changed:
            before = self.get(resource, namespace, name)
            if before is None or uid not in ("", before["metadata"].get("uid")):
                return None
            after = copy.deepcopy(before)
            change(after)
            return before if after == before else self._store(resource, after)

    def remove(self, resource: str, name: str, *, namespace: str = "serving", uid: str = "") -> dict[str, Any] | None:
        """The last state of the object; None if it is not there."""
        with self.changed:
            before = self.get(resource, namespace, name)
            if before is None or uid not in ("", before["metadata"].get("uid")):
                return None
            del self.objects[resource, namespace, name]
            self.version += 1
            last = {**before, "metadata": {**before["metadata"], "resourceVersion": str(self.version)}}
            self._note("DELETED", resource, last, before)
            return last

    def get(self, resource: str, namespace: str, name: str) -> dict[str, Any] | None:
        return self.objects.get((resource, namespace, name))

    def list(self, resource: str, namespace: str, query: Query) -> Sequence[dict[str, Any]]:
        """Those that the selectors select, of one namespace or, if it is empty, of all."""
        return self.snapshot(resource, namespace, query)[0]

    def snapshot(self, resource: str, namespace: str, query: Query) -> tuple[Sequence[dict[str, Any]], int]:
        """The list, and the version of the cluster that it shows."""
        is_selected = selector(resource, namespace, query)
        with self.changed:
            found = [self.objects[key] for key in sorted(self.objects) if key[0] == resource]
            return [each for each in found if is_selected(each)], self.version

    def changes_after(self, version: int, *, timeout: float) -> Sequence[Change]:
        """Those after a version; waits for one, at most `timeout` seconds.

        Raises:
            ApiError: 410, older changes are forgotten.
        """
        with self.changed:
            if version < self.oldest_version:
                raise ApiError(410, f"too old resource version: {version} ({self.oldest_version})")
            self.changed.wait_for(lambda: self.version > version, timeout)
            return [each for each in self.changes if each.version > version]

    def forget_changes(self) -> None:
        """Forget the changes so far, as a cluster does after some minutes: who watches from there gets a 410."""
        with self.changed:
            self.oldest_version = self.version
            self.changes.clear()

    def _store(self, resource: str, content: dict[str, Any]) -> dict[str, Any]:
        metadata = content["metadata"]
        key = resource, metadata["namespace"], metadata["name"]
        before = self.objects.get(key)
        self.version += 1
        stored = {**content, "metadata": {**metadata, "resourceVersion": str(self.version)}}
        self.objects[key] = stored
        self._note("ADDED" if before is None else "MODIFIED", resource, stored, before)
        return stored

    def _note(self, kind: str, resource: str, content: dict[str, Any], before: dict[str, Any] | None) -> None:
        self.changes.append(Change(self.version, kind, resource, content, before))
        self.changed.notify_all()


def selector(resource: str, namespace: str, query: Query) -> Callable[[Json], bool]:
    """Whether a request selects an object of its resource.

    Raises:
        ApiError: 400, a selector is wrong.
    """
    fields = SERVED[resource].fields if resource in SERVED else ()
    has_labels = label_selector(query.get("labelSelector", ""))
    has_fields = field_selector(query.get("fieldSelector", ""), fields)

    def selects(content: Json) -> bool:
        metadata = content["metadata"]
        is_here = namespace in ("", metadata["namespace"])
        return is_here and has_labels(metadata.get("labels") or {}) and has_fields(content)

    return selects
