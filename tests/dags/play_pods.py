"""Runs DAGs whose steps are pods through Airflow itself; prints as JSON how each run and each task ended."""

import json
import os
from pathlib import Path
from unittest.mock import patch

from airflow.dag_processing.dagbag import DagBag

from tests.dags.moving import make_serve
from tests.dags.playing import CASES, NASTY, announced, play
from tests.dags.playing_pods import SECRET, be_brief_with_pods, played_cluster

# How many changes are to be announced; 45 are more than one result can hold.
ANNOUNCED = {"announce": 1, "announce many": 45, "announce the rest": 0}

be_brief_with_pods()
with played_cluster() as cluster:
    bag = DagBag(os.environ["AIRFLOW__CORE__DAGS_FOLDER"])
    assert not bag.import_errors, bag.import_errors
    retrain, variables = bag.dags["retrain_digits"], cluster.variables
    results = {
        case: play(retrain, case, codes, number=number, form={}, environment=variables)
        for number, (case, codes) in enumerate(CASES.items(), 201)
    }
    form = {"note": NASTY, "force": True, "accept_labels": [NASTY]}
    # As verbs that take longer: their tasks are deferred, and a trigger looks at their pods.
    with patch("dags.tasks.pods._SHORT_SECONDS", -1):
        results["nasty retrain"] = play(retrain, "nasty retrain", {}, number=220, form=form, environment=variables)
    # Before anybody listens, only the newest change is of interest.
    for number, (case, changes) in enumerate(ANNOUNCED.items(), 230):
        for _ in range(changes):
            make_serve("letters", run_key="rollback-1", minutes_ago=9)
        results[case] = play(bag.dags["announce"], case, {}, number=number, form={}, environment=variables)
    case = "announce leaves nothing"
    results[case] = play(bag.dags["announce"], case, {}, number=240, form={}, environment=variables)
    left = cluster.left()
calls = [json.loads(line) for line in Path(os.environ["FAKE_CALLS"]).read_text(encoding="utf-8").splitlines()]
told = {"results": results, "calls": calls, "nasty": NASTY, "secret": SECRET, "announced": announced(), "left": left}
print(json.dumps(told))  # noqa: T201 - the test reads it
