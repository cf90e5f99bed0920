"""The environment of a container, and references to variables, as the kubelet computes them."""

import base64
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from tests.kubernetes.cluster import Cluster
from tests.kubernetes.resources import CONFIG_MAPS, SECRETS
from tests.kubernetes.selectors import value_at

_TOKEN = re.compile(r"\$(?:\$|\((?P<name>[^)]*)\)|.)", re.DOTALL)
_KEYED_FIELD = re.compile(r"metadata\.(?P<part>labels|annotations)\['(?P<key>[^']*)'\]")
_SOURCES = {"secret": (SECRETS, "Secret"), "configMap": (CONFIG_MAPS, "ConfigMap")}


class ConfigError(Exception):
    """The container refers to something that does not exist: it waits, CreateContainerConfigError."""


def expand(text: str, variables: Mapping[str, str]) -> str:
    """Replace `$(NAME)`; `$$` becomes `$`. References to unknown variables, and unclosed ones, stay as they are."""

    def replacement(found: re.Match[str]) -> str:
        if found["name"] is not None:
            return variables.get(found["name"], found[0])
        return "$" if found[0] == "$$" else found[0]

    return _TOKEN.sub(replacement, text)


def container_variables(
    cluster: Cluster, pod: Mapping[str, Any], container: Mapping[str, Any], services: Mapping[str, str]
) -> dict[str, str]:
    """The variables that the pod gives to the container, which replace those of Services; the image gives more.

    Raises:
        ConfigError: a Secret, a ConfigMap or a key of one does not exist.
    """
    variables = dict(services)
    for source in container.get("envFrom") or ():
        variables.update(_all_of(cluster, pod, source))
    for each in container.get("env") or ():
        value = expand(each.get("value") or "", variables)
        if origin := each.get("valueFrom"):
            referred = _value_from(cluster, pod, origin)
            if referred is None:
                continue
            value = referred
        variables[each["name"]] = value
    return variables


def container_argv(
    container: Mapping[str, Any], entrypoint: Sequence[str], command: Sequence[str], variables: Mapping[str, str]
) -> list[str]:
    """The command line: `command` replaces the image's ENTRYPOINT and CMD, `args` replace its CMD."""
    given = [expand(each, variables) for each in container.get("command") or ()]
    args = [expand(each, variables) for each in container.get("args") or ()]
    if given:
        return [*given, *args]
    return [*entrypoint, *(args or command)]


def _all_of(cluster: Cluster, pod: Mapping[str, Any], source: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    kind = "secret" if "secretRef" in source else "configMap"
    reference = source[f"{kind}Ref"]
    content = _content(cluster, pod, kind, reference)
    for key, value in (content or {}).items():
        yield source.get("prefix", "") + key, value


def _value_from(cluster: Cluster, pod: Mapping[str, Any], origin: Mapping[str, Any]) -> str | None:
    if "fieldRef" in origin:
        return _field(pod, origin["fieldRef"]["fieldPath"])
    for kind, (_, name) in _SOURCES.items():
        if reference := origin.get(f"{kind}KeyRef"):
            content = _content(cluster, pod, kind, reference)
            found = (content or {}).get(reference["key"])
            if found is None and not reference.get("optional"):
                space = pod["metadata"]["namespace"]
                raise ConfigError(f"couldn't find key {reference['key']} in {name} {space}/{reference['name']}")
            return found
    raise ConfigError(f"this kubelet does not read {next(iter(origin))}")


def _content(
    cluster: Cluster, pod: Mapping[str, Any], kind: str, reference: Mapping[str, Any]
) -> Mapping[str, str] | None:
    resource, name = _SOURCES[kind]
    found = cluster.get(resource, pod["metadata"]["namespace"], reference["name"])
    if found is None and not reference.get("optional"):
        raise ConfigError(f'{name.lower()} "{reference["name"]}" not found')
    data: Mapping[str, str] = (found or {}).get("data") or {}
    return {key: base64.b64decode(value).decode() for key, value in data.items()} if kind == "secret" else data


def _field(pod: Mapping[str, Any], path: str) -> str:
    if keyed := _KEYED_FIELD.fullmatch(path):
        return str((pod["metadata"].get(keyed["part"]) or {}).get(keyed["key"], ""))
    return value_at(pod, path)
