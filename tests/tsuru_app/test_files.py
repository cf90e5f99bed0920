"""The Procfile and the other files of the Tsuru app, with a server that prints its arguments."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.serving_image.image import BINARY, FOLDER
from tests.tsuru_app.files import (
    DOCUMENT,
    EXAMPLE,
    PROJECT,
    as_tsuru_starts,
    block,
    collected,
    processes,
    variables_of_tsuru,
    write_program,
)

CONFIG = "gs://models/understudy/serve/digits.config"


@pytest.fixture
def image(tmp_path: Path) -> Path:
    """The folder of the image with a server that prints its arguments, one a line."""
    folder = tmp_path / "image"
    shutil.copytree(FOLDER, folder)
    for name in ("Procfile", "start.sh"):
        shutil.copy(EXAMPLE / name, folder)
    write_program(folder / BINARY, "printf '%s\\n' \"$@\"")
    return folder


def run(folder: Path, process: str = "web", ports: str = "8501,8500", **variables: str) -> Any:
    environment = variables_of_tsuru(process, ports) | variables
    command = as_tsuru_starts(processes(folder)[process])
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)


def test_web_serves_on_the_ports_of_tsuru_yaml_and_follows_the_config(image: Path) -> None:
    done = run(image, MODEL_NAME="digits", MODEL_CONFIG=CONFIG)

    assert {"--port=8500", "--rest_api_port=8501", f"--model_config_file={CONFIG}"} < set(done.stdout.splitlines())


def test_the_ports_of_the_app_are_those_of_the_image() -> None:
    """The health check knows no others."""
    app = yaml.safe_load((EXAMPLE / "tsuru.yaml").read_text(encoding="utf-8"))
    (line,) = (line for line in (FOLDER / "Dockerfile").read_text().splitlines() if line.startswith("ENV "))
    image = dict(word.partition("=")[::2] for word in line.split()[1:])
    expected = [int(image["REST_PORT"]), int(image["PORT"])]

    for process in app["processes"]:
        assert expected == [port["port"] for port in process["ports"]]
        assert expected == [port["target_port"] for port in process["ports"]]
        assert process["ports"] == app["kubernetes"]["groups"]["digits"][process["name"]]["ports"]
    assert ["web", "first"] == [process["name"] for process in app["processes"]]


def test_the_first_ring_polls_a_config_of_its_own(image: Path) -> None:
    (sed,) = (line for line in block("FIRST_RING_CONFIG=").splitlines() if line.startswith("sed "))
    subprocess.run(sed.replace("examples/tsuru/", ""), shell=True, cwd=image, check=True)  # noqa: S602 - of our document
    own = "gs://models/understudy/first_ring/digits.config"

    done = run(image, "first", MODEL_NAME="digits", MODEL_CONFIG=CONFIG, FIRST_RING_CONFIG=own)

    assert f"--model_config_file={own}" in done.stdout.splitlines(), done.stderr
    assert ["web", "first"] == [*processes(image)]


def test_the_first_ring_of_latest_polls_a_base_path_of_its_own(image: Path) -> None:
    procfile = (image / "Procfile").read_text(encoding="utf-8")
    (image / "Procfile").write_text(procfile.replace("# first:", "first:"), encoding="utf-8")
    base, own = "gs://models/understudy/serve/digits", "gs://models/understudy/first_ring/digits"

    done = run(image, "first", MODEL_NAME="digits", MODEL_PATH=base, FIRST_RING_PATH=own)

    assert f"--model_base_path={own}" in done.stdout.splitlines(), done.stderr


@pytest.mark.parametrize("ports", ["", "8888", "8501,", ",8500", "rest,grpc"])
def test_without_two_ports_a_unit_says_what_to_set(image: Path, ports: str) -> None:
    done = run(image, ports=ports, MODEL_NAME="digits", MODEL_CONFIG=CONFIG)

    assert (64, "") == (done.returncode, done.stdout)
    assert done.stderr.startswith(f"start.sh: PORT_web='{ports}' are not two ports")


def test_credentials_reach_the_server_as_a_file_that_only_its_user_reads(image: Path, tmp_path: Path) -> None:
    write_program(image / BINARY, "env")
    given = '{"type": "service_account",\n "private_key": "-----BEGIN\\n%s"}'

    done = run(image, MODEL_NAME="digits", MODEL_CONFIG=CONFIG, GCS_CREDENTIALS=given, TMPDIR=str(tmp_path))

    (file,) = re.findall(r"^GOOGLE_APPLICATION_CREDENTIALS=(.*)$", done.stdout, re.MULTILINE)
    assert given == Path(file).read_text()
    assert 0o600 == Path(file).stat().st_mode & 0o777
    assert "private_key" not in done.stdout


def test_the_folder_of_the_platform_python_has_all_of_the_server(tmp_path: Path) -> None:
    folder = collected(tmp_path / "app")
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    code = "import serving.model_server.server as server; print(server.__file__)"

    done = subprocess.run(
        [sys.executable, "-c", code], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )

    assert f"{folder}/serving/model_server/server.py\n" == done.stdout, done.stderr
    assert {"Procfile", "tsuru.yaml", ".python-version", "healthcheck.sh"} <= {path.name for path in folder.iterdir()}


def test_the_document_names_every_file_of_the_app() -> None:
    files = [path.relative_to(EXAMPLE).as_posix() for path in EXAMPLE.rglob("*") if path.is_file()]

    assert [] == [name for name in files if f"`{name}`" not in DOCUMENT]


def test_the_dockerfile_puts_the_files_where_tsuru_looks() -> None:
    lines = (EXAMPLE / "Dockerfile").read_text(encoding="utf-8").splitlines()

    assert "WORKDIR /opt/understudy" in lines
    assert "COPY Procfile tsuru.yaml start.sh ./" in lines


@pytest.mark.parametrize("page", [PROJECT / "docs" / "tsuru.md", FOLDER / "README.md"], ids=["tsuru", "serving"])
def test_every_link_of_the_page_is_there(page: Path) -> None:
    links = [each.partition("#")[0] for each in re.findall(r"\]\(([^)]+)\)", page.read_text(encoding="utf-8"))]
    local = [each for each in links if each and "://" not in each]

    assert local
    assert [] == [each for each in local if not (page.parent / each).exists()]


def test_the_lock_of_the_app_has_the_versions_of_the_whole_lock() -> None:
    ours, whole = (
        set(re.findall(r"^([a-z0-9-]+==\S+)", path.read_text(encoding="utf-8"), re.MULTILINE))
        for path in (EXAMPLE / "python" / "requirements.txt", PROJECT / "requirements.txt")
    )

    assert {name.partition("==")[0] for name in ours} > {"tensorflow", "grpcio-reflection", "uvicorn"}
    assert set() == ours - whole
