"""All pages in Chromium: what they say, on a phone, in the dark, and for who uses no mouse."""

import json
import subprocess
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Page, expect

from tests.hunts import hunt
from tests.serving.gateway.page.conftest import NOBODY, TIMEOUT_MS, Gateway, Opener, file, gateway_for, model
from tests.serving.gateway.pictures import picture_servers, png

PAGES = ("/", "/fleet", "/docs")
NAME = "a-picture-with-a-name-that-is-longer-than-any-line-of-a-phone-and-has-no-space-in-it-at-all.png"

expect.set_options(timeout=TIMEOUT_MS)

# Texts whose contrast with what is behind them is below 4.5, or 3 if they are large: WCAG 2.2, 1.4.3.
FAINT = """() => {
  const parts = (text) => text.match(/[\\d.]+/g).map(Number);
  const luminance = (rgb) => rgb.slice(0, 3).map((value) => value / 255)
    .map((value) => (value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4))
    .reduce((sum, value, index) => sum + value * [0.2126, 0.7152, 0.0722][index], 0);
  const behind = (node) => {
    for (let at = node; at; at = at.parentElement) {
      const colour = parts(getComputedStyle(at).backgroundColor);
      if (colour.length < 4 || colour[3] === 1) return colour;
    }
    return [255, 255, 255];
  };
  const faint = [];
  let texts = 0;
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  for (let text = walker.nextNode(); text; text = walker.nextNode()) {
    const node = text.parentElement;
    if (!text.data.trim() || !node.checkVisibility() || node.closest("noscript, option, :disabled")) continue;
    texts += 1;
    const style = getComputedStyle(node);
    const [one, other] = [luminance(parts(style.color)), luminance(behind(node))].sort((a, b) => b - a);
    const size = parseFloat(style.fontSize);
    const large = size >= 24 || (size >= 18.66 && Number(style.fontWeight) >= 700);
    const ratio = (one + 0.05) / (other + 0.05);
    if (ratio < (large ? 3 : 4.5)) faint.push(`${text.data.trim()}: ${ratio.toFixed(2)}`);
  }
  return [texts, faint];
}"""

# Controls without a name, or smaller than a finger: WCAG 2.2, 4.1.2 and 2.5.8.
UNUSABLE = """() => [...document.querySelectorAll("a, button, input, select, summary")]
  .filter((each) => each.checkVisibility() && !each.matches(".skip"))
  .map((each) => {
    const name = each.getAttribute("aria-label") || each.labels?.[0]?.textContent || each.textContent;
    const box = each.getBoundingClientRect();
    const inLine = each.matches("p a, li a");
    return [each.outerHTML.slice(0, 80), name.trim(), inLine || Math.min(box.width, box.height) >= 24];
  })
  .filter(([, name, large]) => !name || !large)"""


def filled(opened: Opener, url: str, path: str, **options: object) -> Page:
    """A page with all that it can show."""
    page = opened(f"{url}{path}", **options)
    if path == "/":
        page.locator("#model:enabled").wait_for()
        page.set_input_files("#files", file(NAME, png(255)))
        page.set_input_files("#files", file("bad.png", b"bad"))
        page.locator(".bars").wait_for()
        page.locator(".reason").wait_for()
    elif path == "/fleet":
        page.locator("table").first.wait_for()
    else:
        page.locator("details").first.wait_for()
        page.evaluate("() => document.querySelectorAll('details').forEach((each) => (each.open = true))")
    return page


@pytest.mark.parametrize("path", PAGES)
def test_all_is_legible_and_every_control_has_a_name_and_a_size(gateway: Gateway, opened: Opener, path: str) -> None:
    page = filled(opened, gateway.url, path)
    texts, faint = page.evaluate(FAINT)

    assert texts > 15
    assert [] == faint
    assert [] == page.evaluate(UNUSABLE)
    assert 1 == page.locator("h1").count()
    assert 0 == page.locator("img:not([alt])").count()
    on_a_phone_in_the_dark(page)


