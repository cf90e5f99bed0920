"""A bucket is copied and restored with the commands of docs/backup.md, and then everything works as before."""

import os
import re
import shutil
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from pipeline import layout
from pipeline.errors import CouldNotTellError, DamagedError, StorageError
from pipeline.journal.config_header import rendered_entry
from pipeline.journal.entries import Event
from pipeline.journal.journal import Journal
from pipeline.storage.local import LocalBucket
from pipeline.verbs.reconcile import reconcile
from pipeline.verbs.status import status
from tests.command import PROJECT, installed
from tests.hunts import hunt, hunt_cases
from tests.released import PATIENCE, start_released
from tests.releases import MODEL, World, eventually

PAGE = (PROJECT / "docs" / "backup.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```sh\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)

COPY = 'mkdir -p "$COPY"'
ENTRIES = "journal/digits | tar"
PUT_BACK = "restored-$SERVING"
HIGHER_AWAY = "for number in"
CONFIG_AWAY = "$LOST/serve/digits.config"
CHECKPOINTS_AWAY = "rm -rf"

# As a person who looks after each move; servers poll meanwhile, and load what they find.
SLOWLY = 'mv() { command mv "$@" && sleep 0.5; }\n'
FOLDER = 'restored-7"'
IN_PLACE = "serve/digits/7/."
AGAIN = "publish-before.json"
ALL = 'mkdir -p "$BUCKET"\n'

# Entries, counted back from the last one.
AT_THE_END = (0, 1)
IN_THE_MIDDLE = (3,)


@dataclass
class Shell:
    """Runs a block of the page on the bucket of a world, and has its copy beside it."""

    world: World
    more: dict[str, str] = field(default_factory=dict)

    @property
    def copy(self) -> Path:
        return self.world.folder / "copy"

    def run(self, text: str, *, version: int = 7) -> None:
        """A part of the page; `version` stands for the 7 of its examples."""
        world = self.world
        environment = {
            "BUCKET": str(world.bucket),
            "COPY": str(self.copy),
            "LOST": str(world.folder / "lost"),
            "UNDERSTUDY_ROOT": str(world.bucket),
            "UNDERSTUDY_MODELS": str(world.folder),
            "UNDERSTUDY_REPLICAS": ",".join(replica.address for replica in world.replicas),
            "UNDERSTUDY_MLFLOW_URL": world.mlflow_url,
        }
        text = text.replace("digits/7", f"digits/{version}").replace("restored-7", f"restored-{version}")
        done = subprocess.run(
            ["bash", "-euc", text],
            env=os.environ | environment | self.more,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        assert 0 == done.returncode, done.stderr

    def block(self, mark: str, *, version: int = 7) -> None:
        self.run(block(mark), version=version)


def block(mark: str) -> str:
    (found,) = (text for text in BLOCKS if mark in text)
    return str(found)


@pytest.fixture
def shell(world: World) -> Shell:
    """Two versions were released, and the bucket is not copied yet."""
    start_released(world, 2)
    return Shell(world)


def differences(world: World) -> list[str]:
    """What `status` has to say, but for MLflow, which is down in these tests."""
    return [each for each in status(world.context("look-0")).differences if "MLflow" not in each]


def works(world: World, *, run_key: str) -> None:
    """Everything agrees, now and after a new release and a roll-back of it."""
    assert eventually(lambda: not differences(world), PATIENCE), differences(world)
    before = world.history().state.serving
    released = world.release(run_key)
    assert [released] * 2 == world.answering()

    assert before == world.roll_back("previous").version
    assert [before] * 2 == world.answering()
    assert eventually(lambda: not differences(world), PATIENCE), differences(world)


def steps_of_the_copy() -> tuple[str, ...]:
    steps = tuple(block(COPY).split("\n\n"))
    assert 3 == len(steps)
    return steps


def restarted_after(world: World, restore: Callable[[], None]) -> None:
    """As the page says of a whole bucket: no server polls it while it is restored."""
    for replica in world.replicas:
        replica.stop()
    restore()
    with pytest.raises(CouldNotTellError):
        reconcile(world.context("reconcile-1")).require_complete()
    for replica in world.replicas:
        replica.start()


def test_a_copy_that_was_made_during_releases_is_restored(shell: Shell) -> None:
    """Each step of the copy sees a later bucket. A version that came with the last step uses its number up."""
    world = shell.world
    configs, journal, rest = steps_of_the_copy()
    shell.run(configs)
    world.release("retrain-3")
    world.publish("retrain-4")
    shell.run(journal)
    world.run("canary", "retrain-4")
    world.run("promote", "retrain-4")
    world.publish("retrain-5")
    shell.run(rest)

    copied = LocalBucket(shell.copy)
    rendered = rendered_entry(copied.read(layout.config(MODEL)).decode())
    assert rendered is not None
    assert rendered <= Journal(copied, MODEL).read().seq

    def restore() -> None:
        empty(world.bucket)
        shell.block(ALL)

    restarted_after(world, restore)
    assert [3, 3] == world.answering()
    assert world.history().has(4, Event.PUBLISHED)
    assert eventually(lambda: 1 == len(differences(world)), PATIENCE), differences(world)
    assert "the folder of versions contains '5', and the journal does not contain v5" in differences(world)[0]
    world.context("look-0").manifests.verify(4, world.history())

    shutil.move(world.bucket / layout.version(MODEL, 5), world.folder / "away")
    with pytest.raises(DamagedError, match=r"manifests/digits/5\.json already exists"):
        world.publish("retrain-6", milliseconds=0.01)
    works(world, run_key="retrain-7")


def test_a_copy_leaves_out_what_is_derived_and_keeps_the_rest(shell: Shell) -> None:
    world = shell.world
    for name in ("checkpoints/digits/a.json", "runs/digits/retrain-1/epochs/1/x", "serve/digits/1/assets/x.config"):
        path = world.bucket / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"any")
    shell.block(COPY)
    left_out = re.compile(r"checkpoints/|runs/digits/retrain-1/epochs|\.tmp")
    expected = {name: content for name, content in files(world.bucket).items() if not left_out.match(name)}

    assert "serve/digits/1/assets/x.config" in expected
    assert expected == files(shell.copy)


def empty(bucket: Path) -> None:
    """Nothing is left but the links by which the servers of these tests read their config."""
    for path in sorted(bucket.rglob("*"), reverse=True):
        if path.is_symlink():
            continue
        if path.is_file():
            path.unlink()
        elif path != bucket / "serve":
            path.rmdir()


def files(folder: Path) -> dict[str, bytes]:
    """All that is in a folder, except for the links by which the servers of these tests read their config."""
    found = (path for path in folder.rglob("*") if path.is_file() and not path.is_symlink())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in found}


