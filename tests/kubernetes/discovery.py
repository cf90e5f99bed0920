"""What the API says about itself: its version, and its resources."""

from typing import Any

from tests.kubernetes.resources import LOGS, SERVED, Resource

_VERSION = {
    "major": "1",
    "minor": "32",
    "gitVersion": "v1.32.0",
    "gitCommit": "",
    "gitTreeState": "clean",
    "buildDate": "2024-12-11T18:00:00Z",
    "goVersion": "go1.23.3",
    "compiler": "gc",
    "platform": "linux/amd64",
}


def describe(path: str) -> dict[str, Any] | None:
    """The description at a path; None for a path without one."""
    versions = sorted({each.version for each in SERVED.values()} - {"v1"})
    match path.rstrip("/"):
        case "/version":
            return _VERSION
        case "/api":
            return {"kind": "APIVersions", "versions": ["v1"], "serverAddressByClientCIDRs": []}
        case "/apis":
            return {"kind": "APIGroupList", "apiVersion": "v1", "groups": [_group(each) for each in versions]}
        case "/api/v1":
            return _resources("v1")
        case other if other.removeprefix("/apis/") in versions:
            return _resources(other.removeprefix("/apis/"))
    return None


def _group(version: str) -> dict[str, Any]:
    name, _, short = version.partition("/")
    entry = {"groupVersion": version, "version": short}
    return {"name": name, "versions": [entry], "preferredVersion": entry}


def _resources(version: str) -> dict[str, Any]:
    found = [_resource(each) for each in SERVED.values() if each.version == version]
    if version == "v1":
        found.append({"name": LOGS, "singularName": "", "namespaced": True, "kind": "Pod", "verbs": ["get"]})
    return {"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": version, "resources": found}


def _resource(resource: Resource) -> dict[str, Any]:
    return {
        "name": resource.name,
        "singularName": resource.kind.lower(),
        "namespaced": True,
        "kind": resource.kind,
        "verbs": list(resource.verbs),
        "shortNames": list(resource.short_names),
    }
