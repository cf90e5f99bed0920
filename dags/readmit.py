"""Allow a withdrawn model to be published again, under a new number and with a new approval.

A withdrawn model is recognised by its content: `publish` of a run with the same model ends red. If the withdrawal was
wrong (a replica was broken, not the model), readmit the version here, then clear that `publish`.

### What you see, and what to do

- **`readmit` green**: clear the red `publish`, or trigger a new run.
- **`readmit` red, *is not withdrawn* in its log**: the log lists the versions that are withdrawn.
"""

from airflow.sdk import Param

from dags.manual import VERSION, manual_dag, reason, verb

with manual_dag(
    "readmit",
    description="Allows a withdrawn model to be published again",
    doc=__doc__,
    fields={
        "version": Param(
            type="string",
            pattern=rf"^{VERSION}$",
            title="Version",
            description="The number of the version that was withdrawn, for example 6.",
        ),
        "reason": reason("Why was it wrong to withdraw it?"),
    },
) as dag:
    verb("readmit", "Writes the readmission into the journal.", kind="readmit")