@pytest.mark.parametrize("back", hunt_cases([AT_THE_END, IN_THE_MIDDLE], in_make_test=[AT_THE_END]))
def test_lost_entries_are_restored_from_a_copy(shell: Shell, back: tuple[int, ...]) -> None:
    world = shell.world
    shell.block(COPY)
    before = world.history()
    for each in back:
        (world.bucket / layout.entry(MODEL, before.seq - each)).unlink()
    with pytest.raises(StorageError, match=r"the journal ends at|has no entry"):
        reconcile(world.context("reconcile-1"))
    assert [2, 2] == world.answering()

    shell.block(ENTRIES)

    assert before.all() == world.history().all()
    works(world, run_key="retrain-3")


@hunt
def test_an_entry_that_is_lost_before_the_newest_checkpoint_stops_nothing_but_who_reads_it(world: World) -> None:
    start_released(world, 7)
    shell = Shell(world)
    shell.block(COPY)
    before = world.history().all()
    assert list((world.bucket / layout.journal_checkpoints(MODEL)).glob("*.json"))
    (world.bucket / layout.entry(MODEL, 3)).unlink()
    assert 6 == world.roll_back("previous").version
    with pytest.raises(StorageError, match=r"has lost an entry: .*00000003\.json"):
        world.history().all()

    shell.block(ENTRIES)

    assert before == world.history().all()[: len(before)]
    works(world, run_key="retrain-8")


