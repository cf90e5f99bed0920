"""Whatever disagrees is named with what to do, whoever does not answer."""

import io
import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from rich.console import Console
from typer.testing import CliRunner

from pipeline import layout
from pipeline.cli import app
from pipeline.inspection.status import Status, table
from pipeline.journal.entries import Event
from pipeline.rules import run as run_rules
from pipeline.tracking.aliases import MlflowFound
from pipeline.verbs.status import status
from pipeline.verdicts.verdict import Decision, Verdict
from serving.fleet.fleet import parse_fleet
from tests.fleet import write_classifier
from tests.half_way import HOURS, begin_promotion, begin_roll_back, coming, registry
from tests.mlflow_registry import MlflowRegistry
from tests.pipeline.journal.test_journal import Releases
from tests.pipeline.test_cli import pipeline
from tests.released import start_released
from tests.releases import MODEL, World, eventually, over_both

Look = Callable[..., Status]


@pytest.fixture
def mlflow() -> MlflowRegistry:
    return registry()


@pytest.fixture
def look(world: World, mlflow: MlflowRegistry) -> Look:
    """Status now, or hours later."""

    def found(hours: float = 0) -> Status:
        return status(coming(world, "status-0", hours=hours, mlflow=mlflow))

    return found


@pytest.fixture
def released(world: World, mlflow: MlflowRegistry) -> World:
    """v2 serves and v1 is the way back, and everybody knows."""
    start_released(world, 2)
    coming(world, mlflow=mlflow).observers.notify(world.history(), again=True)
    return world


def shown(found: Status) -> str:
    """What a person sees."""
    told = io.StringIO()
    Console(file=told, width=200).print(table(found))
    return told.getvalue()


def claims(found: Status) -> list[str]:
    """The notes on numbers that were claimed."""
    return [note for note in found.notes if " was claimed by " in note]


def only(found: Status) -> str:
    (difference,) = found.differences
    return difference


def test_after_a_release_everything_agrees(released: World, look: Look) -> None:
    found = look(HOURS)

    assert [] == found.differences
    assert found.as_json()["agrees"]


class TestConfig:
    def test_that_is_older_than_the_journal(self, released: World, look: Look) -> None:
        old = released.config.read_text()
        begin_roll_back(released, 1, loaded=True)
        told = (
            "the config was made from journal entry 10, and the journal is at entry 11: a command stopped half-way. "
            "Run `understudy reconcile --model digits`"
        )

        assert told in look(HOURS).differences
        assert old == released.config.read_text(), "it only looks"

    @pytest.mark.parametrize(
        ("text", "told"),
        [
            (
                None,
                "the config that servers read does not exist. A replica that starts now cannot serve. Run `understudy ",
            ),
            (
                "model_config_list {}\n",
                "the config was not written by Understudy. Find out who wrote it, then run `understudy reconcile",
            ),
            (
                "# journal entry 99\nmodel_config_list {}\n",
                "made from journal entry 99, and the journal ends at entry 10: entries are lost. Restore",
            ),
            (
                "# journal entry 10\nmodel_config_list {}\n",
                "the config of journal entry 10 was changed by hand. Find out who",
            ),
        ],
    )
    def test_that_is_not_what_the_journal_makes_of_it(
        self, released: World, look: Look, text: str | None, told: str
    ) -> None:
        for replica in released.replicas:
            replica.sleep()
        if text is None:
            released.config.unlink()
        else:
            released.config.write_text(text)

        assert re.search(told, only(look()))

    def test_of_a_model_that_was_never_released(self, world: World, look: Look) -> None:
        assert [] == look().differences
        for replica in world.replicas:
            replica.sleep()
        world.config.unlink()
        (world.folder / "digits.yaml").touch()
        told = (
            "nothing was released yet for 'digits', and the config that servers read does not exist. Run `understudy "
            "init --model digits`"
        )

        assert told == only(look())


