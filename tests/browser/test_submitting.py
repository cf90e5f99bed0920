"""Every form that a person fills in: opened, filled in and submitted. What it decides is in the journal then.

Comes last, because these tests change what the others look at; they leave what serves as it was.
"""

import time

import pytest
from playwright.sync_api import Page, expect

from embedded.airflow_api import AirflowApi
from embedded.demo.running_stack import MODEL
from embedded.settings import StackSettings
from pipeline.clock import SystemClock
from pipeline.journal.entries import Entry, Event
from pipeline.journal.history import History
from pipeline.journal.journal import JournalWriter
from pipeline.storage.opening import open_bucket
from tests.browser.conftest import PATIENCE_MS, sign_in

pytestmark = [pytest.mark.stack, pytest.mark.timeout(300)]

RUN_SECONDS = 200.0


@pytest.fixture(autouse=True)
def patient() -> None:
    expect.set_options(timeout=PATIENCE_MS)


def history(stack: StackSettings) -> History:
    bucket = open_bucket(str(stack.bucket), seconds=5.0)
    return JournalWriter(bucket, MODEL, run_key="look-0", actor="look", clock=SystemClock()).read()


def newest_run(api: AirflowApi, dag: str) -> str | None:
    runs = api._call("GET", f"/api/v2/dags/{dag}/dagRuns?order_by=-run_after&limit=1")["dag_runs"]
    return runs[0]["dag_run_id"] if runs else None


def submit(page: Page, stack: StackSettings, dag: str, fields: dict[str, str]) -> list[Entry]:
    """Fill the form in and press its button; the journal entries since then, when the run has ended well."""
    before = history(stack).seq
    with AirflowApi.of_stack(stack) as api:
        earlier = newest_run(api, dag)
        page.goto(f"{stack.airflow_url}/dags/{dag}")
        page.get_by_role("button", name="Trigger").first.click()
        form = page.get_by_role("dialog")
        for name, value in fields.items():
            form.locator(f"#element_{name}").fill(value)
        button = form.get_by_role("button", name="Trigger")
        expect(button).to_be_enabled()
        button.click()
        expect(form).to_be_hidden()
        deadline = time.monotonic() + RUN_SECONDS
        while (run := newest_run(api, dag)) in (None, earlier):
            assert time.monotonic() < deadline, "the form was submitted, and Airflow has no new run"
            time.sleep(0.5)
        assert run is not None
        assert "success" == api.wait(dag, run, seconds=RUN_SECONDS), api.task_states(dag, run)
    return [entry for entry in history(stack).all() if entry.seq > before]


def test_a_retrain_is_triggered_with_its_form_as_it_opens(page: Page, stack: StackSettings) -> None:
    before = history(stack).state
    sign_in(page, stack, "admin")
    entries = submit(page, stack, f"retrain_{MODEL}", {})

    assert Event.WITHDRAWN not in [entry.event for entry in entries]
    assert before.serving in (history(stack).state.serving, history(stack).state.previous)


def test_whoever_is_on_call_decides_with_forms(page: Page, stack: StackSettings) -> None:
    """One after the other; each finds what the one before has decided."""
    # The newest: where these tests were run before, they have readmitted an older one.
    withdrawn = next(e.version for e in reversed(history(stack).all()) if e.event is Event.WITHDRAWN)
    back = history(stack).state.previous
    assert back is not None, "the retrain before has replaced a version"
    reason = "the forms are looked at"
    sign_in(page, stack, "oncall")
    events = {
        dag: [entry.event for entry in submit(page, stack, dag, {**fields, "reason": reason})]
        for dag, fields in {
            "freeze": {"until": "12h"},
            "readmit": {"version": f"v{withdrawn}"},
            "rollback": {},
            "pin": {"to": f"v{back}"},
            "unfreeze": {},
        }.items()
    }

    assert [Event.FROZEN] == events["freeze"]
    assert [Event.READMITTED] == events["readmit"]
    assert Event.ROLLED_BACK in events["rollback"]
    assert [Event.PINNED] == events["pin"]
    assert [Event.UNFROZEN] == events["unfreeze"]
    assert back == history(stack).state.serving
    assert {"oncall"} == {entry.actor for entry in history(stack).all() if entry.reason == reason}


def test_whoever_is_on_call_reconciles_with_a_form(page: Page, stack: StackSettings) -> None:
    sign_in(page, stack, "oncall")

    assert [] == submit(page, stack, "reconcile", {})
