"""The dependency groups of pyproject.toml, and the locks that are made of them."""

import ast
import re
import sys
import tomllib
from collections import Counter
from collections.abc import Iterator
from functools import cache
from importlib.metadata import PackageNotFoundError, distribution, packages_distributions
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

PROJECT = Path(__file__).parents[2]
GROUPS = tomllib.loads((PROJECT / "pyproject.toml").read_text())["dependency-groups"]
LOCKS = {
    "docker/pipeline/requirements.txt": "verbs-image",
    "docker/pipeline/requirements-gpu.txt": "verbs-image-gpu",
    "docker/airflow/requirements.txt": "airflow-image",
    "docker/mlflow/requirements.txt": "mlflow-image",
    "docker/gateway/requirements.txt": "gateway-image",
    "docker/gateway/requirements-messages.txt": "messages",
    "docker/requirements-sbom.txt": "sbom",
}
PLATFORM = {
    "python_version": "3.11",
    "python_full_version": "3.11.14",
    "sys_platform": "linux",
    "platform_machine": "x86_64",
}
OURS = {"pipeline", "serving", "dags", "embedded", "models"}
# Who signs installs the group `sign`, and is told so.
OPTIONAL = {"model_signing"}
# What each group must be able to import.
CODE = {
    "verbs": ["pipeline", "serving/*.py", "serving/client", "serving/fleet", "serving/gcs", "serving/inference"],
    "embedded-server": [
        "serving/*.py",
        "serving/gcs",
        "serving/inference",
        "serving/tensorflow",
        "serving/model_server",
    ],
    "gateway": [
        "serving/*.py",
        "serving/client",
        "serving/fleet",
        "serving/images",
        "serving/rest_json",
        "serving/gateway",
    ],
    "airflow": [
        *("dags", "pipeline/result.py", "pipeline/commands.py", "pipeline/layout.py", "pipeline/errors.py"),
        *("pipeline/model_files.py", "pipeline/settings.py", "pipeline/spec.py", "pipeline/deployment.py"),
    ],
    "laptop": ["dags", "embedded", "pipeline", "serving"],
}
# Named twice with a reason: another extra of the same package, and the driver of PostgreSQL that only Airflow has.
TWICE = {"tensorflow", "asyncpg"}
# The image of the gateway has the messages of these, and not the packages.
MESSAGES = frozenset({"tensorflow", "tensorflow-serving-api"})


def direct(group: str) -> Iterator[str]:
    """The requirements of a group and of those that it includes."""
    for each in GROUPS[group]:
        if isinstance(each, str):
            yield each
        else:
            yield from direct(each["include-group"])


def versions(lock: str) -> dict[str, str]:
    """The version of each package in a lock, where an image runs it: on Linux, by Python 3.11."""
    lines = re.findall(r"^([\w.-]+==.*?) *\\?$", (PROJECT / lock).read_text(), re.MULTILINE)
    found = [Requirement(line) for line in lines]
    ours = [each for each in found if each.marker is None or each.marker.evaluate(PLATFORM)]
    return {canonicalize_name(each.name): str(each.specifier).removeprefix("==") for each in ours}


@cache
def with_dependencies(requirement: str) -> frozenset[str]:
    """The names of what is installed for a requirement, as the installed packages describe it."""
    found: dict[tuple[str, frozenset[str]], None] = {}
    waiting = [Requirement(requirement)]
    while waiting:
        asked = waiting.pop()
        key = (canonicalize_name(asked.name), frozenset(asked.extras))
        if key in found:
            continue
        found[key] = None
        try:
            needed = [Requirement(each) for each in distribution(asked.name).requires or []]
        except PackageNotFoundError:
            continue
        environments = [{"extra": extra} for extra in asked.extras or {""}]
        waiting += [each for each in needed if each.marker is None or any(map(each.marker.evaluate, environments))]
    return frozenset(name for name, _ in found)


def imported(*patterns: str) -> dict[str, str]:
    """The modules of others that our files import, also inside functions, and a file that does."""
    found: dict[str, str] = {}
    for pattern in patterns:
        for file in PROJECT.glob(pattern if pattern.endswith(".py") else f"{pattern}/**/*.py"):
            for node in ast.walk(ast.parse(file.read_text())):
                names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
                if isinstance(node, ast.ImportFrom):
                    names = [str(node.module)]
                found |= {name: str(file.relative_to(PROJECT)) for name in names}
    known = OURS | OPTIONAL | set(sys.stdlib_module_names)
    return {name: file for name, file in found.items() if name.split(".")[0] not in known}


@pytest.mark.parametrize("group", CODE)
def test_a_group_brings_what_its_code_imports(group: str) -> None:
    brought = frozenset[str]().union(*map(with_dependencies, direct(group)))
    if group == "gateway":
        brought |= MESSAGES
    providers = packages_distributions()
    missing = {
        name: file
        for name, file in imported(*CODE[group]).items()
        if not brought & {canonicalize_name(each) for each in providers[name.split(".")[0]]}
    }

    assert {} == missing


def test_a_group_without_a_package_that_its_code_imports_is_found() -> None:
    """`google` is a name that many packages share; for the others one group more or less makes the difference."""
    assert "typer" in imported(*CODE["verbs"])
    assert "typer" not in frozenset[str]().union(*map(with_dependencies, direct("embedded-server")))


@pytest.mark.parametrize("lock", LOCKS)
def test_an_image_has_the_versions_that_the_tests_ran(lock: str) -> None:
    tested = versions("requirements-dev.txt") | versions("requirements.txt")
    image = versions(lock)

    assert {} == {name: version for name, version in image.items() if version != tested.get(name, version)}


@pytest.mark.parametrize("lock", LOCKS)
def test_a_lock_is_made_of_its_group(lock: str) -> None:
    """Of what it says itself, and of each package that is named there. `make lock` makes it."""
    named = {canonicalize_name(Requirement(each).name) for each in direct(LOCKS[lock])}

    assert f"--group {LOCKS[lock]} " in (PROJECT / lock).read_text().splitlines()[1]
    assert named <= set(versions(lock))
    made = (PROJECT / "Makefile").read_text()
    assert f"{lock.removeprefix('docker/').removesuffix('.txt')}={LOCKS[lock]}" in made or f"-o {lock}\n" in made


@pytest.mark.parametrize("image", ["airflow", "mlflow", "gateway"])
def test_an_image_that_runs_no_verb_has_no_tensorflow(image: str) -> None:
    assert "tensorflow" not in versions(f"docker/{image}/requirements.txt")


def test_messages_are_taken_out_of_two_packages_without_what_these_need() -> None:
    assert set(MESSAGES) == set(versions("docker/gateway/requirements-messages.txt"))


@pytest.mark.parametrize("server", ["mlflow", "apache-airflow", "flask", "sqlalchemy"])
def test_the_image_of_the_verbs_has_no_server(server: str) -> None:
    assert server not in versions("docker/pipeline/requirements.txt")


def test_each_package_is_named_in_one_group() -> None:
    names = Counter(
        canonicalize_name(Requirement(each).name)
        for group in GROUPS.values()
        for each in group
        if isinstance(each, str)
    )

    assert TWICE == {name for name, times in names.items() if times > 1}
