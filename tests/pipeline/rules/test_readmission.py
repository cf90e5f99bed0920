"""A model that was withdrawn does not come back under another number, unless a person says so."""

from pathlib import Path

import pytest

from pipeline.errors import BadInputError, DeclinedError, FailedError
from pipeline.journal.entries import Event
from pipeline.journal.history import History
from pipeline.rules import readmission
from pipeline.rules import run as run_rules
from pipeline.runs.records import PublishRecord
from pipeline.storage.sums import FileSum, content_digest
from pipeline.verbs.readmit import readmit
from tests.pipeline.journal.test_journal import Releases
from tests.pipeline.test_cli import line, pipeline
from tests.released import start_released
from tests.releases import World

RIGHT, WRONG = "digest of a right model", "digest of a wrong model"


@pytest.fixture
def releases(tmp_path: Path) -> Releases:
    """v1 serves, and v2 was withdrawn."""
    made = Releases(tmp_path / "bucket")
    made.release("retrain-1", RIGHT)
    withdraw(made, "retrain-2", WRONG)
    return made


def withdraw(releases: Releases, run_key: str, digest: str) -> int:
    """A version that reaches the replicas and is taken back."""
    version = releases.publish(run_key, digest)
    releases.expose(run_key, version)
    take_back(releases, run_key, version)
    return version


def take_back(releases: Releases, run_key: str, version: int) -> None:
    releases.journal(run_key).decide(
        lambda h: run_rules.withdraw(h, version=version, run_key=run_key, reason="golden answers differ", verdict=None)
    )


def let_in(releases: Releases, version: int) -> History:
    return releases.journal("readmit-1").decide(
        lambda h: readmission.readmit(h, version=version, reason="the probes were wrong")
    )


class TestRefused:
    def test_a_withdrawn_model_gets_no_new_number(self, releases: Releases) -> None:
        """I4."""
        before = releases.history().seq
        told = (
            r"this model was withdrawn as v2 by ann on 20.* UTC: golden answers differ\. To allow it again: "
            r"`understudy readmit --model <model> --version 2 --reason why`, then repeat this step"
        )

        with pytest.raises(FailedError, match=told):
            releases.publish("retrain-3", WRONG)
        assert before == releases.history().seq

    def test_a_withdrawn_model_is_not_exposed_under_a_number_it_had_before(self, releases: Releases) -> None:
        """Two runs that overlap may have published one model when the canary of the first finds it wrong."""
        first, second = releases.publish("retrain-3", "d"), releases.publish("retrain-4", "d")
        releases.expose("retrain-3", first)
        take_back(releases, "retrain-3", first)

        with pytest.raises(FailedError, match="this model was withdrawn as v3"):
            releases.expose("retrain-4", second)

    def test_a_withdrawn_model_is_not_promoted_under_a_number_it_had_before(self, releases: Releases) -> None:
        first, second = releases.publish("retrain-3", "d"), releases.publish("retrain-4", "d")
        releases.expose("retrain-3", first)
        releases.expose("retrain-4", second)
        take_back(releases, "retrain-3", first)

        with pytest.raises(FailedError, match="this model was withdrawn as v3"):
            releases.promote("retrain-4", second)

    def test_a_model_that_a_roll_back_has_left_gets_no_new_number(self, releases: Releases) -> None:
        releases.release("retrain-3", "d")
        releases.roll_back(1, "rollback-4")

        with pytest.raises(FailedError, match=r"this model was withdrawn as v3 by ann on .*: bad"):
            releases.publish("retrain-5", "d")

    def test_a_run_that_gave_its_candidate_up_has_said_nothing_against_the_model(self, releases: Releases) -> None:
        version = releases.publish("retrain-3", "d")
        releases.journal("retrain-3").decide(
            lambda h: run_rules.decline_candidate(
                h, version=version, run_key="retrain-3", reason="the world has moved on"
            )
        )

        assert version + 1 == releases.publish("retrain-4", "d")

    def test_the_model_that_serves_is_nothing_to_release(self, releases: Releases) -> None:
        """F9."""
        with pytest.raises(DeclinedError, match="this model serves already, as v1"):
            releases.publish("retrain-3", RIGHT)

    def test_a_model_that_serves_under_a_reissued_number_is_nothing_to_release(self, releases: Releases) -> None:
        releases.journal("reconcile-1").decide(lambda h: run_rules.reissue(h, version=1, reason="a replica is stuck"))

        with pytest.raises(DeclinedError, match="this model serves already, as v3"):
            releases.publish("retrain-4", RIGHT)

    def test_a_model_that_was_withdrawn_under_a_reissued_number_gets_no_new_one(self, releases: Releases) -> None:
        releases.release("retrain-3", "digest of another model")
        releases.journal("reconcile-4").decide(lambda h: run_rules.reissue(h, version=3, reason="a replica is stuck"))
        releases.roll_back(1, "rollback-5")

        with pytest.raises(FailedError, match="this model was withdrawn as v4 by ann"):
            releases.publish("retrain-6", "digest of another model")

    def test_claims_that_are_older_than_digests_withdraw_no_model(self, tmp_path: Path) -> None:
        old = Releases(tmp_path / "old")
        old.release("retrain-1")
        old.release("retrain-2")
        old.roll_back(1, "rollback-3")

        assert 3 == old.publish("retrain-4", WRONG)


