"""Which ends of servers are evidence against a candidate, from what was seen of them."""

from dataclasses import replace

from pipeline.rollout.crash_detector import CrashDetector
from serving.fleet.pod import PodReplica
from tests.protocol.clock import VirtualClock

FLEET = ("a:1", "b:1", "c:1")
CLOCK = VirtualClock()


def crashes() -> CrashDetector:
    return detector({"a:1": [1, 2], "b:1": [2], "c:1": []})


def detector(known: dict[str, list[int]], *, first_ring: tuple[str, ...] = ()) -> CrashDetector:
    return CrashDetector(known, first_ring=first_ring, silent_seconds=5.0, now=CLOCK.monotonic)


def test_the_second_end_in_the_fleet_is_enough() -> None:
    seen = crashes()
    seen.lost("a:1")
    assert () == seen.reasons(FLEET)
    seen.lost("b:1")

    assert ["a:1", "b:1"] == [reason.partition(": ")[0] for reason in seen.reasons(FLEET)]


def test_a_server_that_is_away_has_ended_once_however_often_it_is_looked_for() -> None:
    seen = crashes()
    for _ in range(5):
        seen.lost("a:1")

    assert () == seen.reasons(FLEET)


def test_the_second_end_may_be_that_of_the_same_replica() -> None:
    seen = crashes()
    seen.lost("a:1")
    seen.answered("a:1", [])
    seen.lost("a:1")

    (reason,) = seen.reasons(FLEET)
    assert "its server process has stopped twice since servers began to load the candidate" in reason


def test_the_first_end_is_enough_where_no_replica_answers() -> None:
    seen = detector({"a:1": [1]})
    seen.lost("a:1")

    assert seen.reasons(["a:1"])


def test_the_first_end_is_enough_where_the_others_give_no_answer() -> None:
    seen = crashes()
    seen.lost("a:1")
    for address in ("b:1", "c:1"):
        assert () == seen.reasons(FLEET)
        seen.silent(address)

    assert seen.reasons(FLEET)


def test_silence_alone_is_no_evidence() -> None:
    seen = crashes()
    for address in FLEET:
        seen.silent(address)

    assert () == seen.reasons(FLEET)


def test_replicas_that_came_after_the_exposure_answer_for_the_fleet() -> None:
    """They are no evidence themselves, and as long as they answer one end is not enough."""
    seen = detector({"a:1": [1]})
    for address in ("b:1", "c:1"):
        seen.answered(address, [1])
    seen.lost("a:1")

    assert () == seen.reasons(FLEET)


def test_a_process_that_has_forgotten_a_version_is_a_new_one() -> None:
    """It ended and began again between two looks."""
    seen = crashes()
    seen.answered("a:1", [2, 3])
    seen.answered("b:1", [3])

    assert ["a:1", "b:1"] == [reason.partition(": ")[0] for reason in seen.reasons(FLEET)]


def test_one_that_has_seen_more_is_the_same_process() -> None:
    seen = crashes()
    seen.answered("a:1", [1, 2, 3])
    seen.answered("b:1", [2, 3])
    seen.answered("c:1", [3])

    assert () == seen.reasons(FLEET)


def test_an_address_that_is_not_listed_any_more_proves_nothing() -> None:
    seen = crashes()
    seen.lost("a:1")
    seen.lost("b:1")

    assert () == seen.reasons(["c:1"])


def test_a_replica_that_did_not_answer_before_the_exposure_proves_nothing() -> None:
    seen = crashes()
    for _ in range(2):
        seen.answered("d:1", [1, 2])
        seen.lost("d:1")

    assert () == seen.reasons((*FLEET, "d:1"))


def test_one_end_in_the_first_ring_is_enough() -> None:
    seen = detector({"a:1": [1, 2], "b:1": [2], "c:1": []}, first_ring=("a:1",))
    seen.lost("b:1")
    assert () == seen.reasons(FLEET)
    seen.lost("a:1")

    assert 2 == seen.ends(FLEET)
    assert ["a:1", "b:1"] == [reason.partition(": ")[0] for reason in seen.reasons(FLEET)]


def test_silent_replicas_count_as_ended_beside_one_that_has_ended() -> None:
    """A candidate that stops a whole fleet is noticed at one server first, and is not the fault of one machine."""
    seen = crashes()
    seen.lost("a:1")
    assert 1 == seen.ends(FLEET)
    for address in ("b:1", "c:1"):
        seen.silent(address)

    assert 3 == seen.ends(FLEET)
    seen.answered("b:1", [1, 2])
    assert 2 == seen.ends(FLEET)


