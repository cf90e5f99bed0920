"""Measure how fast a model server answers."""

import json
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pipeline.cli.live import live
from pipeline.cli.options import ASK, AsJson, Model, model_context
from pipeline.cli.output import whole_lines
from pipeline.commands import naming

if TYPE_CHECKING:
    from pipeline.profiling.choice import Choice
    from pipeline.profiling.measurement import Measurement
    from pipeline.profiling.plan import Plan
    from pipeline.verbs.profile import Found, Profile

commands = typer.Typer()

BatchSizes = Annotated[str, typer.Option("--batch-sizes", help="images in a request, from 1 to 256")]
Concurrency = Annotated[str, typer.Option("--concurrency", help="clients of the closed loop, from 1 to 32")]
Rates = Annotated[str, typer.Option("--rates", help="requests per second of the open loop, such as 50,100, or: auto")]
Seconds = Annotated[float, typer.Option("--seconds", min=0.1, max=600, help="how long each point is measured")]
Minutes = Annotated[float, typer.Option("--minutes", min=0.1, max=600, help="all points together, at most")]
LatencyLimit = Annotated[
    float, typer.Option("--latency-limit", min=0.001, max=60, help="seconds; with p99 above it, no larger load follows")
]
Parameters = Annotated[
    Path | None,
    typer.Option("--batching-parameters", metavar="FILE", help="of the server here that batches; else usual values"),
]
Images = Annotated[Path | None, typer.Option("--images", metavar="FOLDER", help="images to send; else a made one")]
Csv = Annotated[Path | None, typer.Option("--csv", metavar="FILE", help="write the measurements as CSV")]
Plot = Annotated[Path | None, typer.Option("--plot", metavar="FILE.png", help="write them as a picture")]
Server = Annotated[
    str | None,
    typer.Option(
        "--server",
        metavar="HOST:PORT",
        help="measure this server as it is; else two are started here, one of which batches requests",
    ),
]
Version = Annotated[str, typer.Option("--version", help="a version number, 4 or v4, or: serving")]


@commands.command("profile", rich_help_panel=ASK)
def profile_command(
    *,
    model: Model,
    server: Server = None,
    version: Version = "serving",
    images: Images = None,
    batch_sizes: BatchSizes = "1,2,4,8,16,32,64,128,256",
    concurrency: Concurrency = "1,2,4,8,16,32",
    rates: Rates = "auto",
    seconds: Seconds = 2.0,
    minutes: Minutes = 10.0,
    latency_limit: LatencyLimit = 1.0,
    batching_parameters: Parameters = None,
    csv: Csv = None,
    plot: Plot = None,
    as_json: AsJson = False,
) -> None:
    """Measure latency and throughput over batch sizes, clients and rates, and choose batching parameters by them.

    Changes nothing. With --server, the requests are load for that server. Ctrl-C shows what is measured by then.
    """
    from pipeline.errors import ExitCode
    from pipeline.profiling.plan import LARGEST_BATCH, MOST_CLIENTS, Plan, rates_of, whole_numbers

    plan = Plan(
        batches=whole_numbers(batch_sizes, option="--batch-sizes", limit=LARGEST_BATCH),
        concurrencies=whole_numbers(concurrency, option="--concurrency", limit=MOST_CLIENTS),
        rates=rates_of(rates),
        seconds=seconds,
        latency_limit=latency_limit,
        minutes=minutes,
    )
    plan.require_short_enough(1 if server else 2)
    _require_folders(csv, plot)
    measurements: list[Measurement] = []
    profile = None
    with naming(model), _ended_by_sigterm():
        try:
            profile = _measure(
                model, plan, server, version=version, images=images, batching=batching_parameters, keep=measurements
            )
        except KeyboardInterrupt:
            typer.echo("interrupted; this was measured by then", err=True)
    _write(measurements, model=model, csv=csv, plot=plot)
    if as_json:
        typer.echo(json.dumps(_as_json(model, profile, measurements), indent=1))
    else:
        _show(model, profile, measurements, plan)
    if profile is None:
        raise typer.Exit(ExitCode.INTERRUPTED)


