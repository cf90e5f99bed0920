"""Histories of a fleet as hypothesis makes them up: releases, roll-backs, crashes, doubles, servers that misbehave."""

from typing import ClassVar

from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, precondition, rule

from pipeline.deployment import RolloutName
from tests.protocol.world import REPLICAS, Fate, Interruption, World

STEPS = ("publish", "canary", "promote", "withdraw")
STEP = st.sampled_from(STEPS)
FATE = st.sampled_from(Fate)
PERHAPS = st.one_of(st.none(), FATE)
# No verb has more side effects than this, and most have them all within the first few.
AT = st.one_of(st.integers(1, 5), st.integers(1, 14))
TO = st.one_of(st.just("previous"), st.integers(1, 4).map(str))
GOOD = st.sampled_from([True, True, True, False])
# The first replica is the first ring, where there is one.
REPLICA = st.sampled_from([0, 0, *range(1, REPLICAS)])
HARM = st.sampled_from(["dies at its load", "dies at an answer", "hangs at its load"])

# What a person asked for: the run key, the target, and the last journal entry they had seen.
Asked = tuple[str, str, int]


class Fleet(RuleBasedStateMachine):
    """One model's life. Every act ends with the checks that hold at any time; `teardown` brings the fleet to rest."""

    rollout: ClassVar[RolloutName] = "pinned"
    first_ring: ClassVar[bool] = False
    runs = Bundle("runs")
    requests = Bundle("requests")

    @initialize(target=runs, released=st.integers(0, 3))
    def begin(self, released: int) -> str:
        self.world = World(self.rollout, first_ring=self.first_ring)
        self.copies = [self.world.bucket.copied()]
        for _ in range(released):
            key = self._approved(good=True)
            assert self.world.release(key) == "done"
        return self._approved(good=True)

    # Releases.

    @rule(target=runs, good=GOOD, steps=st.integers(0, 3))
    def new_run(self, good: bool, steps: int) -> str:
        key = self._approved(good=good)
        for step in STEPS[:steps]:
            self.world.verb(step, key)
        self.check()
        return key

    @rule(target=runs, good=GOOD, steps=st.integers(1, 3), at=AT, fate=FATE)
    def new_run_cut_off(self, good: bool, steps: int, at: int, fate: Fate) -> str:
        """The last of its steps does not end as it should; it may be tried again, or never."""
        key = self._approved(good=good)
        for step in STEPS[: steps - 1]:
            self.world.verb(step, key)
        self.world.verb(STEPS[steps - 1], key, Interruption(at, fate))
        self.check()
        return key

    @rule(target=runs, number=REPLICA, harm=HARM, answer=st.integers(1, 8), steps=st.integers(1, 3))
    def new_run_that_harms_a_replica(self, number: int, harm: str, answer: int, steps: int) -> str:
        key = self._approved(good=True)
        self.world.verb("publish", key)
        version = self.world.history().version_of(key)
        faults = self.world.replicas[number].faults
        if version is not None and harm == "dies at its load":
            faults.deadly.add(version)
        elif version is not None and harm == "dies at an answer":
            faults.deadly_answers[version] = answer
        elif version is not None:
            faults.hangs.add(version)
        for step in STEPS[1:steps]:
            self.world.verb(step, key)
        self.check()
        return key

    @rule(target=runs, run=runs, steps=st.integers(2, 3))
    def same_model_again(self, run: str, steps: int) -> str:
        """A new run with the model of an earlier one that never served."""
        history, key = self.world.history(), self.world.new_key("retrain")
        version = history.version_of(run)
        again = version is not None and not history.has_served(version)
        self.world.approve(key, same_as=run if again else None)
        for step in STEPS[:steps]:
            self.world.verb(step, key)
        self.check()
        return key

    @rule(run=runs)
    def release(self, run: str) -> None:
        self.world.release(run)
        self.check()

    @rule(run=runs, step=STEP)
    def step(self, run: str, step: str) -> None:
        self.world.verb(step, run)
        self.check()

    @rule(run=runs, step=STEP, at=AT, fate=FATE)
    def step_cut_off(self, run: str, step: str, at: int, fate: Fate) -> None:
        self.world.verb(step, run, Interruption(at, fate))
        self.check()

    # Two at once: the other acts from beginning to end in front of one side effect of the first.

    @rule(run=runs, step=STEP, at=AT, fate=PERHAPS)
    def zombie_and_retry(self, run: str, step: str, at: int, fate: Fate | None) -> None:
        self.world.verb(step, run, Interruption(at, fate, lambda: self.world.verb(step, run)))
        self.check()

    @rule(other=runs, steps=st.tuples(STEP, STEP), at=AT, fate=PERHAPS)
    def two_runs(self, other: str, steps: tuple[str, str], at: int, fate: Fate | None) -> None:
        key = self._approved(good=True)
        step, other_step = steps
        for before in STEPS[: STEPS.index(step)]:
            self.world.verb(before, key)
        self.world.verb(step, key, Interruption(at, fate, lambda: self.world.verb(other_step, other)))
        self.check()

    @rule(run=runs, step=STEP, to=TO, at=AT, fate=PERHAPS)
    def roll_back_during_a_step(self, run: str, step: str, to: str, at: int, fate: Fate | None) -> None:
        self.world.verb(step, run, Interruption(at, fate, lambda: self._ask(to)))
        self.check()

    @rule(run=runs, to=TO, step=STEP, at=AT, fate=PERHAPS)
    def step_during_a_roll_back(self, run: str, to: str, step: str, at: int, fate: Fate | None) -> None:
        self._ask(to, Interruption(at, fate, lambda: self.world.verb(step, run)))
        self.check()

    @rule(to=TO, other=TO, at=AT, fate=PERHAPS)
    def two_on_call(self, to: str, other: str, at: int, fate: Fate | None) -> None:
        self._ask(to, Interruption(at, fate, lambda: self._ask(other)))
        self.check()

    @rule(run=runs, step=STEP, at=AT, fate=PERHAPS)
    def reconcile_during_a_step(self, run: str, step: str, at: int, fate: Fate | None) -> None:
        self.world.verb(step, run, Interruption(at, fate, self.world.reconcile))
        self.check()

    # Roll-backs.

    @rule(target=requests, to=TO)
    def roll_back(self, to: str) -> Asked:
        asked = self._ask(to)
        self.check()
        return asked

    @rule(target=requests, to=TO, at=AT, fate=FATE)
    def roll_back_cut_off(self, to: str, at: int, fate: Fate) -> Asked:
        asked = self._ask(to, Interruption(at, fate))
        self.check()
        return asked

    @rule(asked=requests)
    def roll_back_again(self, asked: Asked) -> None:
        key, to, seen = asked
        self.world.roll_back(to, run_key=key, seen=seen)
        self.check()

    @rule(at=AT, fate=FATE)
    def reconcile_cut_off(self, at: int, fate: Fate) -> None:
        self.world.reconcile(Interruption(at, fate))
        self.check()

    # The world around.

    @rule(number=REPLICA, what=st.sampled_from(["restart", "stop", "sleep", "wake"]))
    def replica(self, number: int, what: str) -> None:
        getattr(self.world.replicas[number], what)()
        self.check()

    @rule(number=REPLICA, version=st.integers(1, 6))
    def replica_cannot_load(self, number: int, version: int) -> None:
        self.world.replicas[number].broken.add(version)

    @rule(number=REPLICA, version=st.integers(1, 6))
    def replica_ends_when_it_loads(self, number: int, version: int) -> None:
        self.world.replicas[number].deadly.add(version)

    @rule()
    def mlflow_goes_or_comes(self) -> None:
        self.world.mlflow.down = not self.world.mlflow.down

    @rule(seconds=st.sampled_from([0.3, 1.0, 5.0, 61.0]))
    def time_passes(self, seconds: float) -> None:
        self.world.clock.sleep(seconds)
        self.check()

    @precondition(lambda self: not self.first_ring)
    @rule(back=st.integers(1, 3))
    def journal_loses_its_end(self, back: int) -> None:
        """A person restores an older copy of the bucket: later entries have the numbers of lost ones."""
        copy = self.copies[max(0, len(self.copies) - 1 - back)]
        self.world.lose_the_end(copy)
        self.check()

    def check(self) -> None:
        self.copies.append(self.world.bucket.copied())
        self.world.watch.after_act(self.world.answering())

    def teardown(self) -> None:
        if not self.world.watch.broken:
            self.world.come_to_rest()

    def _approved(self, *, good: bool) -> str:
        key = self.world.new_key("retrain")
        self.world.approve(key, shift=0 if good else 1)
        return key

    def _ask(self, to: str, interruption: Interruption | None = None) -> Asked:
        asked = self.world.new_key("rollback"), to, self.world.history().seq
        self.world.roll_back(to, run_key=asked[0], seen=asked[2], interruption=interruption)
        return asked


class LatestFleet(Fleet):
    """The same with servers that poll the base path."""

    rollout = "latest"


class RingFleet(Fleet):
    """A fleet with a first ring of one replica."""

    first_ring = True


class LatestRingFleet(RingFleet):
    """The same with servers that poll the base path."""

    rollout = "latest"
