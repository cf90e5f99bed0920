"""Journals that are made up: the real rules, asked for anything at any time, on entries in memory."""

import hashlib
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial

from hypothesis import strategies as st

from pipeline.errors import UnderstudyError
from pipeline.journal.entries import Entry
from pipeline.journal.folding import Summed, folded
from pipeline.journal.history import History, Rule
from pipeline.journal.past import Past, beginning
from pipeline.journal.state import resident
from pipeline.rules import holds, readmission, retention, rollback
from pipeline.rules import run as run_rules
from pipeline.rules.retention import RetentionLimits, StoredVersions
from pipeline.rules.rollback import RollbackRequest
from pipeline.spec import RetentionPolicy
from pipeline.verdicts.verdict import Decision, Verdict

PASS = Verdict(decision=Decision.PASS, reasons=("good",))
FAIL = Verdict(decision=Decision.FAIL, reasons=("a server has ended",))
BEGAN = datetime(2026, 1, 1, tzinfo=UTC)
HOUR = 3600.0
# So few that trainings repeat a model, and None: an entry that was written before there were digests.
DIGESTS = (None, "a" * 64, "b" * 64, "c" * 64)


@dataclass(frozen=True)
class Step:
    """What somebody asks for, and two numbers that choose its versions and options."""

    what: str
    a: int
    b: int


def summed(entries: Sequence[Entry]) -> list[Summed]:
    """Each entry with the SHA-256 of its bytes as they are stored."""
    return [(each, hashlib.sha256(each.model_dump_json(indent=1).encode()).hexdigest()) for each in entries]


@dataclass
class Kept:
    """The source of a past whose entries are all in memory."""

    all: Sequence[Entry]

    def entries(self, numbers: Sequence[int]) -> Sequence[Entry]:
        assert all(1 <= seq <= len(self.all) for seq in numbers), f"not all of {numbers} exist"
        return [self.all[seq - 1] for seq in numbers]

    def until(self, seq: int) -> History:
        return History(tuple(self.all[:seq]))

    def rebuilt(self, seq: int) -> Past:
        return folded(beginning(self), summed(self.all[:seq]))

    def split(self, seq: int) -> History:
        """The whole journal, of which the entries up to one are known by their facts alone."""
        return History(tuple(self.all[seq:]), self.rebuilt(seq))


@dataclass
class Made:
    """A journal that grows by what is asked for, where the rules allow it."""

    entries: list[Entry] = field(default_factory=list)
    now: datetime = BEGAN

    @property
    def history(self) -> History:
        return History(tuple(self.entries))

    def write(self, run_key: str, rule: Rule) -> bool:
        """Append what a rule returns; whether it returned something."""
        change = rule(self.history)
        if change is not None:
            seq = len(self.entries) + 1
            self.entries.append(Entry(seq=seq, at=self.now, run_key=run_key, actor="ann", **vars(change)))
        return change is not None

    def do(self, number: int, step: Step) -> None:
        """A step, as far as the rules allow it. `number` makes the keys of new runs."""
        self.now += timedelta(seconds=1)
        with suppress(UnderstudyError):
            STEPS[step.what](self, number, step)

    def limits(self, *, keep: int = 1) -> RetentionLimits:
        return RetentionLimits(RetentionPolicy(keep=keep, days=0), self.now + timedelta(days=1), HOUR)


def made(steps: Sequence[Step]) -> list[Entry]:
    """The entries that these steps leave."""
    journal = Made()
    for number, step in enumerate(steps, start=1):
        journal.do(number, step)
    return journal.entries


def _claim(journal: Made, number: int, step: Step) -> int:
    key, serving = f"retrain-{number}", journal.history.state.serving
    digest = DIGESTS[step.a % len(DIGESTS)] if step.b % 2 else f"{number:064x}"
    rule = partial(run_rules.claim, run_key=key, compared_with=serving, reason="good", verdict=PASS, digest=digest)
    journal.write(key, rule)
    version = journal.history.version_of(key)
    assert version is not None
    return version


def _publish(journal: Made, number: int, step: Step) -> int:
    version = _claim(journal, number, step)
    journal.write(f"retrain-{number}", partial(run_rules.announce_published, version=version, manifest="m"))
    return version


def _expose(journal: Made, number: int, step: Step) -> int:
    version, serving = _publish(journal, number, step), journal.history.state.serving
    ring = step.b % 3 == 0
    expose = partial(run_rules.expose, version=version, compared_with=serving, first_ring_only=ring)
    journal.write(f"retrain-{number}", expose)
    if ring:
        everywhere = partial(run_rules.expose_everywhere, version=version, compared_with=serving, verdict=PASS)
        journal.write(f"retrain-{number}", everywhere)
    return version


def _promote(journal: Made, number: int, step: Step) -> int:
    version, serving = _expose(journal, number, step), journal.history.state.serving
    promote = partial(run_rules.promote, version=version, compared_with=serving, verdict=PASS)
    journal.write(f"retrain-{number}", promote)
    return version


