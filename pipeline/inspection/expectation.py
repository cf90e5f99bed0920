"""What replicas should hold and answer by the journal, and what they may do on their way there. Pure.

The replicas of the first ring and all others have an expectation each, because a candidate may be exposed to the former
alone.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from pipeline.journal.entries import Entry, Event
from pipeline.journal.history import History
from pipeline.journal.state import State
from pipeline.rollout.placement import Placement
from pipeline.rules.reconcile import Deadline


@dataclass(frozen=True)
class Expectation:
    """Of the replicas of the first ring, or of all others.

    Attributes:
        history: the journal.
        placement: the roll-out.
        first_ring: of which replicas.
        proving: whether an active run has a candidate.
        moving: whether a verb that moves traffic may still be running.
        move_deadline: until when such a verb may wait for replicas.
        poll_deadline: until when replicas may not have looked for what an entry says.
        load_deadline: until when they may be loading a version that it needs again.
    """

    history: History
    placement: Placement
    first_ring: bool
    proving: bool
    moving: bool
    move_deadline: Deadline
    poll_deadline: Deadline
    load_deadline: Deadline

    def answering(self, state: State) -> int | None:
        """The version that they should answer from in a state."""
        return self.placement.answering(state, first_ring=self.first_ring)

    def in_memory(self, state: State) -> tuple[int, ...]:
        """The versions that they should hold in a state."""
        return self.placement.in_memory(state, first_ring=self.first_ring)

    @cached_property
    def loading(self) -> Mapping[int, Entry]:
        """The versions that they may be loading although no verb waits for it, each with the entry that needs it.

        A candidate is not among them.
        """
        needed = {version: self._loaded_again(version) for version in self.in_memory(self.history.state)}
        return {version: entry for version, entry in needed.items() if entry}

    @property
    def reloading(self) -> Entry | None:
        """The entry since which the version that should answer is loaded again, in the latest roll-out."""
        answering = self.answering(self.history.state)
        return self.loading.get(answering) if answering is not None else None

    @property
    def unloading(self) -> set[int]:
        """The versions that a server may keep while it loads those of `loading`: it loads first, and then unloads."""
        states = [state for entry in self.loading.values() for state in _states_since(self.history, entry)]
        return {version for state in states for version in self.in_memory(state)}

    @cached_property
    def states(self) -> tuple[State, ...]:
        """The states of which a replica may have any one: the last one, and those that it may be on its way from."""
        history, last = self.history, self.history.state
        before = last.model_copy(update={"candidate": None, "first_ring_only": False}) if self.proving else last
        deadline = self.move_deadline if self.moving else self.poll_deadline
        begun = deadline.not_passed(history)[-1:]
        begun += [self.reloading] if self.reloading else []
        first = min(begun, key=lambda entry: entry.seq, default=None)
        return (last, before, *(_states_since(history, first) if first else ()))

    def _loaded_again(self, version: int) -> Entry | None:
        """The entry that made a version resident, if replicas may still be loading it."""
        history = self.history
        if version == history.state.candidate:
            return None
        # An entry that every deadline has passed changes nothing here.
        recent = max((self.load_deadline, self.move_deadline), key=lambda each: each.seconds).not_passed(history)
        needed = _begin(history, recent, lambda state: version in self.in_memory(state))
        if version != self.answering(history.state):
            return needed if needed and not self.load_deadline.has_passed(needed) else None
        moved = _begin(history, recent, lambda state: self.answering(state) == version)
        if needed is None or needed != moved or self.moving or self.move_deadline.has_passed(needed):
            return None
        confirmed = history.of_version(version, Event.CONFIRMED)
        return None if confirmed and confirmed.seq > needed.seq else needed


def _states_since(history: History, entry: Entry) -> tuple[State, ...]:
    """The state before an entry, and every one since."""
    return (_state_before(history, entry), *(each.state for each in history.after(entry.seq - 1)))


def _state_before(history: History, entry: Entry) -> State:
    return history.state_at(entry.seq - 1)


def _begin(history: History, recent: Sequence[Entry], holds: Callable[[State], bool]) -> Entry | None:
    """The entry since which something holds of every state, if that is one of the newest entries; otherwise None.

    Args:
        history: the journal.
        recent: its newest entries, the newest first.
        holds: what must hold.
    """
    begin = None
    for entry in recent:
        if not holds(entry.state):
            return begin
        begin = entry
    return begin if begin is None or not holds(_state_before(history, begin)) else None
