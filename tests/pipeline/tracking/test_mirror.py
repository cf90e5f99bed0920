"""MLflow follows the journal: a real server, as `make up` starts it, and the one in memory that other tests use."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import httpx
import pytest

from pipeline import layout
from pipeline.context import RunContext, make_run_context, open_ports
from pipeline.journal.history import History
from pipeline.rules import run as run_rules
from pipeline.storage.identity import Identity, find_identity
from pipeline.tracking.aliases import read_aliases
from pipeline.tracking.mirror import mirror, tag_run
from pipeline.tracking.owner import make_owner
from pipeline.tracking.ownership import Owner
from pipeline.tracking.registry import Mlflow, Trained, open_registry
from pipeline.tracking.tags import NOTE, decision_about, refusal_tags
from pipeline.verbs.reconcile import Repairs, reconcile
from pipeline.verbs.status import status
from pipeline.verdicts.verdict import Decision, Verdict
from tests.mlflow_registry import MlflowRegistry
from tests.mlflow_server import url
from tests.pipeline.journal.test_journal import Releases
from tests.releases import MODEL, NO_MLFLOW, World

__all__ = ["url"]


@dataclass(frozen=True)
class Server:
    """An MLflow, and what a person would do to it."""

    mlflow: Mlflow

    def call(self, path: str, **values: Any) -> Any:
        return self._answer("POST", path, json=values)

    def get(self, path: str, **values: Any) -> Any:
        return self._answer("GET", path, params=values)

    def patch(self, path: str, **values: Any) -> Any:
        return self._answer("PATCH", path, json=values)

    def delete(self, path: str, **values: Any) -> Any:
        return self._answer("DELETE", path, json=values)

    def forget(self, name: str) -> None:
        """Delete a registered model that other tests have left in this MLflow."""
        if self.versions(name):
            self.delete("registered-models/delete", name=name)

    def _answer(self, method: str, path: str, **content: Any) -> Any:
        with httpx.Client(transport=self.mlflow.transport, timeout=10) as client:
            reply = client.request(method, f"{self.mlflow.url}/api/2.0/mlflow/{path}", **content)
        reply.raise_for_status()
        return reply.json()

    def trained(self, name: str) -> Trained:
        """A run with a logged model, as `train` leaves it."""
        experiment = self.call("experiments/create", name=name)["experiment_id"]
        run = self.call("runs/create", experiment_id=experiment)["run"]["info"]["run_id"]
        model = self.call("logged-models", experiment_id=experiment, name="digits", source_run_id=run)
        return Trained(run, model["model"]["info"]["model_id"])

    def versions(self, name: str) -> list[dict[str, Any]]:
        """All versions of a registered model, in the order in which they were registered."""
        found = self.get("model-versions/search", filter=f"name='{name}'").get("model_versions", [])
        return sorted(found, key=lambda each: int(each["version"]))

    def everything(self, name: str, runs: list[str]) -> dict[str, Any]:
        """What must stay as it is where another bucket is at work: tags of runs, tags of versions, and aliases."""
        model = self.get("registered-models/get", name=name)["registered_model"]
        versions = {
            each["run_id"]: sorted((t["key"], t["value"]) for t in each["tags"]) for each in self.versions(name)
        }
        return {
            "runs": {run: self.tags(run) for run in runs},
            "versions": {run: versions[run] for run in runs},
            "aliases": sorted((each["alias"], str(each["version"])) for each in model["aliases"]),
        }

    def tags(self, run: str) -> dict[str, str]:
        found = self.get("runs/get", run_id=run)["run"]["data"]["tags"]
        return {tag["key"]: tag["value"] for tag in found}


@pytest.fixture(params=["mlflow server", "in memory"])
def server(request: pytest.FixtureRequest) -> Server:
    if request.param == "in memory":
        return Server(Mlflow("http://mlflow", MlflowRegistry().transport))
    return Server(Mlflow(request.getfixturevalue("url")))


BUCKET = Identity("0123456789abcdef", "/data/bucket")
DECLINED = refusal_tags("declined by the gate", "fail: accuracy 0.4 < 0.5 (gate.min_accuracy)")


def unknown() -> Owner:
    """A bucket that has no record of any version."""
    nothing: dict[int, Trained] = {}
    return Owner(BUCKET, nothing.get)


def aliases(mlflow: Mlflow, *, model: str) -> Mapping[str, int] | None:
    found = read_aliases(mlflow, model=model, owner=unknown())
    return found.aliases if found else None


def follow(
    server: Server, name: str, history: History, new: dict[int, Trained], bucket: Identity = BUCKET
) -> Mapping[str, int] | None:
    owner = Owner(bucket, new.get)
    assert mirror(server.mlflow, model=name, history=history, owner=lambda: owner) is None
    found = read_aliases(server.mlflow, model=name, owner=owner)
    return found.aliases if found else None


def test_aliases_and_decisions_follow_a_release_and_a_roll_back(server: Server, tmp_path: Path) -> None:
    releases, name = Releases(tmp_path), "story"
    first, second = server.trained("first"), server.trained("second")
    releases.release("retrain-1")
    assert {"production": 1} == follow(server, name, releases.history(), {1: first})

    version = releases.publish("retrain-2")
    exposed = releases.expose("retrain-2", version)
    assert {"production": 1, "candidate": 2} == follow(server, name, exposed, {2: second})

    assert {"production": 2, "previous": 1} == follow(server, name, releases.promote("retrain-2", version), {2: second})
    assert ("promoted", "2") == (server.tags(second.run)["decision"], server.tags(second.run)["served_version"])

    assert {"production": 1} == follow(server, name, releases.roll_back(1, "rollback-3"), {})
    assert ("promoted", "withdrawn") == (server.tags(first.run)["decision"], server.tags(second.run)["decision"])


def test_mirroring_again_registers_nothing_twice(server: Server, tmp_path: Path) -> None:
    releases, name = Releases(tmp_path), "again"
    model = server.trained("again")
    releases.release("retrain-1")
    for _ in range(3):
        follow(server, name, releases.history(), {1: model})

    assert 1 == len(server.get("model-versions/search", filter=f"name='{name}'")["model_versions"])


def test_two_concurrent_registrations_agree_on_the_first(server: Server, tmp_path: Path) -> None:
    """I6: MLflow refuses no second one; the aliases are the same for all, whoever looks and whenever."""
    releases, name = Releases(tmp_path), "twice"
    model = server.trained("twice")
    releases.release("retrain-1")

    def while_another_does(version: int) -> Trained | None:
        follow(server, name, releases.history(), {version: model})
        return model

    owner = Owner(BUCKET, while_another_does)
    assert mirror(server.mlflow, model=name, history=releases.history(), owner=lambda: owner) is None

    assert 2 == len(server.get("model-versions/search", filter=f"name='{name}'")["model_versions"])
    (alias,) = server.get("registered-models/get", name=name)["registered_model"]["aliases"]
    assert ("production", "1") == (alias["alias"], alias["version"])
    assert {"production": 1} == aliases(server.mlflow, model=name)


def test_a_release_made_while_mlflow_was_down_is_registered_by_the_next_verb(server: Server, tmp_path: Path) -> None:
    """F7: whichever verb that is, also a roll-back of another run."""
    releases, name = Releases(tmp_path), "late"
    models = {version: server.trained(f"late_{version}") for version in (1, 2)}
    releases.release("retrain-1")
    releases.release("retrain-2")

    assert {"production": 1} == follow(server, name, releases.roll_back(1, "rollback-3"), models)
    assert "withdrawn" == server.tags(models[2].run)["decision"]


def test_an_answer_of_another_kind_changes_nothing(url: str, tmp_path: Path) -> None:
    releases = Releases(tmp_path)
    releases.release("retrain-1")

    for strange in (f"{url}/static-files", "http://[::1", "nonsense"):
        assert mirror(Mlflow(strange), model="m", history=releases.history(), owner=unknown) is not None


def test_an_alias_moved_by_hand_is_put_back(server: Server, tmp_path: Path) -> None:
    """F41: serving never asked it, and the next release verb mends it."""
    releases, name = Releases(tmp_path), "by_hand"
    models = {version: server.trained(f"by_hand_{version}") for version in (1, 2)}
    releases.release("retrain-1")
    releases.release("retrain-2")
    follow(server, name, releases.history(), models)
    server.call("registered-models/alias", name=name, alias="production", version="1")
    assert {"production": 1, "previous": 1} == aliases(server.mlflow, model=name)

    assert {"production": 2, "previous": 1} == follow(server, name, releases.history(), {})


OTHER = Identity("fedcba9876543210", "gs://others/bucket")


def try_to_follow(server: Server, name: str, history: History, new: dict[int, Trained], bucket: Identity) -> str:
    """Mirror where that is not expected to go well; what the person is told."""
    owner = Owner(bucket, new.get)
    problem = mirror(server.mlflow, model=name, history=history, owner=lambda: owner)
    found = read_aliases(server.mlflow, model=name, owner=owner)
    assert found is not None
    assert (found.collision or None) == problem
    return found.collision


def test_two_buckets_with_one_model_and_the_same_run_keys_leave_each_other_alone(
    server: Server, tmp_path: Path
) -> None:
    name = "shared"
    ours, theirs = Releases(tmp_path / "ours"), Releases(tmp_path / "theirs")
    models = {version: server.trained(f"ours_{version}") for version in (1, 2)}
    others = {version: server.trained(f"theirs_{version}") for version in (1, 2)}
    for releases in (ours, theirs):
        releases.release("retrain-1")
        releases.release("retrain-2")
    follow(server, name, ours.history(), models)
    before = server.everything(name, [each.run for each in models.values()])

    told = try_to_follow(server, name, theirs.history(), others, OTHER)
    try_to_follow(server, name, theirs.roll_back(1, "rollback-3"), others, OTHER)

    assert before == server.everything(name, [each.run for each in models.values()])
    assert "MLflow's aliases previous, production point to versions of the bucket /data/bucket" in told
    assert f"this bucket ({OTHER})" in told
    assert "another MLflow (`understudy fleet set --mlflow-url`) or another model name" in told
    assert {"withdrawn", "promoted"} == {server.tags(each.run)["decision"] for each in others.values()}
    assert OTHER.id == server.tags(others[1].run)["understudy.bucket"]

    theirs_now = {run.run: server.tags(run.run) for run in others.values()}
    assert {"production": 1} == follow(server, name, ours.roll_back(1, "rollback-3"), models)
    assert theirs_now == {run.run: server.tags(run.run) for run in others.values()}


def test_aliases_that_a_person_has_freed_are_taken_by_the_bucket_that_is_left(server: Server, tmp_path: Path) -> None:
    name, releases = "freed", Releases(tmp_path)
    releases.release("retrain-1")
    follow(server, name, releases.history(), {1: server.trained("freed_gone")}, OTHER)
    models = {1: server.trained("freed_left")}
    assert "delete these aliases in MLflow" in try_to_follow(server, name, releases.history(), models, BUCKET)

    server.delete("registered-models/alias", name=name, alias="production")

    assert {"production": 1} == follow(server, name, releases.history(), models)


def test_an_alias_of_a_version_that_nobody_of_us_registered_is_left_alone(server: Server, tmp_path: Path) -> None:
    name, releases = "by_others", Releases(tmp_path)
    model = server.trained("by_others")
    server.call("registered-models/create", name=name)
    source = {"source": f"models:/{model.model}", "run_id": model.run, "model_id": model.model}
    server.call("model-versions/create", name=name, tags=[], **source)
    server.call("registered-models/alias", name=name, alias="production", version="1")
    releases.release("retrain-1")

    told = try_to_follow(server, name, releases.history(), {1: server.trained("by_us")}, BUCKET)

    assert "production point to versions of another bucket" in told
    (alias,) = server.get("registered-models/get", name=name)["registered_model"]["aliases"]
    assert ("production", "1") == (alias["alias"], str(alias["version"]))


def registered_by_an_earlier_release(server: Server, name: str, model: Trained) -> None:
    """Version 1, as it was registered before buckets had an identity."""
    server.call("registered-models/create", name=name)
    tags = [{"key": "served_version", "value": "1"}, {"key": "run_key", "value": "retrain-1"}]
    source = {"source": f"models:/{model.model}", "run_id": model.run, "model_id": model.model}
    server.call("model-versions/create", name=name, tags=tags, **source)
    server.call("registered-models/alias", name=name, alias="production", version="1")


def test_a_version_of_an_earlier_release_is_ours_if_our_records_name_its_run(server: Server, tmp_path: Path) -> None:
    name, releases = "earlier", Releases(tmp_path)
    model = server.trained("earlier")
    registered_by_an_earlier_release(server, name, model)
    releases.release("retrain-1")

    assert {"production": 1} == follow(server, name, releases.history(), {1: model})
    (version,) = server.versions(name)
    assert {"key": "understudy.bucket", "value": BUCKET.id} in version["tags"]
    assert BUCKET.address == server.tags(model.run)["understudy.bucket_address"]


def test_a_version_of_an_earlier_release_with_the_run_of_others_is_theirs(server: Server, tmp_path: Path) -> None:
    """The same number and the same run key say nothing: buckets with the same schedule share them."""
    name, releases = "earlier_of_others", Releases(tmp_path)
    theirs = server.trained("earlier_of_others")
    registered_by_an_earlier_release(server, name, theirs)
    before = server.everything(name, [theirs.run])
    releases.release("retrain-1")

    told = try_to_follow(server, name, releases.history(), {1: server.trained("earlier_ours")}, BUCKET)

    assert "production point to versions of a bucket of an earlier release" in told
    assert before == server.everything(name, [theirs.run])


def test_a_run_that_another_bucket_claims_is_neither_tagged_nor_registered(server: Server, tmp_path: Path) -> None:
    """Two buckets of an earlier release trained into one run, and the records of both name it."""
    name, releases = "one_run", Releases(tmp_path)
    model = server.trained("one_run")
    releases.release("retrain-1")
    follow(server, name, releases.history(), {1: model}, OTHER)
    before = server.everything(name, [model.run])

    owner = Owner(BUCKET, {1: model}.get)
    told = mirror(server.mlflow, model=name, history=releases.history(), owner=lambda: owner) or ""
    tag_run(server.mlflow, run=model.run, tags=DECLINED, bucket=lambda: BUCKET)

    assert f"does not register v1: its run {model.run} belongs to another bucket (id {OTHER.id})" in told
    assert before == server.everything(name, [model.run])


def test_a_run_that_a_person_has_deleted_stops_nothing(server: Server, tmp_path: Path) -> None:
    name, releases = "deleted", Releases(tmp_path)
    models = {version: server.trained(f"deleted_{version}") for version in (1, 2)}
    releases.release("retrain-1")
    follow(server, name, releases.history(), models)
    for each in models.values():
        server.call("runs/delete", run_id=each.run)
    releases.release("retrain-2")

    assert {"production": 2, "previous": 1} == follow(server, name, releases.history(), models)
    assert {"production": 1} == follow(server, name, releases.roll_back(1, "rollback-3"), models)


def test_a_model_that_mlflow_has_lost_is_reported_as_long_as_its_version_has_a_role(
    server: Server, tmp_path: Path
) -> None:
    """An MLflow that was replaced by an empty one must not keep newer versions from being registered."""
    name, releases = "lost", Releases(tmp_path)
    models = {1: Trained("0" * 32, f"m-{'0' * 32}")} | {
        version: server.trained(f"lost_{version}") for version in (2, 3)
    }
    owner = Owner(BUCKET, models.get)

    def told() -> str | None:
        return mirror(server.mlflow, model=name, history=releases.history(), owner=lambda: owner)

    releases.release("retrain-1")
    releases.release("retrain-2")
    assert "does not register v1: " in (told() or "")
    releases.release("retrain-3")

    assert {"production": 3, "previous": 2} == follow(server, name, releases.history(), models)


def test_a_run_that_published_nothing_is_told_its_fate(server: Server) -> None:
    run = server.trained("refused").run
    tag_run(server.mlflow, run=run, tags=DECLINED, bucket=lambda: BUCKET)

    tags = server.tags(run)
    assert "declined by the gate" == tags["decision"]
    assert tags[NOTE].startswith("Declined by the gate, and nothing was published: fail: accuracy 0.4 < 0.5 ")


def described(server: Server, name: str) -> list[str]:
    """What MLflow says of each version."""
    found = server.versions(name)
    assert [each["description"] for each in found] == [
        next(tag["value"] for tag in each["tags"] if tag["key"] == "status") for each in found
    ]
    return [str(each["description"]) for each in found]


def test_the_description_of_a_version_says_what_is_true_now(server: Server, tmp_path: Path) -> None:
    """A version that was withdrawn before it served must not be said to have served."""
    releases, name = Releases(tmp_path), "described"
    models = {version: server.trained(f"described_{version}") for version in (1, 2, 3)}
    releases.release("retrain-1")
    releases.publish("retrain-2")
    follow(server, name, releases.history(), models)
    first, second = described(server, name)
    assert re.fullmatch(r"v1 serves, since 20\d\d-\d\d-\d\d \d\d:\d\d UTC\.", first)
    assert "v2 is published, and has not served." == second

    exposed = releases.expose("retrain-2", 2)
    follow(server, name, exposed, models)
    assert "v2 is on the replicas, to be tested." == described(server, name)[1]

    failed = Verdict(decision=Decision.FAIL, reasons=("a:1: 20 of 20 golden answers differ",))
    history = releases.journal().decide(
        lambda h: run_rules.withdraw(h, version=2, run_key="retrain-2", reason=str(failed), verdict=failed)
    )
    follow(server, name, history, models)
    assert re.fullmatch(
        r"v2 was withdrawn on 20.* UTC by .*\. It was never promoted\. Reason: fail: a:1: 20 of 20 .* differ",
        described(server, name)[1],
    )

    releases.release("retrain-3")
    follow(server, name, releases.history(), models)
    first, _, third = described(server, name)
    assert first.endswith("and does not serve now.")
    assert third.startswith("v3 serves, since ")


def test_a_run_has_the_verdicts_and_their_reasons_as_tags_and_in_its_description(
    server: Server, tmp_path: Path
) -> None:
    releases, name = Releases(tmp_path), "verdicts"
    model = server.trained("verdicts")
    releases.publish("retrain-1")
    releases.expose("retrain-1", 1)
    failed = Verdict(decision=Decision.FAIL, reasons=("a:1: 20 of 20 golden answers differ", "b:1: latency"))
    history = releases.journal().decide(
        lambda h: run_rules.withdraw(h, version=1, run_key="retrain-1", reason=str(failed), verdict=failed)
    )

    follow(server, name, history, {1: model})

    tags = server.tags(model.run)
    assert ("withdrawn", "failed") == (tags["decision"], tags["canary"])
    assert "a:1: 20 of 20 golden answers differ; b:1: latency" == tags["canary_reasons"]
    assert "It was never promoted" in tags[NOTE]
    assert "Canary: failed. a:1: 20 of 20 golden answers differ; b:1: latency" in tags[NOTE]


def test_a_description_that_a_person_has_written_stays(server: Server, tmp_path: Path) -> None:
    releases, name = Releases(tmp_path), "by_a_person"
    models = {version: server.trained(f"by_a_person_{version}") for version in (1, 2)}
    releases.release("retrain-1")
    follow(server, name, releases.history(), models)
    server.patch("model-versions/update", name=name, version="1", description="the one from the fair")
    server.call("runs/log-batch", run_id=models[1].run, tags=[{"key": NOTE, "value": "mine"}])

    releases.release("retrain-2")
    follow(server, name, releases.history(), models)

    (first, _), tags = server.versions(name), server.tags(models[1].run)
    assert ("the one from the fair", "mine") == (first["description"], tags[NOTE])
    assert tags["status"].endswith("does not serve now.")


def test_a_description_of_an_earlier_release_is_replaced(server: Server, tmp_path: Path) -> None:
    name, releases = "described_earlier", Releases(tmp_path)
    model = server.trained("described_earlier")
    registered_by_an_earlier_release(server, name, model)
    server.patch("model-versions/update", name=name, version="1", description="served as version 1")
    releases.release("retrain-1")

    follow(server, name, releases.history(), {1: model})

    assert described(server, name)[0].startswith("v1 serves, since ")


def test_mlflow_being_down_is_told_and_raises_nothing(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """F7, F40."""
    releases = Releases(tmp_path)
    releases.release("retrain-1")

    assert "ConnectError" in (mirror(Mlflow(NO_MLFLOW), model="m", history=releases.history(), owner=unknown) or "")
    assert aliases(Mlflow(NO_MLFLOW), model="m") is None
    tag_run(Mlflow(NO_MLFLOW), run="r", tags=DECLINED, bucket=lambda: BUCKET)
    assert "was not written to MLflow" in caplog.text


def test_decisions_in_one_word(tmp_path: Path) -> None:
    releases = Releases(tmp_path)
    releases.release("retrain-1")
    releases.publish("retrain-2")
    releases.publish("retrain-3")
    history = releases.journal().decide(
        lambda h: run_rules.decline_candidate(h, version=3, run_key="retrain-3", reason="bad")
    )

    assert ["promoted", "published", "withdrawn"] == [decision_about(history, version) for version in (1, 2, 3)]


def release_unseen(world: World, server: Server, run_key: str) -> None:
    """A release from a run that MLflow knows, while MLflow is down."""
    world.approve(run_key)
    kept = server.trained(f"unseen_{run_key}")
    record = world.bucket / layout.record(MODEL, run_key, "train")
    record.write_text(json.dumps(json.loads(record.read_text()) | {"mlflow_run": kept.run, "mlflow_model": kept.model}))
    for verb in ("publish", "canary", "promote"):
        world.run(verb, run_key)


def connected(world: World, server: Server, run_key: str) -> RunContext:
    """A context that reaches MLflow."""
    settings = world.context(run_key).settings
    ports = replace(open_ports(settings), mlflow=server.mlflow)
    return make_run_context(settings, model=MODEL, run_key=run_key, ports=ports)


def reconciled(world: World, server: Server, run_key: str) -> Repairs:
    found = reconcile(connected(world, server, run_key))
    found.require_complete()
    return found


def seen(world: World, server: Server) -> Mapping[str, int]:
    context = connected(world, server, "look-0")
    owner = make_owner(context.bucket, MODEL, find_identity(context.bucket), context.journal.read())
    found = read_aliases(server.mlflow, model=MODEL, owner=owner)
    assert found is not None
    return found.aliases


def test_reconcile_makes_releases_appear_that_were_made_while_mlflow_was_down(server: Server, world: World) -> None:
    """F7: and an alias that was moved by hand goes back (F41); then there is nothing to mend."""
    server.forget(MODEL)
    release_unseen(world, server, "retrain-1")
    release_unseen(world, server, "retrain-2")
    assert {} == seen(world, server)
    reconciled(world, server, "reconcile-3")
    assert {"production": 2, "previous": 1} == seen(world, server)

    server.call("registered-models/alias", name=MODEL, alias="production", version="1")
    assert {"production": 1, "previous": 1} == seen(world, server)
    (line,) = reconciled(world, server, "reconcile-4").repaired
    assert line.startswith("MLflow's aliases say ")
    assert {"production": 2, "previous": 1} == seen(world, server)
    assert Repairs() == reconciled(world, server, "reconcile-5")


def test_reconcile_and_status_report_the_aliases_of_another_bucket(server: Server, world: World) -> None:
    """Serving goes on; only a person can end it, so `reconcile` says that it could not mend everything."""
    releases = Releases(world.folder / "theirs")
    releases.release("retrain-1")
    theirs = server.trained("reported_theirs")
    server.forget(MODEL)
    follow(server, MODEL, releases.history(), {1: theirs}, OTHER)
    before = server.everything(MODEL, [theirs.run])
    release_unseen(world, server, "retrain-9")

    found = reconcile(connected(world, server, "reconcile-2"))

    (problem,) = found.problems
    assert problem.startswith(f"MLflow's aliases production point to versions of the bucket {OTHER.address}")
    assert [problem] == status(connected(world, server, "status-0")).differences
    assert before == server.everything(MODEL, [theirs.run])


def test_every_page_of_the_versions_is_read_and_a_number_finds_its_version(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    releases, name = Releases(tmp_path), "paged"
    models = {version: server.trained(f"paged_{version}") for version in range(1, 6)}
    for version in models:
        releases.release(f"retrain-{version}")
    follow(server, name, releases.history(), models)
    monkeypatch.setattr("pipeline.tracking.registry._PAGE", 2)
    server.call("model-versions/set-tag", name=name, version="1", key="decision", value="mine")

    with open_registry(server.mlflow, name) as registry:
        assert ["1", "2", "3", "4", "5"] == [each.number for each in registry.versions()]
        assert [("4", models[4].run)] == [(each.number, each.run) for each in registry.served_as(4)]
        assert [] == registry.served_as(44)
        assert None is registry.version("44")


def test_a_version_that_a_person_has_deleted_is_registered_again(server: Server, tmp_path: Path) -> None:
    """MLflow drops its aliases with it."""
    releases, name = Releases(tmp_path), "deleted_version"
    models = {version: server.trained(f"deleted_version_{version}") for version in (1, 2)}
    releases.release("retrain-1")
    releases.release("retrain-2")
    follow(server, name, releases.history(), models)
    server.delete("model-versions/delete", name=name, version="2")
    assert {"previous": 1} == read_ours(server, name, models)

    assert {"production": 2, "previous": 1} == follow(server, name, releases.history(), models)
    assert ["1", "3"] == [str(each["version"]) for each in server.versions(name)]


def read_ours(server: Server, name: str, models: dict[int, Trained]) -> Mapping[str, int]:
    found = read_aliases(server.mlflow, model=name, owner=Owner(BUCKET, models.get))
    assert found is not None
    return found.aliases


def test_buckets_that_share_a_registered_model_each_say_how_far_it_has_followed(server: Server, tmp_path: Path) -> None:
    name = "progress"
    for bucket, count in ((BUCKET, 1), (OTHER, 2)):
        releases = Releases(tmp_path / bucket.id)
        for number in range(count):
            releases.release(f"retrain-{number + 1}")
        models = {number + 1: server.trained(f"progress_{bucket.id}_{number}") for number in range(count)}
        mirror(
            server.mlflow,
            model=name,
            history=releases.history(),
            owner=lambda bucket=bucket, models=models: Owner(bucket, models.get),  # type: ignore[misc]
        )

    tags = server.get("registered-models/get", name=name)["registered_model"]["tags"]
    assert {"understudy.mirrored.0123456789abcdef": "5", "understudy.mirrored.fedcba9876543210": "10"} == {
        tag["key"]: tag["value"].split(" ")[0] for tag in tags
    }


def test_an_mlflow_restored_to_an_older_state_says_an_older_entry(server: Server, tmp_path: Path) -> None:
    """Its tag is older as well, so that what happened since then is mirrored again."""
    releases, name = Releases(tmp_path), "restored"
    models = {version: server.trained(f"restored_{version}") for version in (1, 2, 3)}
    releases.release("retrain-1")
    follow(server, name, releases.history(), models)
    (tag,) = server.get("registered-models/get", name=name)["registered_model"]["tags"]
    older = described(server, name)[0]
    releases.release("retrain-2")
    releases.release("retrain-3")
    follow(server, name, releases.history(), models)
    server.call("registered-models/set-tag", name=name, key=tag["key"], value=tag["value"])
    server.call("model-versions/set-tag", name=name, version="1", key="status", value=older)
    server.patch("model-versions/update", name=name, version="1", description=older)
    server.delete("model-versions/delete", name=name, version="3")

    assert {"production": 3, "previous": 2} == follow(server, name, releases.history(), models)
    assert described(server, name)[0].endswith("does not serve now.")
