"""Both images are built, on an empty image in the place of tensorflow/serving: their builds run nothing in it."""

import json
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.fleet import write_classifier
from tests.serving_image.image import FOLDER, PROJECT

pytestmark = [
    pytest.mark.platform,
    pytest.mark.skipif(shutil.which("buildah") is None, reason="needs buildah: on Debian, `apt-get install buildah`"),
]

# What the images of tensorflow/serving set, of which nothing may reach ours.
BASE = "FROM scratch\nENV MODEL_NAME=model MODEL_BASE_PATH=/models\n"


@dataclass(frozen=True)
class Builder:
    """buildah with a storage of its own."""

    folder: Path

    def run(self, *words: str) -> "subprocess.CompletedProcess[str]":
        storage = [f"--root={self.folder / 'root'}", f"--runroot={self.folder / 'run'}"]
        return subprocess.run(["buildah", *storage, *words], capture_output=True, text=True, check=False)

    def build(self, file: Path, tag: str, context: Path, **arguments: str) -> "subprocess.CompletedProcess[str]":
        given = [f"--build-arg={name}={value}" for name, value in arguments.items()]
        options = ["--pull-never", "--isolation=chroot", "--format=docker", f"--file={file}", f"--tag={tag}"]
        return self.run("bud", *options, *given, str(context))

    def config(self, tag: str) -> dict[str, Any]:
        docker: dict[str, Any] = json.loads(self.run("inspect", "--type=image", tag).stdout)["Docker"]["config"]
        return docker | {"Env": dict(word.split("=", 1) for word in docker["Env"])}

    def files(self, tag: str) -> Path:
        """The folder that has the image's files, until the test session ends."""
        container = self.run("from", "--pull-never", tag).stdout.strip()
        return Path(self.run("mount", container).stdout.strip())


@pytest.fixture(scope="module")
def builder(tmp_path_factory: pytest.TempPathFactory) -> Any:
    made = Builder(tmp_path_factory.mktemp("buildah"))
    (made.folder / "base.Dockerfile").write_text(BASE)
    done = made.build(made.folder / "base.Dockerfile", "base", made.folder)
    assert 0 == done.returncode, done.stderr
    done = made.build(FOLDER / "Dockerfile", "serving", PROJECT, SERVING_BASE="base", CODE_VERSION="1.2.3")
    assert 0 == done.returncode, done.stderr
    yield made
    made.run("rm", "--all")
    made.run("rmi", "--all", "--force")


def test_the_image_runs_the_entry_point_as_nobody_special(builder: Builder) -> None:
    config = builder.config("serving")

    assert "50000:0" == config["User"]
    assert ["/opt/understudy/entrypoint.sh"] == config["Entrypoint"]
    assert ["CMD", "/opt/understudy/healthcheck.sh"] == config["Healthcheck"]["Test"]
    assert {"8500/tcp", "8501/tcp"} == set(config["ExposedPorts"])
    assert "1.2.3" == config["Labels"]["org.opencontainers.image.version"]
    # The name that the base image sets would hide that none was given.
    assert ("", "8500", "8501") == tuple(config["Env"][name] for name in ("MODEL_NAME", "PORT", "REST_PORT"))


def test_the_image_has_the_four_files_as_they_are(builder: Builder) -> None:
    ours = builder.files("serving") / "opt" / "understudy"
    names = {"entrypoint.sh", "healthcheck.sh", "batching.config", "monitoring.config"}

    assert names == {path.name for path in ours.iterdir()}
    assert [] == [name for name in names if (ours / name).read_bytes() != (FOLDER / name).read_bytes()]
    assert [] == [name for name in names if (ours / name).stat().st_mode != (FOLDER / name).stat().st_mode]


def test_a_version_is_baked_in_alone_and_belongs_to_the_user_of_the_image(builder: Builder, tmp_path: Path) -> None:
    for version in (6, 7):
        write_classifier(tmp_path / str(version))
        (tmp_path / str(version) / "saved_model.pb").chmod(0o600)
    done = builder.build(
        FOLDER / "Dockerfile.baked", "baked", tmp_path, SERVING_IMAGE="serving", MODEL="digits", VERSION="7"
    )
    assert 0 == done.returncode, done.stderr

    config, models = builder.config("baked"), builder.files("baked") / "models"

    assert ("digits", "/models", "") == tuple(
        config["Env"][name] for name in ("MODEL_NAME", "MODEL_PATH", "MODEL_CONFIG")
    )
    assert ["/opt/understudy/entrypoint.sh"] == config["Entrypoint"]
    assert "50000:0" == config["User"]
    assert "Version 7 of digits, served by TensorFlow Serving" in config["Labels"].values()
    assert ["7"] == [path.name for path in models.iterdir()]
    assert {(50000, 0)} == {(path.stat().st_uid, path.stat().st_gid) for path in models.rglob("*")}


def test_without_the_version_the_build_ends_and_names_the_argument(builder: Builder, tmp_path: Path) -> None:
    write_classifier(tmp_path / "7")

    done = builder.build(FOLDER / "Dockerfile.baked", "none", tmp_path, SERVING_IMAGE="serving", MODEL="digits")

    assert 0 != done.returncode
    assert "the-build-argument-VERSION-is-missing" in done.stderr