class TestHalfWay:
    def test_a_promotion_that_is_neither_confirmed_nor_undone(self, released: World, look: Look) -> None:
        released.publish("retrain-3")
        released.run("canary", "retrain-3")
        begin_promotion(released, "retrain-3")

        assert any("the promotion of v3 is not finished" in each for each in look(HOURS).differences)

    def test_a_promotion_whose_run_may_be_at_work_is_left_to_that_run(
        self, released: World, look: Look, mlflow: MlflowRegistry
    ) -> None:
        released.publish("retrain-3")
        released.run("canary", "retrain-3")
        begin_promotion(released, "retrain-3")
        found = look()
        (told,) = found.under_way

        assert re.match(r"retrain-3 is promoting v3 since .*\. Wait until the run has ended, at most", told)
        assert [] == found.differences
        assert " ".join(told.split()) in " ".join(shown(found).split())
        assert [told] == found.as_json()["under_way"]
        assert [] == look(HOURS).under_way

    @pytest.mark.parametrize(("to", "loaded"), [(1, True), (1, False)])
    def test_a_roll_back_that_somebody_may_be_carrying_out_is_no_difference(
        self, released: World, look: Look, mlflow: MlflowRegistry, to: int, loaded: bool
    ) -> None:
        """...before the config is written, and while the replicas follow."""
        begin_roll_back(released, to, loaded=loaded)
        found = look()
        (told,) = found.under_way

        assert [] == found.differences
        assert re.match(
            r"ann is rolling back to v1 \(rollback-5\) since .*\. Wait until the roll-back has ended, at most", told
        )
        assert "If it has stopped: " in told
        hold = " --hold none" if loaded else ""  # to confirm what was done changes no hold
        assert f"`understudy rollback --model digits --to 1{hold} --reason why`" in told
        released.context("rollback-5").rollout.settle()
        moved = [2, 2] if not loaded else [1, 1]

        def followed() -> bool:
            assert [] == look().differences
            return moved == [each["serving"] for each in look().as_json()["replicas"]]

        assert eventually(followed)
        assert [] != look(HOURS).differences

    def test_while_a_version_is_promoted_and_rolled_back_nothing_differs(
        self, released: World, look: Look, mlflow: MlflowRegistry
    ) -> None:
        """Asked all the time while the verbs run, as a monitor may; both verbs keep MLflow up to date."""
        released.publish("retrain-3")
        seen: list[list[str]] = []
        for act in (
            lambda: released.run("canary", "retrain-3"),
            lambda: released.run("promote", "retrain-3"),
            lambda: released.roll_back("1"),
        ):
            acting = Thread(target=act)
            acting.start()
            while acting.is_alive():
                seen.append([each for each in look().differences if "MLflow's aliases" not in each])
            acting.join()

        assert len(seen) > 3
        assert [] == [each for each in seen if each]

    def test_a_candidate_is_a_difference_only_when_nobody_is_at_work_on_it(
        self, released: World, look: Look, mlflow: MlflowRegistry
    ) -> None:
        """While a canary is at work MLflow need not know the candidate."""
        expose(released, "retrain-3")
        assert eventually(lambda: has_loaded(3, look()))

        assert [] == look().differences
        assert any("MLflow's aliases say" in each for each in look(HOURS).differences)
        mirror(released, mlflow)
        assert re.match(
            r"v3 of retrain-3 is the candidate since .* UTC, and its run has stopped\. In Airflow, clear",
            only(look(HOURS)),
        )

    @over_both
    def test_a_candidate_that_has_passed_its_canary_may_wait_for_an_approval(
        self, released: World, look: Look, mlflow: MlflowRegistry
    ) -> None:
        released.publish("retrain-3")
        released.run("canary", "retrain-3")
        mirror(released, mlflow)
        waits = r"v3 of retrain-3 has passed its canary and waits for its promotion since .* UTC\."

        for hours in (0, HOURS):
            found = look(hours)
            (told,) = found.under_way
            assert re.match(waits, told)
            assert [] == found.differences
            assert "is being tested" not in shown(found)

    @pytest.mark.parametrize("damaged", [True, False])
    def test_a_candidate_whose_promotion_stopped_or_whose_record_is_damaged_does_not_wait_for_an_approval(
        self, released: World, look: Look, mlflow: MlflowRegistry, damaged: bool
    ) -> None:
        """`reconcile` withdraws it as well."""
        released.publish("retrain-3")
        released.run("canary", "retrain-3")
        mirror(released, mlflow)
        if damaged:
            (released.bucket / layout.record(MODEL, "retrain-3", "canary")).write_text("{")
        else:
            unknown = Verdict(decision=Decision.UNKNOWN, reasons=("no answer",))
            released.context("retrain-3").records.note_attempt("promote", unknown)

        assert "its run has stopped" in only(look(HOURS))
        assert [] == look(HOURS).under_way

    def test_a_number_that_was_never_published_until_a_newer_version_serves(
        self, released: World, look: Look, mlflow: MlflowRegistry
    ) -> None:
        """F1."""
        released.approve("retrain-3")
        begin_claim(released, "retrain-3")

        assert [] == claims(look())
        found = look(HOURS)
        (told,) = claims(found)
        assert [] == found.differences
        assert told.startswith(
            "v3 was claimed by retrain-3 and never published. This does no harm. To publish it, run `understudy publish"
        )
        assert " ".join(told.split()) in " ".join(shown(found).split())
        assert told in found.as_json()["notes"]
        released.release("retrain-4")
        mirror(released, mlflow)
        assert [] == look(HOURS).differences
        assert [] == claims(look(HOURS))

    def test_a_replica_that_has_not_switched_is_named_while_the_promotion_is_under_way(
        self, released: World, look: Look
    ) -> None:
        released.publish("retrain-3")
        released.run("canary", "retrain-3")
        late = released.replicas[1]
        late.sleep()
        begin_promotion(released, "retrain-3")
        released.context("retrain-3").rollout.settle()
        told = f". 1 of 2 replicas has not switched: {late.address} still answers v2. Wait until the run has ended"

        assert eventually(lambda: told in " ".join(look().under_way))
        assert [] == look().differences

    @pytest.mark.parametrize(
        ("run_key", "told"),
        [
            ("retrain-3", "retrain-3 is taking its promotion back to v2 since "),
            ("reconcile-1", "reconcile-1 is taking the promotion of retrain-3 back to v2 since "),
        ],
    )
    def test_a_promotion_that_is_taken_back_is_not_called_the_roll_back_of_a_person(
        self, released: World, look: Look, run_key: str, told: str
    ) -> None:
        released.publish("retrain-3")
        released.run("canary", "retrain-3")
        begin_promotion(released, "retrain-3")
        released.context(run_key).journal.decide(
            lambda h: run_rules.undo_promotion(h, version=3, run_key="retrain-3", reason="late")
        )
        (sentence,) = look().under_way

        assert sentence.startswith(told)
        assert "or run `understudy reconcile --model digits`" in sentence
        assert "understudy rollback" not in sentence


