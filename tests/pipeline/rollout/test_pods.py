"""Canaries in a fleet of pods (F22, F27, F29): servers are started again, or pods are replaced, meanwhile."""

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from pipeline.errors import DeclinedError, FailedError
from pipeline.journal.entries import Event
from pipeline.rollout.canary_end import is_over
from pipeline.rollout.config import named_versions
from pipeline.rollout.crash_detector import CrashDetector
from pipeline.rollout.questioning import Probes, Questioning
from pipeline.rollout.wait_result import WaitResult
from pipeline.verbs.status import status
from pipeline.verdicts.labels import ApprovedLabels
from pipeline.verdicts.verdict import Decision
from serving.model_server.lifecycle.servable import ServableId
from serving.questions import ReplicaReport
from serving.status import NotFoundError
from serving.wire import Array
from tests.fleet import LABELS, Classifier, RunningReplica
from tests.kubernetes.api import KubernetesApi
from tests.kubernetes.cluster import Cluster
from tests.kubernetes.objects import endpoint, endpoint_slice, pod
from tests.kubernetes.resources import PODS, SLICES
from tests.released import PATIENCE, start_released
from tests.releases import IMAGES, World, eventually

CANDIDATE = 3
NOT_KNOWN = "Restart counts of pods are not known meanwhile"


class Asked(Classifier):
    """Calls a function when it is asked for the first time, and gives so many wrong answers before the right ones."""

    def __init__(self, call: Callable[[], None], *, wrong: int = 0) -> None:
        super().__init__()
        self._calls = [call]
        self._wrong = wrong

    def run(
        self, feeds: Mapping[str, Array], fetches: Sequence[str], *, timeout_seconds: float | None = None
    ) -> list[Array]:
        if self._calls:
            self._calls.pop()()
        self._shift, self._wrong = int(self._wrong > 0), self._wrong - 1
        return super().run(feeds, fetches, timeout_seconds=timeout_seconds)


class PodServer(RunningReplica):
    """A model server that is a pod of the cluster, and what happens to it while it loads or answers from the candidate.

    All pods of a test listen on 127.0.0.1, so each has a slice with a port of its own.
    """

    def __init__(self, config: Path, cluster: Cluster, name: str) -> None:
        super().__init__(config)
        self.name = name
        self.uid = f"uid-of-{name}"
        self.restarts = 0
        self.at_load: Callable[[], None] = lambda: None
        self.at_question: Callable[[], None] = lambda: None
        self.wrong_answers = 0
        self.happened = threading.Event()
        self._acted = threading.Event()
        self._cluster = cluster

    def put(self, *, listed: bool = True) -> None:
        """Write the pod into the cluster as it is now."""
        found = pod(self.name, uid=self.uid, restarts=self.restarts)
        self._cluster.put(PODS, found)
        endpoints = [endpoint(found, "127.0.0.1")] if listed else []
        self._cluster.put(SLICES, endpoint_slice(f"digits-{self.name}", *endpoints, ports={"grpc": self.port}))

    def count_restart(self) -> None:
        """The server is back before any call, and has the versions that it had."""
        self.restarts += 1
        self.put()

    def become_another(self) -> None:
        """Another pod has the address, and its server has the versions of the one before."""
        self.uid = f"{self.uid}-2"
        self.put()

    def restart(self) -> None:
        self.stop()
        self.restarts += 1
        self.start()
        self.put()

    def replace(self) -> None:
        """The next pod of a StatefulSet: it has the name and, here, the address of the one before."""
        self.put(listed=False)
        self.stop()
        self.uid, self.restarts = f"{self.uid}-2", 0
        self.start()
        self.put()

    def expect_load(self) -> None:
        """From now on a load of the candidate waits until `at_load` has ended, or has stopped the server."""
        self._acted.clear()

    def stop(self) -> None:
        self._acted.set()
        super().stop()

    def _act(self) -> None:
        self.at_load()
        self._acted.set()

    def _load(self, servable_id: ServableId, path: str) -> Classifier:
        if servable_id.version == CANDIDATE and not self.happened.is_set():
            self.happened.set()
            # A server waits for its loads when it is stopped, so another thread does that.
            threading.Thread(target=self._act, daemon=True).start()
            # However slow that thread is, it comes before the end of the load.
            self._acted.wait(PATIENCE)
        loaded = super()._load(servable_id, path)
        return Asked(self.at_question, wrong=self.wrong_answers) if servable_id.version == CANDIDATE else loaded


