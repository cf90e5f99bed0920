"""The page at `/` in Chromium, as a person uses it, with real model servers behind the gateway."""

import base64
import json
import re

import pytest
from playwright.sync_api import Locator, Page, Route, expect

from tests.hunts import hunt
from tests.serving.gateway.page.conftest import KEY, TIMEOUT_MS, Gateway, Opener, file
from tests.serving.gateway.pictures import png

expect.set_options(timeout=TIMEOUT_MS)


def card(page: Page, name: str) -> Locator:
    return page.locator(".card").filter(has=page.get_by_role("heading", name=name, exact=True))


# Puts a file where a person would with the mouse or the clipboard; `kind` is the event's name.
HAND_OVER = """([kind, name, type, content]) => {
  const bytes = Uint8Array.from(atob(content), (each) => each.charCodeAt(0));
  const transfer = new DataTransfer();
  if (name) transfer.items.add(new File([bytes], name, { type }));
  const event = kind === "paste"
    ? new ClipboardEvent("paste", { clipboardData: transfer, bubbles: true, cancelable: true })
    : new DragEvent(kind, { dataTransfer: transfer, bubbles: true, cancelable: true });
  document.body.dispatchEvent(event);
  return event.defaultPrevented;
}"""


def hand_over(page: Page, kind: str, name: str = "", content: bytes = b"") -> bool:
    return bool(page.evaluate(HAND_OVER, [kind, name, "image/png", base64.b64encode(content).decode()]))


def test_a_file_chosen_with_the_keyboard_gets_bars_the_version_and_the_replica(
    gateway: Gateway, opened: Opener
) -> None:
    page = opened(gateway.url)
    page.locator("#model:enabled").focus()
    page.keyboard.press("Tab")
    expect(page.get_by_label("Choose images")).to_be_focused()
    with page.expect_file_chooser() as chooser:
        page.keyboard.press("Enter")
    chooser.value.set_files(file("white.png"))
    shown = card(page, "white.png")

    expect(shown.locator(".bars li")).to_have_count(4)
    expect(shown.locator(".best")).to_contain_text("70.0 %")
    expect(shown.locator(".facts")).to_have_text(re.compile(rf"^version 2{re.escape(gateway.replicas[0])}\d+ ms$"))
    # As wide as it is probable.
    widths = [each.bounding_box() for each in shown.locator(".filled").all()]
    tracks = [each.bounding_box() for each in shown.locator(".track").all()]
    assert [0.7, 0.1, 0.1, 0.1] == [
        round(width["width"] / track["width"], 1)
        for width, track in zip(widths, tracks, strict=True)
        if width and track
    ]
    # For who does not see the bars.
    expect(page.get_by_role("status")).to_have_text(re.compile(r"^white\.png: .+, 70\.0 %\. Version 2 answered\.$"))


def test_an_image_is_pasted_or_dropped_anywhere_on_the_page(gateway: Gateway, opened: Opener) -> None:
    """The browser would leave the page and open what is dropped, if the page left it to the browser."""
    page = opened(gateway.url)
    page.locator("#model:enabled").wait_for()

    assert hand_over(page, "paste", "pasted.png", png(0))
    expect(card(page, "pasted.png").locator(".best")).to_contain_text("70.0 %")
    assert hand_over(page, "dragover", "dropped.png", png(0))
    hand_over(page, "dragenter", "dropped.png", png(0))
    expect(page.locator("body")).to_have_class("dragging")
    assert hand_over(page, "drop", "dropped.png", png(0))
    expect(page.locator("body")).not_to_have_class("dragging")
    expect(card(page, "dropped.png").locator(".best")).to_contain_text("70.0 %")


@hunt
@pytest.mark.parametrize("kind", ["drop", "paste"])
def test_what_is_no_file_is_explained(gateway: Gateway, opened: Opener, kind: str) -> None:
    page = opened(gateway.url)
    page.locator("#model:enabled").wait_for()
    hand_over(page, kind)

    expect(page.get_by_role("alert")).to_contain_text("image")


def test_an_image_that_is_refused_shows_the_reason_and_the_others_are_answered(
    gateway: Gateway, opened: Opener
) -> None:
    page = opened(gateway.url)
    page.locator("#model:enabled").wait_for()
    with page.expect_response(lambda response: response.status >= 400) as refused:
        page.set_input_files("#files", [*file("good.png"), *file("bad.png", b"no image"), *file("also.png")])
    reason = json.loads(refused.value.body())["error"]

    expect(card(page, "bad.png").locator(".reason")).to_have_text(reason)
    expect(card(page, "bad.png").get_by_text("no preview")).to_be_visible()
    # It would be refused again.
    expect(card(page, "bad.png").get_by_role("button", name="Try again")).to_have_count(0)
    expect(card(page, "good.png").locator(".best")).to_be_visible()
    expect(card(page, "also.png").locator(".best")).to_be_visible()
    expect(page.locator("[aria-busy=true]")).to_have_count(0)