class TestLoadedAgain:
    """What a candidate or a roll-back took out of memory is loaded again afterwards, when the verb may have ended."""

    def test_previous_after_a_roll_back(self, world: World, look: Look, mlflow: MlflowRegistry) -> None:
        for number, seconds in ((1, 1.5), (2, 0.0), (3, 0.0)):
            world.release(f"retrain-{number}", load_seconds=seconds)
        world.roll_back("2")
        mirror(world, mlflow)
        addresses = ", ".join(replica.address for replica in world.replicas)
        first = look()
        late = look(hours=0.01)

        assert re.fullmatch(
            rf"{addresses} are loading v1, the previous version, since .* UTC\. Wait until it is loaded, at most .* s",
            only_one(first.under_way),
        )
        assert any("has not loaded v1" in each for each in late.differences), "longer than a load may take"
        assert [] == late.under_way
        assert [] == differences_until(lambda found: has_loaded(1, found), look)
        assert [] == look().under_way
        assert [] == look(HOURS).differences

    @over_both
    def test_what_a_withdrawn_candidate_replaced(self, world: World, look: Look, mlflow: MlflowRegistry) -> None:
        """MLflow may be old as well: `withdraw` updates it when the candidate is gone."""
        for number in (1, 2):
            world.release(f"retrain-{number}", load_seconds=0.7)
        expose(world, "retrain-3")
        assert eventually(lambda: has_loaded(3, look()))
        mirror(world, mlflow)
        again = 1 if world.rollout == "pinned" else 2
        told = f"loading v{again}, the {'previous' if again == 1 else 'serving'} version, since"
        seen: list[str] = []

        def loaded(found: Status) -> bool:
            seen.extend(found.under_way)
            return not withdrawing.is_alive() and has_loaded(again, found)

        withdrawing = Thread(target=lambda: world.run("withdraw", "retrain-3"))
        withdrawing.start()
        assert [] == differences_until(loaded, look)
        withdrawing.join()
        assert any(told in each for each in seen)
        assert (again == 2) == any("have not switched: " in each and "still answers v3" in each for each in seen)
        assert "MLflow's aliases say candidate v3" in only(look(HOURS))
        mirror(world, mlflow)
        assert [] == look(HOURS).differences

    @over_both
    def test_a_withdrawn_version_that_could_not_be_loaded_is_no_difference(self, released: World, look: Look) -> None:
        broken = released.replicas[1]
        broken.broken = 3
        expose(released, "retrain-3")
        assert eventually(lambda: any("could not load v3" in each for each in look().differences))
        released.context("retrain-3").journal.decide(
            lambda h: run_rules.withdraw(h, version=3, run_key="retrain-3", reason="late", verdict=None)
        )
        released.context("retrain-3").rollout.settle()

        assert [] == differences_until(lambda found: all(each["serving"] == 2 for each in replicas(found)), look)


