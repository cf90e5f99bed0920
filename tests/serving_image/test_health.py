"""The health check of the serving image, against the embedded server over REST."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import cast

import pytest

from serving.model_server.flags import parse_flags
from serving.model_server.server import Server
from tests.fleet import POLL_SECONDS, load, write_classifier
from tests.hunts import hunt
from tests.ports import free_port
from tests.releases import eventually
from tests.serving.model_server.test_process import merged
from tests.serving.model_server.world import config
from tests.serving_image.image import health, healthy


@dataclass
class Pinned:
    """A server that follows a config, which has no version at first."""

    folder: Path
    variables: dict[str, str]

    def name_versions(self, *versions: int, **labels: int) -> None:
        for each in versions:
            if not (self.folder / "digits" / str(each)).exists():
                write_classifier(self.folder / "digits" / str(each))
        whole = merged(config(self.folder / "digits", versions=versions, name="digits", **labels))
        (self.folder / "new").write_text(str(whole))
        (self.folder / "new").replace(self.folder / "digits.config")


@contextmanager
def serving(*words: str) -> Iterator[dict[str, str]]:
    """The variables of a container in which such a server runs."""
    port, rest_port = free_port(), free_port()
    flags = parse_flags([f"--port={port}", f"--rest_api_port={rest_port}", *words])
    often = cast("int", POLL_SECONDS)
    server = Server(
        replace(flags, model_config_file_poll_wait_seconds=often, file_system_poll_wait_seconds=often), load
    )
    server.start()
    try:
        yield {"PORT": str(port), "REST_PORT": str(rest_port), "MODEL_NAME": "digits"}
    finally:
        server.stop()


@pytest.fixture
def pinned(tmp_path: Path) -> Iterator[Pinned]:
    file = tmp_path / "digits.config"
    file.write_text("model_config_list {}")
    allowed = "--allow_version_labels_for_unavailable_models=true"
    with serving(f"--model_config_file={file}", allowed) as variables:
        yield Pinned(tmp_path, variables)


def test_before_the_first_release_it_is_alive_and_routable_but_not_ready(pinned: Pinned) -> None:
    done = health("ready", **pinned.variables)

    assert (1, "/v1/models/digits/labels/stable/metadata answers '400', not 200\n") == (done.returncode, done.stderr)
    assert healthy("alive", **pinned.variables)
    assert healthy("routable", **pinned.variables)


def test_it_is_ready_once_the_label_is_on_a_version_that_is_loaded(pinned: Pinned) -> None:
    pinned.name_versions(1, stable=1)

    assert eventually(lambda: healthy("ready", **pinned.variables), seconds=20)
    assert healthy("routable", **pinned.variables)


def test_a_version_without_the_label_is_alive_and_neither_ready_nor_routable(pinned: Pinned) -> None:
    pinned.name_versions(1)

    assert eventually(lambda: not healthy("routable", **pinned.variables), seconds=20)
    assert not healthy("ready", **pinned.variables)
    assert healthy("alive", **pinned.variables)


def test_a_base_path_has_no_labels_and_is_ready_with_any_version(tmp_path: Path) -> None:
    base = tmp_path / "digits"
    write_classifier(base / "7")
    with serving("--model_name=digits", f"--model_base_path={base}") as variables:
        assert healthy("ready", MODEL_PATH=str(base), **variables)
        assert not healthy("ready", **variables)


def test_a_version_that_is_gone_makes_it_unready(pinned: Pinned) -> None:
    pinned.name_versions(1, stable=1)
    assert eventually(lambda: healthy("ready", **pinned.variables), seconds=20)

    pinned.name_versions(1)

    assert eventually(lambda: not healthy("routable", **pinned.variables), seconds=20)


@pytest.mark.parametrize("mode", ["alive", "ready", "routable"])
def test_without_a_server_it_is_dead(mode: str) -> None:
    port = str(free_port())
    done = health(mode, REST_PORT=port, MODEL_NAME="digits")

    assert 1 == done.returncode
    assert done.stderr.count("\n") == 1


@hunt
@pytest.mark.parametrize("mode", ["alive", "ready"])
def test_a_server_that_takes_connections_and_answers_none_is_dead(mode: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        done = health(mode, REST_PORT=str(silent.getsockname()[1]), MODEL_NAME="digits")

    assert 1 == done.returncode
    assert done.stderr


def test_without_rest_it_is_alive_while_grpc_listens(pinned: Pinned) -> None:
    assert healthy("alive", PORT=pinned.variables["PORT"], REST_PORT="")
    assert healthy("alive", PORT=pinned.variables["PORT"], REST_PORT="0")
    assert not healthy("alive", PORT=str(free_port()), REST_PORT="0")


@pytest.mark.parametrize(
    ("mode", "variables", "problem"),
    [
        ("ready", {}, "MODEL_NAME is not set"),
        ("routable", {}, "MODEL_NAME is not set"),
        ("ready", {"MODEL_NAME": "digits", "REST_PORT": "0"}, "REST is off"),
        ("there", {}, "'there' is none of alive, ready and routable"),
    ],
)
def test_a_question_that_cannot_be_answered_is_not_healthy(mode: str, variables: dict[str, str], problem: str) -> None:
    done = health(mode, **variables)

    assert 1 == done.returncode
    assert done.stderr.startswith(problem)
