"""What a change of a fleet changes, and whether it is safe."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pydantic import ValidationError

from pipeline.errors import BadInputError
from pipeline.fleets.fleet_spec import MAIN, FleetSpec, TlsSpec, static_members
from pipeline.fleets.known_fleet import read_authority
from pipeline.validation import problems

# The value of --tls-ca for connections that are not encrypted, and of --first-ring for a fleet without one.
NONE = "none"


@dataclass(frozen=True)
class FleetChange:
    """The values that a person gives, by option; None for those that stay as they are.

    Attributes:
        replicas: sources by the name of their group. They replace all groups.
        minimum: how many replicas each group should have at least. Without `replicas`, of the groups that exist.
        tls_ca: the path of a PEM file, `system`, or `none` for plain text.
        tls_server_name: see `TlsSpec`.
        first_ring: the name of a group, or `none`.
        deployment: fields of `pipeline.deployment.Deployment`.
    """

    replicas: Mapping[str, str] | None = None
    minimum: Mapping[str, int] | None = None
    tls_ca: str | None = None
    tls_server_name: str | None = None
    first_ring: str | None = None
    deployment: Mapping[str, Any] | None = None

    def applied(self, fleet: FleetSpec) -> FleetSpec:
        """The fleet after the change.

        Raises:
            BadInputError: names each value that cannot be used.
        """
        content = fleet.model_dump() | dict(self.deployment or {})
        content["groups"] = self._groups(fleet)
        content["tls"] = self._tls(fleet.tls)
        if self.first_ring is not None:
            content["first_ring"] = None if self.first_ring == NONE else self.first_ring
        try:
            return FleetSpec.model_validate(content)
        except ValidationError as error:
            raise BadInputError(f"the fleet would not be usable: {problems(error)}. Nothing was changed") from error

    def _tls(self, before: TlsSpec | None) -> dict[str, Any] | None:
        if self.tls_ca == NONE:
            return None
        tls = before.model_dump() if before else {}
        if self.tls_ca is not None:
            tls["ca"] = read_authority(self.tls_ca, source="--tls-ca")
        if self.tls_server_name is not None:
            tls["server_name"] = self.tls_server_name
        return tls or (TlsSpec().model_dump() if self.tls_ca or before else None)

    def _groups(self, fleet: FleetSpec) -> dict[str, Any]:
        minimum = dict(self.minimum or {})
        if self.replicas is None:
            groups: dict[str, Any] = {name: group.model_dump() for name, group in fleet.groups.items()}
        else:
            groups = {name: {"replicas": source} for name, source in self.replicas.items()}
        if unknown := sorted(minimum.keys() - groups.keys()):
            raise BadInputError(
                f"--minimum names the group {unknown[0]!r}, and the groups are {', '.join(groups)}. Nothing was changed"
            )
        return {name: group | ({"minimum": minimum[name]} if name in minimum else {}) for name, group in groups.items()}


def named_values(texts: list[str], *, option: str) -> dict[str, str]:
    """The values of an option that may be given for several groups: `GROUP=VALUE`, or `VALUE` for the only group.

    Raises:
        BadInputError: a group is named twice.
    """
    values: dict[str, str] = {}
    for text in texts:
        name, separator, value = text.partition("=")
        group, value = (name, value) if separator else (MAIN, text)
        if group in values:
            raise BadInputError(f"{option} is given twice for the group {group!r}. Give it once for each group")
        values[group] = value
    return values


def whole_numbers(values: Mapping[str, str], *, option: str) -> dict[str, int]:
    """The values as whole numbers above zero.

    Raises:
        BadInputError: one is no such number.
    """
    for value in values.values():
        if not value.isascii() or not value.isdigit() or int(value) < 1:
            raise BadInputError(f"{option} {value!r} is not a whole number from 1")
    return {name: int(value) for name, value in values.items()}


def changed_fields(before: FleetSpec, after: FleetSpec) -> dict[str, tuple[str, str]]:
    """The fields that differ, with their values before and after as text for people."""
    old, new = described(before), described(after)
    return {name: (old[name], new[name]) for name in new if old[name] != new[name]}


# Fields that a person reads in another form, or not at all.
_NOT_A_LINE = frozenset({"groups", "tls", "first_ring", "ring_config"})


def described(fleet: FleetSpec) -> dict[str, str]:
    """Each field of a fleet as text for people."""
    content = {name: value for name, value in fleet.model_dump().items() if name not in _NOT_A_LINE}
    return {
        "replicas": fleet.replicas,
        **{name: _text(value) for name, value in content.items()},
        "tls": _tls_text(fleet.tls),
    }


def require_same_rollout(before: FleetSpec, after: FleetSpec, *, serving: int | None) -> None:
    """Refuse another roll-out for a model that was released: its versions are stored where those servers do not look.

    Args:
        before: the fleet now.
        after: the fleet after the change.
        serving: the version that serves; None if none does.

    Raises:
        BadInputError: the roll-out would change.
    """
    if before.rollout == after.rollout:
        return
    now = f"v{serving} serves by" if serving is not None else "versions were released by"
    raise BadInputError(
        f"{now} the roll-out {before.rollout!r}. Servers of {after.rollout!r} would not find them, because versions "
        f"are stored in another place. Nothing was changed. To change the roll-out, use a new bucket"
    )


def static_addresses(fleet: FleetSpec) -> set[str]:
    """The replicas of fixed lists, and the sources of the others: what no two models may share."""
    found: set[str] = set()
    for group in fleet.groups.values():
        found.update(static_members(group) or [group.replicas])
    return found


def _text(value: object) -> str:
    if value is None:
        return "-"
    return f"{value:g}" if isinstance(value, float) else str(value)


def _tls_text(tls: TlsSpec | None) -> str:
    if tls is None:
        return "plain text"
    authority = "the authorities of this machine" if tls.ca is None else "an authority of its own"
    return f"encrypted, certificates of {authority}" + (f", named {tls.server_name}" if tls.server_name else "")


def written(at: datetime, actor: str, reason: str) -> str:
    """Who wrote a record, when and why, as text for people."""
    return f"{at:%Y-%m-%d %H:%M} UTC by {actor}: {reason}"
