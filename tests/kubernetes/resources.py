"""Which resources the API serves, at which paths, and who may do what with them."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

SLICES, PODS, EVENTS, LOGS = "endpointslices", "pods", "events", "pods/log"
# Kept in the cluster for pods that refer to them; the API does not serve them.
SECRETS, CONFIG_MAPS, SERVICE_ACCOUNTS = "secrets", "configmaps", "serviceaccounts"

# (verb, resource), for example ("list", "pods").
Right = tuple[str, str]

_NAME = ("metadata.name", "metadata.namespace")
_INVOLVED = tuple(f"involvedObject.{each}" for each in ("kind", "namespace", "name", "uid", "fieldPath"))


@dataclass(frozen=True)
class Resource:
    """A resource that the API serves.

    Attributes:
        version: group and version, for example `discovery.k8s.io/v1`.
        kind: of its objects.
        verbs: what can be done with it.
        fields: those that field selectors may name.
    """

    name: str
    version: str
    kind: str
    verbs: tuple[str, ...]
    fields: tuple[str, ...] = _NAME
    short_names: tuple[str, ...] = ()

    @property
    def root(self) -> str:
        return f"/api/{self.version}" if self.version == "v1" else f"/apis/{self.version}"

    @property
    def group(self) -> str:
        return "" if self.version == "v1" else self.version.partition("/")[0]


_POD_FIELDS = ("spec.nodeName", "spec.restartPolicy", "spec.serviceAccountName", "status.phase", "status.podIP")
SERVED = {
    each.name: each
    for each in (
        Resource(SLICES, "discovery.k8s.io/v1", "EndpointSlice", ("get", "list", "watch")),
        Resource(
            PODS,
            "v1",
            "Pod",
            ("create", "delete", "get", "list", "patch", "watch"),
            (*_NAME, *_POD_FIELDS),
            ("po",),
        ),
        Resource(EVENTS, "v1", "Event", ("get", "list", "watch"), (*_NAME, *_INVOLVED, "reason", "type"), ("ev",)),
    )
}
ALL_RIGHTS: frozenset[Right] = frozenset(
    [(verb, each.name) for each in SERVED.values() for verb in each.verbs] + [("get", LOGS)]
)


@dataclass(frozen=True)
class Request:
    """What a client wants.

    Attributes:
        verb: as rights name it, for example `list`.
        namespace: empty for all.
        name: empty for a list, or for an object that is to be created.
        subresource: `log`, or empty.
        query: parameters of the address.
    """

    verb: str
    resource: str
    namespace: str = ""
    name: str = ""
    subresource: str = ""
    query: Mapping[str, str] = field(default_factory=dict)

    @property
    def right(self) -> Right:
        return self.verb, f"{self.resource}/{self.subresource}" if self.subresource else self.resource

    def flag(self, name: str) -> bool:
        """Whether a parameter is set, as the API reads booleans."""
        return self.query.get(name, "false").lower() in ("true", "1")


def parse_request(method: str, path: str, query: Mapping[str, str]) -> Request | None:
    """The request for a resource; None for what the API does not serve."""
    for resource in SERVED.values():
        if not path.startswith(f"{resource.root}/"):
            continue
        match path.removeprefix(f"{resource.root}/").split("/"):
            case [resource.name]:
                return _request(method, Request("", resource.name, query=query))
            case ["namespaces", space, resource.name, *rest] if space and len(rest) <= 2:
                name, subresource = [*rest, "", ""][:2]
                return _request(method, Request("", resource.name, space, name, subresource, query))
    return None


def rights_of_role(role: Mapping[str, Any]) -> frozenset[Right]:
    """The rights that a Role gives, of those that the API knows."""
    return frozenset(right for rule in role["rules"] for right in _rights(rule)) & ALL_RIGHTS


def _rights(rule: Mapping[str, Iterable[str]]) -> Iterable[Right]:
    return ((verb, resource) for verb in rule["verbs"] for resource in rule["resources"])


def _request(method: str, target: Request) -> Request | None:
    """The request with its verb; None for a verb or a subresource that is not served there."""
    verbs = {"POST": "create", "DELETE": "delete", "PATCH": "patch", "GET": "get" if target.name else "list"}
    verb = verbs.get(method, method.lower())
    if verb == "list" and target.flag("watch"):
        verb = "watch"
    is_known = target.subresource in ("", "log" if target.resource == PODS else "")
    needs_name = verb in ("get", "delete", "patch")
    return replace(target, verb=verb) if is_known and bool(target.name) == needs_name else None
