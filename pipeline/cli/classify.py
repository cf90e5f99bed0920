"""Ask what serves about images."""

import json
import sys
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pipeline.cli.live import Live, live
from pipeline.cli.options import ASK, Model, model_context
from pipeline.cli.output import whole_lines
from pipeline.commands import naming

if TYPE_CHECKING:
    from rich.table import Table

    from pipeline.asking.answers import Asker, ImageAnswer

commands = typer.Typer()

Connect = Callable[[], "AbstractAsyncContextManager[Asker]"]

Images = Annotated[
    list[Path], typer.Argument(metavar="IMAGE_OR_FOLDER...", help="image files, and folders with all that is below")
]
Server = Annotated[
    str | None,
    typer.Option(
        "--server",
        metavar="HOST:PORT,...",
        help="ask these servers, a list or a source; else the fleet of the model",
    ),
]
Gateway = Annotated[str | None, typer.Option("--gateway", metavar="URL", help="ask this gateway, over HTTP")]
KeyFile = Annotated[
    Path | None,
    typer.Option("--key-file", metavar="FILE", help="has the API key for the gateway; else UNDERSTUDY_GATEWAY_KEY"),
]
Version = Annotated[str | None, typer.Option("--version", help="ask exactly this version, 4 or v4")]
Top = Annotated[int, typer.Option("--top", min=1, max=1000, help="how many labels of each image")]
AsLines = Annotated[bool, typer.Option("--json", help="for programs: one JSON object per line, as soon as it is there")]
Concurrency = Annotated[int, typer.Option("--concurrency", min=1, max=64, help="how many images are under way at once")]


@commands.command("classify", rich_help_panel=ASK)
def classify_command(
    images: Images,
    *,
    model: Model,
    server: Server = None,
    gateway: Gateway = None,
    key_file: KeyFile = None,
    version: Version = None,
    top: Top = 3,
    as_json: AsLines = False,
    concurrency: Concurrency = 8,
) -> None:
    """Ask what serves about images, and show the most probable labels of each.

    Ends with 1 if an image could not be classified, and with 75 if no server answers.
    """
    from pipeline.errors import ExitCode
    from pipeline.verbs.classify import Counts, classify

    _require_one(server=server, gateway=gateway, key_file=key_file)
    counts = Counts()
    with naming(model):
        connect = _connection(
            model, server=server, gateway=gateway, key_file=key_file, version=version, top=top, concurrency=concurrency
        )
        with live("images", hidden=as_json and sys.stdout.isatty()) as progress:
            output = _Output(progress, as_json=as_json)
            try:
                classify(images, connect, concurrency=concurrency, counts=counts, found=output.add)
            except KeyboardInterrupt:
                raise typer.Exit(ExitCode.INTERRUPTED) from None
            finally:
                output.flush()
                if counts.classified or counts.failed:
                    progress.say(f"{model}: {counts.classified} classified, {counts.failed} failed")
    if counts.failed:
        raise typer.Exit(ExitCode.FAILED)


def _require_one(*, server: str | None, gateway: str | None, key_file: Path | None) -> None:
    if server is not None and gateway is not None:
        raise typer.BadParameter("--server and --gateway exclude each other: name what is asked once")
    if key_file is not None and gateway is None:
        raise typer.BadParameter("--key-file is for --gateway: model servers take no key")


class _Output:
    """Answers on standard output, problems on standard error."""

    def __init__(self, progress: Live, *, as_json: bool) -> None:
        from pipeline.inspection.classified_images import Pages

        self._progress = progress
        self._pages: Pages | None = None if as_json else Pages(self._show)

    def add(self, found: "ImageAnswer") -> None:
        self._progress.advance()
        if self._pages is None:
            typer.echo(json.dumps(found.as_json()))
            return
        self._pages.add(found)
        if found.problem:
            self._progress.say(found.problem)

    def flush(self) -> None:
        if self._pages is not None:
            self._pages.flush()

    def _show(self, table: "Table") -> None:
        with self._progress.paused():
            whole_lines().print(table)


def _connection(
    model: str,
    *,
    server: str | None,
    gateway: str | None,
    key_file: Path | None,
    version: str | None,
    top: int,
    concurrency: int,
) -> Connect:
    """What opens a connection to the servers or the gateway, once it is called in the event loop."""
    from pipeline.inspection.published_version import number_of

    number = None if version is None else number_of(version)
    if gateway is not None:
        return _to_gateway(model, gateway, key_file, version=number, top=top, concurrency=concurrency)
    return _to_servers(model, server, version=number, top=top)


def _to_gateway(
    model: str, gateway: str, key_file: Path | None, *, version: int | None, top: int, concurrency: int
) -> Connect:
    from pipeline.asking.gateway_asker import GatewayAsker, gateway_url
    from pipeline.asking.gateway_key import key_of

    url, key = gateway_url(gateway), key_of(key_file)
    return lambda: GatewayAsker(url, key=key, model=model, version=version, top=top, concurrency=concurrency)


def _to_servers(model: str, server: str | None, *, version: int | None, top: int) -> Connect:
    from pipeline.asking.fleet_asker import FleetAsker
    from pipeline.fleets.named_servers import named_servers, servers_of
    from pipeline.settings import load_settings

    if server is not None:
        named = named_servers(load_settings(), server, version=version)
    else:
        with model_context(model) as context:
            named = servers_of(context.known, context.settings, version=version)
    return lambda: FleetAsker(named.fleet, model=model, label=named.label, version=version, top=top)