def only_one(sentences: list[str]) -> str:
    (sentence,) = sentences
    return sentence


def mirror(world: World, mlflow: MlflowRegistry) -> None:
    """Let MLflow know what the journal says."""
    coming(world, mlflow=mlflow).observers.notify(world.history(), again=True)


def expose(world: World, run_key: str) -> None:
    """A canary that has exposed its candidate, and a process that ends there."""
    world.publish(run_key)
    context = world.context(run_key)
    version, serving = world.history().version_of(run_key), world.history().state.serving
    assert version is not None
    context.journal.decide(lambda h: run_rules.expose(h, version=version, compared_with=serving))
    context.rollout.settle()


def replicas(found: Status) -> list[dict[str, Any]]:
    shown_replicas: list[dict[str, Any]] = found.as_json()["replicas"]
    return shown_replicas


def has_loaded(version: int, found: Status) -> bool:
    """Whether every replica has it in memory."""
    return all(each["versions"].get(version) == "AVAILABLE" for each in replicas(found))


def differences_until(done: Callable[[Status], bool], look: Look) -> list[str]:
    """Every difference that is shown until something is so, which it must be within seconds."""
    seen: list[str] = []

    def looked() -> bool:
        found = look()
        seen.extend(found.differences)
        return done(found)

    assert eventually(looked), "it takes too long"
    return seen


def begin_claim(world: World, run_key: str) -> None:
    """The entry of a publish, and a process that ends there."""
    serving = world.history().state.serving
    promoted = next(entry for entry in world.history().all() if entry.verdict)
    assert promoted.verdict is not None
    verdict = promoted.verdict
    world.context(run_key).journal.decide(
        lambda h: run_rules.claim(h, run_key=run_key, compared_with=serving, reason="good", verdict=verdict)
    )


@over_both
def test_during_a_healthy_canary_everything_agrees(released: World, look: Look) -> None:
    """...at every moment: before the replicas have looked, while they load the candidate, and afterwards."""
    released.publish("retrain-3", load_seconds=0.4)
    context = released.context("retrain-3")
    context.journal.decide(lambda h: run_rules.expose(h, version=3, compared_with=2))
    context.rollout.settle()
    seen = set()

    def loaded_everywhere() -> bool:
        found = look()
        assert [] == found.differences
        assert "agrees" in shown(found)
        assert not any(re.search(r" no *│? *$", line) for line in shown(found).splitlines())
        states = [each["versions"].get(3, "not seen") for each in found.as_json()["replicas"]]
        seen.update(states)
        return states == ["AVAILABLE"] * 2

    assert eventually(loaded_everywhere)
    assert "LOADING" in seen
    proving = look().as_json()["proving"]
    assert (3, "retrain-3") == (proving["version"], proving["run_key"])
    assert "v3 is being tested by retrain-3 since" in shown(look())


@over_both
def test_a_replica_that_cannot_load_the_candidate_is_left_to_its_run(released: World, look: Look) -> None:
    broken = released.replicas[1]
    broken.broken = 3
    released.publish("retrain-3")
    context = released.context("retrain-3")
    context.journal.decide(lambda h: run_rules.expose(h, version=3, compared_with=2))
    context.rollout.settle()
    told = f"{broken.address} could not load v3 (out of memory). The run that is testing it will withdraw it"

    assert eventually(lambda: [told] == look().differences)


