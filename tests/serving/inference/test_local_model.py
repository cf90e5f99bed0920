"""A folder loaded as a model server loads it; with TensorFlow's library, tests/learning does it too."""

import struct
from pathlib import Path

import google_crc32c
import pytest

from serving.inference import local_model
from serving.inference.local_model import load_local_model
from serving.inference.tfrecord import masked
from serving.inference.warmup import FILE, FOLDER
from serving.status import InvalidArgumentError, StatusError
from tests.serving.inference.test_warmup import PREDICT, record
from tests.serving.model_server.world import Times


class Counting(Times):
    runs = 0

    def run(self, *arguments: object, **options: object) -> list[object]:  # type: ignore[override]
        self.runs += 1
        return super().run(*arguments, **options)  # type: ignore[arg-type, return-value]


@pytest.fixture
def model(monkeypatch: pytest.MonkeyPatch) -> Counting:
    """What stands for the SavedModel of any folder."""
    made = Counting(2)
    monkeypatch.setattr(local_model, "open_session", lambda folder: folder)
    monkeypatch.setattr(local_model, "SavedModel", lambda _: made)
    return made


def write(folder: Path, *records: bytes) -> None:
    path = folder / FOLDER / FILE
    path.parent.mkdir()
    parts = [part for each in records for part in (struct.pack("<Q", len(each)), each)]
    path.write_bytes(b"".join(part + struct.pack("<I", masked(google_crc32c.value(part))) for part in parts))


def test_its_warm_up_requests_are_replayed_once(model: Counting, tmp_path: Path) -> None:
    write(tmp_path, *[record("predict_log", PREDICT)] * 2)

    loaded: object = load_local_model(tmp_path)

    assert loaded is model
    assert (2, False) == (model.runs, model.closed)


def test_one_that_fails_closes_the_model(model: Counting, tmp_path: Path) -> None:
    write(tmp_path, record("predict_log", {}))

    with pytest.raises(InvalidArgumentError, match="input size does not match signature"):
        load_local_model(tmp_path)
    assert model.closed


def test_a_model_without_any_is_loaded(model: Counting, tmp_path: Path) -> None:
    loaded: object = load_local_model(tmp_path)

    assert loaded is model


def test_a_folder_without_a_model_is_refused_in_tensorflow_s_words(tmp_path: Path) -> None:
    with pytest.raises(StatusError, match="NOT_FOUND: Could not find SavedModel"):
        load_local_model(tmp_path)
