"""The fleet of a model: write its first record, show it, change it."""

import json
from collections.abc import Iterable
from typing import TYPE_CHECKING, Annotated

import typer

from pipeline.cli.options import AsJson, Model, model_context
from pipeline.cli.output import whole_lines

if TYPE_CHECKING:
    from pipeline.fleets.changes import FleetChange

GROUP = "Fleet: the servers of a model"

commands = typer.Typer()
fleet = typer.Typer(no_args_is_help=True, help="Show or change which servers a model has, and how they are used.")
commands.add_typer(fleet, name="fleet", rich_help_panel=GROUP)

Replicas = Annotated[
    list[str] | None,
    typer.Option(
        "--replicas",
        help="where the replicas are: host:port,host:port, dns://name:port, kubernetes://namespace/service:port or "
        "tsuru://app/process:port; several groups: once each, GROUP=...",
    ),
]
Minimum = Annotated[
    list[str] | None, typer.Option("--minimum", help="how many replicas there must be at least; GROUP=N for a group")
]
Rollout = Annotated[str | None, typer.Option("--rollout", help="how servers learn what to serve: pinned or latest")]
ServerRoot = Annotated[
    str | None, typer.Option("--server-root", help="where servers find the bucket, if that is another place")
]
PollSeconds = Annotated[
    float | None, typer.Option("--config-poll-seconds", help="how often servers look for what to serve")
]
LoadSeconds = Annotated[
    float | None, typer.Option("--load-seconds", help="how long every replica may take to load a version")
]
FollowSeconds = Annotated[
    float | None, typer.Option("--follow-seconds", help="how long until every replica answers from a version")
]
FirstRing = Annotated[
    str | None,
    typer.Option("--first-ring", help="the group that a candidate is exposed to first; `none`: to all at once"),
]
SoakSeconds = Annotated[
    float | None, typer.Option("--soak-seconds", help="how long a candidate is observed in the first ring")
]
SilentSeconds = Annotated[
    float | None,
    typer.Option("--silent-seconds", help="how long a replica may give no answer while a candidate is exposed to it"),
]
AbandonedSeconds = Annotated[
    float | None, typer.Option("--abandoned-seconds", help="after how long without an entry a run is taken to be gone")
]
ServerTensorflow = Annotated[
    str | None, typer.Option("--server-tensorflow", help="the oldest TensorFlow among the servers")
]
MlflowUrl = Annotated[str | None, typer.Option("--mlflow-url", help="where MLflow is")]
TlsCa = Annotated[
    str | None,
    typer.Option("--tls-ca", help="encrypt: a PEM file of who signed the servers' certificates, `system`, or `none`"),
]
TlsServerName = Annotated[
    str | None, typer.Option("--tls-server-name", help="the name in the servers' certificates, if not their host")
]


@commands.command("init", rich_help_panel=GROUP)
def init_command(
    *,
    model: Model,
    replicas: Replicas = None,
    minimum: Minimum = None,
    first_ring: FirstRing = None,
    rollout: Rollout = None,
    server_root: ServerRoot = None,
    config_poll_seconds: PollSeconds = None,
    load_seconds: LoadSeconds = None,
    follow_seconds: FollowSeconds = None,
    soak_seconds: SoakSeconds = None,
    silent_seconds: SilentSeconds = None,
    abandoned_seconds: AbandonedSeconds = None,
    server_tensorflow: ServerTensorflow = None,
    mlflow_url: MlflowUrl = None,
    tls_ca: TlsCa = None,
    tls_server_name: TlsServerName = None,
) -> None:
    """Write the first fleet record, and the config that servers read. For what no option says, UNDERSTUDY_* counts.

    Run again with the same values it changes nothing; with other values it fails.
    """
    from pipeline.inspection.moved_servers import servers_to_move
    from pipeline.verbs.init import init

    change = _change(
        replicas=replicas,
        minimum=minimum,
        first_ring=first_ring,
        tls_ca=tls_ca,
        tls_server_name=tls_server_name,
        rollout=rollout,
        server_root=server_root,
        config_poll_seconds=config_poll_seconds,
        load_seconds=load_seconds,
        follow_seconds=follow_seconds,
        soak_seconds=soak_seconds,
        silent_seconds=silent_seconds,
        abandoned_seconds=abandoned_seconds,
        server_tensorflow=server_tensorflow,
        mlflow_url=mlflow_url,
    )
    with model_context(model) as context:
        record, history = init(context, change)
        to_do = servers_to_move(context, None, record.fleet)
    _show(to_do)
    typer.echo(f"{model}: {history.state}; fleet record {record.number}: {record.fleet.replicas}")