def on_a_phone_in_the_dark(page: Page) -> None:
    """Nothing is wider than the screen, all is legible, and the word on a button stays in one line."""
    page.set_viewport_size({"width": 320, "height": 640})
    page.emulate_media(color_scheme="dark")
    texts, faint = page.evaluate(FAINT)
    buttons = page.evaluate("() => [...document.querySelectorAll('.button')].map((each) => each.offsetHeight)")

    assert 320 == page.evaluate("() => document.documentElement.scrollWidth")
    assert texts > 15
    assert [] == faint
    assert page.evaluate("() => getComputedStyle(document.body).backgroundColor.match(/\\d+/)[0] < 64")
    assert [] == [height for height in buttons if height > 46]


def test_the_links_stay_where_they_are_from_page_to_page(gateway: Gateway, opened: Opener) -> None:
    """...although one page is wider than the others, and one needs no scroll bar."""
    page = opened(gateway.url)
    places = []
    for path in PAGES:
        page.goto(f"{gateway.url}{path}")
        places.append([link.bounding_box() for link in page.locator(".brand, nav a:first-child").all()])

    assert 2 == len(places[0])
    assert places[0] == places[1] == places[2]


def test_every_stop_of_the_tab_key_is_seen_and_in_the_order_of_the_page(gateway: Gateway, opened: Opener) -> None:
    page = filled(opened, gateway.url, "/")
    stops = []
    for _ in range(30):
        page.keyboard.press("Tab")
        at = page.evaluate(
            """() => {
              const at = document.activeElement;
              const seen = at.matches("input[type=file]") ? at.nextElementSibling : at;
              const name = at.getAttribute("aria-label") || at.labels?.[0]?.textContent || at.textContent;
              return [name.trim(), getComputedStyle(seen).outlineStyle !== "none", at === document.body];
            }"""
        )
        if at[2]:
            break
        stops.append(at)

    assert ["Skip to the content", "Understudy", "Classify", "Fleet", "API", "Model", "Choose images", "Clear all"] == [
        name for name, *_ in stops[:8]
    ]
    assert "environment" == page.get_by_label("Take a photo").get_attribute("capture")
    assert "Remove bad.png" in [name for name, *_ in stops]
    assert [] == [name for name, seen, _ in stops if not seen]


@hunt
@pytest.mark.parametrize(("wish", "animation"), [("reduce", "none"), ("no-preference", "grow")])
def test_nothing_moves_for_who_wants_no_motion(gateway: Gateway, opened: Opener, wish: str, animation: str) -> None:
    page = filled(opened, gateway.url, "/", reduced_motion=wish)

    assert animation == page.locator(".filled").first.evaluate("(bar) => getComputedStyle(bar).animationName")


@hunt
def test_the_page_of_the_fleet_follows_what_happens(tmp_path: Path, opened: Opener) -> None:
    with picture_servers(tmp_path, versions=(1, 2), stable=2) as first:
        with gateway_for(model(f"digits={first[0]},{NOBODY}")) as url:
            page = opened(f"{url}/fleet")
            row = page.get_by_role("row").filter(has_text=first[0])

            expect(row).to_contain_text("usable")
            expect(row).to_contain_text("v2 available")
            expect(row).to_contain_text("v1 available")
            expect(page.get_by_role("row").filter(has_text=NOBODY)).to_contain_text("no answer")
            expect(page.get_by_text("1 of 2")).to_be_visible()
        expect(page.get_by_role("alert")).to_contain_text("The gateway does not answer.")
        expect(row).to_be_visible()


def test_the_page_of_the_api_lists_every_route_and_its_lines_work_in_a_shell(
    gateway: Gateway, opened: Opener, tmp_path: Path
) -> None:
    paths = httpx.get(f"{gateway.url}/openapi.json").raise_for_status().json()["paths"]
    routes = {(method.upper(), path) for path, item in paths.items() for method in item}
    for name in ("image.png", "first.png", "second.jpg"):
        (tmp_path / name).write_bytes(png(255))
    page = filled(opened, gateway.url, "/docs")
    lines = page.locator(".sample code").all_inner_texts()
    listed = zip(page.locator(".method").all_inner_texts(), page.locator(".path").all_inner_texts(), strict=True)

    assert ("POST", "/v1/classify/{model}") in routes
    assert routes == set(listed)
    assert 4 == len(lines)
    answers = [
        subprocess.run(line, shell=True, cwd=tmp_path, capture_output=True, text=True, check=True).stdout  # noqa: S602
        for line in lines
    ]
    assert [1, 2, 1] == [len(json.loads(answer)["predictions"]) for answer in answers[:3]]
    assert json.loads(answers[3])["success"]
