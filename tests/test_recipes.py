"""Every block of commands, of YAML and of Python in the README works as it is written: each is run, here or by CI.

Only what differs between machines is replaced: folders, ports, and the interpreter.
"""

import json
import os
import random
import re
import shlex
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml
from PIL import Image as Picture
from PIL import ImageDraw

from embedded import examples, fleet_records, prepare
from embedded.environment import stack_environment
from embedded.settings import PROJECT, StackSettings
from embedded.supervision.procfile import GATEWAY, REPLICA, entries
from pipeline import layout
from serving.model_server.flags import parse_flags
from serving.server_flags import BasePathSource, ConfigSource, required_flags
from tests.command import installed
from tests.hunts import hunt
from tests.mlflow_server import url
from tests.ports import free_port
from tests.releases import World, eventually

__all__ = ["url"]

# The first test waits for a training. Those that need it are for `make prove`.
pytestmark = [
    pytest.mark.timeout(300),
    pytest.mark.skipif(shutil.which("curl") is None, reason="needs curl: on Debian, `apt-get install curl`"),
]

BLOCKS = re.findall(
    r"^```\w*\n(.*?)^```$", (PROJECT / "README.md").read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE
)

MAKE = "make demo\nmake test"  # .ci/run does both
# tests/platform runs make-env, and what compose would start: no engine is needed.
COMPOSE = "sh docker/make-env\ndocker compose up --detach"
ROLL_BACK = "understudy rollback"
COMMAND = "understudy --help"
MONITOR = "understudy status"
CURL = "curl "
CLIENT = "from serving.client"
LABELS = "accept_labels"
FLAGS = "--model_config_file=gs://"
PETS = "name: pets_offline"
SERVER = "half_plus_two"
CHECK = "understudy check --model pets_offline\n"
REPORT = "--report report/"
EXPLAIN = "understudy explain"
WORDS = (ROLL_BACK, COMMAND, MONITOR, CURL, CLIENT, LABELS, FLAGS, CHECK, REPORT, EXPLAIN)
RECIPES = (MAKE, COMPOSE, PETS, SERVER, *WORDS)

RUN_KEY = "retrain-20261201120000000000"
LABELLED = ("cat", "dog", "owl")


def recipe(mark: str) -> str:
    """The block of the README that has these words, with this interpreter for that of `make setup`."""
    (block,) = (block for block in BLOCKS if mark in block)
    return str(block).replace(".venv/bin/python", shlex.quote(sys.executable))


def test_every_recipe_of_the_readme_is_run_by_a_test() -> None:
    assert [1] * len(BLOCKS) == [sum(mark in block for mark in RECIPES) for block in BLOCKS]


def draw_pets(folder: Path) -> None:
    """A shape and a range of colours for each label, on noise: not hard, and not trivial."""
    chance = random.Random(5)  # noqa: S311 - pictures
    for number, label in enumerate(LABELLED):
        (folder / label).mkdir(parents=True)
        for each in range(60):
            picture = Picture.effect_noise((48, 48), 60).convert("RGB")
            left, top = chance.randrange(4, 20), chance.randrange(4, 20)
            box = (left, top, left + 22, top + 22)
            pen = ImageDraw.Draw(picture)
            colour = tuple(chance.randrange(120, 250) if part == number else 60 for part in range(3))
            (pen.ellipse, pen.rectangle, pen.line)[number](box, fill=colour)
            picture.save(folder / label / f"{each}.{'jpg' if each % 2 else 'png'}")


def two_free_ports() -> int:
    """A port whose next one is free, too, and is not given to anybody else of this process."""
    while True:
        port, _ = free_port(), free_port()
        with suppress(OSError), socket.create_server(("127.0.0.1", port + 1)):
            return port


@dataclass
class Pets:
    """A stack without Airflow: the model of the README, its first version, and two replicas that serve it."""

    settings: StackSettings
    environment: dict[str, str]

    def here(self, text: str) -> str:
        """A recipe for digits and the ports of `make up`, with the model and the ports of this stack."""
        data = self.settings.bucket / layout.images("pets_offline")
        text = text.replace("var/bucket/data/digits", str(data)).replace("digits", "pets_offline")
        for usual, port in zip((8500, 8510), self.settings.serving_ports, strict=True):
            text = text.replace(str(usual), str(port)).replace(str(usual + 1), str(port + 1))
        return text.replace("8090", str(self.settings.gateway_port))

    def shell(self, text: str, **more: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            ["bash", "-euo", "pipefail", "-c", text],
            cwd=PROJECT,
            env=self.environment | more,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )


@pytest.fixture(scope="module")
def pets(url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pets]:
    folder = tmp_path_factory.mktemp("pets")
    draw_pets(folder / "images")
    (folder / "models").mkdir()
    (folder / "models" / "pets_offline.yaml").write_text(recipe(PETS).replace("/data/pets", str(folder / "images")))
    ports = (two_free_ports(), two_free_ports())
    settings = StackSettings(
        var=folder / "var",
        models=folder / "models",
        rollout="pinned",
        serving_ports=ports,
        mlflow_port=int(url.rpartition(":")[2]),
        gateway_port=free_port(),
    ).with_models(["pets_offline"])
    prepare.create_folders(settings)
    fleet_records.write(settings)
    environment = stack_environment(settings) | installed(folder / "bin")
    replicas = [
        subprocess.Popen(["bash", "-c", entry.command], env=environment | entry.extra, stderr=subprocess.DEVNULL)
        for entry in entries(settings)
        if entry.name.startswith((REPLICA, GATEWAY))
    ]
    try:
        verbs = ("snapshot", "train", "evaluate", "gate", "publish", "canary", "promote")
        words = [sys.executable, "-m", "tests.retrain", "pets_offline", RUN_KEY, *verbs]
        done = subprocess.run(words, cwd=PROJECT, env=environment, capture_output=True, text=True, check=False)
        assert 0 == done.returncode, done.stderr[-3000:]
        yield Pets(settings, environment)
    finally:
        for replica in replicas:
            replica.terminate()
        for replica in replicas:
            replica.wait(30)


@hunt
def test_the_model_file_of_the_readme_is_trained_passes_the_gate_and_serves(pets: Pets) -> None:
    """With images of its own kind: a few for each of three labels."""
    status = pets.shell(f"{shlex.quote(sys.executable)} -m pipeline status --model pets_offline --json")

    assert 1 == json.loads(status.stdout)["state"]["serving"], status.stderr


@hunt
def test_the_check_of_the_readme_finds_nothing_wrong_with_it(pets: Pets) -> None:
    done = pets.shell(recipe(CHECK))

    assert 0 == done.returncode, done.stderr


@hunt
def test_the_report_of_the_readme_is_a_page(pets: Pets, tmp_path: Path) -> None:
    done = pets.shell(recipe(REPORT).replace("report/", shlex.quote(str(tmp_path))))

    assert 0 == done.returncode, done.stderr
    assert "index.html" in {path.name for path in tmp_path.iterdir()}


@hunt
def test_the_explanation_of_the_readme_is_a_picture(pets: Pets, tmp_path: Path) -> None:
    photograph = next((pets.settings.models.parent / "images" / "cat").iterdir())
    (tmp_path / "cat.jpg").write_bytes(photograph.read_bytes())
    done = pets.shell(f"cd {shlex.quote(str(tmp_path))} && {recipe(EXPLAIN)}")

    assert 0 == done.returncode, done.stderr
    assert (tmp_path / "cat-v1.png").read_bytes().startswith(b"\x89PNG")


@hunt
def test_the_monitoring_line_of_the_readme_is_silent_until_something_differs(pets: Pets) -> None:
    healthy = pets.shell(pets.here(recipe(MONITOR)))
    away = ",".join((*pets.settings.fleets[0].addresses, "127.0.0.1:9"))
    ill = pets.shell(pets.here(recipe(MONITOR)), UNDERSTUDY_REPLICAS=away)

    assert (0, "") == (healthy.returncode, healthy.stdout), healthy.stdout
    assert ill.stdout.startswith("pets_offline needs attention, exit code 3: ")
    assert "127.0.0.1:9 does not answer" in " ".join(ill.stdout.split())


@hunt
def test_the_curl_command_of_the_readme_gets_a_label_from_the_gateway(pets: Pets) -> None:
    done = pets.shell(pets.here(recipe(CURL)))

    assert 0 == done.returncode, done.stderr
    (answer,) = json.loads(done.stdout)["predictions"]
    assert answer["labels"][0]["label"] in LABELLED, done.stdout + done.stderr


@hunt
def test_the_python_example_of_the_readme_gets_a_label_from_what_serves(pets: Pets) -> None:
    done = pets.shell(f"{shlex.quote(sys.executable)} - <<'END'\n{pets.here(recipe(CLIENT))}\nEND")

    assert re.fullmatch(rf"version 1 says ({'|'.join(LABELLED)})\n", done.stdout), done.stderr


@hunt
def test_what_make_up_prints_at_its_end_works_as_it_is_printed(pets: Pets) -> None:
    prose, _, commands = examples.text(pets.settings).partition("\n\n")

    done = pets.shell(commands)

    assert prose.startswith("To ask what serves, with curl")
    gateway, _, python = done.stdout.rpartition("version ")
    assert json.loads(gateway)["predictions"][0]["labels"][0]["label"] in LABELLED, done.stderr
    assert re.fullmatch(rf"1 says ({'|'.join(LABELLED)})\n", python)


