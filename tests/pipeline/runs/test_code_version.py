"""Which code acts: from git, from the environment, or unknown; and a run whose code changes says so."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from pipeline.run_verbs import RUN_VERBS, run_once
from pipeline.runs.code_version import UNKNOWN, code_version, describe
from pipeline.runs.records import PublishRecord, SnapshotRecord, SpecRecord
from tests.pipeline.test_cli import pipeline
from tests.releases import World

needs_git = pytest.mark.skipif(shutil.which("git") is None, reason="needs git: apt-get install git")


def git(folder: Path, *words: str) -> str:
    who = ("-c", "user.name=ann", "-c", "user.email=ann@example.com")
    done = subprocess.run(["git", *who, *words], cwd=folder, capture_output=True, text=True, check=True)
    return done.stdout.strip()


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in [name for name in os.environ if name.startswith("GIT_")]:
        monkeypatch.delenv(name)
    describe.cache_clear()
    folder = tmp_path / "checkout"
    folder.mkdir()
    (folder / "code.py").write_text("1\n")
    git(folder, "init", "--quiet")
    git(folder, "add", "code.py")
    git(folder, "commit", "--quiet", "--message=first")
    return folder


@needs_git
class TestCheckout:
    def test_is_described_by_its_commit(self, checkout: Path) -> None:
        assert git(checkout, "rev-parse", "--short", "HEAD") == describe(checkout)

    def test_is_described_by_its_tag_and_by_what_is_not_committed(self, checkout: Path) -> None:
        git(checkout, "tag", "--annotate", "--message=v1", "v1")
        (checkout / "code.py").write_text("2\n")

        assert "v1-dirty" == describe(checkout)

    def test_is_not_mixed_up_with_that_of_a_hook(self, checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("GIT_DIR", "/nowhere")

        assert UNKNOWN != describe(checkout)

    def test_may_be_a_further_work_tree(self, checkout: Path) -> None:
        git(checkout, "worktree", "add", "--quiet", "../further")

        assert describe(checkout) == describe(checkout.parent / "further")

    def test_of_somebody_else_around_the_code_does_not_count(self, checkout: Path) -> None:
        (checkout / "site-packages").mkdir()

        assert UNKNOWN == describe(checkout / "site-packages")

    def test_without_git_is_unknown(self, checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("PATH", str(checkout))

        assert UNKNOWN == describe(checkout)

    def test_that_is_damaged_is_unknown(self, checkout: Path) -> None:
        (checkout / ".git" / "HEAD").write_text("no reference\n")

        assert UNKNOWN == describe(checkout)


def test_what_the_environment_says_counts() -> None:
    assert "v1.2.3" == code_version("v1.2.3")


def test_snapshot_records_it_for_its_run(tmp_path: Path) -> None:
    done = pipeline(tmp_path, "snapshot", "--run", "retrain-1", UNDERSTUDY_CODE_VERSION="v1.2.3")
    records = World(tmp_path).context("retrain-1").records

    assert 0 == done.returncode, done.stderr
    assert "v1.2.3" == records.require(SpecRecord).spec.code_version
    assert "v1.2.3" == records.require(SnapshotRecord).code_version


class TestRun:
    """The run of these has been frozen by version `test`."""

    @staticmethod
    def published(world: World, version: str, caplog: pytest.LogCaptureFixture) -> list[str]:
        """What was logged of it when another verb of the run is carried out, and carried out again."""
        world.approve("retrain-1")
        world.extra["code_version"] = version
        (publish,) = (verb for verb in RUN_VERBS if verb.name == "publish")
        for _ in range(2):
            run_once(publish, world.context("retrain-1"))
        return [line for line in caplog.messages if "the code has changed" in line]

    def test_whose_code_has_changed_says_so_once_for_a_verb(
        self, world: World, caplog: pytest.LogCaptureFixture
    ) -> None:
        (told,) = self.published(world, "v2", caplog)
        records = world.context("retrain-1").records

        assert "`snapshot` ran version test, and `publish` runs version v2" in told
        assert "test" == records.require(SpecRecord).spec.code_version
        assert "v2" == records.require(PublishRecord).code_version

    @pytest.mark.parametrize("version", ["test", "unknown"])
    def test_that_may_be_the_same_says_nothing(
        self, world: World, caplog: pytest.LogCaptureFixture, version: str
    ) -> None:
        assert [] == self.published(world, version, caplog)


@pytest.mark.parametrize("words", [("rollback", "--reason", "bad"), ("rollback", "--help"), ("status",)], ids=" ".join)
def test_nobody_who_records_nothing_waits_for_git(tmp_path: Path, words: tuple[str, ...]) -> None:
    called = tmp_path / "called"
    stub = tmp_path / "git"
    stub.write_text(f"#!/bin/sh\ntouch {called}\n")
    stub.chmod(0o755)
    path = f"{tmp_path}{os.pathsep}{os.environ['PATH']}"
    pipeline(tmp_path, *words, PATH=path)

    assert not called.exists()
