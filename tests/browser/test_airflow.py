"""What Airflow's pages say after the demo, to the administrator and to whoever is on call."""

import re

import pytest
from playwright.sync_api import Page, expect

from embedded.airflow_api import AirflowApi
from embedded.demo.running_stack import MODEL
from embedded.settings import StackSettings
from tests.browser.conftest import PATIENCE_MS, sign_in

pytestmark = pytest.mark.stack

STEPS = ("snapshot", "train", "evaluate", "gate", "publish", "canary", "promote", "withdraw", "announce")


@pytest.fixture(autouse=True)
def patient() -> None:
    expect.set_options(timeout=PATIENCE_MS)


def test_the_grid_shows_every_step_and_the_run_that_was_caught(page: Page, stack: StackSettings) -> None:
    sign_in(page, stack, "admin")
    page.goto(f"{stack.airflow_url}/dags/retrain_{MODEL}")

    for step in STEPS:
        expect(page.get_by_role("link", name=step, exact=True).first).to_be_visible()
    failed = page.get_by_role("link").filter(has_text=re.compile(r"^[1-9][0-9]*\s*Failed Runs?$"))
    expect(failed).to_be_visible()
    expect(page.get_by_text(f"{MODEL}/production").first).to_be_visible()


def test_the_log_of_the_red_canary_says_what_was_wrong(page: Page, stack: StackSettings) -> None:
    sign_in(page, stack, "admin")
    page.goto(f"{stack.airflow_url}/dags/retrain_{MODEL}")
    page.get_by_role("link", name="View full logs").first.click()

    expect(page.get_by_text("golden answers differ").first).to_be_visible()
    # Not folded away, as what Airflow logs after a task is.
    expect(page.get_by_text(f"What serves {MODEL}: v").first).to_be_visible()
    expect(page.get_by_text("What to do: If the reason above says to clear this task").first).to_be_visible()


def test_the_note_of_the_run_that_was_caught_says_what_was_decided_and_what_serves(
    page: Page, stack: StackSettings
) -> None:
    dag = f"retrain_{MODEL}"
    with AirflowApi.of_stack(stack) as api:
        failed = api._call("GET", f"/api/v2/dags/{dag}/dagRuns?state=failed&order_by=-run_after&limit=1")["dag_runs"]
    sign_in(page, stack, "oncall")
    page.goto(f"{stack.airflow_url}/dags/{dag}/runs/{failed[0]['dag_run_id']}")

    # Its first line is on the page, all of it one click away.
    expect(page.get_by_text("Outcome: canary failed").first).to_be_visible()
    page.get_by_role("button", name="Edit note").click()
    note = page.get_by_role("dialog")
    expect(note.get_by_text("golden answers differ").first).to_be_visible()
    expect(note.get_by_text(re.compile(rf"v[0-9]+ serves {MODEL}")).first).to_be_visible()


def test_whoever_is_on_call_can_open_the_form_of_a_roll_back(page: Page, stack: StackSettings) -> None:
    sign_in(page, stack, "oncall")
    page.goto(f"{stack.airflow_url}/dags/rollback")
    page.get_by_role("button", name="Trigger").first.click()
    form = page.get_by_role("dialog")

    for field in ("Model", "Version", "Reason"):
        expect(form.get_by_text(field).first).to_be_visible()
    expect(form.get_by_role("button", name="Trigger")).to_be_visible()
