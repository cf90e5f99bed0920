"""The fleet record of each model in the bucket of the stack: written at the first start, changed if ports change.

Replica 1 of each model is the first ring, which a candidate is exposed to before the others. A record from before there
were first rings gets one at the next start.
"""

from embedded.environment import POLL_SECONDS, first_record_environment, stack_environment
from embedded.errors import StackError
from embedded.first_ring import recorded_fleet
from embedded.local_fleet import LocalFleet
from embedded.prepare import run
from embedded.settings import StackSettings
from pipeline import layout
from pipeline.fleets.changes import static_addresses
from pipeline.fleets.fleet_spec import FleetSpec, static_members

REASON = "make up: this is where the stack runs now"
RING_REASON = "make up: replica 1 is the first ring, so a candidate that ends its server leaves the others answering"

# The groups of a fleet: replica 1, and all others.
FIRST, REST = "first", "rest"
# Shorter than the default: this stack is for trying things, and each release waits for it.
SOAK_SECONDS = 5


def write(settings: StackSettings) -> list[str]:
    """Let the record of each model say where its replicas and MLflow are, and make the config that servers poll.

    Returns a message for each record that was changed.

    Raises:
        StackError: a record cannot be read or written; the message has the end of the output of the verb.
    """
    changed: list[str] = []
    waiting = [*settings.fleets, *_without_file(settings)]
    while waiting:
        refused: dict[LocalFleet, StackError] = {}
        for fleet in waiting:
            try:
                changed += _write(settings, fleet)
            except StackError as error:
                refused[fleet] = error
        if len(refused) == len(waiting):
            raise next(iter(refused.values()))
        # Ports that have moved may still be those of another model, whose record is changed later in this round.
        waiting = [*refused]
    return changed


def _without_file(settings: StackSettings) -> list[LocalFleet]:
    """The models that had replicas before and have a record: their ports may have moved with those of the others."""
    return [
        LocalFleet(model, ports)
        for model, ports in settings.replica_ports.items()
        if model not in (settings.models_served or ()) and (settings.bucket / layout.fleets(model)).is_dir()
    ]


def _write(settings: StackSettings, fleet: LocalFleet) -> list[str]:
    recorded = recorded_fleet(settings, fleet.model)
    if recorded is None:
        ring = [f"--first-ring={FIRST}"] if len(fleet.addresses) > 1 else []
        options = [*_replicas(fleet), *ring, _rollout(settings), _mlflow_url(settings)]
        words = ("init", "--model", fleet.model, f"--config-poll-seconds={POLL_SECONDS}", *options)
        # The time limits of the caller count.
        short = {"UNDERSTUDY_SOAK_SECONDS": str(SOAK_SECONDS)}
        _pipeline(*words, environment=short | first_record_environment(settings))
        return []
    differing = _differing(settings, fleet, recorded)
    if not differing:
        # The config may be missing. Without the option, `init` expects the default roll-out.
        _pipeline("init", "--model", fleet.model, _rollout(settings), environment=stack_environment(settings))
        return []
    reason = REASON if differing.keys() - {"replicas", "ring"} or _moved(fleet, recorded) else RING_REASON
    options = [option for given in differing.values() for option in given]
    words = ("fleet", "set", "--model", fleet.model, *options, f"--reason={reason}")
    return _pipeline(*words, environment=stack_environment(settings)).splitlines()[-1:]


def _moved(fleet: LocalFleet, recorded: FleetSpec) -> bool:
    return static_addresses(recorded) != {*fleet.addresses}


def _differing(settings: StackSettings, fleet: LocalFleet, recorded: FleetSpec) -> dict[str, list[str]]:
    """The options for what is recorded and is not so any more, or was not recorded by an earlier `make up`.

    People may have divided the replicas into groups, or removed the first ring: that stays.
    """
    ring = len(fleet.addresses) > 1 and not _ring_was_removed(recorded)
    grouped = _moved(fleet, recorded) or (ring and len(recorded.groups) == 1)
    options = {
        "replicas": _replicas(fleet) if grouped else [],
        "ring": _ring(fleet, recorded, ring=ring, grouped=grouped),
        "rollout": [] if recorded.rollout == settings.rollout else [_rollout(settings)],
        "mlflow_url": [] if recorded.mlflow_url == settings.mlflow_url else [_mlflow_url(settings)],
    }
    return {name: given for name, given in options.items() if given}


def _ring_was_removed(recorded: FleetSpec) -> bool:
    """Whether people have removed it. One replica alone cannot be a first ring, so nobody has removed that."""
    return recorded.ring_config and recorded.first_ring is None and len(static_addresses(recorded)) > 1


def _ring(fleet: LocalFleet, recorded: FleetSpec, *, ring: bool, grouped: bool) -> list[str]:
    """The options that make the group of replica 1 the first ring, or remove a ring whose group ends."""
    if not ring:
        return ["--first-ring=none"] if grouped and recorded.first_ring else []
    name = FIRST if grouped else recorded.first_ring or _group_of(fleet.addresses[0], recorded)
    soak = [] if recorded.ring_config else [f"--soak-seconds={SOAK_SECONDS}"]
    return [] if name == recorded.first_ring else [f"--first-ring={name}", *soak]


def _group_of(address: str, recorded: FleetSpec) -> str:
    return next(name for name, group in recorded.groups.items() if address in static_members(group))


def _replicas(fleet: LocalFleet) -> list[str]:
    """Replica 1 in a group of its own, if there are others."""
    first, *rest = fleet.addresses
    return [f"--replicas={FIRST}={first}", f"--replicas={REST}={','.join(rest)}"] if rest else [f"--replicas={first}"]


def _rollout(settings: StackSettings) -> str:
    return f"--rollout={settings.rollout}"


def _mlflow_url(settings: StackSettings) -> str:
    return f"--mlflow-url={settings.mlflow_url}"


def _pipeline(*words: str, environment: dict[str, str]) -> str:
    return run("pipeline", *words, environment=environment)
