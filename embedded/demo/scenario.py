"""The whole mission as a story, on the running stack: what happens is real, and every line of the table is measured."""

import base64
import sys
import time

from rich.console import Console
from rich.table import Table
from rich.text import Text

from embedded import promises
from embedded.settings import StackSettings
from embedded.stage import Damager, Stage, say, set_up
from embedded.stories import Story, story_of
from embedded.traffic import Traffic
from pipeline.journal.entries import Event
from pipeline.model_files import load_spec
from pipeline.rules.holds import in_force
from pipeline.runs.records import GateRecord

SEED = 7
# Epochs. Each candidate is better than the one before by more than a machine's rounding could undo.
FIRST, BETTER, WORSE = 3, (6, 12, 25), 2
# By which part of itself the learning rate of one candidate differs from the next one's: another model, as good.
_A_HAIR = 1e-4


def run(settings: StackSettings) -> int:
    """Tell the story; 0 if everything happened as it should."""
    began = time.monotonic()
    stage = set_up(settings)
    story = story_of(stage)
    _begin_where_a_newcomer_begins(stage)
    first = _first_release(stage)
    images = [base64.b64decode(golden.image) for golden in stage.probes(first).golden]
    rollout = stage.context.rollout
    with Traffic(stage.context.replicas.fleet, settings.model, images, label=rollout.placement.label) as traffic:
        for epochs in BETTER:
            _better_candidate(stage, story, traffic, epochs)
        _worse_candidate(stage)
        _damaged_candidate(stage, story, traffic)
        _roll_back(stage, story, traffic, to="previous", reason="demo: the newest version is suspected")
        _roll_back(stage, story, traffic, to=str(stage.first_version()), reason="demo: back to the very first")
    _lift_the_hold(stage)
    _nobody_noticed(stage, story, traffic)
    _end(stage, seconds=time.monotonic() - began)
    return 0 if all(scene.held for scene in stage.scenes) else 1


def _begin_where_a_newcomer_begins(stage: Stage) -> None:
    """With nothing served, or, where an earlier story has ended, with its first version; with nothing held."""
    if in_force(stage.history(), now=stage.context.clock.now()):
        stage.run("unfreeze", {"model": stage.settings.model, "reason": "demo: begin again"})
    serving = stage.history().state.serving
    if serving not in (None, stage.first_version()):
        say(f"v{serving} serves since an earlier story; rolling back to v{stage.first_version()} to tell it again")
        stage.run("rollback", _wish(stage, str(stage.first_version()), "demo: begin again") | {"hold": "none"})


def _first_release(stage: Stage) -> int:
    done = stage.run(stage.retrain_dag, _form(stage, FIRST, "a first model"))
    promoted = done.entry(Event.PROMOTED)
    if promoted is None:
        raise SystemExit(f"the first candidate was not promoted (run {done.state}); see it in Airflow, run {done.id}")
    questioned = [reason for reason in promoted.verdict.reasons if "golden" in reason] if promoted.verdict else []
    stage.scene(
        f"v{promoted.version} is trained, gated, published, canaried and serves",
        held=done.state == "success" and len(questioned) == len(stage.settings.replicas),
        told=f"accuracy {stage.accuracy(promoted.version):.3f}, {len(questioned)} replicas questioned, "
        f"{done.seconds:.0f} s from trigger to green",
    )
    return promoted.version


def _better_candidate(stage: Stage, story: Story, traffic: Traffic, epochs: int) -> None:
    before, sent = stage.history().state.serving, traffic.sent
    done = stage.run(stage.retrain_dag, _form(stage, epochs, f"trained for {epochs} epochs"))
    promoted = done.entry(Event.PROMOTED)
    held, told = False, f"run {done.state}, nothing promoted"
    if promoted:
        early = story.early(promises.unproven(traffic.of(promoted.version), stage.history()))
        accuracies = f"accuracy {stage.accuracy(before):.3f} -> {stage.accuracy(promoted.version):.3f}"
        told = f"{accuracies} in {done.seconds:.0f} s, {traffic.sent - sent} requests meanwhile{early.told}"
        held = early.held
    stage.scene(
        f"v{promoted.version if promoted else '?'} replaces v{before} under load",
        held=held and done.state == "success" and not traffic.failures,
        told=told,
    )


def _worse_candidate(stage: Stage) -> None:
    done = stage.run(stage.retrain_dag, _form(stage, WORSE, "hardly trained"))
    tasks = stage.api.task_states(stage.retrain_dag, done.id)
    gate = stage.newest_retrain().find(GateRecord)
    stage.scene(
        "a worse candidate is declined by the gate",
        held=done.state == "success" and tasks["gate"] == "skipped" and not done.entries,
        told=gate.verdict.reasons[0] if gate else "the gate left no record",
    )