def _measure(
    model: str,
    plan: "Plan",
    server: str | None,
    *,
    version: str,
    images: Path | None,
    batching: Path | None,
    keep: "list[Measurement]",
) -> "Profile":
    """The profile; each measurement is added to `keep` when it is there."""
    from pipeline.profiling.plan import duration
    from pipeline.profiling.requests import images_of

    servers = 1 if server else 2
    total = plan.points(servers)
    sent = images_of(images)
    typer.echo(
        f"{model}: at most {total} points of {plan.seconds:g} s, {duration(plan.most_seconds(servers))}", err=True
    )
    with live("points measured", total=total) as progress:

        def found(measurement: "Measurement") -> None:
            keep.append(measurement)
            progress.advance(str(measurement.point))

        return _profile(model, plan, server, version=version, images=sent, batching=batching, found=found)


def _profile(
    model: str,
    plan: "Plan",
    server: str | None,
    *,
    version: str,
    images: Sequence[bytes],
    batching: Path | None,
    found: "Found",
) -> "Profile":
    from pipeline.errors import BadInputError
    from pipeline.verbs.profile import profile_server, profile_version

    if server is None:
        with model_context(model) as context:
            return profile_version(context, plan, version=version, images=images, batching=batching, found=found)
    if batching is not None:
        raise BadInputError("--batching-parameters are for a server that is started here; leave --server out")
    from pipeline.fleets.named_servers import named_servers
    from pipeline.inspection.published_version import SERVING, number_of
    from pipeline.settings import load_settings

    number = None if version == SERVING else number_of(version)
    named = named_servers(load_settings(), server, version=number)
    return profile_server(model, plan, named, images=images, found=found)


def _require_folders(*files: Path | None) -> None:
    """Refuse a file that could not be written, before minutes are spent on measuring."""
    from pipeline.errors import BadInputError

    for file in files:
        if file is not None and (file.is_dir() or not file.absolute().parent.is_dir()):
            raise BadInputError(f"{file} cannot be written: name a file in a folder that exists")


@contextmanager
def _ended_by_sigterm() -> Iterator[None]:
    """End by SIGTERM as by an error, so that the servers that were started here end too."""

    def end(*_: object) -> None:
        sys.exit(128 + signal.SIGTERM)

    before = signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _write(measurements: "Sequence[Measurement]", *, model: str, csv: Path | None, plot: Path | None) -> None:
    from pipeline.errors import FailedError
    from pipeline.profiling.table import write_csv

    try:
        if csv is not None:
            with csv.open("w", encoding="utf-8", newline="") as file:
                write_csv(measurements, file)
        if plot is not None:
            from pipeline.profiling.plot import draw_plot

            plot.write_bytes(draw_plot(measurements, title=model))
    except OSError as error:
        raise FailedError(f"{error.filename} cannot be written: {error.strerror}") from error


def _show(model: str, profile: "Profile | None", measurements: "Sequence[Measurement]", plan: "Plan") -> None:
    from pipeline.profiling.table import table

    title = f"{model} v{profile.version} on {profile.where}" if profile else model
    view = table(measurements, title=f"{title}; latencies in ms", latency_limit=plan.latency_limit)
    whole_lines().print(view)
    if profile is None:
        return
    if profile.out_of_time:
        typer.echo(f"not all points were measured: the {plan.minutes:g} minutes of --minutes are over")
    late = [each for each in measurements if not each.generator_kept_up]
    if late:
        typer.echo(
            f"at {len(late)} points requests were sent late, because this machine is busy: their latencies are not "
            "those of the server alone. Measure at lower --rates, or from another machine with --server"
        )
    typer.echo(_choice_text(profile.choice))


def _choice_text(choice: "Choice") -> str:
    lines = [f"- {reason}" for reason in choice.reasons]
    if choice.parameters is not None:
        title = "With batching after all, the file" if choice.batch is False else "The file"
        lines += ["", f"{title} for --batching_parameters_file, besides --enable_batching:", ""]
        lines.append(choice.parameters.as_text())
    return "\n".join(lines).rstrip("\n")


def _as_json(model: str, profile: "Profile | None", measurements: "Sequence[Measurement]") -> dict[str, Any]:
    choice = profile.choice if profile else None
    return {
        "model": model,
        "version": profile.version if profile else None,
        "complete": profile is not None and not profile.out_of_time,
        "measurements": [each.as_json() for each in measurements],
        "batch": choice.batch if choice else None,
        "batching_parameters": choice.parameters.as_text() if choice and choice.parameters else None,
        "reasons": list(choice.reasons) if choice else [],
    }
