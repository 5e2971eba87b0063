"""Phone and desktop: everything fits, nothing scrolls sideways, nothing is without a name."""

from typing import Any

import pytest
from playwright.sync_api import FloatRect, Page, expect

from tests.browser.conftest import Join
from tests.browser.participant import Participant

SIZES = {
    "phone": (390, 844),
    "small phone": (320, 568),
    "lying phone": (844, 390),
    "desktop": (1280, 800),
}

MUST_FIT = "button, input, select, video, a, canvas, #self-id, .chip, #path-hint, .entry"
OUTSIDE = """(selector) => [...document.querySelectorAll(selector)]
  .filter((element) => element.checkVisibility({ visibilityProperty: true }))
  .filter((element) => {
    const box = element.getBoundingClientRect();
    return box.left < 0 || box.right > innerWidth + 0.5;
  })
  .map((element) => element.id || element.className)"""


def expect_fit(page: Page, *in_sight: str) -> None:
    """Expect nothing to stick out at any size, and what these selectors name to be in sight."""
    for name, (width, height) in SIZES.items():
        page.set_viewport_size({"width": width, "height": height})
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), name
        assert page.evaluate(OUTSIDE, MUST_FIT) == [], name
        for selector in in_sight:
            expect(page.locator(selector)).to_be_in_viewport(ratio=1)


def test_every_screen_before_a_call_fits(join: Join) -> None:
    ann = join("Ann", query={"room": "A room with a very long name " * 3})
    expect_fit(ann.page)
    ann.press("Settings")
    expect_fit(ann.page)
    ann.press("Close settings")
    ann.sign_in()
    bob = join("Bartholomew Featherstonehaugh-Cholmondeley the Younger", query={"id": "b" * 128})
    bob.sign_in()
    ann.expect_list(bob)
    expect_fit(ann.page)
    ann.press("Invite somebody")
    expect_fit(ann.page, "#copy-link")
    ann.press("Close the invitation")
    bob.call(ann)
    ann.expect_ringing(bob.name)
    expect_fit(ann.page, "#accept", "#reject")


def test_every_screen_of_a_call_fits(join: Join) -> None:
    ann, bob = join("Ann").sign_in(), join("Bob").sign_in()
    ann.call(bob)
    bob.accept()
    ann.expect_remote_picture()
    expect(ann.find("open-chat")).to_be_visible()
    controls = [f"#{name}" for name in ("mute", "camera", "share", "open-chat", "hang-up")]
    expect_fit(ann.page, *controls, "#path-words")
    ann.page.keyboard.press("q")
    expect_fit(ann.page, "#close-panel")
    ann.page.keyboard.press("c")
    ann.page.get_by_label("Message", exact=True).fill("word" * 500)
    ann.page.keyboard.press("Enter")
    ann.find("file-input").set_input_files(
        {"name": f"{'long' * 30}.txt", "mimeType": "text/plain", "buffer": b"text"}
    )
    expect(ann.page.locator(".file")).to_be_visible()
    expect_fit(ann.page, "#close-panel", "#chat-text", "#chat-send", "#attach")


@pytest.mark.parametrize("name", SIZES)
def test_news_do_not_cover_the_own_picture(join: Join, name: str) -> None:
    width, height = SIZES[name]
    options: dict[str, Any] = {"reduced_motion": "reduce"}
    ann = join("Ann", viewport={"width": width, "height": height}, **options).sign_in()
    bob = join("Bob").sign_in()
    ann.call(bob)
    bob.accept()
    ann.expect_remote_picture()
    expect(bob.find("open-chat")).to_be_visible()
    bob.page.keyboard.press("c")
    bob.page.get_by_label("Message", exact=True).fill("words " * 20)
    bob.page.keyboard.press("Enter")
    expect(ann.find("toast")).to_be_visible()
    toast, *others = (ann.find(each).bounding_box() for each in ("toast", "own-tile", "hang-up"))
    assert toast is not None
    assert not [other for other in others if other is None or overlap(toast, other)]


def overlap(one: FloatRect, other: FloatRect) -> bool:
    across = one["x"] < other["x"] + other["width"] and other["x"] < one["x"] + one["width"]
    down = one["y"] < other["y"] + other["height"] and other["y"] < one["y"] + one["height"]
    return across and down


