"""What a first ring adds to a release: the same release by a fleet with a first ring, and by one without.

    python -m bench.first_ring [--poll 1.0] [--rounds 7] [--load-seconds 0.5] [--answer-ms 2] [--soaks 0 1]

Fleets of three model servers in this process, one fleet without a first ring and one for each soak with one, take turns
at releases as `bench.release` makes them: from the call of `publish` to the moment when every replica answers from the
new version. What a ring adds is the difference to the release of the same round without one. Its floor is measured in
the same round, too:
    polls    from the config that names the version for the first ring until its replica begins to load: its next look
             at the config, then at the storage, then a turn of its loop of 0.1 s;
    load     the loader, called by itself;
    soak     as set.
Beyond the floor, the first ring is asked all questions of the canary, and after a soak again.
"""

import argparse
import logging
import statistics
import tempfile
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

from bench.release import Model, Place
from bench.watched_fleet import Moments, WatchedReplica
from pipeline import layout
from pipeline.deployment import Deployment
from pipeline.fleets.fleet_records import FleetRecord, FleetRecords
from pipeline.fleets.fleet_spec import FleetSpec, ReplicaGroup
from tests.releases import MODEL

_FIRST, _OTHERS = "first", "rest"


class RingPlace(Place):
    """A bucket and its fleet, of which the first replica is the first ring."""

    def __init__(
        self, folder: Path, model: Model, moments: Moments, *, poll_seconds: float, soak_seconds: float
    ) -> None:
        super().__init__(folder, model, moments, poll_seconds=poll_seconds)
        config = folder / "bucket" / layout.first_ring_config(MODEL)
        self._ring = WatchedReplica(config, moments, poll_seconds=poll_seconds)
        self._ring_writes = moments.replaced[str(config)]
        self.fleet.replicas[0] = self._ring
        self._soak_seconds = soak_seconds
        self._record()
        self.context("init-1").rollout.settle(first=True)

    def _record(self) -> None:
        context, (first, *others) = self.context("init-1"), self.fleet.addresses
        said = {name: getattr(context.settings, name) for name in Deployment.model_fields}
        groups = {_FIRST: first, _OTHERS: ",".join(others)}
        fleet = FleetSpec(
            **said | {"soak_seconds": self._soak_seconds},
            groups={name: ReplicaGroup.model_validate({"replicas": each}) for name, each in groups.items()},
            first_ring=_FIRST,
        )
        record = FleetRecord(number=1, at=datetime.now(UTC), actor="ann", reason="a benchmark", fleet=fleet)
        assert FleetRecords(context.bucket, MODEL).create(record)

    def release(self) -> dict[str, float]:
        """Seconds of one release, and of the floor of what the ring adds to it."""
        written = len(self._ring_writes)
        seconds = super().release()
        version = self.context("look-0").journal.read().state.serving
        assert version is not None
        polls = self._ring.began_to_load(version) - self._ring_writes[written]
        return seconds | {"ring: polls": polls, "ring: floor": polls + seconds["bare load"] + self._soak_seconds}


def report(soak: float, pairs: Sequence[tuple[Mapping[str, float], Mapping[str, float]]], poll: float) -> None:
    without, added, floor, polls, load = (
        statistics.median(each)
        for each in (
            [bare["all"] for bare, _ in pairs],
            [ring["all"] - bare["all"] for bare, ring in pairs],
            [ring["ring: floor"] for _, ring in pairs],
            [ring["ring: polls"] for _, ring in pairs],
            [ring["bare load"] for _, ring in pairs],
        )
    )
    print(  # noqa: T201
        f"soak {soak:g} s: a release without a ring {without:.2f} s, with one {added:.2f} s more; floor {floor:.2f} s "
        f"(polls {polls:.2f} s, load {load:.2f} s, soak {soak:g} s): ratio {added / floor:.2f}; "
        f"beyond load and soak {(added - load - soak) / poll:.2f} polls of {poll:g} s"
    )


def measure(folder: Path, model: Model, options: argparse.Namespace) -> None:
    moments, poll = Moments(), options.poll
    bare = Place(_made(folder / "without"), model, moments, poll_seconds=poll)
    rings = {
        soak: RingPlace(_made(folder / f"soak-{soak:g}"), model, moments, poll_seconds=poll, soak_seconds=soak)
        for soak in options.soaks
    }
    places = [bare, *rings.values()]
    found: dict[float, list[tuple[Mapping[str, float], Mapping[str, float]]]] = {soak: [] for soak in rings}
    for place in places:
        place.fleet.start()
    try:
        for place in places:
            place.release()
        for _ in range(options.rounds):
            without = bare.release()
            for soak, place in rings.items():
                found[soak].append((without, place.release()))
    finally:
        for place in places:
            place.fleet.stop()
    for soak, pairs in found.items():
        report(soak, pairs, poll)


def _made(folder: Path) -> Path:
    folder.mkdir()
    return folder


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.first_ring", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--poll", type=float, default=1.0)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--load-seconds", type=float, default=0.5)
    parser.add_argument("--answer-ms", type=float, default=2.0)
    parser.add_argument("--megabytes", type=int, default=16)
    parser.add_argument("--soaks", type=float, nargs="+", default=[0.0, 1.0])
    parser.add_argument("--folder", type=Path, default=Path("var/bench/first_ring"))
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    logging.disable(logging.WARNING)
    with tempfile.TemporaryDirectory(dir=options.folder) as name:
        folder = Path(name).absolute()
        model = Model.write(
            folder / "model",
            megabytes=options.megabytes,
            load_seconds=options.load_seconds,
            answer_ms=options.answer_ms,
        )
        measure(folder, model, options)


if __name__ == "__main__":
    main()
