"""`docker/images` beside an engine that only writes down what it is asked; buildah itself is in tests/platform."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[2]
VERSION = "v1-2-gabc"


class Project:
    """A copy of what the script reads, and an engine called `docker`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for name in ("pipeline", "airflow", "mlflow", "gateway", "serving"):
            (folder / "docker" / name).mkdir(parents=True)
            (folder / "docker" / name / "Dockerfile").write_text("FROM scratch\n")
        serving = "# For GPUs: --build-arg SERVING_BASE=example.com/serving:2-gpu\n"
        (folder / "docker/serving/Dockerfile").write_text(serving)
        shutil.copy(PROJECT / "docker/images", folder / "docker")
        self.add_engine("docker")

    def add_engine(self, name: str) -> None:
        engine = self.folder / "bin" / name
        engine.parent.mkdir(exist_ok=True)
        engine.write_text(f'#!/bin/sh\necho "{name} $*" >> "{self.folder}/asked"\n')
        engine.chmod(0o755)

    def run(self, *words: str, expected: int = 0, **variables: str) -> str:
        """What the script says."""
        known = {"PATH": f"{self.folder / 'bin'}:{os.environ['PATH']}", "CODE_VERSION": VERSION}
        command = [str(self.folder / "docker/images"), *words]
        done = subprocess.run(command, env=known | variables, capture_output=True, text=True, timeout=60, check=False)
        assert expected == done.returncode, done.stdout + done.stderr
        return done.stdout + done.stderr

    @property
    def asked(self) -> list[str]:
        path = self.folder / "asked"
        return path.read_text().splitlines() if path.exists() else []


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path)


def platform(name: str) -> str:
    """tensorflow/serving is made for one only."""
    return "--platform linux/amd64 " if name == "serving" else ""


def test_all_images_are_built_with_both_tags(project: Project) -> None:
    project.run("build")

    assert [
        f"docker build --file docker/{name}/Dockerfile --build-arg CODE_VERSION={VERSION} {platform(name)}"
        f"--tag understudy-{name}:{VERSION} --tag understudy-{name}:local ."
        for name in ("pipeline", "airflow", "serving", "mlflow", "gateway")
    ] == project.asked


def test_the_variants_for_gpus_have_a_suffix_and_their_own_arguments(project: Project) -> None:
    project.run("build", GPU="1")

    differs = {
        "pipeline": "VARIANT=-gpu",
        "airflow": "VARIANT=-gpu",
        "serving": "SERVING_BASE=example.com/serving:2-gpu",
    }
    assert [
        f"docker build --file docker/{name}/Dockerfile --build-arg CODE_VERSION={VERSION} --build-arg {argument} "
        f"{platform(name)}--tag understudy-{name}:{VERSION}-gpu --tag understudy-{name}:local-gpu ."
        for name, argument in differs.items()
    ] == project.asked


def test_podman_and_buildah_are_asked_for_the_format_that_has_health_checks(project: Project) -> None:
    for engine in ("podman", "buildah"):
        project.add_engine(engine)
        project.run("build", "mlflow", ENGINE=engine, BUILD_ARGS="--secret id=ca,src=ca.pem")

    assert [
        f"{engine} build --file docker/mlflow/Dockerfile --build-arg CODE_VERSION={VERSION} --format docker "
        f"--tag understudy-mlflow:{VERSION} --tag understudy-mlflow:local --secret id=ca,src=ca.pem ."
        for engine in ("podman", "buildah")
    ] == project.asked


def test_the_tag_with_the_version_is_pushed(project: Project) -> None:
    project.run("push", "pipeline", "mlflow", REGISTRY="registry.example.com/team/")

    assert [
        line
        for name in ("pipeline", "mlflow")
        for line in (
            f"docker tag understudy-{name}:{VERSION} registry.example.com/team/understudy-{name}:{VERSION}",
            f"docker push registry.example.com/team/understudy-{name}:{VERSION}",
        )
    ] == project.asked


def test_without_a_registry_nothing_is_pushed(project: Project) -> None:
    assert "make push REGISTRY=registry.example.com/team" in project.run("push", expected=1)
    assert [] == project.asked


def test_a_version_that_cannot_be_a_tag_is_changed_in_the_tag_only(project: Project) -> None:
    project.run("build", "mlflow", CODE_VERSION="1.0+local/two")

    assert "--build-arg CODE_VERSION=1.0+local/two --tag understudy-mlflow:1.0-local-two " in project.asked[0]


@pytest.mark.parametrize(
    ("words", "variables", "reason"),
    [
        (["build", "none"], {}, "there is no image 'none'"),
        (["biuld"], {}, "Say build or push"),
        (["build"], {"CODE_VERSION": ""}, "Set CODE_VERSION"),
    ],
)
def test_what_cannot_be_done_is_said(
    project: Project, words: list[str], variables: dict[str, str], reason: str
) -> None:
    assert reason in project.run(*words, expected=1, **variables)
    assert [] == project.asked


def test_images_are_built_where_the_hint_on_digests_cannot_be_given(project: Project) -> None:
    """docker/pin needs a Python, and docker/images needs none."""
    shutil.copy(PROJECT / "Makefile", project.folder)
    hint = project.folder / "docker/pin"
    hint.write_text("#!/bin/sh\nexit 1\n")
    hint.chmod(0o755)
    path = f"{project.folder / 'bin'}:{os.environ['PATH']}"
    command = ["make", "--directory", str(project.folder), "images"]

    done = subprocess.run(
        command, env={"PATH": path, "CODE_VERSION": VERSION}, capture_output=True, text=True, check=False
    )

    assert 0 == done.returncode, done.stderr
    assert 5 == len(project.asked)


def test_an_engine_that_fails_ends_the_script(project: Project) -> None:
    (project.folder / "bin/docker").write_text("#!/bin/sh\nexit 3\n")

    project.run("build", expected=3)
