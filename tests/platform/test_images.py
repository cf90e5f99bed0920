"""The images, built on stand-ins for their bases and run without rights on a root that nobody can write."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest

from pipeline import result
from serving.server_flags import ConfigSource, replica_flags
from tests.mlflow_server import wait_until_healthy
from tests.platform import stand_ins
from tests.platform.engine import PROJECT, Engine, engine
from tests.ports import free_port

pytestmark = [pytest.mark.platform, pytest.mark.timeout(1200)]

VERSION = "v0-7-gabc1234"
PIPELINE, MLFLOW, AIRFLOW, GATEWAY = (
    f"localhost/understudy-{name}:local" for name in ("pipeline", "mlflow", "airflow", "gateway")
)
BASES = {"PYTHON_IMAGE": stand_ins.PYTHON, "AIRFLOW_IMAGE": stand_ins.AIRFLOW}
RUN = "retrain-20260101030000000000"
RELEASE = ("snapshot", "train", "evaluate", "gate", "publish", "canary", "promote")
# Each environment of each image: its SBOM, and its Python.
ENVIRONMENTS = {
    "verbs": (PIPELINE, "/opt/understudy/sbom/verbs.cdx.json", "/opt/understudy/.venv/bin/python"),
    "mlflow": (MLFLOW, "/opt/mlflow/sbom/mlflow.cdx.json", "/opt/mlflow/.venv/bin/python"),
    "gateway": (GATEWAY, "/opt/understudy/sbom/gateway.cdx.json", "/opt/understudy/.venv/bin/python"),
    "airflow": (AIRFLOW, "/opt/understudy/sbom/airflow.cdx.json", "/home/airflow/.local/bin/python"),
    "verbs in Airflow": (AIRFLOW, "/opt/understudy/sbom/verbs.cdx.json", "/opt/understudy/.venv/bin/python"),
}
INSTALLED = """
import importlib.metadata as metadata, json
print(json.dumps(sorted((each.metadata["Name"], each.version) for each in metadata.distributions())))
"""
# Each format that `serving.images` reads, and the names of those that it made something of.
CONVERT = """
import io
from PIL import Image
from serving.images import prepare
for kind in ("PNG", "JPEG", "WEBP", "BMP", "GIF", "TIFF"):
    stream = io.BytesIO()
    Image.new("RGB", (9, 9)).save(stream, kind)
    assert prepare(stream.getvalue()).content
    print(kind)
