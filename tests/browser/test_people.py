"""The list of who is here: signing in, living updates, names of every kind."""

import re

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import Join

HOSTILE = "<img src=x onerror='document.title=1'><script>alert(1)</script>"


def test_a_new_tab_gets_an_id_of_six_digits_and_keeps_it(join: Join) -> None:
    ann = join("Ann").sign_in()
    own_id = ann.id
    assert re.fullmatch(r"[1-9]\d{5}", own_id)
    ann.page.reload()
    ann.wait_online()
    assert ann.id == own_id
    expect(ann.find("self-name")).to_have_text("Ann")


def test_everybody_sees_who_comes_and_goes(join: Join) -> None:
    ann = join("Ann").sign_in()
    ann.expect_list()
    expect(ann.find("nobody")).to_be_visible()
    expect(ann.find("people-count")).to_be_empty()
    bob = join("Bob").sign_in()
    ann.expect_list(bob)
    bob.expect_list(ann)
    expect(ann.find("nobody")).to_be_hidden()
    expect(ann.find("people-count")).to_have_text("you and 1 other")
    expect(ann.row(bob).locator(".peer-name")).to_have_text("Bob")
    expect(ann.row(bob).locator(".peer-agent")).to_have_text(re.compile(r"^Chrome on \w+$"))
    bob.leave()
    ann.expect_list()


def test_the_own_row_is_marked_and_cannot_be_called(join: Join) -> None:
    ann = join("Ann").sign_in()
    expect(ann.row(ann)).to_have_attribute("data-self", "true")
    expect(ann.row(ann)).to_contain_text("You")
    expect(ann.row(ann).get_by_role("button")).to_have_count(0)


def test_signing_out_leaves_the_list(join: Join) -> None:
    ann, bob = join("Ann").sign_in(), join("Bob").sign_in()
    bob.page.get_by_role("button", name="Sign out").click()
    ann.expect_list()
    expect(bob.find("signin")).to_be_visible()
    expect(bob.find("signin-title")).to_be_focused()
    bob.page.reload()
    expect(bob.find("signin")).to_be_visible()


def test_the_link_gives_name_and_id(join: Join) -> None:
    query = {"id": "7b1c-blue", "name": "Ann from the link"}
    ann = join("Ann", query=query)
    expect(ann.page.get_by_label("Your name")).to_have_value("Ann from the link")
    ann.press("Sign in")
    ann.wait_online()
    assert ann.id == "7b1c-blue"


@pytest.mark.parametrize("name", [HOSTILE, "\u202egro.elpmaxe", "x" * 60, "🌪️ Ünïcode 名前"])
def test_a_name_is_only_ever_text(join: Join, name: str) -> None:
    ann, mallory = join("Ann").sign_in(), join(name)
    mallory.page.get_by_label("Your name").evaluate(
        "(field, name) => { field.removeAttribute('maxlength'); field.value = name; }", name
    )
    mallory.press("Sign in")
    mallory.wait_online()
    expect(ann.row(mallory).locator(".peer-name")).to_have_text(name)
    mallory.call(ann)
    ann.expect_ringing(name)
    ann.reject()
    ann.expect_notice(name)
    assert ann.page.locator("#peers img, #peers script, #notice img").count() == 0
    assert ann.page.title() == "Tornado WebRTC"


def test_the_list_can_be_used_by_keyboard_alone(join: Join) -> None:
    ann, bob = join("Ann"), join("Bob").sign_in()
    ann.page.get_by_label("Your name").press("Enter")
    ann.wait_online()
    expect(ann.find("people-title")).to_be_focused()
    ann.call_button(bob).focus()
    ann.page.keyboard.press("Enter")
    bob.expect_ringing("Guest")
    for key in ("Tab", "Tab", "Enter"):
        bob.page.keyboard.press(key)
    ann.expect_remote_picture()
    bob.hang_up()
    ann.expect_list(bob)
    expect(ann.call_button(bob)).to_be_focused()


def test_who_signs_in_by_the_button_is_led_to_the_list_too(join: Join) -> None:
    ann = join("Ann")
    ann.find("sign-in").focus()
    ann.page.keyboard.press("Space")
    ann.wait_online()
    expect(ann.find("people-title")).to_be_focused()


def test_an_id_that_was_typed_goes_with_its_call_or_can_be_corrected(join: Join) -> None:
    ann, bob = join("Ann").sign_in(), join("Bob", query={"id": "bob-1"}).sign_in()
    field = ann.page.get_by_label("Call an id")
    field.fill("bob-2")
    field.press("Enter")
    ann.expect_notice("bob-2 is not here")
    expect(field).to_be_focused()
    ann.call(bob)
    bob.expect_ringing("Ann")
    bob.reject()
    ann.expect_notice("Bob did not take the call.")
    expect(field).to_have_value("")
    field.fill("bob-2")
    field.press("Enter")
    ann.expect_notice("bob-2 is not here")
    expect(field).to_be_focused()
    ann.page.keyboard.type("bob-1")
    field.press("Enter")
    bob.expect_ringing("Ann")
    bob.reject()
    ann.expect_notice("Bob did not take the call.")
    expect(field).to_have_value("")


RENAMED = """async (to) => {
  const socket = new WebSocket(new URL("/ws", location.href.replace(/^http/, "ws")));
  await new Promise((done) => (socket.onopen = done));
  const say = (type, data) => socket.send(JSON.stringify({ type, data }));
  const sign = (name) => say("new", { id: "late", name, user_agent: "" });
  sign("");
  const description = { type: "offer", sdp: "v=0\\r\\n" };
  say("offer", { to, from: "late", session_id: `late-${to}`, media: "video", description });
  window.rename = () => sign("Late Comer");
}"""


def test_a_name_that_comes_after_the_call_is_shown(join: Join) -> None:
    ann, other = join("Ann", query={"id": "111222"}).sign_in(), join("Other")
    other.page.evaluate(RENAMED, "111222")
    ann.expect_ringing("late")
    other.page.evaluate("rename()")
    ann.expect_ringing("Late Comer")
    ann.page.get_by_role("button", name="Reject").click()