class TestReplica:
    def test_that_gives_no_answer(self, released: World, look: Look) -> None:
        away = released.replicas[1]
        away.stop()
        found = look()

        assert re.match(rf"{away.address} does not answer \(UNAVAILABLE: .*\)\. Start it, or read its log", only(found))
        assert not found.as_json()["agrees"]

    def test_that_answers_from_another_version_and_holds_what_nobody_wants(self, released: World, look: Look) -> None:
        late = released.replicas[1]
        late.sleep()
        released.publish("retrain-3")
        released.context("retrain-3").journal.decide(lambda h: run_rules.expose(h, version=3, compared_with=2))
        released.context("retrain-3").rollout.settle()
        ready = released.replicas[0].address
        assert eventually(lambda: not any(ready in each for each in look(HOURS).differences))
        told = " ".join(look(HOURS).differences)

        assert f"{late.address} has not loaded v3. Wait one poll" in told
        assert f"{late.address} still has v1 in memory, which it should have unloaded. Wait one poll" in told
        released.config.write_text(released.config.read_text().replace("value: 2", "value: 3"))
        assert eventually(
            lambda: any(
                f"{ready} answers from v3, and the journal says v2. Wait one poll" in each
                for each in look().differences
            )
        )

    def test_that_could_not_load_what_is_wanted_says_why(self, released: World, look: Look) -> None:
        broken = released.replicas[1]
        broken.stop()
        broken.broken = 1
        broken.start()
        told = f"{broken.address} could not load v1 (out of memory). Repair the cause, then restart the replica"

        assert eventually(lambda: [told] == look().differences)
        assert {1: "out of memory"} == look().as_json()["replicas"][1]["errors"]

    def test_that_should_be_there_and_is_not_known(self, released: World, mlflow: MlflowRegistry) -> None:
        context = coming(released, mlflow=mlflow)
        context.replicas.fleet = parse_fleet(context.fleet.groups["main"].replicas, expected=3)

        assert only(status(context)).startswith(
            "2 of 3 replicas are listed. Nothing is promoted until all are. Start the others"
        )


class TestFiles:
    def test_of_what_serves(self, released: World, look: Look) -> None:
        (released.bucket / layout.version(MODEL, 2) / "classifier.json").write_text('{"shift": 1}')
        told = r"v2 serves, and its files are damaged \(.*\.json differs\)\. A replica that restarts cannot load it\."

        assert re.match(told, only(look()))

    def test_of_the_way_back(self, released: World, look: Look) -> None:
        shutil.rmtree(released.bucket / layout.version(MODEL, 1))
        told = (
            r"v1, the version to roll back to, has damaged files \(no folder serve/digits/1 .*\)\. A roll-back to `prev"
        )

        # A server that polls meanwhile unloads a version whose folder is gone, which is another difference.
        assert [each for each in look().differences if re.match(told, each)]

    @pytest.mark.parametrize(
        ("name", "told"),
        [
            ("007", "the folder of versions contains '007', and servers read it as version 7. Find out who created it"),
            ("+5", "the folder of versions contains '+5', and servers read it as version 5"),
            (
                "9",
                "the folder of versions contains '9', and the journal does not contain v9. The run that gets number 9",
            ),
            ("notes", "the folder of versions contains 'notes', which is not a version. Servers ignore it. Remove it"),
        ],
    )
    def test_that_nobody_has_published(self, released: World, look: Look, name: str, told: str) -> None:
        """F49."""
        (released.bucket / layout.versions(MODEL) / name).mkdir()

        assert only(look()).startswith(told)


@pytest.mark.parametrize("world", ["latest"], indirect=True)
def test_a_version_put_there_by_hand_and_served_is_not_taken_for_another_bucket(released: World, look: Look) -> None:
    write_classifier(released.bucket / layout.version(MODEL, 9))
    assert eventually(lambda: [9, 9] == [each["serving"] for each in look().as_json()["replicas"]])

    assert any("contains '9', and the journal does not contain v9" in each for each in look().differences)


class TestMlflow:
    def test_that_is_away_is_told_and_serving_does_not_mind(
        self, released: World, look: Look, mlflow: MlflowRegistry
    ) -> None:
        mlflow.down = True

        assert only(look()).startswith(
            "MLflow does not answer. Serving does not depend on it. Start MLflow, then run `understudy reconcile "
        )

    def test_whose_alias_was_moved_by_hand(self, released: World, look: Look, mlflow: MlflowRegistry) -> None:
        """F41."""
        released.roll_back("1")
        told = (
            "MLflow's aliases say previous v1, production v2, and the journal says production v1. Serving depends only"
        )

        assert eventually(lambda: len(look().differences) == 1), "the replicas first"
        assert only(look()).startswith(told)


