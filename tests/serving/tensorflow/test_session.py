"""TensorFlow's C library, called in this process, on a SavedModel written by TensorFlow's Python."""

import gc
import os
import subprocess
import sys
import threading
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from grpc import StatusCode

from serving.apis import config_pb2, meta_graph_pb2
from serving.status import StatusError
from serving.tensorflow.c_api import library, library_path
from serving.tensorflow.session import Session
from serving.wire import ENUMS, Array

ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sessions")
    types = [dtype.name if dtype != np.object_ else "string" for dtype in ENUMS]
    command = [sys.executable, "-m", "tests.serving.tensorflow.sessions", str(folder), *types]
    subprocess.run(command, cwd=ROOT, check=True, timeout=110)
    return folder


def names_of(session: Session) -> tuple[str, str]:
    signature = meta_graph_pb2.MetaGraphDef.FromString(session.meta_graph).signature_def["serving_default"]
    return signature.inputs["x"].name, signature.outputs["y"].name


def sample(dtype: np.dtype[Any]) -> Array:
    """Two rows of four values."""
    if dtype == np.object_:
        texts = [b"", b"short", b"longer than what fits into the cell itself", bytes(range(256))]
        return np.array([texts, texts], np.object_)
    return np.arange(8).reshape(2, 4).astype(dtype)


@pytest.mark.parametrize("dtype", list(ENUMS), ids=str)
@pytest.mark.parametrize("shape", [(2, 4), (0, 4), ()])
def test_every_type_goes_in_and_comes_out_unchanged(models: Path, dtype: np.dtype[Any], shape: tuple[int, ...]) -> None:
    session = Session(str(models / (dtype.name if dtype != np.object_ else "string")), tags=["serve"], config=b"")
    given = sample(dtype)[: shape[0]] if shape else np.array(sample(dtype)[1, 1], dtype)
    source, target = names_of(session)
    (answered,) = session.run({source: given}, [target])
    session.close()

    assert (answered.dtype, answered.shape) == (given.dtype, given.shape)
    assert answered.tolist() == given.tolist()


def test_a_run_that_takes_too_long_is_given_up(models: Path) -> None:
    """...with the code a client knows, and the session goes on answering."""
    session = Session(str(models / "slow"), tags=["serve"], config=b"")
    source, target = names_of(session)
    patience = config_pb2.RunOptions(timeout_in_ms=50).SerializeToString()
    with pytest.raises(StatusError) as caught:
        session.run({source: np.array(1_000_000, np.int32)}, [target], options=patience)
    (answered,) = session.run({source: np.array(1, np.int32)}, [target])
    session.close()

    assert StatusCode.DEADLINE_EXCEEDED == caught.value.code
    assert 300 == answered


def test_python_goes_on_while_a_model_computes(models: Path) -> None:
    """The interpreter lock is free during a run: another thread counts meanwhile."""
    session = Session(str(models / "slow"), tags=["serve"], config=b"")
    source, target = names_of(session)
    done = threading.Event()

    def compute() -> None:
        try:
            session.run({source: np.array(300, np.int32)}, [target])
        finally:
            done.set()

    thread = threading.Thread(target=compute)
    thread.start()
    turns = 0
    while not done.wait(0.001):
        turns += 1
    thread.join()
    session.close()

    assert turns > 3


def test_many_threads_share_a_session(models: Path) -> None:
    session = Session(str(models / "float32"), tags=["serve"], config=b"")
    source, target = names_of(session)
    wrong: list[float] = []

    def ask(number: int) -> None:
        given = np.full([50], number, np.float32)
        for _ in range(200):
            (answered,) = session.run({source: given}, [target])
            wrong.extend(answered[answered != number])

    threads = [threading.Thread(target=ask, args=[number]) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    session.close()

    assert [] == wrong


def test_a_closed_session_refuses_and_may_be_closed_again(models: Path) -> None:
    session = Session(str(models / "float32"), tags=["serve"], config=b"")
    source, target = names_of(session)
    session.close()
    session.close()

    with pytest.raises(StatusError, match="Session has been closed") as caught:
        session.run({source: np.zeros([1], np.float32)}, [target])
    assert StatusCode.FAILED_PRECONDITION == caught.value.code


@pytest.mark.parametrize(
    ("feeds", "code"),
    [
        ({"nobody:0": np.zeros([1], np.float32)}, StatusCode.NOT_FOUND),
        ({"x": np.zeros([1], np.int32)}, StatusCode.INVALID_ARGUMENT),
        ({}, StatusCode.INVALID_ARGUMENT),
    ],
    ids=["an unknown tensor", "a wrong type", "no input"],
)
def test_a_bad_call_is_an_error_and_no_crash(models: Path, feeds: dict[str, Array], code: StatusCode) -> None:
    session = Session(str(models / "float32"), tags=["serve"], config=b"")
    source, target = names_of(session)
    with pytest.raises(StatusError) as caught:
        session.run({source if name == "x" else name: array for name, array in feeds.items()}, [target])
    session.close()

    assert code == caught.value.code


def test_tags_that_no_meta_graph_has(models: Path) -> None:
    with pytest.raises(StatusError, match="Could not find meta graph def matching supplied tags") as caught:
        Session(str(models / "float32"), tags=["gpu"], config=b"")

    assert StatusCode.NOT_FOUND == caught.value.code


def resident_mebibytes() -> float:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_memory_is_given_back_after_loads_and_runs(models: Path) -> None:
    """Two hundred loads and four thousand runs with a megabyte each leave no trace of their gigabytes."""

    def use(times: int) -> None:
        for _ in range(times):
            session = Session(str(models / "float32"), tags=["serve"], config=b"")
            source, target = names_of(session)
            for _ in range(20):
                session.run({source: np.zeros([2**18], np.float32)}, [target])
            session.close()

    use(20)
    gc.collect()
    before = resident_mebibytes()
    use(200)
    gc.collect()

    assert resident_mebibytes() - before < 60


def test_the_library_is_the_one_of_the_installed_package() -> None:
    assert library_path().exists()
    assert version("tensorflow") == library().TF_Version().decode()
