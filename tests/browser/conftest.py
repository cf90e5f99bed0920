"""The stack of `make demo` in a browser, as a person sees it: Debian's Chromium, driven by playwright.

Nothing is changed there. What a test saw last is kept as a picture in `var/look/`, or `var/latest/look/`.
"""

from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, Page, Route

from embedded import health
from embedded.airflow_api import AirflowApi
from embedded.settings import StackSettings, load_all_settings
from tests.chromium import running_chromium

# The pages of a busy stack take their time.
PATIENCE_MS = 60_000


@pytest.fixture(scope="session")
def stack() -> StackSettings:
    """The one that is up, with nothing missing; skips the test where there is none."""
    for settings in load_all_settings():
        if all(component.state is health.State.UP for component in health.check_components(settings)):
            return settings
    pytest.skip("needs the stack of the demo: run `make demo`, or `make demo ROLLOUT=latest`, then `make look`")


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    with running_chromium() as started:
        yield started


@pytest.fixture
def page(browser: Browser, stack: StackSettings, request: pytest.FixtureRequest) -> Iterator[Page]:
    """A window of somebody who is nowhere signed in; no page may fail, or ask another machine for anything."""
    errors: list[str] = []
    asked: list[str] = []

    def answer(route: Route) -> None:
        if urlsplit(route.request.url).hostname == "127.0.0.1":
            route.continue_()
        else:
            asked.append(route.request.url)
            route.abort()

    with browser.new_context(viewport={"width": 1400, "height": 900}) as context:
        context.set_default_timeout(PATIENCE_MS)
        context.route(lambda url: url.startswith("http"), answer)
        opened = context.new_page()
        opened.on("pageerror", lambda error: errors.append(str(error)))
        yield opened
        opened.screenshot(path=stack.var / "look" / f"{request.node.name}.png")
    assert [] == errors
    assert [] == asked


def sign_in(page: Page, stack: StackSettings, username: str) -> None:
    """By Airflow's own form, with the password it made up."""
    page.goto(stack.airflow_url)
    page.get_by_label("Username").fill(username)
    page.get_by_label("Password").fill(AirflowApi.of_stack(stack, username).password)
    page.get_by_role("button", name="Sign in").click()
    page.get_by_role("link", name="Dags").first.wait_for()
