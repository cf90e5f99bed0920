"""Let promotions go on: ends a pin, a freeze and the hold of a roll-back, all of them.

What serves does not change. The next retrain that passes its gate and its canary is promoted again; a run that was
skipped meanwhile does not come back by itself, trigger a new one.

### What you see, and what to do

- **`unfreeze` green**: nothing is held any more, also if nothing was held before.
- **`unfreeze` red**: there is no such model in the bucket, or the bucket did not answer; nothing was changed.
"""

# Airflow reads only files in which its name occurs; here it is this line.
from dags.manual import manual_dag, reason, verb

with manual_dag(
    "unfreeze",
    description="Lets promotions of a model go on, whatever held them",
    doc=__doc__,
    fields={"reason": reason("Why may promotions go on?")},
) as dag:
    verb("unfreeze", "Ends every hold in the journal.", kind="unfreeze")