def test_a_model_that_is_down_says_so_before_and_after_an_image_is_sent(gateway: Gateway, opened: Opener) -> None:
    page = opened(f"{gateway.url}/?model=pets")

    expect(page.get_by_label("Model")).to_have_value("pets")
    expect(page.locator("#model-state")).to_have_text("no replica of pets can be reached now")
    page.set_input_files("#files", file())
    again = card(page, "white.png").get_by_role("button", name="Try again")
    expect(card(page, "white.png").locator(".reason")).to_have_text("no replica of pets can be reached now")
    expect(again).to_be_enabled()
    page.get_by_label("Model").select_option("digits")
    expect(page.locator("#model-state")).to_be_hidden()
    again.focus()
    page.keyboard.press("Enter")
    expect(card(page, "white.png").locator(".best")).to_contain_text("70.0 %")


def test_a_gateway_that_is_busy_says_when_to_try_again(gateway: Gateway, opened: Opener) -> None:
    page = opened(gateway.url)
    page.locator("#model:enabled").wait_for()
    sentence = "digits has as many requests as it can answer in time; try again"
    answers = iter([(503, {"Retry-After": "3600"})])

    def busy_once(route: Route) -> None:
        status, headers = next(answers, (0, {}))
        if status:
            route.fulfill(status=status, headers=headers, json={"error": sentence})
        else:
            route.fallback()

    page.route("**/v1/classify/**", busy_once)
    page.set_input_files("#files", file())
    again = card(page, "white.png").get_by_role("button", name="Try again in")

    expect(card(page, "white.png").locator(".reason")).to_have_text(sentence)
    expect(again).to_have_text(re.compile(r"Try again in 3[56]\d\d s"))
    expect(again).to_be_disabled()


@hunt
def test_cards_are_removed_and_the_focus_stays_where_the_person_works(gateway: Gateway, opened: Opener) -> None:
    page = opened(gateway.url)
    page.locator("#model:enabled").wait_for()
    page.set_input_files("#files", [*file("first.png"), *file("second.png")])
    page.get_by_role("button", name="Remove second.png").press("Enter")

    expect(page.get_by_role("button", name="Remove first.png")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator(".card")).to_have_count(0)
    expect(page.get_by_role("heading", name="Answers")).to_be_hidden()
    expect(page.get_by_label("Choose images")).to_be_focused()


@hunt
def test_a_name_of_a_file_is_text_and_never_markup(gateway: Gateway, opened: Opener) -> None:
    page = opened(gateway.url)
    page.locator("#model:enabled").wait_for()
    name = "<img src=x onerror=alert(1)>.png"
    page.set_input_files("#files", file(name))

    expect(card(page, name).locator(".best")).to_be_visible()
    assert 0 == page.locator("img[src=x]").count()


def test_a_key_is_asked_for_once_and_kept_in_this_tab_only(gateway: Gateway, guarded: str, opened: Opener) -> None:
    page = opened(guarded)
    expect(page.get_by_label("Model")).to_have_value("digits")
    page.set_input_files("#files", [*file("first.png"), *file("second.png")])
    key = page.get_by_label("API key", exact=True)

    expect(key).to_be_focused()
    key.fill("wrong")
    key.press("Enter")
    expect(page.get_by_role("dialog")).to_contain_text("this API key is not valid")
    key.fill(f" {KEY}\n")
    key.press("Enter")
    expect(card(page, "first.png").locator(".best")).to_be_visible()
    expect(card(page, "second.png").locator(".best")).to_be_visible()
    assert {"understudy-api-key": KEY} == page.evaluate("() => ({...sessionStorage})")
    assert {} == page.evaluate("() => ({...localStorage})")
    assert [] == page.context.cookies()
    page.goto(f"{guarded}/fleet")
    expect(page.get_by_role("rowheader", name=gateway.replicas[0])).to_be_visible()


@hunt
def test_who_has_no_key_sees_that_one_is_needed(guarded: str, opened: Opener) -> None:
    page = opened(guarded)
    expect(page.get_by_label("Model")).to_have_value("digits")
    page.set_input_files("#files", file())
    page.get_by_role("dialog").wait_for()
    page.keyboard.press("Escape")

    expect(card(page, "white.png").locator(".reason")).to_contain_text("an API key is needed")