def _release(journal: Made, number: int, step: Step) -> None:
    version = _promote(journal, number, step)
    journal.write(f"retrain-{number}", partial(run_rules.confirm, version=version))


def _withdraw(journal: Made, number: int, step: Step) -> None:
    version = _expose(journal, number, step)
    key = f"retrain-{number}"
    journal.write(key, partial(run_rules.withdraw, version=version, run_key=key, reason="bad", verdict=FAIL))


def _harm(journal: Made, number: int, step: Step) -> None:
    version = _expose(journal, number, step)
    journal.write(f"retrain-{number}", partial(run_rules.decline_harmful, version=version, verdict=FAIL))


def _decline(journal: Made, number: int, step: Step) -> None:
    version = _expose(journal, number, step)
    key = f"retrain-{number}"
    journal.write(key, partial(run_rules.decline_candidate, version=version, run_key=key, reason="another"))


def _undo(journal: Made, number: int, step: Step) -> None:
    version = _promote(journal, number, step)
    key = f"retrain-{number}"
    journal.write(key, partial(run_rules.undo_promotion, version=version, run_key=key, reason="bad", hold="lifted"))
    _tidy(journal, number, step)


def _confirm(journal: Made, number: int, _: Step) -> None:
    serving = journal.history.state.serving
    if serving is not None:
        journal.write(f"reconcile-{number}", partial(run_rules.confirm, version=serving))


def _tidy(journal: Made, number: int, _: Step) -> None:
    serving = journal.history.state.serving
    if serving is not None:
        journal.write(f"reconcile-{number}", partial(rollback.remove_leaving, target=serving, reason="bad"))


def _roll_back(journal: Made, number: int, step: Step) -> None:
    """To a version that has served, or to the previous one; perhaps it is not finished, perhaps it is given up."""
    history, key = journal.history, f"rollback-{number}"
    chosen = sorted(history.promoted())
    to = str(chosen[step.a % len(chosen)]) if chosen and step.b % 2 else "previous"
    request = RollbackRequest(key, to, "bad", history.seq, "lifted" if step.b % 3 == 0 else None)
    target = next(iter(rollback.targets_of(history, request)))
    for _ in range(step.b % 5):
        loaded = target in resident(journal.history.state)
        journal.write(key, partial(rollback.next_step, request=request, target=target, loaded=loaded))
    if step.a % 5 == 0:
        journal.write(key, partial(rollback.give_up, target=target, reason="it cannot be loaded"))
    journal.write(key, partial(rollback.hold_promotions, request=request, target=target))
    journal.write(key, partial(rollback.remove_leaving, target=target, reason="bad"))
    journal.write(key, partial(run_rules.confirm, version=target))


def _reissue(journal: Made, number: int, _: Step) -> None:
    serving = journal.history.state.serving
    if serving is not None:
        journal.write(f"rollback-{number}", partial(run_rules.reissue, version=serving, reason="stuck"))


def _readmit(journal: Made, number: int, step: Step) -> None:
    version = 1 + step.a % max(1, journal.history.state.next_version - 1)
    journal.write(f"readmit-{number}", partial(readmission.readmit, version=version, reason="it was the network"))


def _retain(journal: Made, number: int, step: Step) -> None:
    found = StoredVersions(frozenset(range(step.a % 4)), frozenset(), frozenset())
    journal.write(f"retain-{number}", lambda h: retention.retire(h, found, journal.limits(keep=step.b % 3)))


def _hold(journal: Made, number: int, step: Step) -> None:
    key, serving = f"freeze-{number}", journal.history.state.serving
    if step.a % 3 == 0:
        until = journal.now + timedelta(days=1)
        journal.write(key, partial(holds.freeze, until=until, reason="holidays", now=journal.now))
    elif step.a % 3 == 1 and serving is not None:
        journal.write(key, partial(holds.pin, version=serving, reason="good"))
    else:
        journal.write(key, partial(holds.unfreeze, reason="over"))


STEPS: dict[str, Callable[[Made, int, Step], object]] = {
    "claim": _claim,
    "publish": _publish,
    "expose": _expose,
    "promote": _promote,
    "release": _release,
    "withdraw": _withdraw,
    "harm": _harm,
    "decline": _decline,
    "undo": _undo,
    "confirm": _confirm,
    "tidy": _tidy,
    "roll back": _roll_back,
    "reissue": _reissue,
    "readmit": _readmit,
    "retain": _retain,
    "hold": _hold,
}
_LIKELY = (*["release"] * 5, *["roll back"] * 3, "reissue", "withdraw", "readmit", "retain")


def steps(*, least: int = 1, most: int) -> st.SearchStrategy[list[Step]]:
    """Lists of steps, which begin with a release."""
    step = st.builds(Step, st.sampled_from([*_LIKELY, *STEPS]), st.integers(0, 59), st.integers(0, 59))
    return st.lists(step, min_size=least, max_size=most).map(lambda more: [Step("release", 1, 1), *more])
