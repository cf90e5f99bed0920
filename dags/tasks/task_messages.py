"""The last lines of a task's log: what happened, what serves now, and what to do next."""

from collections.abc import Mapping, Sequence
from typing import Any

TOO_LONG = "it took longer than its task may, see execution_timeout in the details of the task"

_FAILED = "Correct the cause, then clear this task: the run continues from here."
_AGAIN = (
    "If Airflow shows the task as up for retry, wait: the next try finds in the bucket what this run has already done. "
    "Otherwise correct the cause, then clear this task: the run continues from here."
)
_DECLINED = (
    "Nothing is broken. The later tasks of this run are skipped. When the reason above no longer applies, trigger a "
    "new run."
)
_UNTOLD = "Repair what did not answer, then clear this task: the run continues from here."
_AS_SAID = "Do what the reason above says."
_TAKEN_BACK = (
    "If the reason above says to clear this task, do that. Otherwise the task `withdraw` removes the candidate: "
    "correct the cause, then trigger a new run."
)
_ANNOUNCED_LATER = (
    "Correct the cause. The DAG `announce` then announces what is missing; this task need not be cleared."
)


def _form_is_wrong(dag_id: str) -> str:
    """For the usual cause, a wrong value of the form: cleared, the task would fail with it again."""
    return (
        f"If a value of the form is wrong, trigger `{dag_id}` again with the correct one. Otherwise correct the cause, "
        f"then clear this task."
    )


_NOT_TAKEN = (
    "The replicas are given no candidate of this run, and its later tasks are skipped. If the reason above names a "
    "replica, read its log and check its memory. When the reason no longer applies, trigger a new run."
)
# Where what is to be done depends on the verb.
_OF_VERBS = {
    "canary": {"declined": _NOT_TAKEN, "failed": _TAKEN_BACK, "could not tell": _TAKEN_BACK},
    "promote": {"failed": _TAKEN_BACK, "could not tell": _TAKEN_BACK},
    "withdraw": {
        "declined": "If the reason above names a command, run it. Otherwise there is nothing to do.",
        "failed": "Check the replicas that the reason names, then clear this task; or trigger `rollback`.",
        "could not tell": "Check the replicas that the reason names, then clear this task; or trigger `rollback`.",
    },
    "rollback": {
        "declined": "Check which version serves now. If it is still the wrong one, trigger `rollback` again.",
        "failed": f"{_AS_SAID} The log of the task `plan` lists the versions that you can choose.",
        "could not tell": _AS_SAID,
    },
    "announce": {"failed": _ANNOUNCED_LATER, "could not tell": _ANNOUNCED_LATER},
    # It only reads what was measured: asked again, it says the same.
    "gate": {"could not tell": _AS_SAID},
    "publish": {"failed": _AS_SAID},
    "pin": {
        "declined": "Check which version serves now. If you still want the pin, trigger `pin` again.",
        "failed": _AS_SAID,
        "could not tell": _AS_SAID,
    },
    "freeze": {"failed": _form_is_wrong("freeze")},
    "readmit": {"failed": _form_is_wrong("readmit")},
}
_BY_OUTCOME = {"failed": _FAILED, "declined": _DECLINED, "could not tell": _UNTOLD}


def last_lines(verb: str, found: Mapping[str, Any], *, ended: str, again: bool = False) -> Sequence[str]:
    """What a person should read last.

    Args:
        verb: what was run.
        found: the result that it has left, see `pipeline.result`; empty where there is none.
        ended: how the process ended, in words, for where there is none.
        again: whether the task may be tried again without a change.
    """
    if not found:
        return (
            f"What happened: `{verb}` ended without an answer ({ended}). The lines above show how far it got.",
            f"What to do: {_AGAIN if again else _FAILED}",
        )
    outcome = found.get("outcome", "")
    todo = _OF_VERBS.get(verb, {}).get(outcome) or _BY_OUTCOME.get(outcome, _FAILED)
    lines = [f"What happened: `{verb}` {outcome}: {found.get('reason') or ended}"]
    if "serving" in found:
        serving, model = found["serving"], found.get("model", "")
        lines.append(f"What serves {model}: {'nothing' if serving is None else f'v{serving}'}")
    return (*lines, f"What to do: {todo}")
