"""The fleet record of each model in the bucket of the stack: written at the first start, changed if ports change."""

from embedded.environment import POLL_SECONDS, first_record_environment, stack_environment
from embedded.errors import StackError
from embedded.local_fleet import LocalFleet
from embedded.prepare import run
from embedded.settings import StackSettings
from pipeline import layout
from pipeline.errors import UnderstudyError
from pipeline.fleets.changes import static_addresses
from pipeline.fleets.fleet_records import FleetRecords
from pipeline.fleets.fleet_spec import FleetSpec
from pipeline.storage.local import LocalBucket

REASON = "make up: this is where the stack runs now"


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
    recorded = _recorded(settings, fleet.model)
    if recorded is None:
        options = [f"--config-poll-seconds={POLL_SECONDS}", *_all_options(settings, fleet).values()]
        _pipeline("init", "--model", fleet.model, *options, environment=first_record_environment(settings))
        return []
    options = _differing(settings, fleet, recorded)
    if not options:
        # The config may be missing. Without the option, `init` expects the default roll-out.
        rollout = f"--rollout={settings.rollout}"
        _pipeline("init", "--model", fleet.model, rollout, environment=stack_environment(settings))
        return []
    words = ("fleet", "set", "--model", fleet.model, *options, f"--reason={REASON}")
    return _pipeline(*words, environment=stack_environment(settings)).splitlines()[-1:]


def _recorded(settings: StackSettings, model: str) -> FleetSpec | None:
    try:
        record = FleetRecords(LocalBucket(settings.bucket), model).newest()
    except UnderstudyError as error:
        raise StackError(f"the fleet record of {model} cannot be read: {error}") from error
    return record.fleet if record else None


def _differing(settings: StackSettings, fleet: LocalFleet, recorded: FleetSpec) -> list[str]:
    """The options for what is recorded and is not so any more. People may have divided the replicas into groups."""
    options = _all_options(settings, fleet)
    same = {
        "replicas": static_addresses(recorded) == {*fleet.addresses},
        "rollout": recorded.rollout == settings.rollout,
        "mlflow_url": recorded.mlflow_url == settings.mlflow_url,
    }
    return [option for name, option in options.items() if not same[name]]


def _all_options(settings: StackSettings, fleet: LocalFleet) -> dict[str, str]:
    return {
        "replicas": f"--replicas={','.join(fleet.addresses)}",
        "rollout": f"--rollout={settings.rollout}",
        "mlflow_url": f"--mlflow-url={settings.mlflow_url}",
    }


def _pipeline(*words: str, environment: dict[str, str]) -> str:
    return run("pipeline", *words, environment=environment)
