"""`docker/gateway/copy_messages.py`: what the image of the gateway has of TensorFlow."""

import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[2]
SCRIPT = PROJECT / "docker/gateway/copy_messages.py"
APIS = PROJECT / "serving/apis.py"
# What the messages stand on, beside Python's own library.
BESIDE = ("google", "grpc", "typing_extensions")
LOADED = """
import sys
sys.path += sys.argv[1:]
import serving.apis
print(serving.apis.predict_pb2.PredictRequest.DESCRIPTOR.full_name)
print(*sorted(module.__file__ for name, module in sys.modules.items() if name.startswith("tensorflow")), sep="\\n")
"""


def copy(apis: Path, target: Path) -> "subprocess.CompletedProcess[str]":
    command: list[str | Path] = [sys.executable, SCRIPT, apis, packages("tensorflow_serving"), target]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def packages(name: str) -> Path:
    """Where a package is installed."""
    spec = find_spec(name)
    assert spec is not None
    assert spec.origin is not None or spec.submodule_search_locations
    place = Path(spec.origin or next(iter(spec.submodule_search_locations or ())))
    return place.parents[1] if place.name == "__init__.py" else place.parent


def test_the_messages_work_without_tensorflow_and_each_file_of_them_is_needed(tmp_path: Path) -> None:
    """By an interpreter that finds nothing else of what is installed here."""
    copied, beside = tmp_path / "messages", tmp_path / "beside"
    beside.mkdir()
    for name in BESIDE:
        file = "typing_extensions.py" if name == "typing_extensions" else name
        (beside / file).symlink_to(packages(name) / file)
    assert "" == copy(APIS, copied).stderr

    command: list[str | Path] = [sys.executable, "-I", "-S", "-B", "-c", LOADED, PROJECT, copied, beside]
    done = subprocess.run(command, capture_output=True, text=True, check=False)

    assert "" == done.stderr
    name, *loaded = done.stdout.splitlines()
    assert "tensorflow.serving.PredictRequest" == name
    assert sorted(map(str, copied.rglob("*.py"))) == loaded
    assert not (copied / "tensorflow" / "__init__.py").exists()
    assert sum(path.stat().st_size for path in copied.rglob("*.*")) < 1_000_000


def test_a_message_that_does_not_exist_ends_the_build(tmp_path: Path) -> None:
    apis = tmp_path / "apis.py"
    apis.write_text("from tensorflow_serving.apis import no_pb2\n")

    done = copy(apis, tmp_path / "messages")

    assert 0 != done.returncode
    assert "apis.py imports tensorflow_serving.apis.no_pb2" in done.stderr
    assert not (tmp_path / "messages").exists()


@pytest.mark.parametrize("words", [(), ("one", "two", "three", "four")])
def test_wrong_arguments_are_refused(words: tuple[str, ...]) -> None:
    done = subprocess.run([sys.executable, SCRIPT, *words], capture_output=True, text=True, check=False)

    assert 1 == done.returncode
    assert "needs three paths" in done.stderr
