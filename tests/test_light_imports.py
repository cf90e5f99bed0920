"""What people wait for must not wait for TensorFlow, MLflow or pandas."""

import json
import subprocess
import sys
import tomllib
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.hunts import hunt

LINT = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text())["tool"]["ruff"]["lint"]
# What ruff looks for in one module is looked for here in all that it imports. `google.cloud` itself is a namespace,
# and there from the start.
HEAVY = [
    {"google.cloud": "google.cloud.storage"}.get(name, name)
    for name in LINT["flake8-tidy-imports"]["banned-module-level-imports"]
]
# The commands import those of `pipeline.context` and after it when they run.
LIGHT = (
    "serving.wire",
    "serving.client",
    "serving.fleet",
    "serving.canary",
    "serving.signature",
    "serving.tensorflow.checkpoint",
    "serving.inference.local_model",
    "serving.model_server.flags",
    "serving.model_server.server",
    "pipeline.cli",
    "pipeline.context",
    "pipeline.run_verbs",
    "pipeline.verbs.announce",
    "pipeline.verbs.check",
    "pipeline.verbs.classify",
    "pipeline.verbs.freeze",
    "pipeline.verbs.pin",
    "pipeline.verbs.profile",
    "pipeline.asking.fleet_asker",
    "pipeline.asking.gateway_asker",
    "pipeline.profiling.plot",
    "pipeline.verbs.readmit",
    "pipeline.verbs.reconcile",
    "pipeline.verbs.retain",
    "pipeline.verbs.rollback",
    "pipeline.verbs.status",
    "pipeline.verbs.sync",
    "pipeline.verbs.unfreeze",
    "pipeline.spec",
    "embedded.__main__",
    "embedded.demo.scenario",
)
_VERDICTS = ("gate", "canary", "paired", "verdict", "data_checks", "label_errors")
# No clock, no client, no bucket behind a verdict or a state: the standard library and pydantic.
PURE = {
    "httpx typer rich airflow": [f"pipeline.verdicts.{name}" for name in _VERDICTS],
    "grpc numpy httpx typer": [
        f"pipeline.{name}"
        for name in (
            "journal.state",
            "layout",
            "errors",
            "spec",
            "runs.records",
            "verdicts.gate",
            "verdicts.data_checks",
            "profiling.choice",
            "profiling.measurement",
            "profiling.plan",
        )
    ],
}


def run(code: str) -> str:
    """What a fresh interpreter prints; a failure shows its traceback."""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def loaded_by(modules: Sequence[str], libraries: Sequence[str]) -> dict[str, list[str]]:
    """Which libraries are there after the import of each module, one after the other in one fresh interpreter.

    The first module that loads a library is named, and so are all after it.
    """
    told = run(
        "import importlib, json, sys\n"
        "found = {}\n"
        f"for module in {list(modules)!r}:\n"
        "    importlib.import_module(module)\n"
        f"    found[module] = [name for name in {list(libraries)!r} if name in sys.modules]\n"
        "print(json.dumps(found))"
    )
    found: dict[str, list[str]] = json.loads(told)
    return found


@pytest.fixture(scope="module")
def heavy() -> dict[str, list[str]]:
    return loaded_by(LIGHT, HEAVY)


@pytest.fixture(scope="module")
def impure() -> dict[str, dict[str, list[str]]]:
    return {absent: loaded_by(modules, absent.split()) for absent, modules in PURE.items()}


@pytest.mark.parametrize("module", LIGHT)
def test_importing_loads_nothing_heavy(module: str, heavy: dict[str, list[str]]) -> None:
    assert [] == heavy[module]


@hunt
@pytest.mark.parametrize("module", LIGHT)
def test_importing_one_alone_loads_nothing_heavy(module: str) -> None:
    """Whatever the others would have imported before it."""
    assert {module: []} == loaded_by([module], HEAVY)


def test_the_protocol_messages_do_without_tensorflow() -> None:
    """A stand-in for the parent package is used while they are imported, and is gone afterwards."""
    loaded = run("import sys, serving.apis; print('tensorflow' in sys.modules)")

    assert "False" == loaded


def test_the_folder_of_the_c_library_is_never_taken_for_tensorflow() -> None:
    """`serving/tensorflow` has the name of the package, and so have tests of it."""
    places = run(
        "import serving.tensorflow.checkpoint, tests.serving.tensorflow, tests.serving.model_server.grpc\n"
        "import importlib.util\n"
        "print([importlib.util.find_spec(name).origin for name in ('tensorflow', 'grpc')])"
    )

    assert 2 == places.count("site-packages")


def test_a_later_import_of_tensorflow_works_and_shares_the_messages() -> None:
    same = run(
        "from serving.apis import tensor_pb2\n"
        "import tensorflow as tf\n"
        "proto = tf.make_tensor_proto([1.5, 2.5])\n"
        "assert isinstance(proto, tensor_pb2.TensorProto), type(proto)\n"
        "from serving.wire import from_proto\n"
        "print(from_proto(proto).tolist(), tf.make_ndarray(proto).tolist())"
    )

    assert "[1.5, 2.5] [1.5, 2.5]" == same


@pytest.mark.parametrize(("absent", "module"), [(absent, module) for absent in PURE for module in PURE[absent]])
def test_pure_modules_stay_pure(absent: str, module: str, impure: dict[str, dict[str, list[str]]]) -> None:
    assert [] == impure[absent][module]


@hunt
@pytest.mark.parametrize(("absent", "module"), [(absent, module) for absent in PURE for module in PURE[absent]])
def test_a_pure_module_alone_is_pure(absent: str, module: str) -> None:
    assert {module: []} == loaded_by([module], absent.split())
