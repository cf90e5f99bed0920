"""The platform of docker-compose.yaml as processes of this machine: started and stopped in the order that it names."""

import os
import re
import shlex
import shutil
import signal
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests.platform import database
from tests.platform.compose_file import words_of
from tests.platform.container import Container, ServiceError
from tests.platform.images import IMAGES, Image
from tests.platform.rewriting import Ports, Rules
from tests.ports import free_port

# Grafana is in no package. What it reads is checked in tests/monitoring.
NOT_EXECUTED = frozenset({"grafana"})
SECONDS = {"s": 1.0, "m": 60.0}

Service = Mapping[str, Any]


class Platform:
    """All services of a resolved docker-compose.yaml.

    Args:
        resolved: the file, as Compose resolves it.
        folder: for volumes, logs and what each container has for itself. Every user must be able to reach it.
    """

    def __init__(self, resolved: Mapping[str, Any], folder: Path) -> None:
        self.services: Mapping[str, Service] = resolved["services"]
        self.folder = folder
        self.ports = _ports(self.services)
        self._secrets = {name: Path(each["file"]) for name, each in resolved.get("secrets", {}).items()}
        self._running: dict[str, Container] = {}
        # After how many seconds of `up` each service was healthy, or had ended.
        self.seconds: dict[str, float] = {}
        self._tools = self._make_tools()

    def up(self, services: Iterable[str]) -> None:
        """Start these services, each when those that it waits for are healthy or have ended well.

        Raises:
            ServiceError: one does not come up.
        """
        waiting, began = [*services], time.monotonic()
        started: dict[str, Future[None]] = {}
        with ThreadPoolExecutor(len(waiting)) as pool:
            while waiting:
                name = next(each for each in waiting if not self._needed(each) & {*waiting})
                waiting.remove(name)
                needed = [started[each] for each in self._needed(name) & {*started}]
                started[name] = pool.submit(self._start_after, needed, name, began)
        for each in started.values():
            each.result()

    def _start_after(self, needed: list["Future[None]"], name: str, began: float) -> None:
        for each in needed:
            each.result()
        self.start(name)
        self.seconds[name] = time.monotonic() - began

    def start(self, name: str) -> Container:
        """Start a service, and wait until it is healthy or, if it has work to do, until it has ended."""
        return self.launch(self.container(name))

    def launch(self, container: Container) -> Container:
        """The same for a service whose variables were changed."""
        _require_programs(container)
        self._running[container.name] = container
        if container.name == "postgres":
            self._prepare_database(container)
        if self.services[container.name]["restart"] == "no":
            container.run()
            del self._running[container.name]
        else:
            container.start()
            container.wait_until_healthy()
        return container

    def down(self) -> None:
        """Stop all services, the last one that was started first.

        Raises:
            ServiceError: one has ended by itself, or did not end in its time. The others are stopped.
        """
        problems = []
        for name in reversed([*self._running]):
            try:
                self._running[name].stop()
            except ServiceError as error:
                problems.append(str(error))
        self.kill()
        if problems:
            raise ServiceError("\n".join(problems))

    def kill(self) -> None:
        for container in self._running.values():
            container.kill()
        self._running.clear()

    def run(self, name: str, *arguments: str) -> str:
        """`docker compose run SERVICE ARGUMENTS`: its output."""
        container = self.container(name, arguments)
        container.log.unlink(missing_ok=True)
        return container.run()

    def port(self, service: str, port: int) -> int:
        """The port of this machine for a port of a container."""
        return self.ports.listening[service, port]

    def volume(self, name: str) -> Path:
        folder = self.folder / "volumes" / name
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    def rules(self, name: str) -> Rules:
        return Rules(name, self.ports, self._mounts(name))

    def container(self, name: str, arguments: Sequence[str] = ()) -> Container:
        """A service, not started; `arguments` stand for its command."""
        service, image, rules = self.services[name], _image(self.services[name]), self.rules(name)
        command = [*(words_of(service, "entrypoint") or image.entrypoint), *(arguments or words_of(service, "command"))]
        log = self.folder / "log" / f"{name}.log"
        log.parent.mkdir(exist_ok=True)
        container = Container(
            name,
            command=[rules.rewritten(word) for word in command],
            environment=self._environment(name, rules),
            folder=rules.path(image.work_folder),
            log=log,
            health=[rules.rewritten(word) for word in service.get("healthcheck", {}).get("test", [])[1:]],
            grace=_seconds(service.get("stop_grace_period", "10s")),
        )
        return self._as_postgres(container) if name == "postgres" else container

    def _needed(self, name: str) -> set[str]:
        return set(self.services[name].get("depends_on", {}))

    def _environment(self, name: str, rules: Rules) -> dict[str, str]:
        """The variables of the service and of its image, and nothing of who runs the tests."""
        said = {**_image(self.services[name]).variables, **self.services[name].get("environment", {})}
        path = [str(self._tools), str(database.programs()), str(Path(sys.executable).parent), os.environ["PATH"]]
        return {
            "PATH": os.pathsep.join(path),
            "HOME": str(self._own(name, "home")),
            "TMPDIR": str(self._own(name, "tmp")),
            **{variable: rules.rewritten(value) for variable, value in said.items()},
        }

    def _mounts(self, name: str) -> dict[str, Path]:
        service, image = self.services[name], _image(self.services[name])
        own = [*image.folders, *service.get("tmpfs", ())]
        mounts = {"/dev": Path("/dev")} | dict(image.files) | {path: self._own(name, Path(path).name) for path in own}
        for each in service.get("volumes", ()):
            source = Path(each["source"]) if each["type"] == "bind" else self.volume(each["source"])
            mounts[each["target"]] = self._readdressed(name, source)
        return mounts | {each["target"]: self._secrets[each["source"]] for each in service.get("secrets", ())}

    def _readdressed(self, name: str, source: Path) -> Path:
        """The configuration of Prometheus has addresses of other services, which are rewritten like all others."""
        if name != "prometheus" or source.is_relative_to(self.folder):
            return source
        copy = self._own(name, "configuration")
        rules = Rules(name, self.ports, {})
        for file in source.glob("*.yaml"):
            text = file.read_text(encoding="utf-8")
            targets = re.sub(r"(?m)^[^#\n]*targets: .*$", lambda found: rules.rewritten(found[0]), text)
            (copy / file.name).write_text(targets, encoding="utf-8")
        return copy

    def _own(self, name: str, folder: str) -> Path:
        made = self.folder / "containers" / name / folder
        made.mkdir(parents=True, exist_ok=True)
        return made

    def _make_tools(self) -> Path:
        """A `tensorflow_model_server`: the embedded server, which has the same flags."""
        folder = self.folder / "tools"
        folder.mkdir(parents=True)
        server = folder / "tensorflow_model_server"
        server.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -m serving.model_server "$@"\n')
        server.chmod(0o755)
        return folder

    def _as_postgres(self, container: Container) -> Container:
        """The image's command, as `tests.platform.database` explains."""
        socket_folder, data = self._own("postgres", "s"), self.volume("postgres")
        if name := database.user():
            shutil.chown(socket_folder, name)
        port = str(self.port("postgres", 5432))
        container.environment = {**container.environment, "PGHOST": str(socket_folder), "PGPORT": port}
        where = ["-D", str(data), "-p", port, "-k", str(socket_folder), "-c", "listen_addresses=127.0.0.1"]
        container.command = ["postgres", *where]
        container.folder = socket_folder
        container.stop_signal, container.user = signal.SIGINT, database.user()
        return container

    def _prepare_database(self, container: Container) -> None:
        # The user of the server may not be able to reach the checkout.
        scripts = [
            Path(shutil.copy(each["source"], self.folder))
            for each in self.services["postgres"]["volumes"]
            if each["target"].startswith("/docker-entrypoint-initdb.d/")
        ]
        assert scripts
        database.prepare(self.volume("postgres"), scripts, container.environment)


def _require_programs(container: Container) -> None:
    """Skip the test where this machine does not have what a service starts."""
    for command in (container.command, container.health):
        if command and shutil.which(command[0], path=container.environment["PATH"]) is None:
            pytest.skip(f"needs {command[0]}: install it; on Debian, apt-get install {Path(command[0]).name}")


def _image(service: Service) -> Image:
    # docker/pin adds digests.
    return IMAGES[str(service["image"]).partition("@")[0].rsplit(":", 1)[0]]


def _ports(services: Mapping[str, Service]) -> Ports:
    """A port of this machine for each port that a service opens, to the host or to other services."""
    listening: dict[tuple[str, int], int] = {}
    published: dict[int, int] = {}
    for name, service in services.items():
        opened = [(port["target"], int(port["published"])) for port in service.get("ports", ())]
        for inside, outside in [*opened, *((int(port), None) for port in service.get("expose", ()))]:
            here = listening.setdefault((name, inside), free_port())
            if outside is not None:
                published[outside] = here
    return Ports(listening, published)


def _seconds(text: str) -> float:
    return sum(float(number) * SECONDS[unit] for number, unit in re.findall(r"([\d.]+)([sm])", text))
