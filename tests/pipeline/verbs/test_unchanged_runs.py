"""A scheduled run that would repeat the newest decided run ends in `snapshot`; each change alone lets it train."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from pipeline import layout
from pipeline.clock import SystemClock
from pipeline.context import Ports, make_run_context
from pipeline.errors import BadInputError, DeclinedError, FailedError
from pipeline.model_files import load_spec
from pipeline.rules import readmission
from pipeline.runs.installed import installed
from pipeline.runs.records import PublishRecord, Record, SnapshotRecord, SpecRecord
from pipeline.runs.run_records import RunRecords
from pipeline.settings import Settings
from pipeline.spec import RunSpec
from pipeline.storage.memory import MemoryBucket
from pipeline.verbs.snapshot import snapshot
from pipeline.verdicts.verdict import Decision
from tests.hunts import hunt
from tests.pipeline.verbs.repeated_runs import DECLINED, OVERTAKEN, PASSED, PROMOTED, draw_images, withdrawn, world_of
from tests.pipeline.verbs.test_label_contract import draw
from tests.releases import MODEL, NO_MLFLOW, World
from tests.test_light_imports import HEAVY


@pytest.fixture
def images(tmp_path: Path) -> Path:
    return draw_images(tmp_path / "images")


@pytest.fixture
def world(tmp_path: Path, images: Path) -> World:
    return world_of(tmp_path, images)


def run(world: World, key: str, *records: Record, scheduled: bool = True, **form: Any) -> SnapshotRecord:
    """A run that has got as far as these records."""
    world.extra |= {"scheduled": scheduled, "params": json.dumps(form)}
    made = world.run("snapshot", key)
    assert isinstance(made, SnapshotRecord)
    for record in records:
        world.context(key).records.finish(record)
    return made


def edit(world: World, change: Callable[[dict[str, Any]], object]) -> None:
    path = world.folder / f"{MODEL}.yaml"
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))


@pytest.fixture
def packages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder whose packages are installed as well; `installed` looks again."""
    folder = tmp_path / "packages"
    folder.mkdir()
    monkeypatch.syspath_prepend(folder)
    installed.cache_clear()
    yield folder
    installed.cache_clear()