def _damaged_candidate(stage: Stage, story: Story, traffic: Traffic) -> None:
    damager = Damager(stage.settings.logs / "damage.log")

    def damage_when_verified() -> None:
        published = stage.await_entry(Event.PUBLISHED)
        at = story.damage(published)
        damager.damage(at.folder, where=at.where, when=at.when)
        say(f"the weights of v{published.version} have been rewritten behind everyone's back")

    before = stage.history().state.serving
    form = _form(stage, BETTER[-1], "will be damaged when exposed")
    done = stage.run(stage.retrain_dag, form, meanwhile=damage_when_verified)
    exposed, withdrawn = done.entry(Event.EXPOSED), done.entry(Event.WITHDRAWN)
    if exposed is None or withdrawn is None or before is None:
        stage.scene("a damaged candidate is withdrawn", held=False, told=f"run {done.state}, nothing withdrawn")
        return
    caught = [reason for reason in withdrawn.verdict.reasons if "golden" in reason] if withdrawn.verdict else []
    met = story.met(traffic, bad=withdrawn, good=before, caught=len(caught))
    stage.scene(
        f"v{withdrawn.version}, damaged after its last check, is {story.caught} and withdrawn",
        held=met.held and done.state == "failed" and stage.history().state.serving == before,
        told=f"run {done.state}; {'; '.join(caught) or 'not caught'}; {met.told}",
    )


def _roll_back(stage: Stage, story: Story, traffic: Traffic, *, to: str, reason: str) -> None:
    left = stage.history().state.serving
    done = stage.run("rollback", _wish(stage, to, reason))
    moved = done.entry(Event.ROLLED_BACK)
    if moved is None or left is None:
        stage.scene(f"roll-back to {to}", held=False, told=f"run {done.state}, no roll-back in the journal")
        return
    bound = story.lag(moved.version)
    time.sleep(bound)  # an answer the old version might still give is heard
    late = promises.seconds_after(moved.at, traffic.of(left))
    how = story.went_back(moved, done.entry(Event.EXPOSED), resident=to == "previous")
    stage.scene(
        f"roll-back to {to}: v{left} -> v{moved.version}, by {moved.actor}",
        held=how.held and done.state == "success" and late <= bound,
        told=f"{how.told}; the last answer of v{left} came {late:.1f} s after the decision, "
        f"replicas poll every {stage.poll_seconds:g} s",
    )


def _lift_the_hold(stage: Stage) -> None:
    """Until somebody does, the next retrain would end skipped instead of undoing the roll-back."""
    holds = in_force(stage.history(), now=stage.context.clock.now())
    done = stage.run("unfreeze", {"model": stage.settings.model, "reason": "demo: the cause is mended"})
    stage.scene(
        "the roll-backs hold promotions until a person lifts that",
        held=bool(holds) and done.state == "success" and stage.history().state.held_until is None,
        told=f"{holds[0] if holds else 'nothing was held'}; lifted in {done.seconds:.0f} s",
    )


def _nobody_noticed(stage: Stage, story: Story, traffic: Traffic) -> None:
    history, answering = stage.history(), stage.context.rollout.placement.answering
    strays = promises.strays(traffic.answers, promises.spans(history, answering, story.lag))
    unproven = story.overall(promises.unproven(traffic.answers, history))
    answers = ", ".join(f"v{version} {count}" for version, count in traffic.versions().items())
    told = f"{traffic.sent} requests, {len(traffic.failures)} failed, {unproven}: {answers}"
    if strays:
        told += f"; {len(strays)} from versions that should not have answered any more, or not yet"
    stage.scene(
        story.promise,
        held=traffic.sent > 0 and not traffic.failures and not strays,
        told="; first failure: ".join([told, *traffic.failures[:1]]),
    )


def _end(stage: Stage, *, seconds: float) -> None:
    table = Table("", "what", "measured", title=f"What happened, in {seconds:.0f} s", title_justify="left")
    for scene in stage.scenes:
        table.add_row("yes" if scene.held else "NO", Text(scene.name), Text(scene.told))
    Console(width=None if sys.stdout.isatty() else 140).print(table)


def _wish(stage: Stage, to: str, reason: str) -> dict[str, object]:
    return {"model": stage.settings.model, "to": to, "reason": reason}


def _form(stage: Stage, epochs: int, note: str) -> dict[str, object]:
    """Another model each time, however often the story is told: one that was withdrawn is never taken again."""
    rate = load_spec(stage.context.settings.models / f"{stage.settings.model}.yaml").training.learning_rate
    rate *= 1 + _A_HAIR * stage.history().state.next_version
    return {"epochs": epochs, "learning_rate": round(rate, 9), "seed": SEED, "note": f"demo: {note}"}
