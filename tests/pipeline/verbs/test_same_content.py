"""One network, exported by different processes, is recognised; else no withdrawn model would ever be."""

import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.storage.sums import FileSum, content_digest, sums_of
from tests.hunts import hunt

SEEDS = {"one": 3, "again": 3, "other": 4}


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, FileSum]]:
    folder = tmp_path_factory.mktemp("exports")
    for name, seed in SEEDS.items():
        (folder / name).mkdir()
        command = [sys.executable, "-m", "tests.pipeline.training.exporting", str(folder / name / "model"), str(seed)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
    return {name: sums_of(Path(folder) / name / "model") for name in SEEDS}


@hunt
def test_two_exports_of_one_network_differ_in_nothing_but_the_fingerprint(
    exported: dict[str, dict[str, FileSum]],
) -> None:
    one, again = exported["one"], exported["again"]

    assert one.keys() == again.keys()
    assert {"fingerprint.pb"} == {name for name in one if one[name] != again[name]}
    assert content_digest(one) == content_digest(again)


@hunt
def test_another_network_is_another_content(exported: dict[str, dict[str, FileSum]]) -> None:
    assert content_digest(exported["one"]) != content_digest(exported["other"])
