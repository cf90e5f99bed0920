"""The retrains of the demo: the values of their forms, and damage to a candidate while its run goes on."""

from collections.abc import Callable

from embedded.demo.damage import Damage
from embedded.demo.damage_process import DamageProcess
from embedded.demo.report import print_line
from embedded.demo.rollout_checks import RolloutChecks
from embedded.demo.running_stack import FinishedRun, RunningStack
from pipeline.journal.entries import Event
from pipeline.model_files import load_spec

SEED = 7
# Relative change of the learning rate from one candidate to the next: enough for a model with another digest.
_RATE_STEP = 1e-4

_CHANGED = {
    Damage.WRONG_ANSWERS: "the weights of v{} on the disk have been changed, after it was verified",
    Damage.ENDS_ITS_SERVER: "the graph of v{} on the disk has been changed, after it was verified: TensorFlow's op "
    "Abort ends each process that loads it",
}


def retrain_form(stack: RunningStack, epochs: int, note: str) -> dict[str, object]:
    """A learning rate of its own for each run: a model equal to a withdrawn one would be refused."""
    training = load_spec(stack.context.settings.models / f"{stack.model}.yaml").training
    assert training, "the demo retrains a model that is trained"
    rate = training.learning_rate
    rate *= 1 + _RATE_STEP * stack.history().state.next_version
    return {"epochs": epochs, "learning_rate": round(rate, 9), "seed": SEED, "note": f"demo: {note}"}


def retrain_and_damage(
    stack: RunningStack,
    checks: RolloutChecks,
    damage: Damage,
    *,
    epochs: int,
    note: str,
    watch: Callable[[], None] = lambda: None,
) -> FinishedRun:
    """Retrain, and damage the candidate between the last check of its files and the moment a server loads it.

    Args:
        stack: the running stack.
        checks: knows where and when to damage a candidate.
        damage: what to change.
        epochs: of the training.
        note: of the run.
        watch: called once the candidate is damaged, while the run goes on.
    """
    process = DamageProcess(stack.settings.logs / "damage.log")

    def damage_when_published() -> None:
        published = stack.wait_for_entry(Event.PUBLISHED)
        point = checks.damage_point(published)
        process.damage(damage, point.source, target=point.target, trigger=point.trigger)
        print_line(_CHANGED[damage].format(published.version))
        watch()

    return stack.run(stack.retrain_dag, retrain_form(stack, epochs, note), meanwhile=damage_when_published)
