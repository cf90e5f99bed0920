"""What every Dockerfile keeps to. `tests/platform/test_images.py` builds and runs them."""

import re
import subprocess
import sys
from collections.abc import Iterator
from fnmatch import fnmatchcase
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[2]
DOCKERFILES = sorted(PROJECT.glob("docker/*/Dockerfile*"))
NAMES = [str(path.relative_to(PROJECT)) for path in DOCKERFILES]
# The user, the labels and the health check of an image of another build of ours stay.
OWN_BASE = re.compile(r"ARG SERVING_IMAGE=understudy-serving:local")
SECRETS = (".env", ".git/config", "var/bucket/bucket.json", ".venv/pyvenv.cfg", "docker/prometheus/secrets.yaml")

each_dockerfile = pytest.mark.parametrize("path", DOCKERFILES, ids=NAMES)


def instructions(path: Path) -> list[str]:
    """The instructions of a Dockerfile, each on one line, without comments."""
    lines = [line for line in path.read_text().splitlines() if not line.lstrip().startswith("#")]
    joined = re.sub(r"\\\n\s*", "", "\n".join(lines))
    return [line for line in joined.splitlines() if line.strip()]


def last_stage(path: Path) -> list[str]:
    """What makes the image: its last stage, below those that it is built on."""
    found = instructions(path)
    begins = [number for number, line in enumerate(found) if line.startswith("FROM ")]
    stages = {found[a].rpartition(" AS ")[2]: found[a:b] for a, b in zip(begins, [*begins[1:], None], strict=True)}
    stage = found[begins[-1] :]
    while (base := stage[0].split()[1]) in stages:
        stage = stages[base] + stage[1:]
    return stage


def values(stage: list[str], word: str) -> list[str]:
    return [line.removeprefix(f"{word} ") for line in stage if line.startswith(f"{word} ")]


def test_hadolint_finds_nothing() -> None:
    """`.hadolint.yaml` has the reason of each rule that is off."""
    hadolint = Path(sys.executable).with_name("hadolint")
    command: list[str | Path] = [hadolint, "--config", PROJECT / ".hadolint.yaml", "--no-color", *DOCKERFILES]
    done = subprocess.run(command, capture_output=True, text=True, check=False)

    assert "" == done.stdout + done.stderr


@each_dockerfile
def test_an_image_runs_as_the_user_that_all_share_volumes_with(path: Path) -> None:
    if not OWN_BASE.search(path.read_text()):
        assert "50000:0" == values(last_stage(path), "USER")[-1]


@each_dockerfile
def test_an_image_says_how_its_health_is_checked(path: Path) -> None:
    if not OWN_BASE.search(path.read_text()):
        assert len(values(last_stage(path), "HEALTHCHECK")) == 1


@each_dockerfile
def test_an_image_names_what_it_is_and_the_version_of_its_code(path: Path) -> None:
    stage = last_stage(path)
    labels = dict(re.findall(r'org\.opencontainers\.image\.(\w+)="([^"]*)"', " ".join(values(stage, "LABEL"))))

    assert {"title", "description"} <= set(labels)
    if not OWN_BASE.search(path.read_text()):
        assert "CODE_VERSION=unknown" in values(stage, "ARG")
        assert "${CODE_VERSION}" == labels["version"] == labels["revision"]


@each_dockerfile
def test_the_base_is_an_argument_that_names_its_registry(path: Path) -> None:
    """So that a mirror, or a stand-in, can take its place, and docker/pin finds it."""
    found = instructions(path)
    stages = {line.rpartition(" AS ")[2] for line in found if line.startswith("FROM ")}
    bases = {line.split()[1] for line in found if line.startswith("FROM ")} - stages
    arguments = dict(each.split("=", 1) for each in values(found, "ARG") if "=" in each)

    for base in bases:
        default = arguments[base.removeprefix("${").removesuffix("}")]
        assert OWN_BASE.search(path.read_text()) or re.match(r"[a-z0-9-]+(\.[a-z0-9-]+)+/\S+:\S+", default), default


def test_python_is_the_same_everywhere() -> None:
    found = {each for path in DOCKERFILES for each in values(instructions(path), "ARG") if each.startswith("PYTHON")}

    assert 1 == len(found), found


def test_an_image_on_python_has_no_installer() -> None:
    """python:3.11-slim has pip, and the stand-in of tests/platform has none."""
    on_python = [path for path in DOCKERFILES if last_stage(path)[0] == "FROM ${PYTHON_IMAGE}"]

    assert {"gateway", "mlflow", "pipeline"} == {path.parent.name for path in on_python}
    for path in on_python:
        removes = [run for run in values(last_stage(path), "RUN") if "pip uninstall" in run]
        assert ["pip", "setuptools", "wheel"] == removes[0].split()[-3:]
        assert removes[0].startswith("! python3 -m pip --version || ")


def test_no_secret_of_a_build_is_in_a_layer() -> None:
    """A company's index is read from a mounted file, never from an argument, which the image's history would show."""
    for path in DOCKERFILES:
        assert not re.search(
            r"^(ARG|ENV) .*(INDEX|TOKEN|PASSWORD|PROXY)", path.read_text(), re.MULTILINE | re.IGNORECASE
        )


def test_what_dockerfiles_copy_is_sent_to_the_engine() -> None:
    for path in DOCKERFILES:
        for source in sources(path):
            files = [each for each in matching(source) if not each.endswith("/")]
            assert files, f"{path}: nothing is named {source}"
            kept_back = [each for each in files if is_ignored(each) and "__pycache__" not in each]
            assert [] == kept_back, f"{path}: .dockerignore keeps back what {source} names"


@pytest.mark.parametrize("path", SECRETS)
def test_what_no_image_needs_stays_here(path: str) -> None:
    assert is_ignored(path)


def sources(path: Path) -> Iterator[str]:
    """What a Dockerfile takes from the project; both variants of what differs for GPUs."""
    if OWN_BASE.search(path.read_text()):
        return  # its context is another folder
    for line in instructions(path):
        if line.startswith("COPY ") and "--from=" not in line:
            yield from (word for word in line.split()[1:-1] if not word.startswith("--"))
        for mount in re.findall(r"--mount=type=bind,source=([^,\s]+)", line):
            yield from (mount.replace("${VARIANT}", variant) for variant in ("", "-gpu"))


def matching(source: str) -> list[str]:
    found = [PROJECT / source] if (PROJECT / source).is_file() else list((PROJECT / source).rglob("*"))
    return [str(each.relative_to(PROJECT)) for each in found if each.is_file()]


def is_ignored(path: str) -> bool:
    """Whether .dockerignore keeps a file back: the last rule decides that names it or a folder above it."""
    parts = path.split("/")
    above = ["/".join(parts[:length]) for length in range(1, len(parts) + 1)]
    ignored = False
    for line in (PROJECT / ".dockerignore").read_text().splitlines():
        rule = line.strip()
        if not rule or rule.startswith("#"):
            continue
        pattern = rule.removeprefix("!")
        names = parts if pattern.startswith("**/") else above
        if any(fits(name, pattern.removeprefix("**/")) for name in names):
            ignored = not rule.startswith("!")
    return ignored


def fits(name: str, pattern: str) -> bool:
    """Whether a pattern names exactly this; its `*` stays within one folder."""
    parts, wanted = name.split("/"), pattern.split("/")
    return len(parts) == len(wanted) and all(map(fnmatchcase, parts, wanted))
