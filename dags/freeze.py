"""Let nothing be promoted until a moment: over a holiday, or while something else is being changed.

Roll-backs go on. Scheduled retrains end skipped before they train; those that a person triggers end skipped at
`publish`. A new freeze takes the place of an older one; `unfreeze` ends it before its time.

### What you see, and what to do

- **`freeze` green**: nothing is promoted until then. `python -m pipeline status --model <name>` shows every hold.
- **`freeze` red**: the moment cannot be read or has passed, or there is no such model. The log says which; nothing was
  changed.
"""

from airflow.sdk import Param

from dags.manual import manual_dag, reason, verb

with manual_dag(
    "freeze",
    description="Lets nothing of a model be promoted until a moment",
    doc=__doc__,
    fields={
        "until": Param(
            type="string",
            minLength=2,
            examples=["12h", "3d", "2026-12-24", "2026-12-24T08:00"],
            title="Until",
            description="A duration from now (90m, 12h, 3d), a date, or a date and a time (UTC if not said).",
        ),
        "reason": reason("Why is nothing to be promoted?"),
    },
) as dag:
    verb("freeze", "Writes the freeze into the journal.", kind="freeze")
