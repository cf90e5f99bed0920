"""Runs whose `snapshot` is real, and what later verbs leave is written down: for rules that compare runs."""

import json
from functools import partial
from pathlib import Path

from pipeline.rules import run as run_rules
from pipeline.runs.records import GateRecord, PromoteRecord
from pipeline.verdicts.verdict import Decision, Verdict
from tests.pipeline.verbs.test_label_contract import draw
from tests.releases import MODEL, SPEC, World

GOOD, BAD = (Verdict(decision=decision, reasons=("it says so",)) for decision in (Decision.PASS, Decision.FAIL))
DECLINED = GateRecord(outcome="declined", reason="worse", verdict=BAD, serving_version=None)
PASSED = GateRecord(verdict=GOOD, serving_version=None)
PROMOTED = PromoteRecord(version=4)
OVERTAKEN = PromoteRecord(outcome="declined", reason="v5 serves now", version=4)


def draw_images(folder: Path) -> Path:
    """Two labels, 40 images each."""
    for number, label in enumerate(("cat", "dog")):
        draw(folder, label, first=40 * number)
    return folder


def world_of(folder: Path, images: Path) -> World:
    """A bucket without replicas, and a model file that has `new_images`."""
    content = SPEC.model_dump(mode="json")
    content["data"] |= {"images": str(images), "holdout": 0.3}
    content["new_images"] = {"pubsub": {"project": "my-project", "subscription": "digits-images"}}
    (folder / f"{MODEL}.yaml").write_text(json.dumps(content))
    return World(folder)


def withdrawn(world: World, key: str, decision: Decision) -> int:
    """The version of a run whose candidate was exposed and taken back with a verdict."""
    journal = world.context(key).journal
    history = journal.decide(
        partial(run_rules.claim, run_key=key, compared_with=None, reason="good", verdict=GOOD, digest=key)
    )
    version = history.version_of(key)
    assert version is not None
    journal.decide(partial(run_rules.announce_published, version=version, manifest="m"))
    journal.decide(partial(run_rules.expose, version=version, compared_with=None))
    verdict = Verdict(decision=decision, reasons=("golden answers differ",))
    journal.decide(partial(run_rules.withdraw, version=version, run_key=key, reason=str(verdict), verdict=verdict))
    return version
