"""The files of the pages as they are sent, and what they must not hold."""

import re
from collections.abc import Iterator

import httpx
import pytest

from serving.gateway.page.static_files import FOLDER, read_files
from tests.serving.gateway.page.conftest import Gateway

FILES = read_files()
PAGES = [name for name in FILES if name.endswith(".html")]
SCRIPTS = [name for name in FILES if name.endswith(".js")]


@pytest.fixture
def client(gateway: Gateway) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=gateway.url, trust_env=False) as client:
        yield client


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/", "text/html; charset=utf-8"),
        ("/docs", "text/html; charset=utf-8"),
        ("/page/style.css", "text/css; charset=utf-8"),
        ("/page/page.js", "text/javascript; charset=utf-8"),
        ("/page/icon.svg", "image/svg+xml"),
    ],
)
def test_a_file_has_its_type_and_is_sent_once(client: httpx.Client, path: str, kind: str) -> None:
    first = client.get(path)
    etag = first.headers["etag"]
    again = client.get(path, headers={"If-None-Match": f'"other", W/{etag}'})
    changed = client.get(path, headers={"If-None-Match": '"other"'})

    assert (200, kind, "no-cache") == (first.status_code, first.headers["content-type"], first.headers["cache-control"])
    assert (304, b"", etag) == (again.status_code, again.content, again.headers["etag"])
    assert (200, first.content) == (changed.status_code, changed.content)


def test_a_monitor_may_ask_for_the_head_of_a_page(client: httpx.Client) -> None:
    answer = client.head("/")

    assert (200, b"") == (answer.status_code, answer.content)


@pytest.mark.parametrize("path", ["/page/other.js", "/page/..%2fsettings.py", "/page/../settings.py", "/page/"])
def test_nothing_else_is_sent(client: httpx.Client, path: str) -> None:
    answer = client.get(path)

    assert 404 == answer.status_code
    assert "error" in answer.json()


@pytest.mark.parametrize("name", PAGES)
def test_a_page_holds_no_script_and_no_style_of_its_own(name: str) -> None:
    """So the content security policy can forbid all that is inline."""
    text = FILES[name].content.decode()

    assert [] == re.findall(r"<script(?![^>]*\ssrc=)[^>]*>|<style|\sstyle=|\son\w+=|javascript:", text)


@pytest.mark.parametrize("name", PAGES)
def test_a_page_names_only_files_and_routes_of_this_gateway(name: str, client: httpx.Client) -> None:
    named = re.findall(r'(?:src|href)="([^"#]+)"', FILES[name].content.decode())

    assert named
    assert [] == [each for each in named if not each.startswith("/") or client.head(each).status_code not in (200, 405)]


@pytest.mark.parametrize("name", sorted(FILES))
def test_no_file_names_another_host(name: str) -> None:
    text = FILES[name].content.decode().replace("http://www.w3.org/2000/svg", "")

    assert [] == re.findall(r"https?:|[\"'(]//\w", text)


@pytest.mark.parametrize("name", SCRIPTS)
def test_a_script_writes_text_and_never_markup(name: str) -> None:
    text = FILES[name].content.decode()

    assert [] == re.findall(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\b|new Function", text)
    assert [] == re.findall(r"localStorage|document\.cookie", text)


def test_all_files_of_the_pages_are_small() -> None:
    """A phone with a slow connection loads them, and nothing is built that could make them smaller."""
    assert set(FILES) == {path.name for path in FOLDER.iterdir()}
    assert sum(len(file.content) for file in FILES.values()) < 100_000
