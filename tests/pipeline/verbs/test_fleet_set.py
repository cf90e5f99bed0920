"""`init`, `fleet show` and `fleet set`: what is recorded, what is refused, and what a fresh shell needs."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from pipeline import layout
from pipeline.cli import app
from pipeline.errors import BadInputError, CouldNotTellError, UnderstudyError
from pipeline.fleets.changes import FleetChange
from pipeline.rules import run as run_rules
from pipeline.verbs.canary import canary
from pipeline.verbs.fleet_set import _require_safe, fleet_set
from tests.protocol.world import World as Simulated
from tests.released import start_released
from tests.releases import MODEL, NO_MLFLOW, World, over_both

Shell = Callable[..., Result]


@pytest.fixture
def shell(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Shell:
    """A shell that has nothing of Understudy in its environment but the bucket, and the model files."""
    for name in list(os.environ):
        if name.startswith("UNDERSTUDY_"):
            monkeypatch.delenv(name)
    (tmp_path / "models").mkdir(exist_ok=True)
    for model in (MODEL, "pets"):
        (tmp_path / "models" / f"{model}.yaml").touch()
    monkeypatch.setenv("UNDERSTUDY_ROOT", str(tmp_path / "bucket"))
    monkeypatch.setenv("UNDERSTUDY_MODELS", str(tmp_path / "models"))
    return lambda *words, model=MODEL: CliRunner().invoke(app, [*words, "--model", model])


def everything(folder: Path) -> dict[str, bytes]:
    paths = (path for path in folder.rglob("*") if path.is_file() and path.suffix != ".lock")
    return {str(path.relative_to(folder)): path.read_bytes() for path in paths}


def shown(shell: Shell) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(shell("fleet", "show", "--json").stdout)
    return found


class TestInit:
    def test_writes_the_first_record_and_the_config(self, shell: Shell, tmp_path: Path) -> None:
        done = shell("init", "--replicas", "127.0.0.1:9,127.0.0.1:19", "--load-seconds", "30")

        assert 0 == done.exit_code, done.output
        assert "fleet record 1: static://127.0.0.1:9,127.0.0.1:19 (at least 2)" in done.stdout
        assert {layout.fleet(MODEL, 1), layout.config(MODEL)} == everything(tmp_path / "bucket").keys()
        assert 30 == shown(shell)["fleet"]["load_seconds"]

    def test_again_with_the_same_values_changes_nothing(self, shell: Shell, tmp_path: Path) -> None:
        shell("init", "--replicas", "127.0.0.1:9", "--load-seconds", "30")
        before = everything(tmp_path / "bucket")

        again = [shell("init", "--replicas", "127.0.0.1:9"), shell("init"), shell("init", "--load-seconds", "30")]

        assert [0, 0, 0] == [each.exit_code for each in again]
        assert before == everything(tmp_path / "bucket")

    def test_again_with_other_values_changes_nothing_and_fails(self, shell: Shell, tmp_path: Path) -> None:
        shell("init", "--replicas", "127.0.0.1:9")
        before = everything(tmp_path / "bucket")

        done = shell("init", "--replicas", "127.0.0.1:19", "--rollout", "latest")

        assert isinstance(done.exception, BadInputError)
        assert "rollout pinned, not latest" in str(done.exception)
        assert "replicas static://127.0.0.1:9 (at least 1), not static://127.0.0.1:19" in str(done.exception)
        assert f"`understudy fleet set --model {MODEL} --reason why`" in str(done.exception)
        assert before == everything(tmp_path / "bucket")

    def test_the_environment_says_what_no_option_does(self, shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("UNDERSTUDY_REPLICAS", "127.0.0.1:9")
        monkeypatch.setenv("UNDERSTUDY_FOLLOW_SECONDS", "7")
        shell("init", "--load-seconds", "8")

        fleet = shown(shell)["fleet"]

        assert (7, 8) == (fleet["follow_seconds"], fleet["load_seconds"])

    def test_without_replicas_it_records_no_guess(self, shell: Shell, tmp_path: Path) -> None:
        done = shell("init")

        assert "which replicas digits has is not known. Give --replicas" in str(done.exception)
        assert {} == everything(tmp_path / "bucket")

    def test_refuses_replicas_of_another_model(self, shell: Shell, tmp_path: Path) -> None:
        shell("init", "--replicas", "127.0.0.1:9,127.0.0.1:19")

        done = shell("init", "--replicas", "127.0.0.1:29,127.0.0.1:19", model="pets")

        assert "127.0.0.1:19 is a replica of digits (fleet record 1)" in str(done.exception)
        assert not (tmp_path / "bucket" / "fleets" / "pets").exists()

    @over_both
    def test_a_bucket_from_before_records_gets_one_of_its_own_roll_out(self, world: World, shell: Shell) -> None:
        start_released(world, 1)
        other = "latest" if world.rollout == "pinned" else "pinned"
        replicas = ",".join(each.address for each in world.replicas)

        refused = shell("init", "--replicas", replicas, "--rollout", other)
        done = shell("init", "--replicas", replicas, "--rollout", world.rollout)

        assert f"is served by the roll-out {world.rollout!r}" in str(refused.exception)
        assert 0 == done.exit_code, done.output
        assert "serving v1" in done.stdout


class TestSet:
    @pytest.fixture(autouse=True)
    def _initialised(self, shell: Shell) -> None:
        shell("init", "--replicas", "127.0.0.1:9")

    def test_says_who_when_and_why(self, shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("UNDERSTUDY_ACTOR", "ann")

        done = shell("fleet", "set", "--load-seconds", "30", "--reason", "a small model")

        assert "load seconds: 120 -> 30" in done.stdout
        assert f"{MODEL}: fleet record 2" in done.stdout
        record = shown(shell)["records"][-1]
        assert (2, "ann", "a small model") == (record["number"], record["actor"], record["reason"])
        table = shell("fleet", "show").stdout
        assert "UTC by ann: a small model (load seconds: 120 -> 30)" in table

    def test_needs_a_reason(self, shell: Shell) -> None:
        assert "needs a reason" in str(shell("fleet", "set", "--load-seconds", "30").exception)
        assert 1 == shown(shell)["record"]

    def test_writes_nothing_where_nothing_changes(self, shell: Shell) -> None:
        done = shell("fleet", "set", "--load-seconds", "120", "--reason", "why")

        assert "nothing to change in fleet record 1" in done.stdout
        assert 1 == shown(shell)["record"]

    def test_before_the_first_release_the_roll_out_may_change(self, shell: Shell) -> None:
        done = shell("fleet", "set", "--rollout", "latest", "--reason", "it was a mistake")

        assert 0 == done.exit_code, done.output
        status = json.loads(shell("status", "--json").stdout)
        assert ("latest", 2) == (status["rollout"], status["fleet_record"])
        assert not any("roll-out" in each for each in status["differences"])

    def test_a_model_without_a_record_is_sent_to_init(self, shell: Shell) -> None:
        done = shell("fleet", "set", "--load-seconds", "3", "--reason", "why", model="pets")

        assert "pets has no fleet record yet" in str(done.exception)
        assert "`understudy init --model pets`" in str(done.exception)


class TestReleased:
    @over_both
    def test_a_fresh_shell_needs_the_bucket_alone(self, world: World, shell: Shell) -> None:
        """Not one variable but UNDERSTUDY_ROOT: `status`, the plan and the roll-back know the fleet."""
        _released(world, shell)

        plan = shell("rollback", "--to", "previous", "--plan")
        done = shell("rollback", "--to", "previous", "--reason", "it is bad", "--hold", "none")
        status = json.loads(shell("status", "--json").stdout)

        assert 0 == plan.exit_code, plan.output
        assert "v2 will be replaced by v1" in plan.stdout
        assert 0 == done.exit_code, done.output
        assert [1, 1] == world.answering()
        assert (world.rollout, 1) == (status["rollout"], status["state"]["serving"])
        assert [each.address for each in world.replicas] == [each["address"] for each in status["replicas"]]

    @over_both
    def test_another_roll_out_is_refused(self, world: World, shell: Shell) -> None:
        _released(world, shell)
        other = "latest" if world.rollout == "pinned" else "pinned"

        done = shell("fleet", "set", "--rollout", other, "--reason", "why")

        assert f"v2 serves by the roll-out {world.rollout!r}" in str(done.exception)
        assert 1 == shown(shell)["record"]

    def test_replicas_that_serve_another_model_are_refused(self, world: World, shell: Shell) -> None:
        start_released(world, 1)
        shell("init", "--replicas", "127.0.0.1:9", model="pets")

        replicas = ",".join(each.address for each in world.replicas)
        done = shell("fleet", "set", "--replicas", replicas, "--reason", "why", model="pets")

        assert f"{world.replicas[0].address} serves digits v1" in str(done.exception)
        assert isinstance(done.exception, UnderstudyError)

    def test_the_environment_names_the_replicas_of_one_call(
        self, world: World, shell: Shell, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        _released(world, shell)
        monkeypatch.setenv("UNDERSTUDY_REPLICAS", world.replicas[0].address)

        status = json.loads(shell("status", "--json").stdout)

        assert [world.replicas[0].address] == [each["address"] for each in status["replicas"]]
        assert any("UNDERSTUDY_REPLICAS" in note and "of fleet record 1" in note for note in status["notes"])


def _released(world: World, shell: Shell) -> None:
    """Two releases of a fleet that has a record."""
    start_released(world, 2)
    done = shell(
        "init",
        "--replicas",
        ",".join(each.address for each in world.replicas),
        "--rollout",
        world.rollout,
        "--config-poll-seconds",
        "0.1",
        "--mlflow-url",
        NO_MLFLOW,
    )
    assert 0 == done.exit_code, done.output


RING = ("--replicas", "first=127.0.0.1:9", "--replicas", "rest=127.0.0.1:19,127.0.0.1:29", "--first-ring", "first")


class TestFirstRing:
    def test_init_writes_both_configs_and_says_how_to_start_the_servers(self, shell: Shell, tmp_path: Path) -> None:
        done = shell("init", *RING, "--soak-seconds", "3", "--silent-seconds", "2")

        assert 0 == done.exit_code, done.output
        files = everything(tmp_path / "bucket")
        assert {layout.fleet(MODEL, 1), layout.config(MODEL), layout.first_ring_config(MODEL)} == files.keys()
        assert files[layout.config(MODEL)] == files[layout.first_ring_config(MODEL)]
        assert (
            "To do: start the servers of the first ring (127.0.0.1:9) with --model_config_file="
            f"{tmp_path}/bucket/first_ring/digits.config. Until then"
        ) in done.stdout
        assert ("first", 3, 2) == tuple(
            shown(shell)["fleet"][name] for name in ("first_ring", "soak_seconds", "silent_seconds")
        )
        assert "first (first ring)" in shell("fleet", "show").stdout

    def test_in_the_roll_out_latest_the_servers_poll_a_base_path(self, shell: Shell, tmp_path: Path) -> None:
        done = shell("init", *RING, "--rollout", "latest", "--server-root", "/srv/models")

        assert "with --model_base_path=/srv/models/first_ring/digits. Until then" in done.stdout

    def test_show_says_how_the_servers_of_each_ring_are_started(self, shell: Shell) -> None:
        shell("init", *RING, "--server-root", "/srv/models")
        first, others = (
            f"--model_config_file=/srv/models/{key}" for key in (layout.first_ring_config(MODEL), layout.config(MODEL))
        )
        told = shell("fleet", "show").stdout

        assert f"the servers of the first ring are started with {first}\n" in told
        assert f"the servers of all other groups are started with {others}\n" in told
        assert {"first_ring": first, "others": others} == shown(shell)["source_flags"]

    def test_show_says_how_all_servers_are_started_without_a_first_ring(self, shell: Shell) -> None:
        shell("init", "--replicas", "127.0.0.1:9", "--rollout", "latest", "--server-root", "/srv/models")
        flag = f"--model_base_path=/srv/models/{layout.versions(MODEL)}"

        assert f"the servers of this fleet are started with {flag}\n" in shell("fleet", "show").stdout
        assert {"first_ring": None, "others": flag} == shown(shell)["source_flags"]

    @pytest.mark.parametrize("listed", ["127.0.0.1:9,127.0.0.1:19,127.0.0.1:29", None])
    def test_init_may_be_repeated(self, shell: Shell, monkeypatch: pytest.MonkeyPatch, listed: str | None) -> None:
        """...also where the environment has all replicas in one list."""
        shell("init", *RING)
        if listed is not None:
            monkeypatch.setenv("UNDERSTUDY_REPLICAS", listed)

        again = [shell("init", *RING), shell("init"), shell("init", *RING[:4])]

        assert [0, 0, 0] == [each.exit_code for each in again], [each.output for each in again]
        assert 1 == shown(shell)["record"]

    def test_init_with_other_replicas_or_another_first_ring_is_refused_in_a_sentence(
        self, shell: Shell, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        shell("init", *RING)
        other_ring = shell("init", *RING[:4], "--first-ring", "rest")
        monkeypatch.setenv("UNDERSTUDY_REPLICAS", "127.0.0.1:9")
        fewer = shell("init")

        for done in (other_ring, fewer):
            assert "the fleet of digits is recorded already (record 1" in str(done.exception)

    def test_set_says_which_servers_to_move_there_and_back(self, shell: Shell, tmp_path: Path) -> None:
        bucket = tmp_path / "bucket"
        shell("init", "--replicas", "127.0.0.1:9,127.0.0.1:19,127.0.0.1:29")
        there = shell("fleet", "set", *RING, "--reason", "one takes the risk")
        moved = shell("fleet", "set", "--first-ring", "rest", "--reason", "more traffic")
        back = shell("fleet", "set", "--first-ring", "none", "--reason", "it was a try")

        assert [0, 0, 0] == [each.exit_code for each in (there, moved, back)]
        first = f"start the servers of the first ring (127.0.0.1:9) with --model_config_file={bucket}/first_ring/"
        assert [first] == [line[: len(first)] for line in to_do(there)]
        assert "(127.0.0.1:19, 127.0.0.1:29)" in to_do(moved)[0]
        assert to_do(moved)[1].startswith(
            f"start the servers of the former first ring (127.0.0.1:9) with --model_config_file={bucket}/serve"
        )
        assert to_do(moved)[1].endswith(
            "until then they serve as before, but load each candidate before the others do: do this before the next "
            "release"
        )
        assert len(to_do(back)) == 1
        assert to_do(back)[0].endswith("What they read now is kept up to date: until then they serve as before")
        assert layout.first_ring_config(MODEL) in everything(bucket)
        assert [] == to_do(shell("fleet", "set", "--soak-seconds", "4", "--reason", "why"))

    def test_only_those_that_join_or_leave_the_first_ring_are_to_be_moved(self, shell: Shell) -> None:
        shell("init", "--replicas=a=127.0.0.1:9", "--replicas=b=127.0.0.1:19,127.0.0.1:29", "--first-ring=a")
        two, one = "--replicas=a=127.0.0.1:9,127.0.0.1:19", "--replicas=a=127.0.0.1:9"
        larger = shell("fleet", "set", two, "--replicas=b=127.0.0.1:29", "--reason", "two in the ring")
        smaller = shell("fleet", "set", one, "--replicas=b=127.0.0.1:19,127.0.0.1:29", "--reason", "one is enough")

        (joins,), (leaves,) = to_do(larger), to_do(smaller)
        assert joins.startswith("start the servers of the first ring (127.0.0.1:19) with")
        assert leaves.startswith("start the servers of the former first ring (127.0.0.1:19) with")

    def test_a_config_of_a_former_first_ring_follows_every_release(self, world: World, shell: Shell) -> None:
        addresses = [each.address for each in world.replicas]
        shell(
            "init", "--replicas", f"first={addresses[0]}", "--replicas", f"rest={addresses[1]}", "--first-ring", "first"
        )
        shell("fleet", "set", "--first-ring", "none", "--reason", "it was a try")
        world.release("retrain-1")
        files = everything(world.bucket)

        assert files[layout.config(MODEL)] == files[layout.first_ring_config(MODEL)]

    def test_the_servers_of_the_first_ring_belong_to_one_model(self, shell: Shell) -> None:
        shell("init", *RING)

        done = shell("init", "--replicas", "127.0.0.1:9", model="pets")

        assert "127.0.0.1:9 is a replica of digits (fleet record 1)" in str(done.exception)


class TestExposedToTheFirstRing:
    def made(self) -> Simulated:
        made = Simulated("pinned", first_ring=True)
        made.approve("retrain-1")
        assert "done" == made.verb("publish", "retrain-1")
        return made

    @pytest.mark.parametrize(
        "change", [FleetChange(first_ring="rest"), FleetChange(first_ring="none"), FleetChange(minimum={"first": 2})]
    )
    def test_another_first_ring_is_refused(self, change: FleetChange) -> None:
        made = self.made()
        made.context("retrain-1").journal.decide(
            lambda h: run_rules.expose(h, version=1, compared_with=None, first_ring_only=True)
        )
        told = r"v1 of retrain-1 is being tested, so the first ring cannot change now\. .* `understudy withdraw --model"

        with pytest.raises(BadInputError, match=told):
            fleet_set(made.context("look-0"), change, reason="why")

    def test_other_changes_are_possible(self) -> None:
        made = self.made()
        made.context("retrain-1").journal.decide(
            lambda h: run_rules.expose(h, version=1, compared_with=None, first_ring_only=True)
        )
        before = made.context("look-0").fleet
        change = FleetChange(deployment={"soak_seconds": 4.0})

        _require_safe(made.context("look-0"), before, change.applied(before))

    @pytest.mark.parametrize("listed", ["replica-1:8500,replica-2:8500", "replica-0:8500"])
    def test_a_canary_under_an_override_that_hides_it_exposes_nothing(self, listed: str) -> None:
        made = self.made()
        made._settings = made._settings.model_copy(update={"replicas": listed})
        made.fleet = made.context("look-0").fleet.connect_with(made._settings)  # type: ignore[assignment]
        context = made.context("retrain-1")
        context.replicas.require_own_fleet = lambda **_: None  # type: ignore[method-assign]

        with pytest.raises(
            CouldNotTellError, match="UNDERSTUDY_REPLICAS hides the first ring, the group first: it must"
        ):
            canary(context)
        assert made.history().state.candidate is None


def to_do(done: Result) -> list[str]:
    return [line.removeprefix("To do: ") for line in done.stdout.splitlines() if line.startswith("To do: ")]
