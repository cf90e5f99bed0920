"""The version that serves is asked about new images: what it suspects, and what becomes of it if it cannot answer."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from pipeline.data.snapshot.examined import NewImage
from pipeline.inspection.suspected_labels import suspected_labels
from pipeline.runs.records import SpecRecord
from pipeline.spec import RunSpec
from tests.hunts import hunt
from tests.once import once
from tests.releases import SPEC, World

PROJECT = Path(__file__).parents[3]
IMAGES = [NewImage("a.png", "0", "data/digits/a.png"), NewImage("b.png", "1", "data/digits/b.png")]


class TestWithoutAnAnswer:
    @pytest.fixture
    def context(self, world: World) -> Any:
        context = world.context("retrain-9")
        spec = RunSpec(model=SPEC, run_key="retrain-9", requested_by="ann", note="", force=False, code_version="test")
        context.records.finish(SpecRecord(spec=spec))
        return context

    def test_where_nothing_serves_nothing_is_suspected(self, context: Any) -> None:
        assert suspected_labels(context, None, IMAGES, most=100) is None

    def test_a_version_that_is_not_there_stops_nothing(self, context: Any, caplog: pytest.LogCaptureFixture) -> None:
        assert suspected_labels(context, 7, IMAGES, most=100) is None
        assert "v7 could not be asked for label errors, so none are looked for: " in caplog.text

    def test_a_model_that_cannot_be_loaded_stops_nothing(
        self, world: World, context: Any, caplog: pytest.LogCaptureFixture
    ) -> None:
        """What the tests release is no SavedModel that TensorFlow can load."""
        version = world.release("retrain-1")

        assert suspected_labels(context, version, IMAGES, most=100) is None
        assert f"v{version} could not be asked for label errors" in caplog.text


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> Any:
    def make() -> Any:
        folder = tmp_path_factory.mktemp("world")
        command = [sys.executable, "-m", "tests.pipeline.inspection.suspecting", str(folder)]
        # MLflow without a server leaves pictures in the working folder.
        environment = os.environ | {"PYTHONPATH": str(PROJECT)}
        done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout.splitlines()[-1])

    return once(tmp_path_factory, "suspected-labels", make)


@hunt
@pytest.mark.timeout(300)
class TestRealModel:
    def test_finds_the_images_with_the_label_of_another_class(self, seen: Any) -> None:
        flipped = {f"{label}/{number}.png" for label in ("dark", "light") for number in (157, 158, 159)}

        assert (1, 100) == (seen["found"]["version"], seen["found"]["examined"])
        assert {each["path"] for each in seen["found"]["suspects"]} <= flipped
        assert len(seen["found"]["suspects"]) >= 4, "100 of 120 images were examined"

    def test_says_what_the_model_says(self, seen: Any) -> None:
        first = seen["found"]["suspects"][0]

        assert first["path"].startswith(first["suggested"])
        assert first["label"] != first["suggested"]
        assert first["probability"] > first["given_probability"]

    def test_examines_no_more_images_than_the_model_file_allows(self, seen: Any) -> None:
        assert 100 == seen["many"]["examined"]

    def test_leaves_out_labels_that_the_version_does_not_know(self, seen: Any) -> None:
        assert 1 == seen["one known"]["examined"]
        assert seen["unknown"] is None
        assert "no new image has a label that v1 knows, so no label errors are looked for" in seen["log"]

    @pytest.mark.parametrize("case", ["nothing serves", "no images", "no picture", "no file", "lost", "gone"])
    def test_stops_nothing_if_it_cannot_be_asked(self, seen: Any, case: str) -> None:
        assert seen[case] is None

    def test_too_many_of_them_refuse_a_snapshot_and_fewer_are_in_its_report(self, seen: Any) -> None:
        refused, accepted = seen["refused"], seen["accepted"]

        assert "the images are refused: " in refused["ended"]
        assert re.search(
            r"suspected label errors, says v1, \d of 100 .*> 1% \(data\.checks\.label_errors\)", refused["ended"]
        )
        assert "done" == accepted["ended"]
        assert refused["suspects"] == accepted["suspects"]
        assert len(accepted["suspects"]) >= 3, "100 of 120 images were examined, six of which have a wrong label"
        assert {"new"} == {Path(path).name.split()[0] for path in accepted["suspects"]}
