"""How long a release and a roll-back take, next to what the servers' polling makes anybody wait.

    python -m bench.release [--polls 0.5 1.0] [--rounds 7] [--load-seconds 0.5] [--answer-ms 2] [--megabytes 16]

Three model servers in this process. Each round releases a version (publish, canary and promote, each in a context of
its own, as a scheduler starts them) and then rolls back from it to the one before, which is in memory. Both count from
the call of the first verb to the moment when the label of every replica answers from the new version, which a thread of
its own watches for; what the verbs do after that, until they return, is shown beside it.

The floor of a release is the sum of
    commit   a plain copy of the same files that is made durable, and one journal entry;
    polls    from the config that names the version until the last replica begins to load it: its next look at the
             config, then at the storage, then a turn of its loop of 0.1 s; and from the config that moves the label
             until the last replica's next look;
    load     the loader, called by itself.
The floor of a roll-back is the last replica's next look at the config, and one golden pass: the golden questions of the
canary, put to every replica. All of it is measured in the same round.
"""

import argparse
import base64
import json
import logging
import os
import random
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.approved import SPEC, approve
from bench.publishing import copy_durably, sync, write_model
from bench.watched_fleet import Moments, WatchedFleet
from pipeline import layout
from pipeline.context import RunContext, make_run_context
from pipeline.journal.state import resident
from pipeline.rules.rollback import RollbackRequest
from pipeline.run_verbs import RUN_VERBS, run_once
from pipeline.runs.records import GoldenAnswer, LabelledImage, ProbeSet
from pipeline.settings import Settings
from pipeline.spec import CanaryPolicy
from pipeline.storage.sums import FileSum, sum_of_file, sums_of
from pipeline.verbs.rollback import rollback
from serving.canary import question
from serving.grpc_replica import GrpcReplica
from serving.model_server.lifecycle.servable import ServableId
from serving.questions import Golden, Questions
from serving.replica import STABLE
from tests.fleet import LABELS, Classifier, load
from tests.releases import MODEL, NO_MLFLOW

REPLICAS = 3
SOURCE = "source"
VERBS = {verb.name: verb for verb in RUN_VERBS}


@dataclass(frozen=True)
class Model:
    """What is released again and again: files that load in so many seconds and answer in so many milliseconds."""

    folder: Path

    @classmethod
    def write(cls, folder: Path, *, megabytes: int, load_seconds: float, answer_ms: float) -> "Model":
        write_model(folder, megabytes=megabytes)
        settings = {"load_seconds": load_seconds, "milliseconds": answer_ms}
        (folder / "classifier.json").write_text(json.dumps(settings))
        return cls(folder)

    def bare_load(self) -> float:
        return timed(lambda: load(ServableId(MODEL, 0), str(self.folder)))