@hunt
def test_the_recipe_for_other_labels_is_accepted(pets: Pets, tmp_path: Path) -> None:
    folder = pets.settings.models.parent / "images"
    shutil.copytree(folder, tmp_path / "images")
    (tmp_path / "images" / "dog").rename(tmp_path / "images" / "aardvark")
    text = (pets.settings.models / "pets_offline.yaml").read_text(encoding="utf-8")
    (tmp_path / "pets_offline.yaml").write_text(text.replace(str(folder), str(tmp_path / "images")), encoding="utf-8")

    # The README gives the run a key of its own; the key of another run is taken here.
    done = pets.shell(recipe(LABELS).replace(RUN_KEY, f"{RUN_KEY}1"), UNDERSTUDY_MODELS=str(tmp_path))

    assert 0 == done.returncode, done.stderr
    kept = json.loads((pets.settings.bucket / layout.record("pets_offline", f"{RUN_KEY}1", "snapshot")).read_text())
    assert ["cat", "owl", "aardvark"] == kept["labels"]


def test_the_roll_back_of_the_readme_brings_the_version_before_back(world: World) -> None:
    for number in (1, 2):
        world.approve(f"retrain-{number}")
        for verb in ("publish", "canary", "promote"):
            world.run(verb, f"retrain-{number}")
    environment = {
        "UNDERSTUDY_ROOT": str(world.bucket),
        "UNDERSTUDY_MODELS": str(world.folder),
        "UNDERSTUDY_REPLICAS": ",".join(replica.address for replica in world.replicas),
        "UNDERSTUDY_MLFLOW_URL": world.mlflow_url,
    }

    environment |= installed(world.folder / "bin")
    command = ["bash", "-c", recipe(ROLL_BACK)]
    done = subprocess.run(
        command, cwd=PROJECT, env=os.environ | environment, capture_output=True, text=True, check=False
    )

    assert 0 == done.returncode, done.stderr
    assert [1, 1] == world.answering()


def test_the_command_of_the_readme_is_found_through_a_link(tmp_path: Path) -> None:
    environment = installed(tmp_path / "installed")
    (tmp_path / ".local" / "bin").mkdir(parents=True)
    text = recipe(COMMAND).replace("$PWD/.venv/bin", str(tmp_path / "installed"))
    environment |= {"HOME": str(tmp_path), "PATH": f"{tmp_path}/.local/bin:{os.environ['PATH']}"}
    done = subprocess.run(
        ["bash", "-euc", text], cwd=tmp_path, env=os.environ | environment, capture_output=True, text=True, check=False
    )

    assert 0 == done.returncode, done.stderr
    assert "On call: change what serves" in done.stdout
    assert done.stdout.splitlines()[-1].startswith("understudy ")


def test_servers_take_the_flags_of_both_roll_outs() -> None:
    pinned, latest = recipe(FLAGS).split("\n\n")

    config = ConfigSource(uri="gs://bucket/prefix/serve/digits.config")
    base_path = BasePathSource(model="digits", uri="gs://bucket/prefix/serve/digits")
    assert parse_flags(required_flags(config)) == parse_flags(shlex.split(pinned))
    assert parse_flags(required_flags(base_path)) == parse_flags(shlex.split(latest))


def test_the_model_server_of_the_readme_starts_and_answers(tmp_path: Path) -> None:
    port = two_free_ports()
    text = recipe(SERVER).replace("$PWD/", "").replace("var/half_plus_two", str(tmp_path))
    text = text.replace("8600", str(port)).replace("8601", str(port + 1))
    export, _, serve = text.partition("\n")
    subprocess.run(["bash", "-c", export], cwd=PROJECT, check=True, capture_output=True)
    server = subprocess.Popen(["bash", "-c", f"exec {serve}"], cwd=PROJECT, stderr=subprocess.DEVNULL)
    address = f"http://127.0.0.1:{port + 1}/v1/models/half_plus_two:predict"
    ask = ["curl", "-sf", "-d", '{"instances": [2.0]}', address]
    try:
        assert eventually(_answers(ask, '{"predictions": [3.0]}'), seconds=60)
    finally:
        server.terminate()
        server.wait(30)


def _answers(command: list[str], expected: str) -> Callable[[], bool]:
    def check() -> bool:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        return done.returncode == 0 and json.loads(done.stdout) == json.loads(expected)

    return check


def test_every_model_file_of_the_readme_shows_the_limits_that_it_needs() -> None:
    """Whoever copies it must not be declined by a limit that it does not show."""
    gate = yaml.safe_load(recipe(PETS))["gate"]

    assert {"min_accuracy", "min_class_recall", "max_calibration_error", "margin"} <= set(gate)
