"""How each case of `tests.dags.playing.CASES` has to end, wherever the steps run."""

import re
from typing import Any

VERBS = ("snapshot", "train", "evaluate", "gate", "publish", "canary", "promote", "announce")


def states(*, last: str, state: str, after: str, withdraw: str) -> dict[str, str]:
    """Success up to `last`, which ended as `state`; what comes after it ended as `after`."""
    position = VERBS.index(last)
    return (
        dict.fromkeys(VERBS[:position], "success")
        | {last: state}
        | dict.fromkeys(VERBS[position + 1 :], after)
        | {"withdraw": withdraw}
    )


# The case, how its run ends, and how its tasks end.
OUTCOMES: list[tuple[str, str, dict[str, str]]] = [
    ("all good", "success", states(last="announce", state="success", after="", withdraw="skipped")),
    ("gate declines", "success", states(last="gate", state="skipped", after="skipped", withdraw="skipped")),
    ("train fails", "failed", states(last="train", state="failed", after="upstream_failed", withdraw="skipped")),
    (
        "publish fails",
        "failed",
        states(last="publish", state="failed", after="upstream_failed", withdraw="skipped"),
    ),
    ("canary fails", "failed", states(last="canary", state="failed", after="upstream_failed", withdraw="success")),
    (
        "canary cannot tell",
        "failed",
        states(last="canary", state="failed", after="upstream_failed", withdraw="success"),
    ),
    (
        "promote fails",
        "failed",
        states(last="promote", state="failed", after="upstream_failed", withdraw="success"),
    ),
    ("promote declines", "success", states(last="promote", state="skipped", after="skipped", withdraw="skipped")),
    # Nothing has changed, or promotions are held.
    ("snapshot declines", "success", states(last="snapshot", state="skipped", after="skipped", withdraw="skipped")),
]

# What the logs of the failed and skipped tasks of a case say last.
LAST_LINES: list[tuple[str, list[str]]] = [
    ("all good", []),
    (
        "gate declines",
        [
            "What happened: `gate` declined: the reason of gate",
            "What serves digits: v3",
            "What to do: Nothing is broken. The later tasks of this run are skipped. When the reason above no "
            "longer applies, trigger a new run.",
        ],
    ),
    (
        "canary fails",
        [
            "What happened: `canary` failed: the reason of canary",
            "What serves digits: v3",
            "What to do: If the reason above says to clear this task, do that. Otherwise the task `withdraw` "
            "removes the candidate: correct the cause, then trigger a new run.",
        ],
    ),
    (
        "train fails",
        [
            "What happened: `train` ended without an answer (exit code 1). The lines above show how far it got.",
            "What to do: Correct the cause, then clear this task: the run continues from here.",
            "What happened: `withdraw` ended without an answer (exit code 99). The lines above show how far it got.",
            "What to do: Correct the cause, then clear this task: the run continues from here.",
        ],
    ),
]


def said_last(played: Any, case: str) -> list[str]:
    return [each for each in played["results"][case]["said"] if each != "::endgroup::"]


def outcome(headline: str, *lines: str) -> str:
    return "\n".join([f"**Outcome: {headline}**", "", *(f"- {line}" for line in lines), "", "*Understudy, <moment>*"])


def note(played: Any, case: str, name: str = "note") -> str:
    """With the moment at which it was written left out."""
    found = played["results"][case][name]
    assert found is not None, f"the run {case!r} has no note"
    return re.sub(r"20[0-9]{2}-[0-9]{2}-[0-9]{2} [0-9]{2}:[0-9]{2} UTC", "<moment>", found)


PROVEN = "`gate` done: pass: accuracy 0.9 >= 0.8"


# The notes of the runs.
NOTES: list[tuple[str, str]] = [
    (
        "all good",
        outcome(
            "promote done; v4 serves digits",
            PROVEN,
            "`publish` done, v4",
            "`canary` done, v4: pass: 2 replicas",
            "`promote` done, v4",
        ),
    ),
    (
        "canary fails",
        outcome(
            "canary failed; v3 serves digits",
            PROVEN,
            "`publish` done, v4",
            "`canary` failed: the reason of canary",
            "`withdraw` done, v4: fail: golden answers differ",
        ),
    ),
    (
        "snapshot declines",
        outcome("snapshot declined; v3 serves digits", "`snapshot` declined: the reason of snapshot"),
    ),
    (
        "train fails",
        outcome(
            "train failed",
            "`train` ended without a result. Its log shows what was done",
        ),
    ),
]