"""
VALIDATE = """
import sys
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
error = JsonStrictValidator(SchemaVersion.V1_6).validate_str(sys.stdin.read())
sys.exit(error and str(error))
"""


@pytest.fixture(scope="module")
def images() -> Iterator[Engine]:
    stand_ins.skip_without_python()
    with engine() as made:
        stand_ins.make_python(made)
        stand_ins.make_airflow(made)
        # Half of a build is one core that packs and unpacks layers, so two builds at once take little longer than one.
        with ThreadPoolExecutor(2) as builds:
            ours = ("airflow", "pipeline", "mlflow", "gateway")
            names = list(builds.map(partial(made.build, version=VERSION, bases=BASES), ours))
        assert [AIRFLOW, PIPELINE, MLFLOW, GATEWAY] == names
        yield made


@dataclass
class Platform:
    """Containers of the images beside two model servers of this checkout, on one bucket."""

    images: Engine
    bucket: Path
    mlflow_url: str
    servers: list[str]

    @property
    def options(self) -> list[str]:
        given = {"UNDERSTUDY_ROOT": "/bucket", "UNDERSTUDY_PARAMS": '{"epochs": 4}'}
        return ["--volume", f"{self.bucket}:/bucket", *[f"--env={name}={value}" for name, value in given.items()]]

    def run(self, *words: str, expected: int = 0) -> subprocess.CompletedProcess[str]:
        """Run a verb in the pipeline image."""
        return self.images.run(
            PIPELINE, "python", "-m", "pipeline", *words, "--model", "digits", options=self.options, expected=expected
        )


@pytest.fixture(scope="module")
def platform(images: Engine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    """After a release from the first verb to the last."""
    folder = tmp_path_factory.mktemp("platform")
    bucket, artifacts = folder / "bucket", folder / "mlflow"
    for each in (bucket, artifacts):
        each.mkdir()
        os.chown(each, 50000, 0)
    # The containers are another user, which must reach what pytest has made for this one only.
    for parent in (folder, folder.parent, folder.parent.parent):
        parent.chmod(0o755)
    ports = [free_port(), free_port()]
    servers = [f"127.0.0.1:{port}" for port in ports]
    with running_mlflow(images, artifacts) as url, running_servers(bucket / "serve/digits.config", ports):
        made = Platform(images, bucket, url, servers)
        record = ["--replicas", ",".join(servers), "--server-root", str(bucket), "--mlflow-url", url]
        made.run("init", *record, "--rollout", "pinned", "--config-poll-seconds", "1")
        for verb in RELEASE:
            made.run(verb, "--run", RUN)
        yield made


@contextmanager
def running_mlflow(images: Engine, folder: Path) -> Iterator[str]:
    """The MLflow image with a port of its own, and otherwise as it is."""
    port = free_port()
    words = ("mlflow", "server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1")
    options = ["--name", "mlflow", "--volume", f"{folder}:/mlflow"]
    with (folder.parent / "mlflow.log").open("wb") as log:
        server = subprocess.Popen(images.command(MLFLOW, *words, options=options), stdout=log, stderr=log)
    url = f"http://127.0.0.1:{port}"
    try:
        wait_until_healthy(url, server, folder.parent / "mlflow.log")
        yield url
    finally:
        server.terminate()
        server.wait(30)


@contextmanager
def running_servers(config: Path, ports: Sequence[int]) -> Iterator[None]:
    """Model servers that wait for the config which `init` writes, and follow it."""
    command = [sys.executable, "-m", "tests.platform.patient_server", str(config)]
    flags = [replica_flags(ConfigSource(uri=str(config)), port=port, threads=1) for port in ports]
    started = [subprocess.Popen([*command, *each], cwd=PROJECT) for each in flags]
    try:
        yield
    finally:
        for each in started:
            each.terminate()
        for each in started:
            each.wait(30)


def test_the_verbs_of_the_pipeline_image_release_a_model(platform: Platform) -> None:
    shown = json.loads(platform.run("status", "--json").stdout)

    assert 1 == shown["serving"]["version"], shown
    assert [1, 1] == [each["serving"] for each in shown["replicas"]], shown
    assert 1 == shown["mlflow"]["production"], shown
    assert shown["agrees"], shown


def test_the_records_of_a_run_name_the_code_version_of_the_image(platform: Platform) -> None:
    spec = json.loads((platform.bucket / f"runs/digits/{RUN}/spec.json").read_text())

    assert VERSION == spec["code_version"]


def test_mlflow_s_client_without_its_server_tracks_the_run(platform: Platform) -> None:
    query = {"experiment_ids": ["1"], "max_results": 10}
    runs = httpx.post(f"{platform.mlflow_url}/api/2.0/mlflow/runs/search", json=query).json()["runs"]

    assert ["FINISHED"] == [each["info"]["status"] for each in runs]
    assert {"holdout/accuracy", "validation/accuracy"} <= {each["key"] for each in runs[0]["data"]["metrics"]}


def test_a_plan_of_a_roll_back_says_that_there_is_no_earlier_version(platform: Platform) -> None:
    done = platform.run("rollback", "--plan", expected=1)

    assert "there is no previous good version" in done.stdout + done.stderr


def test_the_result_of_a_verb_may_be_the_termination_message_of_its_container(platform: Platform) -> None:
    """Kubernetes mounts an empty file that everybody may write, also where the root of the container is read-only."""
    message = platform.bucket.parent / "termination-log"
    message.touch()
    message.chmod(0o666)
    mounted = [f"--volume={message}:/dev/termination-log", f"--env={result.VARIABLE}=/dev/termination-log"]
    command = ("python", "-m", "pipeline", "announce", "--model", "digits")
    platform.images.run(PIPELINE, *command, options=[*platform.options, *mounted], expected=0)

    found = result.read(message)
    assert ("announce", "done", [1]) == (
        found["verb"],
        found["outcome"],
        [each["version"] for each in found["changes"]],
    )


def test_the_verbs_in_the_airflow_image_run_on_the_same_bucket(platform: Platform) -> None:
    """By the interpreter that DAGs use, and as the user that owns what the pipeline image has written."""
    words = ("bash", "-c", '"$UNDERSTUDY_PYTHON" -m pipeline freeze --model digits --until 3d --reason Tests')
    platform.images.run(AIRFLOW, *words, options=platform.options)

    shown = json.loads(platform.run("status", "--json").stdout)
    assert "Tests" in json.dumps(shown)


def test_airflow_runs_a_verb_as_the_task_of_a_dag(platform: Platform, tmp_path: Path) -> None:
    """Without an error in a DAG, a plugin or a provider, also once Airflow has read them from its database."""
    script = """
    airflow db migrate > /tmp/log 2>&1 || { cat /tmp/log; exit 1; }
    airflow dags reserialize > /tmp/log 2>&1 || { cat /tmp/log; exit 1; }
    echo "errors: $(airflow dags list-import-errors --output json 2>/dev/null | tail -n 1)"
    airflow dags test retain_digits 2>&1
    """
    home = tmp_path / "airflow"
    home.mkdir()
    os.chown(home, 50000, 0)
    options = [*platform.options, "--volume", f"{home}:/opt/airflow"]
    done = platform.images.run(AIRFLOW, "bash", "-c", script, options=options)

    assert "errors: []" in done.stdout.splitlines(), done.stdout
    assert "retain" in done.stdout


@pytest.fixture(scope="module")
def sbom_python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Python with the library of CycloneDX, as the images are built with it."""
    python = tmp_path_factory.mktemp("sbom") / ".venv/bin/python"
    uv = Path(sys.executable).with_name("uv")
    subprocess.run([uv, "venv", "--quiet", "--python", sys.executable, python.parents[1]], check=True, timeout=60)
    lock = PROJECT / "docker/requirements-sbom.txt"
    install: list[str | Path] = [uv, "pip", "sync", "--quiet", "--require-hashes", "--python", python, lock]
    subprocess.run(install, check=True, timeout=120)
    return python


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_an_sbom_is_valid_and_names_what_is_installed(images: Engine, environment: str, sbom_python: Path) -> None:
    image, path, python = ENVIRONMENTS[environment]
    # Airflow's entry point passes on what begins with `bash`; other words are commands of Airflow.
    content = images.run(image, "bash", "-c", f"cat {path}").stdout
    installed = json.loads(images.run(image, "bash", "-c", f"{python} -c '{INSTALLED}'").stdout)

    subprocess.run([sbom_python, "-c", VALIDATE], input=content, text=True, check=True, timeout=60)
    assert installed == sorted([each["name"], each["version"]] for each in json.loads(content)["components"])


