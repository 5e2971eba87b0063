"""A call comes in while somebody is at something else: nothing is taken or lost by accident."""

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import Join
from tests.browser.participant import Participant
from tests.browser.test_call import in_call
from tests.browser.test_panel import REMEMBER_CHANNEL

CARELESS = ("1", "Enter", " ", "Escape", "Escape", "Escape", "m", "Control+a", "Backspace", "2")
"""What somebody presses who did not see the call come; `1 2` is what these keys write."""


def type_on(person: Participant, caller: Participant) -> None:
    expect(person.find("incoming")).to_be_focused()
    for key in CARELESS:
        person.page.keyboard.press(key)
    expect(person.find("incoming")).to_be_visible()
    caller.expect_call_state("ringing")
    assert person.messages("answer") == []


def test_who_is_typing_neither_takes_nor_rejects_a_call_and_goes_on(join: Join) -> None:
    ann, bob = join("Ann").sign_in(), join("Bob").sign_in()
    ann.page.get_by_label("Call an id").press_sequentially(bob.id)
    bob.call(ann)
    type_on(ann, bob)
    expect(ann.find("dial-id")).to_have_value(f"{bob.id}1 2")
    bob.hang_up()
    ann.expect_notice("You missed a call from Bob.")
    expect(ann.find("dial-id")).to_be_focused()
    ann.page.keyboard.press("3")
    expect(ann.find("dial-id")).to_have_value(f"{bob.id}1 23")


def test_what_is_typed_into_the_settings_stays_there_behind_a_call(join: Join) -> None:
    ann, bob = join("Ann").sign_in(), join("Bob").sign_in()
    ann.press("Settings")
    ann.find("settings-room").press_sequentially("te")
    bob.call(ann)
    type_on(ann, bob)
    expect(ann.find("settings-room")).to_have_value("te1 2")
    ann.reject()
    expect(ann.find("settings-room")).to_be_focused()
    ann.page.keyboard.press("a")
    expect(ann.find("settings-room")).to_have_value("te1 2a")
    ann.find("settings-token").focus()
    bob.expect_list(ann)
    bob.call(ann)
    ann.expect_ringing("Bob")
    ann.page.keyboard.type("t-1")
    expect(ann.find("settings-token")).to_have_value("t-1")


def test_letters_go_where_the_caret_was_and_no_further_than_the_field(join: Join) -> None:
    ann, bob = join("Ann").sign_in(), join("Bob").sign_in()
    ann.press("Settings")
    field = ann.find("settings-name")
    field.fill("Ann \N{GRINNING FACE}Other")
    field.evaluate("(field) => field.setSelectionRange(6, 6)")
    bob.call(ann)
    ann.expect_ringing("Bob")
    for key in ("Backspace", "&", " "):
        ann.page.keyboard.press(key)
    expect(field).to_have_value("Ann & Other")
    field.evaluate("(field) => field.select()")
    expect(ann.find("incoming")).to_be_focused()
    ann.page.keyboard.type("x" * 61)
    expect(field).to_have_value("x" * 60)
    ann.find("reject").focus()
    ann.page.keyboard.press("y")
    expect(field).to_have_value("x" * 60)
    bob.hang_up()
    ann.expect_notice("You missed a call from Bob.")
    ann.page.keyboard.press("Backspace")
    expect(field).to_have_value("x" * 59)


SLOW_DEVICES = """
  window.waiting = [];
  const real = navigator.mediaDevices.enumerateDevices.bind(navigator.mediaDevices);
  navigator.mediaDevices.enumerateDevices = async () => {
    await new Promise((resolve) => window.waiting.push(resolve));
    return real();
  };
"""


@pytest.mark.parametrize("when", ["it rings", "it was taken", "it is over"])
def test_settings_that_take_long_to_open_do_not_stand_before_a_call(join: Join, when: str) -> None:
    ann, bob = join("Ann", script=SLOW_DEVICES).sign_in(), join("Bob").sign_in()
    ann.press("Settings")
    bob.call(ann, "Audio call")
    ann.expect_ringing("Bob")

    def show_devices() -> None:
        ann.page.evaluate("waiting.forEach((resolve) => resolve())")
        expect(ann.page.locator("#camera-choice option").nth(1)).to_be_attached()

    if when == "it rings":
        show_devices()
    ann.accept()
    ann.expect_call_state("connected")
    if when == "it is over":
        ann.press("Devices and settings")
        bob.hang_up()
        ann.expect_list(bob)
    if when != "it rings":
        show_devices()
    expect(ann.find("settings")).to_be_hidden()
    if when != "it is over":
        ann.hang_up()
    ann.expect_list(bob)