@pytest.fixture
def api(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[KubernetesApi]:
    with KubernetesApi() as running:
        file = tmp_path / "kubeconfig"
        file.write_text(running.kubeconfig())
        monkeypatch.setenv("KUBECONFIG", str(file))
        yield running


@pytest.fixture
def count() -> int:
    """How many pods the fleet has."""
    return 2


@pytest.fixture
def pods(api: KubernetesApi, tmp_path: Path, count: int) -> Iterator[World]:
    """v2 serves on all pods, v1 is in memory beside it, and v3 is published."""
    world = World(tmp_path, follow_seconds=15.0)
    world.extra = {"replicas": "kubernetes://serving/digits:grpc", "expected_replicas": count}
    world.bucket.mkdir()
    world.replicas = [PodServer(world.config, api.cluster, f"digits-{n}") for n in range(count)]
    for server in servers(world):
        server.put()
    start_released(world, 2)
    for server in servers(world):
        server.expect_load()
    world.publish("retrain-3", load_seconds=0.3)
    yield world
    world.stop()


def servers(world: World) -> list[PodServer]:
    return [each for each in world.replicas if isinstance(each, PodServer)]


def questioning(world: World) -> Questioning:
    """Without questions, for reports that a test makes."""
    labels = ApprovedLabels(CANDIDATE, LABELS, 2, LABELS)
    probes = Probes(golden=(), fresh=(), labels=labels, policy=world.spec.canary, min_accuracy=0.5)
    return Questioning("digits", probes, world.context("look-0").replicas)


def refused(world: World) -> str:
    """Why the canary has failed; the candidate is taken back."""
    with pytest.raises(FailedError) as error:
        world.run("canary", "retrain-3")
    assert world.history().withdrawal(CANDIDATE) is not None
    assert CANDIDATE not in named_versions(world.config.read_text())
    assert eventually(lambda: [2, 2] == world.answering())
    return str(error.value)


def test_a_restart_that_no_call_has_noticed_fails_the_canary(pods: World) -> None:
    """F22: the server was killed while it loaded the candidate, and answers as before."""
    for server in servers(pods):
        server.at_load = server.count_restart
    reason = refused(pods)

    assert "(pod digits-0, UID uid-of-digits-0, restart count 0 before and 1 now): its server process has stopped" in (
        reason
    )
    assert "`kubectl --namespace serving describe pod digits-1`" in reason


@pytest.mark.parametrize("count", [1])
def test_a_restart_of_the_only_pod_that_no_call_has_noticed_declines(pods: World) -> None:
    """As if the end itself had been seen: that may be the fault of its machine."""
    (server,) = servers(pods)
    server.at_load = server.count_restart
    with pytest.raises(DeclinedError, match="restart count 0 before and 1 now"):
        pods.run("canary", "retrain-3")

    assert Event.DECLINED is pods.history().all()[-1].event


def test_servers_that_are_started_again_in_their_pods_are_evidence(pods: World) -> None:
    """Each end counts once, whether a call, the forgotten v1 or the restart count has shown it."""
    for server in servers(pods):
        server.at_load = server.restart
    reason = refused(pods)

    assert "(pod digits-0, UID uid-of-digits-0" in reason
    assert 2 == reason.count("its server process has stopped once since")


def test_pods_that_are_replaced_are_no_evidence_and_are_asked_themselves(
    pods: World, caplog: pytest.LogCaptureFixture
) -> None:
    """F29: the same processes end as in the test before, and the UIDs say that they were removed on purpose."""
    for server in servers(pods):
        server.at_load = server.replace
    with caplog.at_level("INFO"):
        pods.run("canary", "retrain-3")

    assert all(server.happened.is_set() and server.uid.endswith("-2") for server in servers(pods))
    assert all(f"{server.address}: v3 answers" in caplog.text for server in servers(pods))
    assert CANDIDATE == pods.history().state.candidate


def test_without_the_api_the_answers_of_servers_decide_as_in_any_fleet(
    api: KubernetesApi, pods: World, caplog: pytest.LogCaptureFixture
) -> None:
    """The API goes away while the candidate is loaded, and with it what tells a restart from a replaced pod."""
    noticed: list[bool] = []

    def lose_api_and_restart(server: PodServer) -> None:
        api.answer = (503, b"")
        noticed.append(eventually(lambda: NOT_KNOWN in caplog.text, PATIENCE))
        server.restart()

    for server in servers(pods):
        server.at_load = partial(lose_api_and_restart, server)
    reason = refused(pods)

    assert "(pod digits-0, UID uid-of-digits-0): its server process has stopped once since" in reason
    assert [True, True] == noticed
    assert 1 == caplog.text.count(NOT_KNOWN)


def test_a_pod_that_is_replaced_during_the_questions_is_asked_itself(
    pods: World, caplog: pytest.LogCaptureFixture
) -> None:
    """F27: the answers of the pod before say nothing about the pod that has its address now."""
    first, second = servers(pods)
    first.at_question = first.become_another
    with caplog.at_level("INFO"):
        pods.run("canary", "retrain-3")

    assert 2 == caplog.text.count(f"{first.address}: v3 answers")
    assert 1 == caplog.text.count(f"{second.address}: v3 answers")


@pytest.mark.parametrize("change", [PodServer.count_restart, PodServer.become_another])
def test_a_wrong_answer_counts_whatever_has_happened_to_its_pod_since(
    pods: World, change: Callable[[PodServer], None]
) -> None:
    """The server that has its address after the questions would give right answers."""
    first, _ = servers(pods)
    first.wrong_answers = 4
    first.at_question = partial(change, first)

    with pytest.raises(FailedError, match=f"{first.address}: 4 of {len(IMAGES)} golden answers differ"):
        pods.run("canary", "retrain-3")


def test_a_wrong_answer_is_not_forgiven_because_its_server_has_ended_since(pods: World) -> None:
    """The end alone would only decline the candidate, and its model could be published again."""
    address = servers(pods)[0].address
    crashes = CrashDetector({address: [2]}, first_ring=[address], silent_seconds=5.0, now=lambda: 0.0)
    crashes.lost(address)
    right = ReplicaReport(address, CANDIDATE, answered_by={CANDIDATE}, golden_asked=4, fresh_asked=4, fresh_right=4)
    nobody = WaitResult(ready=(), pending=())
    conclude = partial(questioning(pods).conclude, nobody, crashes=crashes, load_seconds=0.0)
    judged = conclude({address: replace(right, golden_wrong=4)})

    assert conclude({address: right}).forgivable
    assert not judged.forgivable
    assert "its server process has stopped once" in str(judged.verdict)
    assert "4 of 4 golden answers differ" in str(judged.verdict)


def test_a_wrong_answer_counts_if_its_replica_was_removed_since(pods: World) -> None:
    """All replicas that are left have given right answers."""
    removed, left = servers(pods)
    right = ReplicaReport(
        left.address,
        CANDIDATE,
        answered_by={CANDIDATE},
        golden_asked=4,
        fresh_asked=4,
        fresh_right=4,
        process=(left.uid, left.restarts),
    )
    wrong = replace(right, address=removed.address, golden_wrong=4)
    asking = questioning(pods)
    crashes = asking.replicas.watch_for_crashes()
    everybody = WaitResult(ready=(left.address,), pending=())
    reports = {left.address: right, removed.address: wrong}
    judged = asking.conclude(everybody, reports, crashes=crashes, load_seconds=0.0)

    assert Decision.FAIL is judged.verdict.decision
    assert f"{removed.address}: 4 of 4 golden answers differ" in str(judged.verdict)


def test_a_pod_that_takes_the_place_of_another_need_not_have_the_candidate_at_once(
    pods: World, caplog: pytest.LogCaptureFixture
) -> None:
    """F29: the questions to the pod before go to a server that has just started. It is asked again when it is ready."""
    first, _ = servers(pods)

    def replace_and_start() -> None:
        first.become_another()
        raise NotFoundError("Servable not found for request: Specific(digits, 3)")

    first.at_question = replace_and_start
    with caplog.at_level("INFO"):
        pods.run("canary", "retrain-3")

    assert f"{first.address}: v3 NOT_FOUND" in caplog.text
    assert 1 == caplog.text.count(f"{first.address}: v3 answers")


def test_ends_are_judged_by_a_fresh_list(pods: World) -> None:
    """A list of a second ago has the pods whose removal has just ended their servers."""
    replicas = pods.context("look-0").replicas
    crashes = replicas.watch_for_crashes()
    for server in servers(pods):
        server.become_another()
        crashes.lost(server.address)

    assert not is_over(replicas, crashes)


def test_status_shows_pods_and_restarts(pods: World) -> None:
    first, second = servers(pods)
    first.count_restart()
    found = {each["address"]: each for each in status(pods.context("status-0")).as_json()["replicas"]}

    assert ("digits-0", 1) == (found[first.address]["pod"], found[first.address]["restarts"])
    assert ("digits-1", 0) == (found[second.address]["pod"], found[second.address]["restarts"])


def test_a_replica_that_nobody_has_asked_is_no_pass(pods: World) -> None:
    """It may have become another process after the last questions."""
    replicas = pods.context("look-0").replicas
    everybody = WaitResult(ready=tuple(replicas.addresses()), pending=())
    judged = questioning(pods).conclude(everybody, {}, crashes=replicas.watch_for_crashes(), load_seconds=0.0)

    assert Decision.UNKNOWN is judged.verdict.decision
    assert "was not asked for answers" in str(judged.verdict)