def test_nothing_that_no_lock_names_is_left_of_airflow_s_base(images: Engine) -> None:
    installed = json.loads(images.run(AIRFLOW, "python", "-c", INSTALLED).stdout)

    assert "leftover" not in {name for name, _ in installed}


@pytest.mark.parametrize("image", [PIPELINE, MLFLOW, AIRFLOW, GATEWAY])
def test_an_image_runs_without_rights_and_names_its_version(images: Engine, image: str) -> None:
    config = images.config(image)

    # The version and `local` are tags of one image.
    assert config == images.config(image.replace(":local", f":{VERSION}"))
    assert "50000:0" == config["User"]
    assert VERSION == config["Labels"]["org.opencontainers.image.version"]


def test_the_gateway_is_small_and_has_no_tensorflow(images: Engine) -> None:
    """...beside the messages, of which each file is text."""
    find = "find /opt /usr -name 'libtensorflow*' -o -path '*/tensorflow/python' -o -path '*/tensorflow/*.so*'"
    messages = "find /opt/understudy/.venv/lib/python3.11/site-packages/tensorflow -name '*.py' | wc -l"

    assert 120_000_000 >= images.size(GATEWAY) - images.size(stand_ins.PYTHON)
    assert "" == images.run(GATEWAY, "bash", "-c", find).stdout
    assert 20 < int(images.run(GATEWAY, "bash", "-c", messages).stdout)


def test_the_gateway_converts_each_format_of_an_image(images: Engine) -> None:
    """What is removed of Pillow and NumPy is not needed for that, and what is left still loads."""
    formats = images.run(GATEWAY, "python", "-W", "error", "-c", CONVERT).stdout.split()

    assert ["PNG", "JPEG", "WEBP", "BMP", "GIF", "TIFF"] == formats


def test_the_gateway_answers_for_the_replicas_and_says_which_version(platform: Platform) -> None:
    port = free_port()
    words = ["--port", str(port), "--model", f"digits={','.join(platform.servers)}"]
    command = platform.images.command(GATEWAY, "python", "-m", "serving.gateway", *words, options=["--name", "gateway"])
    image = next((platform.bucket / "data/digits").glob("*.png")).read_bytes()
    log = platform.bucket.parent / "gateway.log"

    with log.open("wb") as file, subprocess.Popen(command, stdout=file, stderr=file) as gateway:
        try:
            answer = ask_gateway(f"http://127.0.0.1:{port}/v1/classify/digits?top=2", image, gateway, log)
        finally:
            platform.images.stop("gateway")

    assert 1 == answer["version"]
    assert answer["replica"] in platform.servers
    assert 2 == len(answer["predictions"][0]["labels"])


def ask_gateway(url: str, image: bytes, gateway: "subprocess.Popen[bytes]", log: Path) -> Any:
    """Ask until it is up, and a replica answers."""
    headers = {"Content-Type": "image/png"}
    for _ in range(300):
        assert gateway.poll() is None, log.read_text()
        with suppress(httpx.TransportError):
            answer = httpx.post(url, content=image, headers=headers, trust_env=False)
            if answer.status_code != 503:
                assert 200 == answer.status_code, answer.text
                return answer.json()
        time.sleep(0.1)
    raise AssertionError(f"no answer: {log.read_text()}")


def test_sigterm_ends_a_verb_at_once(images: Engine) -> None:
    """Python as process 1 would not get it, and be killed at the end of the ten seconds with code 137."""
    words = ("python", "-c", "import time; print('up', flush=True); time.sleep(60)")
    command = images.command(PIPELINE, *words, options=["--name", "sleeping"])
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as verb:
        assert verb.stdout is not None
        assert "up\n" == verb.stdout.readline()
        images.stop("sleeping")

    assert 143 == verb.returncode