@fleet.command("show")
def show_command(model: Model, as_json: AsJson = False) -> None:
    """Show the fleet, the replicas that exist now, and who changed it when and why. Changes nothing."""
    from pipeline.fleets.fleet_records import FleetRecords
    from pipeline.inspection.fleet_table import fleet_as_json, fleet_table
    from pipeline.inspection.known_models import require_known

    with model_context(model) as context:
        records = FleetRecords(context.bucket, model).all()
        if not records:
            require_known(context)
    if as_json:
        typer.echo(json.dumps(fleet_as_json(context, records), indent=1))
    else:
        whole_lines().print(fleet_table(context, records))


@fleet.command("set")
def set_command(
    *,
    model: Model,
    reason: Annotated[str, typer.Option("--reason", help="why; kept in the record")] = "",
    replicas: Replicas = None,
    minimum: Minimum = None,
    first_ring: FirstRing = None,
    rollout: Rollout = None,
    server_root: ServerRoot = None,
    config_poll_seconds: PollSeconds = None,
    load_seconds: LoadSeconds = None,
    follow_seconds: FollowSeconds = None,
    soak_seconds: SoakSeconds = None,
    silent_seconds: SilentSeconds = None,
    abandoned_seconds: AbandonedSeconds = None,
    server_tensorflow: ServerTensorflow = None,
    mlflow_url: MlflowUrl = None,
    tls_ca: TlsCa = None,
    tls_server_name: TlsServerName = None,
) -> None:
    """Change the fleet; what no option names stays. A change that is not safe while a version serves is refused."""
    from pipeline.verbs.fleet_set import fleet_set

    change = _change(
        replicas=replicas,
        minimum=minimum,
        first_ring=first_ring,
        tls_ca=tls_ca,
        tls_server_name=tls_server_name,
        rollout=rollout,
        server_root=server_root,
        config_poll_seconds=config_poll_seconds,
        load_seconds=load_seconds,
        follow_seconds=follow_seconds,
        soak_seconds=soak_seconds,
        silent_seconds=silent_seconds,
        abandoned_seconds=abandoned_seconds,
        server_tensorflow=server_tensorflow,
        mlflow_url=mlflow_url,
    )
    with model_context(model) as context:
        done = fleet_set(context, change, reason=reason)
    if not done.changed:
        typer.echo(f"{model}: nothing to change in fleet record {done.record.number}")
    for name, (before, after) in done.changed.items():
        typer.echo(f"{name.replace('_', ' ')}: {before} -> {after}")
    _show(done.to_do)
    if done.changed:
        typer.echo(f"{model}: fleet record {done.record.number}")


def _show(to_do: Iterable[str]) -> None:
    for sentence in to_do:
        typer.echo(f"To do: {sentence}")


def _change(
    *,
    replicas: list[str] | None,
    minimum: list[str] | None,
    first_ring: str | None,
    tls_ca: str | None,
    tls_server_name: str | None,
    **deployment: object,
) -> "FleetChange":
    from pipeline.fleets.changes import FleetChange, named_values, whole_numbers

    return FleetChange(
        replicas=named_values(replicas, option="--replicas") if replicas else None,
        minimum=whole_numbers(named_values(minimum, option="--minimum"), option="--minimum") if minimum else None,
        first_ring=first_ring,
        tls_ca=tls_ca,
        tls_server_name=tls_server_name,
        deployment={name: value for name, value in deployment.items() if value is not None},
    )