def test_in_a_large_fleet_a_hundredth_must_end() -> None:
    fleet = [f"{number}:1" for number in range(500)]
    seen = detector({address: [1] for address in fleet})
    for address in fleet[:4]:
        seen.lost(address)
    assert () == seen.reasons(fleet)
    seen.lost(fleet[4])

    assert 5 == len(seen.reasons(fleet))


def test_a_replica_that_answered_and_is_silent_for_long_is_not_waited_for() -> None:
    seen = crashes()
    seen.silent("a:1")
    CLOCK.sleep(4.5)
    seen.silent("a:1")
    assert not seen.is_over(FLEET)
    CLOCK.sleep(0.5)

    assert ("a:1: no answer for 5.0 s while the candidate is exposed to it",) == seen.silences(FLEET)
    assert not seen.silences(["b:1", "c:1"]), "it is not listed any more"
    assert not seen.reasons(FLEET), "silence is no evidence"
    seen.answered("a:1", [1, 2])
    assert not seen.is_over(FLEET)


def test_a_call_that_waited_for_its_time_limit_is_a_part_of_the_silence() -> None:
    """A canary's question may wait for five seconds, and nobody waits for as long again after it."""
    seen = crashes()
    seen.silent("a:1", seconds=4.9)
    assert not seen.is_over(FLEET)
    CLOCK.sleep(0.5)

    assert seen.is_over(FLEET)
    assert not crashes().is_over(FLEET)


def test_a_replica_that_was_silent_before_the_exposure_is_waited_for() -> None:
    seen = detector({"a:1": [1]})
    seen.silent("b:1")
    CLOCK.sleep(60.0)

    assert not seen.is_over(FLEET)


def test_in_a_large_fleet_a_hundredth_must_be_silent() -> None:
    """One of hundreds that is slow for a while says nothing about a candidate, unless it is the first ring."""
    fleet = [f"{number}:1" for number in range(300)]
    seen = detector({address: [1] for address in fleet}, first_ring=("0:1",))
    for count, address in enumerate(fleet[1:4], start=1):
        seen.silent(address, seconds=5.0)
        assert (3 if count == 3 else 0) == len(seen.silences(fleet))
        assert (count == 3) == seen.is_over(fleet)


def test_one_silent_replica_of_the_first_ring_is_enough_in_a_large_fleet() -> None:
    fleet = [f"{number}:1" for number in range(300)]
    seen = detector({address: [1] for address in fleet}, first_ring=("0:1",))
    seen.silent("0:1", seconds=5.0)

    assert ["0:1"] == [line.rpartition(": ")[0] for line in seen.silences(fleet)]


def test_a_replica_that_was_silent_from_the_beginning_is_watched_if_the_candidate_was_exposed_before() -> None:
    """A canary that is repeated finds it without an answer, perhaps because of the candidate."""
    seen = CrashDetector({"b:1": [1]}, silent=["a:1"], silent_seconds=5.0, now=CLOCK.monotonic)
    CLOCK.sleep(4.5)
    assert not seen.is_over(FLEET)
    CLOCK.sleep(0.5)

    assert ["a:1"] == [line.rpartition(": ")[0] for line in seen.silences(FLEET)]
    seen.answered("a:1", [1, 2])
    assert () == seen.silences(FLEET)


class Pods:
    """The pods of the fleet, one for each address, as the API of Kubernetes has them now."""

    def __init__(self) -> None:
        self.now = {
            address: PodReplica(
                address, namespace="serving", name=f"digits-{n}", uid=f"uid-{n}", restarts=4, ready=True
            )
            for n, address in enumerate(FLEET)
        }

    def restart(self, address: str, *, times: int = 1, last_end: str = "") -> None:
        pod = self.now[address]
        self.now[address] = replace(pod, restarts=pod.restarts + times, last_end=last_end)

    def replace(self, address: str, *, restarts: int = 0) -> None:
        self.now[address] = replace(self.now[address], uid=f"another-for-{address}", restarts=restarts)

    def detector(self, *, first_ring: tuple[str, ...] = ()) -> CrashDetector:
        return CrashDetector(
            {"a:1": [1, 2], "b:1": [2], "c:1": []},
            first_ring=first_ring,
            silent_seconds=5.0,
            now=CLOCK.monotonic,
            pods=lambda: self.now,
        )


