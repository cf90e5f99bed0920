"""What a canary and a wait cost over 500 replicas, next to one, and what three silent replicas add.

    python -m bench.many_replicas [--rounds 3] [--replicas 500] [--concurrency 16] [--answer 20]

One process listens on as many ports, by real gRPC, and takes `--answer` milliseconds for a prediction. The canary is
what its strategy does once the servers have loaded the version: wait for all, question each one, wait again. In each
round all contestants take turns. Memory is what this process has gained, measured after a first wait over one replica.
"""

import argparse
import statistics
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from pipeline.clock import SystemClock
from pipeline.rollout.asking import Asking
from pipeline.rollout.wait_result import ReplicaState
from pipeline.rollout.waiting import Goal, wait_for
from pipeline.rollout.workers import Threads
from serving.canary import question
from serving.fleet.fleet import Fleet, parse_fleet
from serving.questions import Golden, Labelled, Questions, ReplicaReport
from serving.replica import Replica
from tests.fleet import LABELS, Classifier
from tests.many_ports import black_holes, many_servers

MODEL = "digits"
IMAGES = [f"{number} image".encode() for number in range(len(LABELS))]
SILENT = 3
RPC_SECONDS = 5.0


def questions() -> Questions:
    answers = [Classifier().answer(image) for image in IMAGES]
    golden = [
        Golden(image, label.decode(), tuple(probabilities))
        for image, (probabilities, label) in zip(IMAGES, answers, strict=True)
    ]
    fresh = [Labelled(each.image, each.label) for each in golden]
    return Questions(
        model=MODEL,
        version=1,
        serving=None,
        golden=golden,
        fresh=fresh,
        labels=LABELS,
        tolerance=0.001,
        latency_rounds=10,
        serving_labels=(),
        serving_knows_fresh=False,
    )


def look(replica: Replica) -> ReplicaState:
    status = replica.status(MODEL, 1)
    return ReplicaState(replica.address, ready=bool(status and status.available), message="v1")


def wait(addresses: Sequence[str], concurrency: int, *, ready: int | None = None) -> float:
    """The seconds until all are ready in two looks; with `ready` until so many are."""
    start = time.perf_counter()
    enough = (lambda found: len(found) >= ready) if ready else None
    goal = Goal(action="load v1", look=look, deadline=120.0, grace=240.0, wanted=lambda: True, enough=enough)
    workers = Threads(concurrency)
    result = wait_for(goal, fleet=_fleet(addresses), rpc_seconds=RPC_SECONDS, clock=SystemClock(), workers=workers)
    assert len(result.ready) == (ready or len(addresses)), str(result)
    return time.perf_counter() - start


def canary(addresses: Sequence[str], concurrency: int) -> float:
    start = time.perf_counter()
    wait(addresses, concurrency)
    ask = partial(question, questions=questions())
    workers = Threads(concurrency)
    with Asking[ReplicaReport](
        _fleet(addresses), rpc_seconds=RPC_SECONDS, clock=SystemClock(), workers=workers
    ) as asking:
        for address in addresses:
            asking.ask(address, ask)
        reports = [reply.answer for reply in asking.replies()]
    assert not any(report.problem or report.golden_wrong for report in reports), "a replica has answered otherwise"
    wait(addresses, concurrency)
    return time.perf_counter() - start


def _fleet(addresses: Sequence[str]) -> Fleet:
    return parse_fleet(",".join(addresses))


def _megabytes() -> float:
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmRSS:")[2].split()[0]) / 1024


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.many_replicas")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--replicas", type=int, default=500)
    parser.add_argument("--concurrency", type=int, default=16)
    parser.add_argument("--answer", type=float, default=20.0, help="milliseconds that a prediction takes")
    options = parser.parse_args()
    count, concurrency = options.replicas, options.concurrency
    with many_servers(count, milliseconds=options.answer) as addresses, black_holes(SILENT) as silent:
        wait(addresses[:1], concurrency)
        before = _megabytes()
        wait(addresses[:1], concurrency)
        one = _megabytes() - before
        wait(addresses, concurrency)
        many = _megabytes() - before
        contestants: dict[str, Callable[[], float]] = {
            "one": lambda: canary(addresses[:1], concurrency),
            "many": lambda: canary(addresses, concurrency),
            "answering": lambda: wait(addresses, concurrency, ready=count),
            "silent": lambda: wait([*silent, *addresses], concurrency, ready=count),
        }
        found: dict[str, list[float]] = {name: [] for name in contestants}
        for _ in range(options.rounds):
            for name, contestant in contestants.items():
                found[name].append(contestant())
    median = {name: statistics.median(seconds) for name, seconds in found.items()}
    floor = count / concurrency * median["one"]
    print(f"canary of one {median['one']:.2f} s, of {count} {median['many']:.2f} s")  # noqa: T201
    print(f"of {count} / ({count} / {concurrency}) x of one: {median['many'] / floor:.2f}")  # noqa: T201
    print(f"memory of a wait: one {one:.1f} MB more, {count} {many:.1f} MB more")  # noqa: T201
    print(  # noqa: T201
        f"until {count} are ready: {median['answering']:.2f} s, beside {SILENT} silent ones {median['silent']:.2f} s: "
        f"ratio {median['silent'] / median['answering']:.2f}"
    )


if __name__ == "__main__":
    main()