def test_restoring_entries_does_not_change_those_that_are_there(shell: Shell) -> None:
    """An old copy is of no harm to a journal that has gone on."""
    world = shell.world
    shell.block(COPY)
    (shell.copy / layout.entry(MODEL, 1)).write_text("damaged")
    world.roll_back("1")
    before = world.history().all()

    shell.block(ENTRIES)

    assert before == world.history().all()


@hunt
def test_without_a_copy_the_end_that_is_left_decides_and_no_number_gets_another_model(shell: Shell) -> None:
    world = shell.world
    world.release("retrain-3")
    claim = next(each.seq for each in world.history().all() if each.version == 3)
    for seq in range(claim, world.history().seq + 1):
        (world.bucket / layout.entry(MODEL, seq)).unlink()

    shell.block(CONFIG_AWAY)
    reconcile(world.context("reconcile-1"))

    assert [2, 2] == world.answering()
    assert eventually(lambda: 1 == len(differences(world)), PATIENCE), differences(world)
    shutil.move(world.bucket / layout.version(MODEL, 3), world.folder / "away")
    with pytest.raises(DamagedError, match=r"manifests/digits/3\.json already exists"):
        world.publish("retrain-4")
    works(world, run_key="retrain-5")
    assert 4 == world.history().version_of("retrain-5")


@hunt
@pytest.mark.parametrize("content", [None, b"garbage {"], ids=["lost", "damaged"])
def test_the_config_is_written_again(shell: Shell, content: bytes | None) -> None:
    world = shell.world
    before = world.config.read_bytes()
    world.config.unlink()
    if content is not None:
        world.config.write_bytes(content)
    assert 1 == len(differences(world))
    assert [2, 2] == world.answering()

    reconcile(world.context("reconcile-1"))

    assert before == world.config.read_bytes()
    works(world, run_key="retrain-3")


@hunt
def test_the_files_of_the_version_that_serves_are_restored_from_a_copy(shell: Shell) -> None:
    """Servers have unloaded it meanwhile, and load it when it is whole again."""
    world = shell.world
    shell.block(COPY)
    shutil.rmtree(world.bucket / layout.version(MODEL, 2))
    assert eventually(lambda: [None, None] == world.answering(), PATIENCE)

    shell.block(FOLDER, version=2)

    assert eventually(lambda: [2, 2] == world.answering(), PATIENCE)
    works(world, run_key="retrain-3")


@hunt
def test_a_damaged_file_is_restored_in_place_while_its_version_serves(shell: Shell) -> None:
    world = shell.world
    shell.block(COPY)
    (world.bucket / layout.version(MODEL, 2) / "saved_model.pb").write_text("damaged")
    assert any("v2 serves, and its files are damaged" in each for each in differences(world))

    shell.block(IN_PLACE, version=2)

    assert [2, 2] == world.answering()
    works(world, run_key="retrain-3")


@hunt
def test_without_a_copy_publish_writes_the_files_and_the_manifest_again(shell: Shell) -> None:
    world = shell.world
    shell.more = installed(world.folder / "bin") | {"RUN": "retrain-1"}
    before, seq = files(world.bucket), world.history().seq
    shutil.rmtree(world.bucket / layout.version(MODEL, 1))
    (world.bucket / layout.manifest(MODEL, 1)).unlink()

    shell.block(AGAIN)

    after = files(world.bucket)
    kept = [name for name in before if not name.startswith("runs/")]
    assert {name: before[name] for name in kept} == {name: after[name] for name in kept}
    assert seq == world.history().seq
    assert eventually(lambda: not differences(world), PATIENCE), differences(world)
    works(world, run_key="retrain-3")


