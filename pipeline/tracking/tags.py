"""What MLflow says about a run and about a version: tags, and the description that is made from them. Pure.

| tag | of | meaning |
|---|---|---|
| `decision` | both | what was decided, in a few words to filter and group by |
| `status` | both | the same as sentences, with dates and the reason |
| `gate`, `gate_reasons` | run | the verdict of the gate: passed, declined, undecided or overruled; its reasons |
| `canary`, `canary_reasons` | run | the verdict of the canary: passed, failed or could not tell; its reasons |
| `airflow_run` | run | the address of the DAG run, if Airflow has started it |
"""

import re
from collections.abc import Mapping
from datetime import datetime

from pipeline.journal.entries import GIVEN_TRAFFIC, TAKEN_BACK, Entry, Event
from pipeline.journal.history import History
from pipeline.verdicts.verdict import Decision, Verdict

NOTE = "mlflow.note.content"
AIRFLOW_RUN = "airflow_run"
# MLflow takes 8,000 characters in a tag, and a description is one.
_LONGEST_TEXT = 4000
_LONGEST_NOTE = 7500
_LONGEST_REASONS = 2000
_DELETED = " Its files were deleted on "
_GATE = {Decision.PASS: "passed", Decision.FAIL: "declined", Decision.UNKNOWN: "undecided"}
_CANARY = {Decision.PASS: "passed", Decision.FAIL: "failed", Decision.UNKNOWN: "could not tell"}


def text(content: str, *, longest: int = _LONGEST_TEXT, rest: str = "") -> str:
    """Free text that MLflow and its database can store: without control characters, and cut to `longest` characters.

    `rest` is appended to the note that it was cut.
    """
    clean = "".join(each if each.isprintable() or each == "\n" else " " for each in content)
    return clean if len(clean) <= longest else f"{clean[:longest]} ... ({len(clean)} characters{rest})"


def gate_tags(verdict: Verdict, *, overruled: bool = False) -> dict[str, str]:
    """The tags for the verdict of the gate; `overruled` if a person published in spite of it."""
    return {"gate": "overruled" if overruled else _GATE[verdict.decision], "gate_reasons": _reasons(verdict)}


def refusal_tags(decision: str, reason: str) -> dict[str, str]:
    """The tags of a run that ends without a version."""
    status = f"{decision[0].upper()}{decision[1:]}, and nothing was published: {reason}"
    return {"decision": decision, "status": text(status, longest=_LONGEST_REASONS)}


def decision_about(history: History, version: int) -> str:
    """What was decided about a version, in one word: withdrawn, promoted or published."""
    if history.withdrawal(version):
        return "withdrawn"
    return "promoted" if history.of_version(version, Event.PROMOTED) else "published"


def version_tags(history: History, version: int) -> dict[str, str]:
    """The tags of a registered version. `version` is the number it was trained for."""
    return {"decision": decision_about(history, version), "status": status_of(history, version)}


def run_tags(history: History, version: int) -> dict[str, str]:
    """The tags of the run that a version came from: the same, and both verdicts."""
    tags = version_tags(history, version) | {"served_version": str(version)}
    claimed = history.of_version(version, Event.CLAIMED)
    if claimed and claimed.verdict:
        tags |= gate_tags(claimed.verdict, overruled=claimed.verdict.decision is not Decision.PASS)
    asked = history.of_version(version, Event.PROMOTED) or history.of_version(version, *TAKEN_BACK)
    if asked and asked.verdict:
        tags |= {"canary": _CANARY[asked.verdict.decision], "canary_reasons": _reasons(asked.verdict)}
    return tags


def status_of(history: History, version: int) -> str:
    """What is true of a version now, as sentences."""
    retired = history.retirement(version)
    gone = f"{_DELETED}{_moment(retired.at)}." if retired else ""
    return text(f"{_fate(history, version)}{gone}", longest=_LONGEST_REASONS)


def says_deleted(tags: Mapping[str, str]) -> bool:
    """Whether the tags of a registered version say that its files were deleted; that is the last thing they say."""
    return re.search(rf"{_DELETED}[-0-9: ]+UTC\.$", tags.get("status", "")) is not None


def with_note(found: Mapping[str, str], new: Mapping[str, str]) -> dict[str, str]:
    """The tags to set so that a run has the tags `new`: those that differ, and the description.

    A description that was not made from the tags in `found` was written by a person, and stays.
    """
    after = {**found, **new}
    wanted = {**new, NOTE: describe(after)} if found.get(NOTE, "") in ("", describe(found)) else new
    return {key: value for key, value in wanted.items() if found.get(key) != value}


def describe(tags: Mapping[str, str]) -> str:
    """The description of a run, in Markdown: what was decided, why, who asked for the run, and the link to Airflow."""
    asked = f"Requested by {_plain(tags['requested_by'])}." if tags.get("requested_by") else ""
    # MLflow folds long texts, and its list of runs shows the beginning without Markdown.
    parts = [
        _plain(tags.get("status", "")),
        f"[The DAG run in Airflow]({tags[AIRFLOW_RUN]})" if tags.get(AIRFLOW_RUN) else "",
        " ".join(filter(None, [asked, _plain(tags.get("note", ""))])),
        *(f"{name.capitalize()}: {tags[name]}. {_plain(tags.get(f'{name}_reasons', ''))}" for name in _given(tags)),
    ]
    return text("\n\n".join(filter(None, parts)), longest=_LONGEST_NOTE)


def _given(tags: Mapping[str, str]) -> list[str]:
    return [name for name in ("gate", "canary") if tags.get(name)]


def _fate(history: History, version: int) -> str:
    withdrawal = history.withdrawal(version)
    if withdrawal:
        return _withdrawn(history, version, withdrawal)
    serving, moved = history.state.serving, history.of_model(version, *GIVEN_TRAFFIC)
    if moved and serving is not None and history.is_same_model(serving, version):
        number = "" if serving == version else f", as v{serving}"
        return f"v{version} serves{number}, since {_moment(moved.at)}."
    if moved:
        return f"v{version} began to serve on {_moment(moved.at)}, and does not serve now."
    if history.state.candidate == version:
        return f"v{version} is on the replicas, to be tested."
    return f"v{version} is published, and has not served."


def _withdrawn(history: History, version: int, entry: Entry) -> str:
    served = "It had served." if history.has_served(version) else "It was never promoted."
    return f"v{version} was {entry.event} on {_moment(entry.at)} by {entry.actor}. {served} Reason: {entry.reason}"


def _reasons(verdict: Verdict) -> str:
    return text("; ".join(verdict.reasons), longest=_LONGEST_REASONS)


def _moment(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M} UTC"


def _plain(content: str) -> str:
    """Text with everything escaped that Markdown would interpret. A `<` that begins no tag is harmless."""
    return re.sub(r"<(?=[A-Za-z/!?])", "&lt;", re.sub(r"([\\`*_\[\]#|~])", r"\\\1", content))
