"""`snapshot ... promote` and a roll-back with a real network: on a disk, in Google Cloud Storage and in S3."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.hunts import hunt
from tests.object_storage import ObjectStore, store
from tests.pipeline.storage.s3_store import S3Store, s3_store

__all__ = ["s3_store", "store"]

# One program makes six releases, for all of these tests: for `make prove`.
pytestmark = [pytest.mark.timeout(300), hunt]

PROJECT = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def seen(store: ObjectStore, s3_store: S3Store, tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder = tmp_path_factory.mktemp("releases")
    google, amazon = store.bucket(), s3_store.bucket()
    roots = ["disk", google.uri("models"), amazon.uri("models")]
    command = [sys.executable, "-m", "tests.pipeline.verbs.whole_release", str(folder), *roots]
    # MLflow without a server leaves pictures in the working folder.
    environment = os.environ | {"PYTHONPATH": str(PROJECT)}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    google.close()
    amazon.close()
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.parametrize("bucket", ["disk", "gs", "s3"])
class TestInEachBucket:
    def test_a_first_and_a_second_model_are_released(self, seen: Any, bucket: str) -> None:
        assert ["done", "done"] == seen[bucket]["ended"]

    def test_the_second_is_compared_with_the_first_on_all_held_out_images(self, seen: Any, bucket: str) -> None:
        assert seen[bucket]["compared"]

    def test_clients_get_a_label_of_the_model(self, seen: Any, bucket: str) -> None:
        assert seen[bucket]["label"] in ("bird", "cat", "dog")

    def test_a_roll_back_brings_the_first_model_back(self, seen: Any, bucket: str) -> None:
        assert ([2], [1]) == (seen[bucket]["before"], seen[bucket]["after"])
