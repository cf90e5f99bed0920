"""A gateway with two models, of which one does not answer, and Chromium in front of it."""

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast
from urllib.parse import urlsplit

import pytest
import uvicorn
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, FilePayload, Page, Route

from serving.gateway.application import create_app
from serving.gateway.security.keys import Key, digest_of
from serving.gateway.settings import ModelSettings, Settings, parse_model
from tests.chromium import running_chromium
from tests.ports import free_port
from tests.serving.client.servers import eventually
from tests.serving.gateway.pictures import picture_servers, png

# Nothing listens on the port of the discard protocol.
NOBODY = "127.0.0.1:9"
TIMEOUT_MS = 10_000
KEY = "a-key"


@dataclass
class Gateway:
    """A running gateway."""

    url: str
    replicas: list[str]


@contextmanager
def gateway_for(*models: ModelSettings, keys: Path | None = None) -> Iterator[str]:
    """The address of a gateway that runs in a thread, and has asked its models once."""
    app = create_app(Settings(models=models, keys=keys))
    port = free_port()
    config = uvicorn.Config(cast("Any", app), port=port, log_config=None, timeout_graceful_shutdown=1)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, name="gateway")
    thread.start()
    try:
        eventually(lambda: server.started and not _is_new(app))
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        thread.join()


def _is_new(app: Any) -> bool:
    return any("not been asked" in state.reason for state in app.state.readiness.states.values())


def model(text: str, *, latest: bool = False) -> ModelSettings:
    return parse_model(text, latest=latest, tls=None)


@pytest.fixture(scope="session")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """`digits` has a replica with the versions 1 and 2, of which 2 is stable, and one that is down. `pets` is down."""
    folder = tmp_path_factory.mktemp("models")
    with ExitStack() as stack:
        replicas = stack.enter_context(picture_servers(folder, versions=(1, 2), stable=2))
        digits = model(f"digits={replicas[0]},{NOBODY}")
        url = stack.enter_context(gateway_for(digits, model(f"pets={NOBODY}", latest=True)))
        yield Gateway(url, replicas)


@pytest.fixture
def guarded(gateway: Gateway, tmp_path: Path) -> Iterator[str]:
    """The address of a gateway that asks for KEY."""
    keys = tmp_path / "keys"
    keys.write_text(Key(name="alice", digest=digest_of(KEY)).line())
    with gateway_for(model(f"digits={gateway.replicas[0]}"), keys=keys) as url:
        yield url


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Not of the session: other tests of the process use asyncio, which playwright does while it runs."""
    with running_chromium() as browser:
        yield browser


Opener = Callable[..., Page]


@pytest.fixture
def opened(browser: Browser) -> Iterator[Opener]:
    """Open an address in a new window; in the end, nothing may have failed there or asked another host for anything."""
    errors: list[str] = []
    foreign: list[str] = []
    contexts: list[BrowserContext] = []

    def answer(route: Route) -> None:
        if urlsplit(route.request.url).hostname == "127.0.0.1":
            route.fallback()
        else:
            foreign.append(route.request.url)
            route.abort()

    def note(message: ConsoleMessage) -> None:
        # The browser notes each answer that is not 200. These tests provoke some.
        if message.type in ("error", "warning") and not message.text.startswith("Failed to load resource"):
            errors.append(message.text)

    def open_page(url: str, **options: Any) -> Page:
        # Without motion, what is measured is final.
        usual = {"viewport": {"width": 1100, "height": 900}, "reduced_motion": "reduce"}
        context = browser.new_context(**(usual | options))
        context.set_default_timeout(TIMEOUT_MS)
        context.route(lambda url: url.startswith("http"), answer)
        contexts.append(context)
        page = context.new_page()
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.on("console", note)
        # From now on, the browser hands over what would choose a file.
        page.on("filechooser", lambda _: None)
        page.goto(url)
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert [] == errors
    assert [] == foreign


def file(name: str = "white.png", content: bytes | None = None) -> Sequence[FilePayload]:
    """For `set_input_files`, which takes one."""
    return [{"name": name, "mimeType": "image/png", "buffer": png(255) if content is None else content}]
