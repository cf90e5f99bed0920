"""Allow promotions of a model again: ends its pin, its freeze and the hold of a roll-back.

The serving version does not change. The next retrain that passes gate and canary is promoted. A run that was skipped
in the meantime is not repeated: trigger a new one.

### What you see, and what to do

- **`unfreeze` green**: promotions are not held any more, also if they were not held before.
- **`unfreeze` red**: the bucket does not contain the model, or the bucket did not answer. Nothing was changed.
"""

# Airflow reads only files in which its name occurs; here it is this line.
from dags.manual import manual_dag, reason, verb

with manual_dag(
    "unfreeze",
    description="Allows promotions of a model again, whatever held them",
    doc=__doc__,
    fields={"reason": reason("Why are promotions allowed again?")},
) as dag:
    verb("unfreeze", "Writes the end of every hold into the journal.", kind="unfreeze")
