"""Phone and desktop, dark and light: everything fits, nothing scrolls sideways."""

from typing import Any, Literal

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import Join

SIZES = {
    "phone": (390, 844),
    "small phone": (320, 568),
    "usual phone": (375, 667),
    "lying phone": (844, 390),
    "desktop": (1280, 800),
}

MUST_FIT = "button, input, select, video, #self-id, .chip, #path-hint"
OUTSIDE = """(selector) => [...document.querySelectorAll(selector)]
  .filter((element) => element.checkVisibility({ visibilityProperty: true }))
  .filter((element) => {
    const box = element.getBoundingClientRect();
    return box.left < 0 || box.right > innerWidth + 0.5;
  })
  .map((element) => element.id || element.className)"""


def expect_fit(page: Page) -> None:
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert page.evaluate(OUTSIDE, MUST_FIT) == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", SIZES)
def test_every_screen_fits(join: Join, size: str, scheme: Literal["light", "dark"]) -> None:
    width, height = SIZES[size]
    options: dict[str, Any] = {
        "viewport": {"width": width, "height": height},
        "color_scheme": scheme,
    }
    ann = join("Ann", **options)
    expect_fit(ann.page)
    ann.page.get_by_role("button", name="Settings", exact=True).click()
    expect_fit(ann.page)
    ann.page.get_by_role("button", name="Close settings").click()
    ann.sign_in()
    bob = join("Bartholomew Featherstonehaugh-Cholmondeley the Younger", **options).sign_in()
    ann.expect_list(bob)
    expect_fit(ann.page)
    bob.call(ann)
    ann.expect_ringing(bob.name)
    expect_fit(ann.page)
    expect(ann.page.get_by_role("button", name="Accept")).to_be_in_viewport(ratio=1)
    ann.accept()
    ann.expect_remote_picture()
    ann.find("path-words").click()
    expect(ann.find("path-hint")).to_be_visible()
    expect_fit(ann.page)
    for label in ("Mute microphone", "Turn camera off", "Hang up"):
        expect(ann.page.get_by_role("button", name=label)).to_be_in_viewport(ratio=1)


@pytest.mark.parametrize("width", [320, 375, 760, 1280])
def test_what_one_can_do_in_the_lobby_stands_in_one_column(join: Join, width: int) -> None:
    ann = join("Ann", viewport={"width": width, "height": 700}).sign_in()
    boxes = [ann.find(each).bounding_box() for each in ("copy-link", "sign-out")]
    first, second = (box for box in boxes if box is not None)
    assert (first["x"], first["width"]) == (second["x"], second["width"])
    assert first["y"] + first["height"] <= second["y"]
    assert first["height"] == second["height"], "a label was broken into two lines"


def test_every_control_has_a_name_and_every_id_is_unique(join: Join) -> None:
    ann = join("Ann").sign_in()
    nameless = """() => [...document.querySelectorAll("button, input, select, dialog, video")]
      .filter((element) => !(element.ariaLabel || element.labels?.length || element.innerText
        || element.textContent.trim() || element.getAttribute("aria-labelledby")))
      .map((element) => element.outerHTML)"""
    assert ann.page.evaluate(nameless) == []
    ids: list[str] = ann.page.evaluate(
        '[...document.querySelectorAll("[id]")].map((element) => element.id)'
    )
    assert len(ids) == len(set(ids))


def test_settings_are_remembered_by_the_tab(join: Join) -> None:
    ann = join("Ann")
    ann.page.get_by_role("button", name="Settings", exact=True).click()
    ann.page.get_by_label("Relay only").check()
    ann.page.get_by_label("Reach TURN over").select_option("TCP")
    ann.page.get_by_role("button", name="Close settings").click()
    expect(ann.find("settings")).to_be_hidden()
    ann.page.reload()
    expect(ann.find("relay-only")).to_be_checked()
    expect(ann.find("relay-transport")).to_have_value("tcp")


def test_nothing_is_loaded_from_elsewhere(join: Join) -> None:
    ann = join("Ann").sign_in()
    hosts: list[str] = ann.page.evaluate(
        'performance.getEntriesByType("resource").map((entry) => new URL(entry.name).origin)'
    )
    assert set(hosts) == {ann.page.evaluate("location.origin")}