def test_a_restart_that_no_look_has_noticed_counts() -> None:
    """F22: the server was back before anyone asked it, and has the same versions as before."""
    pods = Pods()
    seen = pods.detector()
    pods.restart("a:1")
    seen.answered("a:1", [1, 2, 3])
    assert () == seen.reasons(FLEET)
    pods.restart("b:1")

    assert 2 == seen.ends(FLEET)
    assert ["a:1", "b:1"] == [reason.partition(" ")[0] for reason in seen.reasons(FLEET)]


def test_one_restart_is_enough_where_every_listed_replica_has_ended() -> None:
    """The only one of a fleet is back, and answers: nobody else can show whether its machine was the reason."""
    pods = Pods()
    seen = pods.detector()
    pods.restart("a:1")
    seen.answered("a:1", [1, 2, 3])

    assert 1 == len(seen.reasons(["a:1"]))
    assert 1 == seen.ends(["a:1"])
    assert () == seen.reasons(["a:1", "b:1"]), "b:1 has not ended"
    assert () == seen.reasons([])


def test_an_end_that_look_and_restart_count_have_noticed_is_one() -> None:
    pods = Pods()
    seen = pods.detector()
    seen.lost("a:1")
    assert 1 == seen.ends(FLEET)
    pods.restart("a:1")
    seen.answered("a:1", [2])

    assert 1 == seen.ends(FLEET)
    assert () == seen.reasons(FLEET)
    seen.lost("a:1")
    assert 2 == seen.ends(FLEET), "its next process has ended as well, and the count has not risen yet"


def test_one_restart_in_the_first_ring_is_enough() -> None:
    pods = Pods()
    seen = pods.detector(first_ring=("a:1",))
    pods.restart("a:1")

    assert 1 == len(seen.reasons(FLEET))


def test_the_reason_names_the_pod_the_counts_and_what_to_look_at() -> None:
    pods = Pods()
    seen = pods.detector(first_ring=("b:1",))
    pods.restart("b:1", last_end="OOMKilled")

    expected = (
        "b:1 (pod digits-1, UID uid-1, restart count 4 before and 5 now, last end: OOMKilled): its server process has "
        "stopped once since servers began to load the candidate. A likely cause is too little memory; two versions are "
        "in memory at once. See `kubectl --namespace serving describe pod digits-1` and "
        "`kubectl --namespace serving logs digits-1 --previous`"
    )
    assert (expected,) == seen.reasons(FLEET)


def test_an_end_that_kubernetes_has_not_counted_yet_names_the_pod() -> None:
    seen = Pods().detector(first_ring=("a:1",))
    seen.lost("a:1")

    (reason,) = seen.reasons(FLEET)
    assert reason.startswith("a:1 (pod digits-0, UID uid-0): its server process has stopped once")


def test_another_pod_at_the_address_is_no_evidence() -> None:
    """F29: neither its missing versions, nor the end of the pod before, nor its silence, nor its restart count."""
    pods = Pods()
    seen = pods.detector(first_ring=FLEET)
    for address in FLEET:
        seen.lost(address)
        pods.replace(address, restarts=9)
    seen.answered("a:1", [3])
    seen.silent("b:1", seconds=9.0)

    assert not seen.is_over(FLEET)
    assert 0 == seen.ends(FLEET)


def test_a_pod_of_another_name_and_address_is_no_evidence() -> None:
    pods = Pods()
    seen = pods.detector(first_ring=FLEET)
    pods.now["d:1"] = replace(pods.now.pop("a:1"), address="d:1", name="digits-9", uid="uid-9", restarts=7)

    assert not seen.is_over(("b:1", "c:1", "d:1"))


def test_without_pods_the_answers_decide_alone() -> None:
    """The API of Kubernetes may give none from the beginning, or name a replica only later."""
    pods = Pods()
    known, pods.now = pods.now, {}
    seen = pods.detector(first_ring=FLEET)
    pods.now = known
    pods.restart("a:1")
    assert () == seen.reasons(FLEET), "when that was is not known"
    seen.lost("a:1")

    assert 1 == len(seen.reasons(FLEET))


def test_restarts_of_a_replica_that_did_not_answer_before_the_exposure_prove_nothing() -> None:
    pods = Pods()
    pods.now["d:1"] = replace(pods.now["a:1"], address="d:1", uid="uid-9")
    seen = pods.detector(first_ring=("d:1",))
    pods.restart("d:1", times=5)

    assert () == seen.reasons((*FLEET, "d:1"))
