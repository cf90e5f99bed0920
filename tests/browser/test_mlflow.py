"""What MLflow's pages show after the demo."""

import re

import httpx
import pytest
from playwright.sync_api import Page, expect

from embedded import health
from embedded.demo.running_stack import MODEL
from embedded.settings import StackSettings
from tests.browser.conftest import PATIENCE_MS

pytestmark = pytest.mark.stack

# Runs are named by their moment.
A_RUN = re.compile(r"^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d$")


@pytest.fixture
def experiment(stack: StackSettings) -> str:
    """The page of the model's experiment."""
    named = {"experiment_name": MODEL}
    answer = httpx.get(f"{stack.mlflow_url}/api/2.0/mlflow/experiments/get-by-name", params=named, trust_env=False)
    return f"{stack.mlflow_url}/#/experiments/{answer.raise_for_status().json()['experiment']['experiment_id']}"


def test_the_experiment_lists_the_runs(page: Page, experiment: str) -> None:
    page.goto(f"{experiment}/runs")

    # One of the first model, three of better ones, one of a worse one, two of damaged ones; more if it ran again.
    expect(page.get_by_role("link", name=A_RUN).nth(6)).to_be_visible(timeout=PATIENCE_MS)


def test_the_link_of_make_up_opens_the_training_runs_with_accuracy_and_decision(
    page: Page, stack: StackSettings
) -> None:
    """For somebody whose browser has never been there: by default MLflow shows an empty view for GenAI."""
    expect.set_options(timeout=PATIENCE_MS)
    page.set_viewport_size({"width": 1900, "height": 800})
    page.goto(health.mlflow_page(stack, MODEL))

    expect(page.get_by_role("link", name=A_RUN).nth(5)).to_be_visible()
    for column in ("holdout/accuracy", "decision"):
        expect(page.get_by_role("columnheader").filter(has_text=column).first).to_be_visible()
    for decision in ("promoted", "withdrawn", "declined by the gate"):
        expect(page.get_by_role("gridcell", name=decision).first).to_be_visible()


def test_a_run_links_to_its_dag_run_in_airflow(page: Page, experiment: str, stack: StackSettings) -> None:
    page.goto(f"{experiment}/runs?workflowType=machine_learning")
    page.get_by_role("link", name=A_RUN).first.click()
    link = page.get_by_role("link", name="The DAG run in Airflow").first

    expect(link).to_be_visible(timeout=PATIENCE_MS)
    assert (link.get_attribute("href") or "").startswith(f"{stack.airflow_url}/dags/retrain_{MODEL}/runs/")


def test_a_run_shows_its_metrics(page: Page, experiment: str) -> None:
    page.goto(f"{experiment}/runs")
    page.get_by_role("link", name=A_RUN).first.click()

    expect(page.get_by_text("accuracy").first).to_be_visible(timeout=PATIENCE_MS)
