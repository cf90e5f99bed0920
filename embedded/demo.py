"""The whole mission as a story, on the running stack: what happens is real, and every line of the table is measured."""

import base64
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from embedded import damage
from embedded.airflow_api import AirflowApi, Tasks
from embedded.settings import PROJECT, StackSettings
from embedded.traffic import Traffic
from pipeline import layout
from pipeline.context import Context, make_context
from pipeline.records import EvaluateRecord, GateRecord, ProbeSet, RunRecords
from pipeline.release.journal import Entry, Event, History
from pipeline.settings import Settings

RUN_SECONDS = 420
SEED = 7
# Each is better than the one before by more than the gate's margin could doubt, whatever the machine rounds.
FIRST, BETTER, WORSE = 3, (6, 12, 25), 2


@dataclass(frozen=True)
class Scene:
    """One line of the table: what was to happen, whether it did, and what was measured."""

    name: str
    held: bool
    told: str


@dataclass
class Story:
    """The running stack, seen by the person in front of it."""

    settings: StackSettings
    api: AirflowApi
    context: Context
    scenes: list[Scene] = field(default_factory=list)

    def history(self) -> History:
        return self.context.journal.read()

    def folder(self, version: int) -> Path:
        return Path(self.context.bucket.uri(layout.version(self.settings.model, version)))

    def scene(self, name: str, *, held: bool, told: str) -> None:
        self.scenes.append(Scene(name, held, told))
        _say(f"{'   ok' if held else 'WRONG'}: {name}: {told}")


def run(settings: StackSettings) -> int:
    """Tell the story; 0 if everything happened as it should."""
    began = time.monotonic()
    story = _begin(settings)
    first = _first_release(story)
    probes = _probes(story, first)
    with Traffic(story.context.rollout.fleet, settings.model, [base64.b64decode(g.image) for g in probes.golden]) as t:
        _better_candidates(story, t)
        _worse_candidate(story)
        _damaged_candidate(story, t)
        _roll_back(story, t, to="previous", reason="demo: the newest version is suspected")
        _roll_back(story, t, to="1", reason="demo: back to the very first")
    _traffic(story, t)
    _end(story, seconds=time.monotonic() - began)
    return 0 if all(scene.held for scene in story.scenes) else 1


def _begin(settings: StackSettings) -> Story:
    api = AirflowApi.of_stack(settings)
    for dag in (f"retrain_{settings.model}", "rollback"):
        api.wait_for_dag(dag)
        api.unpause(dag)
    surroundings = Settings(
        root=settings.bucket,
        models=PROJECT / "models",
        replicas=",".join(settings.replicas),
        mlflow_url=settings.mlflow_url,
        actor="demo",
    )
    context = make_context(surroundings, model=settings.model, run_key=f"demo-{datetime.now(UTC):%Y%m%d%H%M%S}")
    story = Story(settings, api, context)
    serving = story.history().state.serving
    if serving not in (None, 1):
        _say(f"an earlier story ended with v{serving}; rolling back to v1 to begin where a newcomer begins")
        _trigger(story, "rollback", {"model": settings.model, "to": "1", "reason": "demo: begin again"})
    return story


def _first_release(story: Story) -> int:
    before = story.history().seq
    took, state, _ = _retrain(story, "a first model", epochs=FIRST)
    entries = _since(story, before)
    promoted = _one(entries, Event.PROMOTED)
    version = promoted.version if promoted else 0
    accuracy = _accuracy(story, version) if promoted else 0.0
    asked = (
        [reason for reason in promoted.verdict.reasons if "golden" in reason] if promoted and promoted.verdict else []
    )
    story.scene(
        f"v{version} trained, gated, published, canaried, serving",
        held=state == "success" and promoted is not None and len(asked) == len(story.settings.replicas),
        told=f"accuracy {accuracy:.3f}, {len(asked)} replicas questioned, {took:.0f} s from trigger to green",
    )
    return version


