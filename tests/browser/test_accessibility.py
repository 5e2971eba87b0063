"""axe finds nothing to complain of, on any screen, at either size, in either colour scheme."""

from importlib.resources import files
from typing import Any, Literal

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import Join
from tests.browser.participant import Participant

AXE = (files("axe_playwright_python") / "axe.min.js").read_text(encoding="utf-8")
SIZES = {"phone": (390, 844), "desktop": (1280, 800)}

VIOLATIONS = """async () => {
  await Promise.all(document.getAnimations().map((each) => each.finished.catch(() => {})));
  const { violations } = await axe.run(document, { resultTypes: ["violations"] });
  return violations.map(({ id, nodes }) => `${id}: ${nodes.map(({ html, failureSummary }) =>
    `${html} ${failureSummary}`).join(", ")}`);
}"""


def expect_accessible(person: Participant) -> None:
    if not person.page.evaluate("typeof axe === 'object'"):
        person.page.evaluate(AXE)
    assert person.page.evaluate(VIOLATIONS) == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", SIZES)
def test_no_violation_on_any_screen(
    join: Join, size: str, scheme: Literal["light", "dark"]
) -> None:
    width, height = SIZES[size]
    options: dict[str, Any] = {
        "viewport": {"width": width, "height": height},
        "color_scheme": scheme,
        "reduced_motion": "reduce",
    }
    ann = join("Ann", query={"room": "tea"}, **options)
    expect_accessible(ann)
    ann.sign_in()
    expect_accessible(ann)
    bob = join("Bob", query={"room": "tea"}).sign_in()
    ann.expect_list(bob)
    ann.press("Call this id")
    ann.page.get_by_label("Call an id").fill(ann.id)
    ann.page.keyboard.press("Enter")
    ann.expect_notice("That is your own id.")
    expect_accessible(ann)
    for opener in ("Settings", "Invite somebody"):
        ann.press(opener)
        expect_accessible(ann)
        ann.page.keyboard.press("Escape")
    bob.call(ann)
    ann.expect_ringing("Bob")
    expect_accessible(ann)
    ann.accept()
    ann.expect_remote_picture()
    expect_accessible_call(ann, bob)


def expect_accessible_call(ann: Participant, bob: Participant) -> None:
    expect_accessible(ann)
    ann.page.keyboard.press("c")
    ann.page.get_by_label("Message", exact=True).fill("Hello")
    ann.page.keyboard.press("Enter")
    bob.page.keyboard.press("c")
    bob.page.get_by_label("Message", exact=True).fill("Hello Ann")
    bob.page.keyboard.press("Enter")
    bob.find("file-input").set_input_files(
        {"name": "a.txt", "mimeType": "text/plain", "buffer": b"text"}
    )
    expect(ann.page.locator(".file")).to_be_visible()
    expect_accessible(ann)
    ann.find("close-panel").click()
    ann.page.keyboard.press("q")
    expect(ann.find("plot-trip")).to_be_visible()
    expect_accessible(ann)


SILENT = """(within) => [...document.querySelectorAll(`${within} [role=status]`)]
  .filter((region) => !region.checkVisibility({ visibilityProperty: true }))
  .map((region) => region.id)"""


def test_readers_listen_to_every_region_before_it_speaks(join: Join) -> None:
    ann, bob = join("Ann").sign_in(), join("Bob").sign_in()
    expect(ann.find("notice-words")).to_be_empty()
    assert ann.page.evaluate(SILENT, ":is(#bar, #lobby)") == []
    ann.call(bob)
    bob.accept()
    ann.expect_call_state("connected")
    assert ann.page.evaluate(SILENT, "#call") == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_no_violation_where_a_camera_is_missing(
    join: Join, scheme: Literal["light", "dark"]
) -> None:
    refuse = """navigator.mediaDevices.getUserMedia = () =>
      Promise.reject(new DOMException("Permission denied", "NotAllowedError"));"""
    ann = join("Ann", script=refuse, color_scheme=scheme, reduced_motion="reduce").sign_in()
    bob = join("Bob").sign_in()
    ann.call(bob)
    expect(ann.find("media-help")).to_be_visible()
    expect_accessible(ann)
