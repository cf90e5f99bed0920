"""The whole mission as a story, on the running stack: what happens is real, and every line of the table is measured."""

import base64
import sys
import time
from datetime import datetime

from rich.console import Console
from rich.table import Table
from rich.text import Text

from embedded.settings import StackSettings
from embedded.stage import Damager, Stage, say, set_up
from embedded.traffic import Traffic
from pipeline.records import GateRecord
from pipeline.release.journal import Event

SEED = 7
# Epochs. Each candidate is better than the one before by more than a machine's rounding could undo.
FIRST, BETTER, WORSE = 3, (6, 12, 25), 2


def run(settings: StackSettings) -> int:
    """Tell the story; 0 if everything happened as it should."""
    began = time.monotonic()
    stage = set_up(settings)
    _begin_where_a_newcomer_begins(stage)
    first = _first_release(stage)
    images = [base64.b64decode(golden.image) for golden in stage.probes(first).golden]
    with Traffic(stage.context.rollout.fleet, settings.model, images) as traffic:
        for epochs in BETTER:
            _better_candidate(stage, traffic, epochs)
        _worse_candidate(stage)
        _damaged_candidate(stage, traffic)
        _roll_back(stage, traffic, to="previous", reason="demo: the newest version is suspected")
        _roll_back(stage, traffic, to=str(stage.first_version()), reason="demo: back to the very first")
    _nobody_noticed(stage, traffic)
    _end(stage, seconds=time.monotonic() - began)
    return 0 if all(scene.held for scene in stage.scenes) else 1


def _begin_where_a_newcomer_begins(stage: Stage) -> None:
    """With nothing served, or, where an earlier story has ended, with its first version."""
    serving = stage.history().state.serving
    if serving not in (None, stage.first_version()):
        say(f"v{serving} serves since an earlier story; rolling back to v{stage.first_version()} to tell it again")
        stage.run("rollback", _wish(stage, str(stage.first_version()), "demo: begin again"))


def _first_release(stage: Stage) -> int:
    done = stage.run(stage.retrain_dag, _form(FIRST, "a first model"))
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


def _better_candidate(stage: Stage, traffic: Traffic, epochs: int) -> None:
    before, sent = stage.history().state.serving, traffic.sent
    done = stage.run(stage.retrain_dag, _form(epochs, f"trained for {epochs} epochs"))
    promoted = done.entry(Event.PROMOTED)
    told = f"run {done.state}, nothing promoted"
    if promoted:
        accuracies = f"accuracy {stage.accuracy(before):.3f} -> {stage.accuracy(promoted.version):.3f}"
        told = f"{accuracies} in {done.seconds:.0f} s, {traffic.sent - sent} requests meanwhile"
    stage.scene(
        f"v{promoted.version if promoted else '?'} replaces v{before} under load",
        held=done.state == "success" and promoted is not None and not traffic.failures,
        told=told,
    )


def _worse_candidate(stage: Stage) -> None:
    done = stage.run(stage.retrain_dag, _form(WORSE, "hardly trained"))
    tasks = stage.api.task_states(stage.retrain_dag, done.id)
    gate = stage.newest_retrain().find(GateRecord)
    stage.scene(
        "a worse candidate is declined by the gate",
        held=done.state == "success" and tasks["gate"] == "skipped" and not done.entries,
        told=gate.verdict.reasons[0] if gate else "the gate left no record",
    )


def _damaged_candidate(stage: Stage, traffic: Traffic) -> None:
    damager = Damager(stage.settings.logs / "damage.log")

    def damage_when_verified() -> None:
        # Before it is exposed it is read back, and would be refused; after the entry that exposes it, it is loaded.
        published = stage.await_entry(Event.PUBLISHED)
        exposed = stage.entry_file(published.seq + 1)
        damager.damage(stage.version_folder(published.version), when=exposed)
        say(f"the weights of v{published.version} have been rewritten behind everyone's back")

    before = stage.history().state.serving
    done = stage.run(
        stage.retrain_dag, _form(BETTER[-1], "will be damaged when exposed"), meanwhile=damage_when_verified
    )
    exposed, withdrawn = done.entry(Event.EXPOSED), done.entry(Event.WITHDRAWN)
    version = withdrawn.version if withdrawn else 0
    caught = [r for r in withdrawn.verdict.reasons if "golden" in r] if withdrawn and withdrawn.verdict else []
    answered = traffic.versions().get(version, 0)
    stage.scene(
        f"v{version}, damaged after its last check, is caught dark and withdrawn",
        held=done.state == "failed"
        and exposed is not None
        and len(caught) == len(stage.settings.replicas)
        and answered == 0
        and stage.history().state.serving == before,
        told=f"run {done.state}; {'; '.join(caught) or 'not caught'}; {answered} of {traffic.sent} answers from it",
    )


def _roll_back(stage: Stage, traffic: Traffic, *, to: str, reason: str) -> None:
    left = stage.history().state.serving
    done = stage.run("rollback", _wish(stage, to, reason))
    moved, loaded = done.entry(Event.ROLLED_BACK), done.entry(Event.EXPOSED)
    if moved is None or left is None:
        stage.scene(f"roll-back to {to}", held=False, told=f"run {done.state}, no roll-back in the journal")
        return
    time.sleep(2 * stage.poll_seconds)  # an answer the old version might still give is heard
    last = traffic.last_from(left)
    late = (last - moved.at).total_seconds() if last else 0.0
    how = (
        f"loaded first in {(moved.at - loaded.at).total_seconds():.1f} s" if loaded else "was in memory, nothing loaded"
    )
    stage.scene(
        f"roll-back to {to}: v{left} -> v{moved.version}, by {moved.actor}",
        # A poll that has just begun reads the old config once more: two periods bound what users may see.
        held=done.state == "success" and late <= 2 * stage.poll_seconds and (loaded is None) == (to == "previous"),
        told=f"{how}; the last answer of v{left} came {late:.1f} s after the decision, "
        f"replicas poll every {stage.poll_seconds:g} s",
    )


def _nobody_noticed(stage: Stage, traffic: Traffic) -> None:
    since: dict[int, datetime] = {}
    for entry in stage.history().entries:
        if entry.event in (Event.PROMOTED, Event.ROLLED_BACK):
            since.setdefault(entry.version, entry.at)
    strays = [each for each in traffic.answers if each.version not in since or each.at < since[each.version]]
    answers = ", ".join(f"v{version} {count}" for version, count in traffic.versions().items())
    told = f"{traffic.sent} requests, {len(traffic.failures)} failed, {len(strays)} from unpromoted versions: {answers}"
    stage.scene(
        "no request failed, no answer came from an unpromoted version",
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


def _form(epochs: int, note: str) -> dict[str, object]:
    return {"epochs": epochs, "seed": SEED, "note": f"demo: {note}"}