def _better_candidates(story: Story, traffic: Traffic) -> None:
    for epochs in BETTER:
        before, sent = story.history(), traffic.sent
        took, state, _ = _retrain(story, f"trained for {epochs} epochs", epochs=epochs)
        promoted = _one(_since(story, before.seq), Event.PROMOTED)
        version = promoted.version if promoted else 0
        told = f"run {state}"
        if promoted:
            old, new = _accuracy(story, before.state.serving), _accuracy(story, version)
            told = f"accuracy {old:.3f} -> {new:.3f} in {took:.0f} s, {traffic.sent - sent} requests meanwhile"
        story.scene(
            f"v{version} replaces v{before.state.serving} under load",
            held=state == "success" and promoted is not None and not traffic.failures,
            told=told,
        )


def _worse_candidate(story: Story) -> None:
    before = story.history()
    _, state, run_id = _retrain(story, "hardly trained", epochs=WORSE)
    tasks = story.api.task_states(_dag(story), run_id)
    declined = _newest_run(story).find(GateRecord)
    story.scene(
        "a worse candidate is declined by the gate",
        held=state == "success" and tasks["gate"] == "skipped" and story.history().seq == before.seq,
        told=declined.verdict.reasons[0] if declined else "no gate record",
    )


def _damaged_candidate(story: Story, traffic: Traffic) -> None:
    damage.prepare()
    before = story.history()
    run_id = story.api.trigger(_dag(story), {"epochs": BETTER[-1], "seed": SEED, "note": "will be damaged"})
    _say(f"{_dag(story)} {run_id}: its weights are rewritten as soon as it is published")
    published = _await(story, lambda entry: entry.seq > before.seq and entry.event is Event.PUBLISHED)
    damage.damage(story.folder(published.version))
    done = datetime.now(UTC)
    state = story.api.wait(_dag(story), run_id, seconds=RUN_SECONDS, on_change=_progress)
    entries = _since(story, before.seq)
    exposed, withdrawn = _one(entries, Event.EXPOSED), _one(entries, Event.WITHDRAWN)
    answered = traffic.versions().get(published.version, 0)
    caught = [r for r in withdrawn.verdict.reasons if "golden" in r] if withdrawn and withdrawn.verdict else []
    story.scene(
        f"v{published.version}, damaged after publish, is caught dark and withdrawn",
        held=state == "failed"
        and exposed is not None
        and exposed.at > done
        and len(caught) == len(story.settings.replicas)
        and answered == 0
        and story.history().state.serving == before.state.serving,
        told=f"run {state}; {'; '.join(caught) or 'not caught'}; {answered} of {traffic.sent} answers came from it",
    )


def _roll_back(story: Story, traffic: Traffic, *, to: str, reason: str) -> None:
    before = story.history()
    state, _ = _trigger(story, "rollback", {"model": story.settings.model, "to": to, "reason": reason})
    entries = _since(story, before.seq)
    moved = _one(entries, Event.ROLLED_BACK)
    if moved is None:
        story.scene(f"roll-back to {to}", held=False, told=f"run {state}, no roll-back in the journal")
        return
    time.sleep(2 * story.context.settings.config_poll_seconds)  # whoever still answered from the old one is heard
    left = before.state.serving
    assert left is not None
    last = traffic.last_from(left)
    late = (last - moved.at).total_seconds() if last else 0.0
    loaded = _one(entries, Event.EXPOSED)
    how = (
        f"loaded first in {(moved.at - loaded.at).total_seconds():.1f} s" if loaded else "was in memory, nothing loaded"
    )
    poll = story.context.settings.config_poll_seconds
    story.scene(
        f"roll-back to {to}: v{left} -> v{moved.version}, by {moved.actor}",
        # A poll that has just begun reads the old config once more: two periods bound what users may see.
        held=state == "success" and late <= 2 * poll + 0.5 and (to != "previous" or loaded is None),
        told=f"{how}; the last answer of v{left} came {late:.1f} s after the decision, replicas poll every {poll:g} s",
    )


