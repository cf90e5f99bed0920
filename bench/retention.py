"""What it costs to delete thousands of versions, in time and memory, next to what nobody can avoid.

    python -m bench.retention [--rounds 3] [--versions 10000] [--folder var/bench/retention]

Each round makes a local bucket in which so many versions have been released one after the other (five journal entries
each, a folder of two small files and a run with a record), and a checkpoint of the journal. In it take turns: reading
the journal, which every verb must; `retain --dry-run`; `retain` itself; and `shutil.rmtree` of as many folders, one
after the other, which promises nothing to whoever looks on. Each turn has a process of its own, and the memory is what
its peak adds to what the process began with.
"""

import argparse
import logging
import multiprocessing
import os
import resource
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NamedTuple

from pipeline import layout
from pipeline.context import RunContext, make_run_context
from pipeline.journal import state as transitions
from pipeline.journal.entries import Change, Entry, Event
from pipeline.journal.state import State
from pipeline.settings import Settings
from pipeline.spec import RetentionPolicy
from pipeline.verbs.retain import retain
from pipeline.verdicts.verdict import Decision, Verdict
from tests.releases import MODEL, NO_MLFLOW

POLICY = RetentionPolicy()
PASS = Verdict(decision=Decision.PASS, reasons=("good",))
FORK = multiprocessing.get_context("fork")
LONG_AGO = datetime.now(UTC) - timedelta(days=365)


class Cost(NamedTuple):
    """Seconds, and memory in MB."""

    seconds: float
    memory: float


def history(versions: int) -> Iterator[Entry]:
    """The entries of so many releases that went well, as the verbs of a run write them."""
    state = State()
    seq = 0
    for version in range(1, versions + 1):
        for event in (Event.CLAIMED, Event.PUBLISHED, Event.EXPOSED, Event.PROMOTED, Event.CONFIRMED):
            seq += 1
            state = after(state, event, version)
            yield Entry(
                seq=seq,
                at=LONG_AGO + timedelta(seconds=seq),
                event=event,
                version=version,
                run_key=f"retrain-{version}",
                actor="ann",
                reason="proven on every replica",
                verdict=PASS if event in (Event.CLAIMED, Event.PROMOTED) else None,
                manifest="0" * 64 if event is Event.PUBLISHED else None,
                state=state,
            )


def after(state: State, event: Event, version: int) -> State:
    if event is Event.CLAIMED:
        return transitions.claim(state)
    if event is Event.EXPOSED:
        return transitions.expose(state, version)
    return transitions.promote(state) if event is Event.PROMOTED else state


def make_bucket(bucket: Path, versions: int) -> None:
    """Written without the care of a bucket, which is not what is measured."""
    (bucket / layout.journal(MODEL)).mkdir(parents=True)
    for entry in history(versions):
        (bucket / layout.entry(MODEL, entry.seq)).write_text(entry.model_dump_json(indent=1), encoding="utf-8")
    for version in range(1, versions + 1):
        make_folder(bucket / layout.version(MODEL, version))
        record = bucket / layout.record(MODEL, f"retrain-{version}", "gate")
        record.parent.mkdir(parents=True)
        record.write_bytes(b"{}")
    journal = context_of(bucket, "freeze-1").journal
    journal.decide(lambda known: Change(Event.FROZEN, versions, "a reason for a checkpoint", known.state))
    journal.write_checkpoint()


def make_folder(folder: Path) -> None:
    (folder / "variables").mkdir(parents=True)
    (folder / "variables" / "variables.index").write_bytes(b"")
    (folder / "saved_model.pb").write_bytes(b"")


def context_of(bucket: Path, run_key: str) -> RunContext:
    return make_run_context(Settings(root=str(bucket), mlflow_url=NO_MLFLOW, actor="ann"), model=MODEL, run_key=run_key)


def turns(bucket: Path, apart: Path, number: int) -> Mapping[str, Callable[[], object]]:
    """What is measured. The first two leave everything as it is, and so may take turns in any order."""

    def remove_plainly() -> None:
        for folder in apart.iterdir():
            shutil.rmtree(folder)

    def read() -> None:
        context_of(bucket, "look-1").journal.read()

    def dry() -> None:
        retain(context_of(bucket, f"retain-{number}"), POLICY, dry_run=True)

    def real() -> None:
        retain(context_of(bucket, f"retain-{number}"), POLICY, dry_run=False)

    readers = {"read the journal": read, "retain --dry-run": dry}
    removers = {"rmtree": remove_plainly, "retain": real}
    if number % 2:
        return readers | removers
    return dict(reversed(readers.items())) | dict(reversed(removers.items()))


def measured(turn: Callable[[], object]) -> Cost:
    """What a turn costs in a process of its own."""
    receiver, sender = FORK.Pipe(duplex=False)

    def run() -> None:
        before, start = peak(), time.perf_counter()
        turn()
        sender.send(Cost(time.perf_counter() - start, peak() - before))

    child = FORK.Process(target=run)
    child.start()
    sender.close()
    cost: Cost = receiver.recv()
    child.join()
    return cost


def peak() -> float:
    """The most memory that this process has had, in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def measure(folder: Path, versions: int, number: int) -> dict[str, Cost]:
    """One round, in a bucket of its own."""
    bucket, apart = folder / f"bucket-{number}", folder / f"apart-{number}"
    make_bucket(bucket, versions)
    going = versions - 1 - POLICY.keep  # what serves stays, and so many before it
    for each in range(going):
        make_folder(apart / str(each))
    costs = {}
    for name, turn in turns(bucket, apart, number).items():
        os.sync()
        costs[name] = measured(turn)
    left = len(list((bucket / layout.versions(MODEL)).iterdir()))
    assert left == versions - going, f"{left} versions are left"
    shutil.rmtree(bucket)
    return costs


def report(rounds: list[dict[str, Cost]], versions: int) -> None:
    medians = {name: statistics.median(each[name].seconds for each in rounds) for name in rounds[0]}
    memory = {name: max(each[name].memory for each in rounds) for name in rounds[0]}
    read, plain = medians["read the journal"], medians["rmtree"]
    baselines = {"retain --dry-run": [("reading", read)], "retain": [("reading", read), ("rmtree", plain)]}
    baselines["retain"].append(("both", read + plain))
    print(f"{versions} versions, median of {len(rounds)} rounds")  # noqa: T201
    for name in ("read the journal", "rmtree", "retain --dry-run", "retain"):
        ratios = "".join(f"   / {what} {medians[name] / base:.2f}" for what, base in baselines.get(name, []))
        print(f"{name:18} {medians[name]:7.2f} s   + {memory[name]:4.0f} MB{ratios}")  # noqa: T201


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.retention")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--versions", type=int, default=10_000)
    parser.add_argument("--folder", type=Path, default=Path("var/bench/retention"))
    options = parser.parse_args()
    logging.getLogger("pipeline").setLevel(logging.ERROR)
    options.folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=options.folder) as name:
        rounds = [measure(Path(name), options.versions, number) for number in range(1, options.rounds + 1)]
    report(rounds, options.versions)


if __name__ == "__main__":
    main()
