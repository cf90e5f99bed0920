"""What MLflow's pages show after the demo."""

import re

import httpx
import pytest
from playwright.sync_api import Page, expect

from embedded.settings import StackSettings
from tests.browser.conftest import PATIENCE_MS

pytestmark = pytest.mark.stack

# Runs are named by their moment.
A_RUN = re.compile(r"^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d$")


@pytest.fixture
def experiment(stack: StackSettings) -> str:
    """The page of the model's experiment."""
    named = {"experiment_name": stack.model}
    answer = httpx.get(f"{stack.mlflow_url}/api/2.0/mlflow/experiments/get-by-name", params=named, trust_env=False)
    return f"{stack.mlflow_url}/#/experiments/{answer.raise_for_status().json()['experiment']['experiment_id']}"


def test_the_experiment_lists_the_runs(page: Page, experiment: str) -> None:
    page.goto(f"{experiment}/runs")

    # One of the first model, three of better ones, one of a worse one, one of a damaged one; more if it was told again.
    expect(page.get_by_role("link", name=A_RUN).nth(5)).to_be_visible(timeout=PATIENCE_MS)


def test_a_run_shows_its_metrics(page: Page, experiment: str) -> None:
    page.goto(f"{experiment}/runs")
    page.get_by_role("link", name=A_RUN).first.click()

    expect(page.get_by_text("accuracy").first).to_be_visible(timeout=PATIENCE_MS)