class TestReadmitted:
    def test_a_readmitted_model_gets_a_new_number_and_its_version_stays_withdrawn(self, releases: Releases) -> None:
        history = let_in(releases, 2)

        assert (Event.READMITTED, 2, "the probes were wrong") == (
            history.all()[-1].event,
            history.all()[-1].version,
            history.all()[-1].reason,
        )
        assert "v2 readmitted" == history.all()[-1].description
        assert 3 == releases.publish("retrain-3", WRONG)
        assert not releases.history().was_good(2)

    def test_readmitting_twice_is_once(self, releases: Releases) -> None:
        assert let_in(releases, 2).seq == let_in(releases, 2).seq

    def test_a_readmitted_model_that_is_withdrawn_again_is_refused_again(self, releases: Releases) -> None:
        let_in(releases, 2)
        withdraw(releases, "retrain-3", WRONG)

        with pytest.raises(FailedError, match="this model was withdrawn as v3"):
            releases.publish("retrain-4", WRONG)
        let_in(releases, 3)
        assert 4 == releases.publish("retrain-4", WRONG)

    def test_one_readmission_is_enough_for_a_model_that_had_two_numbers(self, releases: Releases) -> None:
        first, second = releases.publish("retrain-3", "d"), releases.publish("retrain-4", "d")
        for run_key, version in (("retrain-3", first), ("retrain-4", second)):
            releases.expose(run_key, version)
        for run_key, version in (("retrain-3", first), ("retrain-4", second)):
            take_back(releases, run_key, version)
        let_in(releases, first)

        assert second + 1 == releases.publish("retrain-5", "d")

    def test_a_roll_back_to_a_withdrawn_version_readmits_its_model(self, releases: Releases) -> None:
        releases.release("retrain-3", "d")
        releases.roll_back(1, "rollback-4")
        releases.roll_back(3, "rollback-5")
        releases.release("retrain-6", "e")

        assert 5 == releases.publish("retrain-7", "d")

    @pytest.mark.parametrize(
        ("version", "told"),
        [
            (1, r"the model of v1 is not withdrawn\. Withdrawn last: v2"),
            (9, r"v9 does not exist\. Withdrawn last: v2"),
        ],
    )
    def test_only_what_was_withdrawn_can_be_readmitted(self, releases: Releases, version: int, told: str) -> None:
        with pytest.raises(BadInputError, match=told):
            let_in(releases, version)


def test_clearing_publish_after_the_readmission_goes_on(world: World) -> None:
    """The refusal is no final answer of the run."""
    start_released(world, 1)
    world.graph = "one"
    world.publish("retrain-2", shift=1)
    with pytest.raises(FailedError, match="golden"):
        world.run("canary", "retrain-2")
    world.run("withdraw", "retrain-2")
    world.approve("retrain-3", shift=1)
    with pytest.raises(FailedError, match="this model was withdrawn as v2"):
        world.run("publish", "retrain-3")
    assert world.context("retrain-3").records.find(PublishRecord) is None
    readmit(world.context("readmit-1"), version=2, reason="the probes were wrong")
    record = world.run("publish", "retrain-3")

    assert isinstance(record, PublishRecord)
    assert 3 == record.version


def test_a_second_run_of_the_model_that_serves_declines_for_good(world: World) -> None:
    """F9."""
    world.graph = "one"
    world.release("retrain-1")
    world.approve("retrain-2")
    before = world.history().seq

    for _ in range(2):
        with pytest.raises(DeclinedError, match="nothing to release"):
            world.run("publish", "retrain-2")
    assert before == world.history().seq


def test_a_person_readmits_by_hand(releases: Releases, tmp_path: Path) -> None:
    """Nothing listens where the replicas and MLflow should be."""
    asked = ("readmit", "--version", "2", "--reason", "the probes were wrong")
    done, again = pipeline(tmp_path, *asked), pipeline(tmp_path, *asked)
    unexplained = pipeline(tmp_path, "readmit", "--version", "2")

    assert (0, 0, 1) == (done.returncode, again.returncode, unexplained.returncode)
    assert ("readmit", "done", 2) == (line(done)["verb"], line(done)["outcome"], line(done)["version"])
    assert "readmit needs a reason" in unexplained.stderr
    assert 1 == sum(entry.event is Event.READMITTED for entry in releases.history().all())
    assert "v2 readmitted" in pipeline(tmp_path, "history").stdout


@pytest.mark.parametrize(
    ("same", "name"), [(True, "fingerprint.pb"), (False, "saved_model.pb"), (False, "variables/data")]
)
def test_a_model_is_known_by_every_file_but_the_fingerprint(same: bool, name: str) -> None:
    files = {each: FileSum(1, f"sum of {each}", "") for each in ("fingerprint.pb", "saved_model.pb", "variables/data")}
    other = files | {name: FileSum(1, "another sum", "")}

    assert same == (content_digest(files) == content_digest(other))