class TestBucket:
    @pytest.mark.parametrize(("releases", "knows"), [(0, "is empty"), (1, "does not contain that version")])
    def test_that_is_not_the_one_of_the_servers_is_told_in_one_sentence(
        self, released: World, mlflow: MlflowRegistry, tmp_path: Path, releases: int, knows: str
    ) -> None:
        other = World(tmp_path / "other", replicas=released.replicas)
        other.bucket.mkdir(parents=True)
        (other.folder / "digits.yaml").touch()
        for number in range(releases):
            Releases(other.bucket).release(f"retrain-{number}")
        told = only(status(coming(other, "status-0", mlflow=mlflow)))

        assert f"replicas serve v2, and the journal of digits in {other.bucket}" in told
        assert (
            f"{knows}. Either UNDERSTUDY_ROOT is not the bucket of these servers, or journal entries are lost" in told
        )

    def test_that_cannot_be_read_leaves_what_the_replicas_say(self, released: World, look: Look) -> None:
        released.replicas[1].stop()
        (released.bucket / layout.entry(MODEL, 3)).unlink()
        found = look()
        unread, away = found.differences

        assert re.match(
            r"the bucket cannot be read \(.* has no entry \[3\].*\. Repair the bucket.*"
            r"`UNDERSTUDY_REPLICAS=.* understudy rollback --model ",
            unread,
        )
        assert released.replicas[1].address in away
        assert (None, [2, None]) == (found.state, [each["serving"] for each in found.as_json()["replicas"]])

    def test_that_cannot_be_read_is_shown_and_ends_with_3(self, released: World) -> None:
        (released.bucket / layout.entry(MODEL, 3)).unlink()
        address = {"UNDERSTUDY_REPLICAS": ",".join(replica.address for replica in released.replicas)}
        person = pipeline(released.folder, "status", **address)
        program = pipeline(released.folder, "status", "--json", **address)

        assert (3, 3) == (person.returncode, program.returncode)
        assert "unknown, the bucket cannot be read" in person.stdout
        assert (None, False) == (json.loads(program.stdout)["state"], json.loads(program.stdout)["agrees"])


@pytest.mark.parametrize("words", [(), ("--json",)])
def test_status_ends_with_0_where_everything_agrees_and_with_3_where_not(
    released: World, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...]
) -> None:
    """...for people and for programs: an alert needs no text. Tables in a pipe are printed all the same."""
    monkeypatch.setenv("UNDERSTUDY_ROOT", str(released.bucket))
    monkeypatch.setenv("UNDERSTUDY_MODELS", str(released.folder))
    monkeypatch.setenv("UNDERSTUDY_REPLICAS", ",".join(replica.address for replica in released.replicas))
    monkeypatch.setattr("pipeline.inspection.findings.read_aliases", lambda *_, **__: MlflowFound({"production": 2}))
    monkeypatch.setattr("pipeline.inspection.differences.wanted_aliases", lambda _: {"production": 2})
    command = ["status", "--model", MODEL, *words]
    agreeing = CliRunner().invoke(app, command)
    released.replicas[1].stop()
    differing = CliRunner().invoke(app, command)

    assert 0 == agreeing.exit_code, agreeing.output
    assert 3 == differing.exit_code, differing.output
    if words:
        assert [True, False] == [json.loads(each.stdout)["agrees"] for each in (agreeing, differing)]


def test_status_speaks_to_people_and_to_programs(released: World) -> None:
    address = {"UNDERSTUDY_REPLICAS": ",".join(replica.address for replica in released.replicas)}
    found = json.loads(pipeline(released.folder, "status", "--json", **address).stdout)
    person = pipeline(released.folder, "status", **address).stdout

    assert [2, 2] == [replica["serving"] for replica in found["replicas"]]
    assert {"serving": 2, "previous": 1} == {role: found["state"][role] for role in ("serving", "previous")}
    assert (10, 10, None) == (found["entry"], found["config_entry"], found["mlflow"])
    assert "digits: serving v2, previous v1" in person
    assert "MLflow: no answer" in person


def test_status_says_since_when_by_whom_and_why_what_serves_does_so(released: World, look: Look) -> None:
    promoted = released.history().of_version(2, Event.PROMOTED)
    assert promoted is not None
    since = f"{promoted.at:%Y-%m-%d %H:%M:%S} UTC"
    assert f"v2 serves since {since}, promoted by ann (retrain-2): {promoted.reason}" in shown(look())

    released.roll_back("1", run_key="rollback-7", reason="confuses 3 and 8")
    found = look()
    assert re.search(r"v1 serves since .* UTC, rolled back by ann \(rollback-7\): confuses 3 and 8\n", shown(found))
    serving = found.as_json()["serving"]
    assert (1, "ann", "confuses 3 and 8") == (serving["version"], serving["actor"], serving["reason"])