REFUSED_DEVICES = """
  navigator.mediaDevices.enumerateDevices = () =>
    Promise.reject(new DOMException("Not now", "InvalidStateError"));
"""
CHOSEN = """() => ["camera", "microphone", "speaker", "relay"]
  .map((key) => Object.entries(localStorage).find(([name]) => name.endsWith(key))?.[1])"""


@pytest.mark.parametrize("script", [SLOW_DEVICES, REFUSED_DEVICES], ids=["slow", "refused"])
def test_devices_that_are_not_listed_yet_stay_chosen(join: Join, script: str) -> None:
    choose = """({ Settings }) => {
      const settings = new Settings();
      const devices = { camera: "c-1", microphone: "m-1", speaker: "s-1" };
      settings.setChoices({ ...settings, ...devices });
    }"""
    ann = join("Ann", script=script)
    ann.page.evaluate(f"async () => ({choose})(await import('/js/settings.js'))")
    ann.page.reload()
    ann.press("Settings")
    expect(ann.find("settings")).to_be_visible()
    ann.page.get_by_label("Relay only").check()
    assert ann.page.evaluate(CHOSEN) == ["c-1", "m-1", "s-1", "1"]
    if script == SLOW_DEVICES:
        ann.page.evaluate("waiting.forEach((resolve) => resolve())")
    expect(ann.find("camera-choice")).to_have_value("c-1")


def test_who_is_writing_when_a_call_ends_calls_nobody_by_it(join: Join) -> None:
    ann, bob = in_call(join)
    ann.press("Chat and files")
    ann.page.keyboard.type("See")
    bob.hang_up()
    ann.expect_notice("Bob ended the call.")
    for key in (" ", "y", "Enter", " "):
        ann.page.keyboard.press(key)
    ann.expect_list(bob)
    expect(ann.find("people-title")).to_be_focused()
    assert len(ann.messages("offer")) == 1


def test_who_is_writing_when_the_chat_breaks_off_presses_no_button_by_it(join: Join) -> None:
    ann, bob = in_call(join, ann_script=REMEMBER_CHANNEL)
    for each in (ann, bob):
        each.press("Chat and files")
    bob.page.keyboard.type("So")
    ann.page.evaluate("window.chatChannel.then((channel) => channel.close())")
    expect(bob.find("chat-send")).to_be_disabled()
    bob.page.keyboard.type(" much v")
    bob.page.keyboard.press("Enter")
    expect(bob.find("chat-text")).to_have_value("So much v")
    expect(bob.find("chat-status")).to_have_text("The chat has ended.")
    expect(bob.find("chat-text")).to_have_attribute("placeholder", "The chat has ended.")
    for button in ("mute", "camera"):
        expect(bob.find(button)).to_have_attribute("data-lit", "false")
    ann.hang_up()
    bob.expect_list(ann)
    expect(bob.find("chat-text")).to_have_attribute("placeholder", "Message")
    expect(bob.find("chat-status")).to_have_text("")


def test_who_was_about_to_call_somebody_else_still_is(join: Join) -> None:
    ann, bob, cy = (join(name).sign_in() for name in ("Ann", "Bob", "Cy"))
    ann.expect_list(bob, cy)
    ann.call_button(cy).focus()
    bob.call(ann)
    ann.expect_ringing("Bob")
    bob.hang_up()
    ann.expect_notice("You missed a call from Bob.")
    expect(ann.call_button(cy)).to_be_focused()


@pytest.mark.parametrize(("tabs", "ending"), [(1, "You rejected the call"), (2, "You ended")])
def test_a_call_is_announced_and_taken_by_keys(join: Join, tabs: int, ending: str) -> None:
    ann, bob = join("Ann").sign_in(), join("Bob").sign_in()
    bob.call(ann)
    sheet = ann.page.get_by_role("alertdialog", name="Bob wants a video call")
    expect(sheet).to_have_accessible_description(f"Id {bob.id}")
    for key in ["Tab"] * tabs + ["Enter"]:
        ann.page.keyboard.press(key)
    expect(ann.find("incoming")).to_be_hidden()
    if tabs == 2:
        ann.expect_remote_picture()
        expect(ann.page.get_by_role("region", name="Call with Bob")).to_be_focused()
        ann.hang_up()
    ann.expect_notice(ending)
    expect(ann.call_button(bob)).to_be_focused()