def test_nothing_shows_beside_a_panel_on_a_phone(join: Join) -> None:
    ann, bob = join("Ann", viewport={"width": 390, "height": 844}).sign_in(), join("Bob").sign_in()
    ann.call(bob)
    bob.accept()
    ann.expect_remote_picture()
    beneath = [ann.find(name) for name in ("remote-video", "own-tile", "path-words")]
    for each in beneath:
        expect(each).to_be_visible()
    ann.find("path-words").click()
    for each in beneath:
        expect(each).to_be_hidden()
    ann.page.keyboard.press("Escape")
    for each in beneath:
        expect(each).to_be_visible()
    expect(ann.find("path-words")).to_be_focused()
    ann.expect_remote_picture()


@pytest.mark.parametrize("width", [320, 1280])
def test_what_one_can_do_in_the_lobby_stands_in_one_column(join: Join, width: int) -> None:
    ann = join("Ann", viewport={"width": width, "height": 700}).sign_in()
    actions = ann.page.locator(".you-actions > *").all()
    boxes = [each.bounding_box() for each in (*actions, ann.find("open-invite"))]
    known = [box for box in boxes if box is not None]
    assert len(known) == 3
    assert len({(box["x"], box["width"]) for box in known}) == 1
    assert len({box["height"] for box in known}) == 1, "a label was broken into two lines"


def test_every_control_has_a_name_and_every_id_is_unique(join: Join) -> None:
    ann = join("Ann").sign_in()
    nameless = """() => [...document.querySelectorAll("button, input, select, dialog, video, a")]
      .filter((element) => !(element.ariaLabel || element.labels?.length || element.innerText
        || element.textContent.trim() || element.getAttribute("aria-labelledby")))
      .map((element) => element.id || element.outerHTML)
      .filter((name) => !["toast", "path-words", "notice-link"].includes(name))"""
    assert ann.page.evaluate(nameless) == []
    ids: list[str] = ann.page.evaluate(
        '[...document.querySelectorAll("[id]")].map((element) => element.id)'
    )
    assert len(ids) == len(set(ids))


def test_keys_reach_everything_in_an_order_that_makes_sense(join: Join) -> None:
    ann, bob = join("Ann").sign_in(), join("Bob").sign_in()
    ann.expect_list(bob)
    assert focus_order(ann, "open-settings", 8) == [
        "open-settings",
        "open-invite",
        "dial-id",
        "dial-audio",
        "dial",
        "Test your network",
        "sign-out",
        f"Audio call with Bob, id {bob.id}",
    ]
    ann.call(bob)
    bob.accept()
    ann.expect_call_state("connected")
    expect(ann.find("open-chat")).to_be_visible()
    ann.page.keyboard.press("q")
    order = ["mute", "camera", "share", "open-chat", "call-settings", "hang-up", "close-panel"]
    assert focus_order(ann, "path-words", 8) == ["path-words", *order]


COVERED = """() => {
  const { activeElement: focused } = document;
  const { left, right, top, bottom } = focused.getBoundingClientRect();
  const seen = document.elementFromPoint((left + right) / 2, (top + bottom) / 2);
  return focused.contains(seen) ? "" : focused.id || focused.outerHTML;
}"""


@pytest.mark.parametrize("name", ["phone", "small phone", "desktop"])
def test_what_has_the_keyboard_in_the_settings_is_in_sight(join: Join, name: str) -> None:
    width, height = SIZES[name]
    options: dict[str, Any] = {"reduced_motion": "reduce"}
    ann = join("Ann", viewport={"width": width, "height": height}, **options)
    ann.press("Room, server, token")
    expect(ann.find("settings-room")).to_be_focused()
    expect(ann.find("settings-server")).to_be_in_viewport(ratio=1)
    assert ann.page.evaluate(COVERED) == ""
    reached = set()
    for key in ["Tab"] * 12 + ["Shift+Tab"] * 24:
        ann.page.keyboard.press(key)
        assert ann.page.evaluate(COVERED) == ""
        reached.add(ann.page.evaluate("document.activeElement.id"))
    assert reached >= {"settings-name", "settings-token", "camera-choice", "relay-only"}


FOCUSED = """() => {
  const focused = document.activeElement;
  return focused.id || focused.ariaLabel || focused.textContent.trim();
}"""


def focus_order(person: Participant, first: str, number: int) -> list[str]:
    person.find(first).focus()
    order = [str(person.page.evaluate(FOCUSED))]
    while len(order) < number:
        person.page.keyboard.press("Tab")
        order.append(str(person.page.evaluate(FOCUSED)))
    return order


def test_nothing_is_loaded_from_elsewhere(join: Join) -> None:
    ann = join("Ann").sign_in()
    hosts: list[str] = ann.page.evaluate(
        'performance.getEntriesByType("resource").map((entry) => new URL(entry.name).origin)'
    )
    assert set(hosts) == {ann.page.evaluate("location.origin")}
