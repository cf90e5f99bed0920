"""Pages of MLflow's web interface: their addresses, and what the page of an experiment shows.

MLflow 3.17 opens an experiment on its runs only if the browser is set to "Model training". A new browser is set to
"GenAI", and no tag of an experiment changes that. So every address here says it. The browser also keeps the columns of
the runs, except in a shared view, which is kept in a tag of the experiment and named by an address.
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
    # Used by releases of MLflow before 3.17.
    "mlflow.experimentKind": "custom_model_development",
}


def experiments_page(url: str) -> str:
    """The address of the list of experiments, for a model that has none yet."""
    return f"{url.rstrip('/')}/#/experiments?{_TRAINING}"


def experiment_page(url: str, experiment: str) -> str:
    """The address of the training runs, with accuracy and decision as columns.

    The experiment needs the tags `VIEW_TAGS`.
    """
    return f"{url.rstrip('/')}/#/experiments/{experiment}/runs?{_TRAINING}&viewStateShareKey={_VIEW}"


def run_page(url: str, experiment: str, run: str) -> str:
    """The address of one run."""
    return f"{url.rstrip('/')}/#/experiments/{experiment}/runs/{run}?{_TRAINING}"