def install(packages: Path, name: str, version: str) -> None:
    folder = packages / f"{name}.dist-info"
    folder.mkdir(exist_ok=True)
    (folder / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
    installed.cache_clear()


def test_nothing_has_changed_and_the_message_says_what_was_compared_with_which_run_and_how_to_train(
    world: World,
) -> None:
    digest = run(world, "retrain-1", DECLINED).digest

    with pytest.raises(DeclinedError) as refused:
        run(world, "retrain-2")
    assert (
        "nothing has changed since run retrain-1, after which the gate declined the candidate: this scheduled run has "
        f"the same images (data digest {digest[:12]}), code (version test), parameters (`training`, `image`, `data`, "
        "`gate`, `canary` of the model file) and installed packages. Nothing is trained. To train all the same, "
        "trigger `retrain_digits`"
    ) == str(refused.value)


def test_a_run_that_found_nothing_changed_leaves_nothing_for_the_next_one_to_look_at(world: World) -> None:
    run(world, "retrain-1", PASSED, PROMOTED)
    for number in (2, 3):
        with pytest.raises(DeclinedError, match=r"since run retrain-1, after which v4 was promoted"):
            run(world, f"retrain-{number}")

    assert ["retrain-1"] == world.context("look-0").bucket.names(layout.runs(MODEL))


def test_a_run_of_a_person_trains(world: World) -> None:
    before = run(world, "retrain-1", DECLINED)

    assert before.digest == run(world, "retrain-2", scheduled=False).digest


def test_one_new_image_is_trained_on(world: World, images: Path) -> None:
    before = run(world, "retrain-1", DECLINED)
    draw(images, "owl", first=120)

    assert before.digest != run(world, "retrain-2").digest


def test_another_version_of_the_code_trains(world: World, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    run(world, "retrain-1", DECLINED)
    world.extra["code_version"] = "v2"

    assert run(world, "retrain-2")
    assert "since run retrain-1 changed the code (version test, now v2)" in caplog.text


@pytest.mark.parametrize("version", ["unknown", "v1-2-gabc-dirty"])
def test_a_version_that_says_not_exactly_which_code_it_is_trains(world: World, version: str) -> None:
    world.extra["code_version"] = version
    run(world, "retrain-1", DECLINED)

    assert run(world, "retrain-2")


@pytest.mark.parametrize(
    ("group", "name", "value"),
    [
        ("training", "epochs", 2),
        ("training", "seed", 5),
        ("image", "height", 16),
        ("data", "near_duplicates", None),
        ("gate", "min_accuracy", 0.1),
        ("canary", "max_latency_ratio", 9.0),
    ],
)
def test_a_parameter_that_has_changed_trains_and_is_named(
    world: World,
    caplog: pytest.LogCaptureFixture,
    group: str,
    name: str,
    value: object,
) -> None:
    caplog.set_level("INFO")
    run(world, "retrain-1", DECLINED)
    edit(world, lambda content: content[group].update({name: value}))

    assert run(world, "retrain-2")
    assert f"changed {group}.{name} (" in caplog.text
    assert f", now {value})" in caplog.text


def test_who_owns_a_model_and_when_it_runs_does_not_count(world: World) -> None:
    run(world, "retrain-1", DECLINED)
    edit(
        world,
        lambda content: content.update(
            description="other", owner="bob", schedule="0 4 * * *", retention={"keep": 9}, new_images=None
        ),
    )

    with pytest.raises(DeclinedError, match="nothing has changed"):
        run(world, "retrain-2")


def test_a_seed_that_was_drawn_does_not_count(world: World) -> None:
    """Each run draws another one, of its run key."""
    run(world, "retrain-1", DECLINED)
    training = world.context("retrain-1").records.require(SpecRecord).spec.model.training
    assert training
    assert training.seed is None

    with pytest.raises(DeclinedError, match="nothing has changed"):
        run(world, "retrain-2")


def test_a_seed_of_a_form_counts_so_the_schedule_trains_again_after_an_experiment(world: World) -> None:
    run(world, "retrain-1", DECLINED)
    run(world, "retrain-2", DECLINED, scheduled=False, seed=7)

    assert run(world, "retrain-3")


@pytest.mark.parametrize("version", ["1.0", "1.1"])
def test_a_package_that_was_updated_trains(world: World, packages: Path, version: str) -> None:
    install(packages, "keraslike", "1.0")
    run(world, "retrain-1", DECLINED)
    install(packages, "keraslike", version)

    if version == "1.0":
        with pytest.raises(DeclinedError, match="nothing has changed"):
            run(world, "retrain-2")
    else:
        assert run(world, "retrain-2")


@pytest.mark.parametrize("edited", [False, True])
def test_a_users_network_that_was_edited_trains_although_the_version_of_the_code_is_the_same(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, edited: bool
) -> None:
    """As where Git does not track the file."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "my_network.py").write_text("def build(shape, classes): ...\n")
    edit(world, lambda content: content["training"].update(network={"function": "my_network:build"}))
    run(world, "retrain-1", DECLINED)

    if edited:
        (tmp_path / "my_network.py").write_text("def build(shape, classes): return 1\n")
        assert run(world, "retrain-2")
    else:
        with pytest.raises(DeclinedError, match="nothing has changed"):
            run(world, "retrain-2")


def test_a_record_of_an_older_version_says_nothing_of_packages_so_the_run_trains(world: World) -> None:
    run(world, "retrain-1", DECLINED)
    path = world.bucket / layout.record(MODEL, "retrain-1", "spec")
    content = json.loads(path.read_text())
    del content["spec"]["installed"]
    path.write_text(json.dumps(content))

    assert run(world, "retrain-2")


@pytest.mark.parametrize(
    "records",
    [(), (PASSED,), (PASSED, OVERTAKEN)],
    ids=["it failed before the gate", "it failed after the gate", "it was overtaken"],
)
def test_a_run_that_was_not_decided_is_repeated(world: World, records: tuple[Record, ...]) -> None:
    run(world, "retrain-1", *records)

    assert run(world, "retrain-2")


def test_a_failed_run_does_not_hide_the_decided_one_before_it(world: World) -> None:
    run(world, "retrain-1", DECLINED)
    run(world, "retrain-2", scheduled=False)

    with pytest.raises(DeclinedError, match="since run retrain-1"):
        run(world, "retrain-3")


def test_a_candidate_that_the_canary_refused_is_not_trained_again_until_a_person_readmits_it(
    world: World,
) -> None:
    run(world, "retrain-1", PASSED, PublishRecord(version=1))
    withdrawn(world, "retrain-1", Decision.FAIL)
    with pytest.raises(DeclinedError, match=r"after which v1 was withdrawn on .* UTC \(.*golden answers differ\)"):
        run(world, "retrain-2")
    journal = world.context("readmit-1").journal
    journal.decide(partial(readmission.readmit, version=1, reason="a broken disk"))

    assert run(world, "retrain-3")


def test_a_canary_that_could_not_tell_is_repeated(world: World) -> None:
    run(world, "retrain-1", PASSED, PublishRecord(version=1))
    withdrawn(world, "retrain-1", Decision.UNKNOWN)

    assert run(world, "retrain-2")


def test_new_files_that_cannot_be_used_are_no_change_of_the_digest_and_are_reported_all_the_same(
    world: World, images: Path
) -> None:
    run(world, "retrain-1", DECLINED)
    (images / "cat" / "broken.png").write_bytes(b"not a picture")

    with pytest.raises(BadInputError, match=r"cat/broken\.png"):
        run(world, "retrain-2")


def test_files_that_were_only_touched_are_no_change_and_are_read_only_once_again(world: World, images: Path) -> None:
    run(world, "retrain-1", DECLINED)
    for path in images.rglob("*.png"):
        os.utime(path, (1, 1))
    bucket = world.context("look-0").bucket
    for number, lists in ((2, 2), (3, 2)):
        with pytest.raises(DeclinedError, match="since run retrain-1"):
            run(world, f"retrain-{number}")

        assert lists == len(bucket.names(layout.snapshots(MODEL)))


def test_a_source_that_does_not_exist_freezes_nothing_so_a_cleared_task_reads_the_corrected_model_file(
    world: World,
    images: Path,
) -> None:
    edit(world, lambda content: content["data"].update(images=str(images / "nowhere")))
    with pytest.raises(BadInputError):
        run(world, "retrain-1")
    edit(world, lambda content: content["data"].update(images=str(images)))

    assert run(world, "retrain-1")


def test_a_second_copy_of_a_task_does_not_mix_its_images_with_the_settings_of_the_first(
    tmp_path: Path, world: World
) -> None:
    """The first one has read the model file before it was edited, and ends while the second stores the images."""
    spec = load_spec(world.folder / f"{MODEL}.yaml").model_copy(update={"owner": "bob"})
    frozen = RunSpec(model=spec, run_key="retrain-1", requested_by="ann", note="", force=False, code_version="test")

    def while_the_first_ends(key: str, write: Callable[[], bool]) -> bool:
        if key.startswith("data/"):
            first.finish(SpecRecord(spec=frozen))
        return write()

    bucket = MemoryBucket(while_the_first_ends)
    first = RunRecords(bucket, MODEL, "retrain-1")
    settings = Settings(replicas="127.0.0.1:9", models=tmp_path, code_version="test")
    second = make_run_context(settings, model=MODEL, run_key="retrain-1", ports=Ports(bucket, SystemClock()))
    with pytest.raises(FailedError, match="another copy of this task has read the images with other settings"):
        snapshot(second)

    assert None is first.find(SnapshotRecord)


@hunt
def test_a_run_in_which_nothing_has_changed_loads_nothing_heavy_but_what_reads_the_list(world: World) -> None:
    """The whole process is to take less than 2 s of work, and each of these takes a good part of that."""
    run(world, "retrain-1", DECLINED)
    for path in (world.folder / "images").rglob("*.png"):
        os.utime(path, (1, 1))  # old enough to be known the next time
    with pytest.raises(DeclinedError):
        run(world, "retrain-2")
    settings = world.context("look-0").settings
    environment = {
        "UNDERSTUDY_ROOT": str(world.bucket),
        "UNDERSTUDY_MODELS": str(settings.models),
        "UNDERSTUDY_REPLICAS": "127.0.0.1:9",
        "UNDERSTUDY_MLFLOW_URL": NO_MLFLOW,
        "UNDERSTUDY_CODE_VERSION": "test",
        "UNDERSTUDY_SCHEDULED": "true",
    }
    code = (
        "import sys\n"
        f"sys.argv = ['understudy', 'snapshot', '--model', '{MODEL}', '--run', 'retrain-3']\n"
        "from pipeline.__main__ import main\n"
        "print(main())\n"
        f"print([name for name in {HEAVY!r} if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], env=os.environ | environment, capture_output=True, text=True, check=False
    )

    assert ["99", "['pyarrow']"] == done.stdout.splitlines()[-2:], done.stderr
