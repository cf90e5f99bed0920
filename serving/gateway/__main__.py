"""`python -m serving.gateway`: start a gateway. See docs/gateway.md."""

import argparse
import logging
import os
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import NoReturn

from serving.gateway.observation.process_log import log_to_stderr
from serving.gateway.settings import PORT, Limits, Settings, SettingsError, parse_model
from serving.tls import Tls


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve until SIGTERM; 2 if it cannot be started like this, 1 if its port is taken."""
    given = parser().parse_args(arguments)
    from serving.gateway.application import create_app  # noqa: PLC0415 - not for --help
    from serving.gateway.http.server import serve  # noqa: PLC0415 - not for --help

    try:
        settings = settings_of(given)
        app = create_app(settings)
    except SettingsError as error:
        print(f"error: {error}", file=sys.stderr)  # noqa: T201
        return 2
    return serve(app, settings)


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(
        prog="python -m serving.gateway", description="HTTP in front of model servers: images in, labels out."
    )
    limits = Limits()
    made.add_argument(
        "--model",
        action="append",
        default=[],
        metavar="NAME=SOURCE",
        help="a model and its replicas, which may also be dns://, kubernetes:// or tsuru://; repeatable: "
        "digits=127.0.0.1:8500,127.0.0.1:8510",
    )
    made.add_argument(
        "--latest",
        action="append",
        default=[],
        metavar="NAME",
        help="the servers of this model have no labels and answer from the newest version (roll-out `latest`)",
    )
    made.add_argument("--host", default="127.0.0.1", help="the address to listen on (default: %(default)s)")
    made.add_argument("--port", type=int, default=PORT, help="(default: %(default)s)")
    made.add_argument("--keys", type=Path, metavar="FILE", help="the hashes of API keys; needed for any other --host")
    made.add_argument("--metrics-port", type=int, metavar="PORT", help="serve /metrics there too, without a key")
    made.add_argument(
        "--metrics-host", default="127.0.0.1", metavar="HOST", help="the address of that port (default: %(default)s)"
    )
    for name, help_text in _LIMITS.items():
        default = getattr(limits, name)
        made.add_argument(
            f"--{name.replace('_', '-')}", type=type(default), default=default, help=f"{help_text} (default: {default})"
        )
    tls = made.add_argument_group("connections to the model servers", "what the gateway itself serves is plain HTTP")
    for name, help_text in _TLS.items():
        tls.add_argument(f"--tls-{name}", metavar="FILE" if name != "server-name" else "NAME", help=help_text)
    return made


_LIMITS = {
    "body_bytes": "the most bytes of a request",
    "images": "the most images of a request",
    "pixels": "the most pixels of all images of a request",
    "seconds": "seconds for an answer, the conversion of images included",
    "body_seconds": "seconds for a request to arrive",
    "connections": "the most connections at once; fewer if a process may not open so many files",
}
_TLS = {
    "ca": "the authority of the replicas' certificates; with it, connections to them are encrypted",
    "certificate": "of the gateway, for replicas that ask for one (mTLS)",
    "key": "the private key of that certificate",
    "server-name": "the name in the replicas' certificates, if it is not the host of their address",
}


def settings_of(given: argparse.Namespace) -> Settings:
    """Raises SettingsError if what was given cannot be used."""
    tls = _tls(given)
    names = [text.partition("=")[0] for text in given.model]
    if unknown := [name for name in given.latest if name not in names]:
        raise SettingsError(f"--latest {unknown[0]}: no --model has that name")
    limits = {name: getattr(given, name) for name in _LIMITS}
    return Settings(
        models=[parse_model(text, latest=text.partition("=")[0] in given.latest, tls=tls) for text in given.model],
        host=given.host,
        port=given.port,
        keys=given.keys,
        metrics_port=given.metrics_port,
        metrics_host=given.metrics_host,
        limits=Limits(**limits),
    )


def _tls(given: argparse.Namespace) -> Tls | None:
    files = {"ca": given.tls_ca, "certificate": given.tls_certificate, "key": given.tls_key}
    if not any(files.values()):
        if given.tls_server_name:
            raise SettingsError("--tls-server-name needs --tls-ca")
        return None
    try:
        contents = {name: Path(path).read_bytes() if path else None for name, path in files.items()}
        return Tls(server_name=given.tls_server_name, **contents)
    except OSError as error:
        raise SettingsError(f"{error.filename} cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise SettingsError(f"--tls-certificate and --tls-key: {error}") from error


def leave(code: int) -> NoReturn:
    """End the process now: Python would wait for threads that still convert an image or look up a name."""
    logging.shutdown()
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError):
            stream.flush()
    os._exit(code)


if __name__ == "__main__":
    log_to_stderr()
    leave(main())