@hunt
@pytest.mark.parametrize("lost", [1, 2])
@pytest.mark.parametrize("world", ["latest"], indirect=True)
def test_below_a_base_path_versions_that_the_journal_lost_give_way_to_the_one_it_serves(
    shell: Shell, lost: int
) -> None:
    """Servers would take them, as the highest numbers. Two lost promotions leave no version that the journal knows."""
    world = shell.world
    highest = 2 + lost
    for number in range(3, highest + 1):
        world.release(f"retrain-{number}")
    claim = next(each.seq for each in world.history().all() if each.version == 3)
    for seq in range(claim, world.history().seq + 1):
        (world.bucket / layout.entry(MODEL, seq)).unlink()
    assert [highest - 1, highest] == below_base_path(world)
    with pytest.raises(StorageError, match="the journal ends at"):
        reconcile(world.context("reconcile-1"))
    shell.more = {"RING": "serve", "SERVING": "2", "FILES": "2"}

    with looked_at(world) as seen:
        for mark in (PUT_BACK, HIGHER_AWAY):
            shell.run(SLOWLY + block(mark))
        assert eventually(lambda: [2, 2] == world.answering(), PATIENCE), world.answering()
    shell.block(CONFIG_AWAY)
    reconcile(world.context("reconcile-2"))
    shell.block(CHECKPOINTS_AWAY)

    # One move, and always an answer.
    assert {2, highest} == {version for each in seen.answers for version in each}
    assert all(seen.folders)
    assert [1, 2] == below_base_path(world)
    assert eventually(lambda: not differences(world), PATIENCE), differences(world)
    for number in range(3, highest + 1):
        with pytest.raises(DamagedError, match=rf"manifests/digits/{number}\.json already exists"):
            world.publish(f"retrain-again-{number}")
    works(world, run_key="retrain-9")


@hunt
@pytest.mark.parametrize("world", ["latest"], indirect=True)
def test_below_a_base_path_nothing_is_moved_away_as_long_as_nothing_takes_its_place(shell: Shell) -> None:
    world = shell.world
    before = below_base_path(world)
    shell.more = {"RING": "serve", "SERVING": "1", "FILES": "1"}
    shutil.rmtree(world.bucket / layout.published(MODEL, 1))

    with pytest.raises(AssertionError, match="No such file"):
        shell.block(HIGHER_AWAY)
    assert before == below_base_path(world)


@dataclass
class Seen:
    """What was below the base path, and what each replica answered, look by look."""

    folders: list[list[int]] = field(default_factory=list)
    answers: list[list[int | None]] = field(default_factory=list)


@contextmanager
def looked_at(world: World) -> Iterator[Seen]:
    """Look again and again while something is done."""
    seen, done = Seen(), threading.Event()

    def look() -> None:
        seen.folders.append(below_base_path(world))
        seen.answers.append(world.answering())

    def keep_looking() -> None:
        while not done.is_set():
            look()

    look()
    thread = threading.Thread(target=keep_looking)
    thread.start()
    try:
        yield seen
    finally:
        done.set()
        thread.join()


def below_base_path(world: World) -> list[int]:
    names = (path.name for path in (world.bucket / layout.versions(MODEL)).iterdir())
    return sorted(layout.version_numbers(names))


@hunt
@pytest.mark.parametrize("world", ["latest"], indirect=True)
def test_below_a_base_path_the_published_files_are_restored_and_copied_there(shell: Shell) -> None:
    world = shell.world
    shell.block(COPY)
    for folder in (layout.published(MODEL, 1), layout.version(MODEL, 1)):
        shutil.rmtree(world.bucket / folder, ignore_errors=True)
    assert differences(world)

    shell.run(block(FOLDER).replace("serve/", "published/"), version=1)
    reconcile(world.context("reconcile-1"))

    works(world, run_key="retrain-3")