def _traffic(story: Story, traffic: Traffic) -> None:
    served = {Event.PROMOTED, Event.ROLLED_BACK}
    since: dict[int, datetime] = {}
    for entry in story.history().entries:
        if entry.event in served:
            since.setdefault(entry.version, entry.at)
    strays = [a for a in traffic.answers if a.version not in since or a.at < since[a.version]]
    told = ", ".join(f"v{version} {count}" for version, count in traffic.versions().items())
    story.scene(
        "no request failed, no answer from an unpromoted version",
        held=traffic.sent > 0 and not traffic.failures and not strays,
        told=f"{traffic.sent} requests, {len(traffic.failures)} failed, {len(strays)} from an unpromoted version: {told}"
        + (f"; first failure: {traffic.failures[0]}" if traffic.failures else ""),
    )


def _end(story: Story, *, seconds: float) -> None:
    table = Table("", "what", "measured", title=f"What happened, in {seconds:.0f} s")
    for scene in story.scenes:
        table.add_row("yes" if scene.held else "NO", Text(scene.name), Text(scene.told))
    console = Console()
    console.print(table)
    settings = story.settings
    console.print(
        f"Airflow   {settings.airflow_url}   users admin and oncall, passwords in {settings.passwords}\n"
        f"MLflow    {settings.mlflow_url}\n"
        f"The stack is still up: `make status` shows it, `make down` ends it.",
        markup=False,
        highlight=False,
    )


def _retrain(story: Story, note: str, *, epochs: int) -> tuple[float, str, str]:
    """Seconds from trigger to end, the state it ended in, and the id of the run."""
    began = time.monotonic()
    state, run_id = _trigger(story, _dag(story), {"epochs": epochs, "seed": SEED, "note": f"demo: {note}"})
    return time.monotonic() - began, state, run_id


def _trigger(story: Story, dag: str, conf: dict[str, Any]) -> tuple[str, str]:
    run_id = story.api.trigger(dag, conf)
    _say(f"{dag} {run_id}: {conf}")
    return story.api.wait(dag, run_id, seconds=RUN_SECONDS, on_change=_progress), run_id


def _newest_run(story: Story) -> RunRecords:
    """The records of the latest retrain: its key is the largest, because keys begin with the time."""
    model, bucket = story.settings.model, story.context.bucket
    keys = [key for key in bucket.names(layout.runs(model)) if key.startswith("retrain-")]
    return RunRecords(bucket, model, max(keys))


def _await(story: Story, wanted: Callable[[Entry], bool]) -> Entry:
    """The first journal entry that is wanted, within milliseconds of its being written."""
    deadline = time.monotonic() + RUN_SECONDS
    while time.monotonic() < deadline:
        found = next(filter(wanted, story.history().entries), None)
        if found:
            return found
        time.sleep(0.02)
    raise TimeoutError(f"the journal did not get the entry that was waited for within {RUN_SECONDS} s")


def _since(story: Story, seq: int) -> list[Entry]:
    return [entry for entry in story.history().entries if entry.seq > seq]


def _one(entries: list[Entry], event: Event) -> Entry | None:
    return next((entry for entry in entries if entry.event is event), None)


def _probes(story: Story, version: int) -> ProbeSet:
    records = story.context.records_of(version, story.history())
    assert records is not None, f"v{version} was promoted, so a run has claimed it"
    return records.need(ProbeSet)


def _accuracy(story: Story, version: int | None) -> float:
    records = story.context.records_of(version, story.history()) if version is not None else None
    return records.need(EvaluateRecord).evaluation.candidate.accuracy if records else 0.0


def _dag(story: Story) -> str:
    return f"retrain_{story.settings.model}"


def _progress(tasks: Tasks) -> None:
    told = [f"{task} {state}" for task, state in tasks.items() if state in ("running", "failed", "skipped")]
    if told:
        _say("      " + ", ".join(told))


def _say(text: str) -> None:
    Console().print(Text(f"{datetime.now(UTC):%H:%M:%S} {text}"), soft_wrap=True)
