"""A call comes in while somebody is at something else: nothing is taken or lost by accident."""

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import Join
from tests.browser.participant import Participant

CARELESS = ("1", "Enter", " ", "Escape", "Escape", "Escape", "Backspace", "m")


def type_on(person: Participant, caller: Participant) -> None:
    """Press whatever somebody may press who did not see the call come."""
    expect(person.find("incoming")).to_be_focused()
    for key in CARELESS:
        person.page.keyboard.press(key)
    expect(person.find("incoming")).to_be_visible()
    caller.expect_call_state("ringing")
    assert person.messages("answer") == []


def test_who_is_typing_neither_takes_nor_rejects_a_call(join: Join) -> None:
    ann, bob = join("Ann").sign_in(), join("Bob").sign_in()
    ann.page.get_by_label("Call an id").press_sequentially(bob.id)
    bob.call(ann)
    type_on(ann, bob)
    bob.hang_up()
    ann.expect_notice("You missed a call from Bob.")
    expect(ann.find("dial-id")).to_be_focused()
    ann.page.keyboard.press("3")
    expect(ann.find("dial-id")).to_have_value(f"{bob.id}3")


def test_the_settings_stay_as_they_are_behind_a_call(join: Join) -> None:
    ann, bob = join("Ann").sign_in(), join("Bob").sign_in()
    ann.press("Settings")
    ann.find("settings-room").press_sequentially("te")
    bob.call(ann)
    type_on(ann, bob)
    ann.reject()
    expect(ann.find("settings-room")).to_be_focused()
    ann.page.keyboard.press("a")
    expect(ann.find("settings-room")).to_have_value("tea")


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