def timed(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def probes(policy: CanaryPolicy) -> ProbeSet:
    images = [f"{LABELS[number % len(LABELS)]} {number}".encode() for number in range(policy.golden + policy.fresh)]
    answers = [(image, *Classifier().answer(image)) for image in images]
    encoded = [base64.b64encode(image).decode() for image in images]
    return ProbeSet(
        golden=tuple(
            GoldenAnswer(image=text, label=label.decode(), probabilities=tuple(probabilities))
            for text, (_, probabilities, label) in zip(encoded[: policy.golden], answers, strict=False)
        ),
        fresh=tuple(
            LabelledImage(image=text, label=image[:1].decode())
            for text, image in list(zip(encoded, images, strict=True))[policy.golden :]
        ),
    )


class Place:
    """A bucket, its fleet, and what is measured on them."""

    def __init__(self, folder: Path, model: Model, moments: Moments, *, poll_seconds: float) -> None:
        self._bucket = folder / "bucket"
        self._model = model
        self._poll_seconds = poll_seconds
        self._files = sums_of(model.folder)
        self._probes = probes(SPEC.canary)
        self._runs = 0
        self._bucket.mkdir()
        self.context("init-0", replicas="127.0.0.1:9").rollout.settle(first=True)
        config = self._bucket / layout.config(MODEL)
        self.fleet = WatchedFleet(config, moments, count=REPLICAS, poll_seconds=poll_seconds)
        self.context("init-0").bucket.upload(model.folder, SOURCE)

    def context(self, run_key: str, *, replicas: str | None = None) -> RunContext:
        settings = Settings(
            root=str(self._bucket),
            replicas=replicas or ",".join(self.fleet.addresses),
            mlflow_url=NO_MLFLOW,
            config_poll_seconds=self._poll_seconds,
            actor="ann",
            code_version="benchmark",
        )
        return make_run_context(settings, model=MODEL, run_key=run_key)

    def approved(self) -> tuple[str, int]:
        """The key of a new run, and the version it will get."""
        self._runs += 1
        context = self.context(f"retrain-{self._runs}")
        approve(context, SOURCE, self._made_new(context.run_key), self._probes)
        return context.run_key, context.journal.read().state.next_version

    def _made_new(self, run_key: str) -> dict[str, FileSum]:
        """The files, one of them changed, because the model that serves is not released again."""
        changed = self._bucket / SOURCE / "assets/labels.txt"
        changed.unlink()
        changed.write_text(run_key)
        return self._files | {"assets/labels.txt": sum_of_file(changed)}

    def rest(self) -> None:
        """Until the fleet has nothing left to do, and then until some moment between two polls."""
        context = self.context("look-0")
        for version in resident(context.journal.read().state):
            context.wait.loaded(version)
        os.sync()
        time.sleep(random.random() * self._poll_seconds)  # noqa: S311 - chance is all that is asked of it

    def commit(self) -> float:
        """A plain durable copy of the files, and one entry."""
        entry = self._bucket.parent / "entry"
        start = time.perf_counter()
        copy_durably(self._bucket / SOURCE, self._bucket / "copy")
        entry.write_bytes(bytes(500))
        sync(entry)
        sync(entry.parent)
        seconds = time.perf_counter() - start
        shutil.rmtree(self._bucket / "copy")
        return seconds

    def golden_pass(self, version: int) -> float:
        golden = [Golden(base64.b64decode(g.image), g.label, g.probabilities) for g in self._probes.golden]
        questions = Questions(
            model=MODEL,
            version=version,
            serving=None,
            golden=golden,
            fresh=[],
            labels=LABELS,
            tolerance=0.0,
            latency_rounds=0,
        )

        def ask() -> None:
            for address in self.fleet.addresses:
                with GrpcReplica(address, timeout=5.0) as replica:
                    assert not question(replica, questions).problem

        return timed(ask)

    def release(self) -> dict[str, float]:
        """Seconds of one release, of what its floor is made of, and of where the rest went."""
        run_key, version = self.approved()
        commit, bare_load = self.commit(), self._model.bare_load()
        self.rest()
        start = time.perf_counter()
        run_once(VERBS["publish"], self.context(run_key))
        published = time.perf_counter()
        run_once(VERBS["canary"], self.context(run_key))
        proven = time.perf_counter()
        answering = self.fleet.answering(MODEL, STABLE, version)
        run_once(VERBS["promote"], self.context(run_key))
        returned = time.perf_counter()
        served = answering.result()
        exposed = [moment for moment in self.fleet.config_writes(after=published) if moment < proven][-1]
        moved = self.fleet.config_writes(after=proven)[0]
        looked, loading = self.fleet.last_look(after=moved), self.fleet.last_load(version)
        named = self.fleet.last_look(after=exposed)
        return {
            "all": served - start,
            "floor": commit + (loading - exposed) + bare_load + (looked - moved),
            "floor with one look": commit + (named - exposed) + bare_load,
            "commit": commit,
            "first config: looks": named - exposed,
            "storage: look and turn": loading - named,
            "bare load": bare_load,
            "second config: looks": looked - moved,
            "publish": published - start,
            "canary until its config": exposed - published,
            "canary after the load": proven - loading - bare_load,
            "promote until its config": moved - proven,
            "answers after the last look": served - looked,
            "promote returns after": returned - served,
        }

    def roll_back(self) -> dict[str, float]:
        """The same of a roll-back to the version before."""
        self._runs += 1
        context = self.context(f"rollback-{self._runs}")
        history = context.journal.read()
        target = history.state.previous
        assert target is not None
        golden = self.golden_pass(target)
        self.rest()
        answering = self.fleet.answering(MODEL, STABLE, target)
        start = time.perf_counter()
        rollback(context, RollbackRequest(context.run_key, "previous", "it is bad", history.seq))
        returned = time.perf_counter()
        served = answering.result()
        moved = self.fleet.config_writes(after=start)[0]
        looked = self.fleet.last_look(after=moved)
        return {
            "all": served - start,
            "floor": (looked - moved) + golden,
            "config: looks": looked - moved,
            "golden pass": golden,
            "until its config": moved - start,
            "answers after the last look": served - looked,
            "returns after": returned - served,
        }


def report(what: str, rounds: Sequence[Mapping[str, float]], floors: Sequence[str]) -> None:
    lines = []
    for floor in floors:
        ratio = statistics.median(each["all"] / each[floor] for each in rounds)
        ours, least = median(rounds, "all"), median(rounds, floor)
        lines.append(
            f"{what}: {ours:.2f} s, {floor} {least:.2f} s: median ratio {ratio:.2f}, of the medians {ours / least:.2f}"
        )
    others = [name for name in rounds[0] if name not in ("all", *floors)]
    lines += [f"    {name:28} {median(rounds, name) * 1000:6.0f} ms" for name in others]
    print("\n".join(lines))  # noqa: T201


def median(rounds: Sequence[Mapping[str, float]], name: str) -> float:
    return statistics.median(each[name] for each in rounds)


def measure(folder: Path, model: Model, moments: Moments, *, poll_seconds: float, rounds: int) -> None:
    place = Place(folder, model, moments, poll_seconds=poll_seconds)
    place.fleet.start()
    try:
        place.release()
        releases, roll_backs = [], []
        for _ in range(rounds):
            releases.append(place.release())
            roll_backs.append(place.roll_back())
    finally:
        place.fleet.stop()
    report(f"polls every {poll_seconds:g} s, released and served", releases, ["floor", "floor with one look"])
    report(f"polls every {poll_seconds:g} s, rolled back", roll_backs, ["floor"])


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.release")
    parser.add_argument("--polls", type=float, nargs="+", default=[0.5, 1.0])
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--load-seconds", type=float, default=0.5)
    parser.add_argument("--answer-ms", type=float, default=2.0)
    parser.add_argument("--megabytes", type=int, default=16)
    parser.add_argument("--folder", type=Path, default=Path("var/bench/release"))
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    logging.disable(logging.WARNING)
    moments = Moments()
    for poll_seconds in options.polls:
        with tempfile.TemporaryDirectory(dir=options.folder) as name:
            folder = Path(name).absolute()
            model = Model.write(
                folder / "model",
                megabytes=options.megabytes,
                load_seconds=options.load_seconds,
                answer_ms=options.answer_ms,
            )
            measure(folder, model, moments, poll_seconds=poll_seconds, rounds=options.rounds)


if __name__ == "__main__":
    main()
