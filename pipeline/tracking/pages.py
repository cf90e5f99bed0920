"""Pages of MLflow's web interface: their addresses, and what the page of an experiment shows.

MLflow 3.17 opens an experiment on its runs only where the browser is set to "Model training"; a new browser is set to
"GenAI", and no tag of an experiment changes that. So every address here says it. The columns of the runs are the
browser's, too, except in a shared view: it is kept in a tag of the experiment, and an address may name it.
"""

import json
from collections.abc import Mapping

_TRAINING = "workflowType=machine_learning"
_VIEW = "understudy"
_COLUMNS = (
    "metrics.`holdout/accuracy`",
    "metrics.`holdout/accuracy_gain`",
    "tags.`decision`",
    "attributes.`Models`",
)
VIEW_TAGS: Mapping[str, str] = {
    f"mlflow.sharedViewState.{_VIEW}": json.dumps({"selectedColumns": _COLUMNS}),
    # What releases of MLflow before 3.17 go by.
    "mlflow.experimentKind": "custom_model_development",
}


def experiments_page(url: str) -> str:
    """The list of experiments, where there is none of the model yet."""
    return f"{url.rstrip('/')}/#/experiments?{_TRAINING}"


def experiment_page(url: str, experiment: str) -> str:
    """The training runs, with accuracy and decision as columns; needs the tags `VIEW_TAGS`."""
    return f"{url.rstrip('/')}/#/experiments/{experiment}/runs?{_TRAINING}&viewStateShareKey={_VIEW}"


def run_page(url: str, experiment: str, run: str) -> str:
    return f"{url.rstrip('/')}/#/experiments/{experiment}/runs/{run}?{_TRAINING}"
