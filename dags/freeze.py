"""Stop all promotions of a model until a date, or for a time: over a holiday, or during other work.

Roll-backs still work. Scheduled retrains end skipped before they train; retrains that a person triggers end skipped at
`publish`. A new freeze replaces the earlier one. `unfreeze` ends a freeze early.

### What you see, and what to do

- **`freeze` green**: nothing is promoted until then. `understudy status --model <model>` shows every hold.
- **`freeze` red**: the date cannot be read or has passed, or the model does not exist. The log says which. Nothing was
  changed.
"""

from airflow.sdk import Param

from dags.manual import manual_dag, reason, verb

with manual_dag(
    "freeze",
    description="Stops all promotions of a model until a date or for a time",
    doc=__doc__,
    fields={
        "until": Param(
            type="string",
            minLength=2,
            examples=["12h", "3d", "2026-12-24", "2026-12-24T08:00"],
            title="Until",
            description="A duration from now (90m, 12h, 3d), a date, or a date and a time (UTC if no zone is given).",
        ),
        "reason": reason("Why must nothing be promoted?"),
    },
) as dag:
    verb("freeze", "Writes the freeze into the journal.", kind="freeze")
