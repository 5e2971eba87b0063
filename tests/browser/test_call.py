"""Calls between two pages: picture and sound on both sides, and every way to end."""

from playwright.sync_api import expect

from tests.browser.conftest import Join
from tests.browser.participant import Participant

# Neither's call arrives before both have pressed the button.
SLOW_CAMERA = """
  const real = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);
  navigator.mediaDevices.getUserMedia = async (constraints) => {
    await new Promise((resolve) => setTimeout(resolve, 500));
    return real(constraints);
  };
"""


def in_call(join: Join) -> tuple[Participant, Participant]:
    ann, bob = join("Ann").sign_in(), join("Bob").sign_in()
    ann.call(bob)
    bob.expect_ringing("Ann")
    bob.accept()
    for each in (ann, bob):
        each.expect_remote_picture()
    return ann, bob


def test_both_see_and_hear_each_other(join: Join) -> None:
    ann, bob = in_call(join)
    expect(ann.find("call-peer")).to_have_text("Bob")
    expect(bob.find("call-peer")).to_have_text("Ann")
    for each in (ann, bob):
        expect(each.find("call-state")).to_have_text("Connected")
        expect(each.find("path")).to_have_attribute("data-path", "direct")
        expect(each.find("call-time")).to_be_visible()


def test_the_messages_are_those_of_the_contract(join: Join) -> None:
    ann, bob = in_call(join)
    session = {"session_id": f"{ann.id}-{bob.id}"}
    [offer] = ann.messages("offer")
    [answer] = bob.messages("answer")
    sdp = offer["description"]["sdp"]
    assert offer == session | {
        "to": bob.id,
        "from": ann.id,
        "media": "video",
        "description": {"type": "offer", "sdp": sdp},
    }
    assert answer == session | {
        "to": ann.id,
        "from": bob.id,
        "description": {"type": "answer", "sdp": answer["description"]["sdp"]},
    }
    for candidate in ann.messages("candidate"):
        assert candidate | session == candidate
        assert (candidate["to"], candidate["from"]) == (bob.id, ann.id)
        assert set(candidate["candidate"]) == {"candidate", "sdpMid", "sdpMLineIndex"}
    assert ann.messages("candidate")
    ann.hang_up()
    bob.expect_list(ann)
    assert ann.messages("bye") == [session | {"from": ann.id}]


def test_the_caller_hangs_up(join: Join) -> None:
    ann, bob = in_call(join)
    ann.hang_up()
    ann.expect_list(bob)
    bob.expect_list(ann)
    ann.expect_notice("You ended the call with Bob.")
    bob.expect_notice("Ann ended the call.")


def test_the_callee_hangs_up(join: Join) -> None:
    ann, bob = in_call(join)
    bob.hang_up()
    ann.expect_list(bob)
    bob.expect_list(ann)
    ann.expect_notice("Bob ended the call.")
    bob.expect_notice("You ended the call with Ann.")


def test_the_same_two_call_again_and_the_other_way_round(join: Join) -> None:
    ann, bob = in_call(join)
    ann.hang_up()
    for caller, callee in ((ann, bob), (bob, ann)):
        caller.expect_list(callee)
        caller.call(callee)
        callee.accept()
        caller.expect_remote_picture()
        callee.expect_remote_picture()
        caller.hang_up()
        callee.expect_list(caller)


def test_a_call_is_rejected(join: Join) -> None:
    ann, bob = join("Ann").sign_in(), join("Bob").sign_in()
    ann.call(bob)
    bob.expect_ringing("Ann")
    ann.expect_call_state("ringing")
    expect(ann.find("call-state")).to_have_text("Ringing…")
    bob.reject()
    ann.expect_list(bob)
    bob.expect_list(ann)
    ann.expect_notice("Bob did not take the call.")
    bob.expect_notice("You rejected the call from Ann.")


def test_escape_rejects(join: Join) -> None:
    ann, bob = join("Ann").sign_in(), join("Bob").sign_in()
    ann.call(bob)
    bob.expect_ringing("Ann")
    bob.page.keyboard.press("Escape")
    ann.expect_notice("Bob did not take the call.")
    bob.expect_list(ann)


def test_the_caller_cancels_while_it_rings(join: Join) -> None:
    ann, bob = join("Ann").sign_in(), join("Bob").sign_in()
    ann.call(bob)
    bob.expect_ringing("Ann")
    ann.hang_up()
    bob.expect_list(ann)
    ann.expect_list(bob)
    ann.expect_notice("You cancelled the call to Bob.")
    bob.expect_notice("You missed a call from Ann.")


def test_a_call_goes_on_while_strangers_come_and_go(join: Join) -> None:
    ann, bob = in_call(join)
    cy = join("Cy").sign_in()
    cy.expect_list(ann, bob)
    cy.leave()
    dan = join("Dan").sign_in()
    dan.expect_list(ann, bob)
    for each in (ann, bob):
        each.expect_remote_picture()
    dan.leave()
    bob.hang_up()
    ann.expect_list(bob)


def test_a_third_caller_is_told_that_the_line_is_busy(join: Join) -> None:
    ann, bob = in_call(join)
    cy = join("Cy").sign_in()
    cy.call(ann)
    cy.expect_notice("Ann did not take the call.")
    for each in (ann, bob):
        each.expect_remote_picture()
    bob.hang_up()
    ann.expect_list(bob, cy)


def test_two_who_call_each_other_at_once_are_connected(join: Join) -> None:
    ann, bob = (join(name, script=SLOW_CAMERA).sign_in() for name in ("Ann", "Bob"))
    ann.expect_list(bob)
    at = ann.page.evaluate("Date.now() + 500")
    click = "(button, at) => setTimeout(() => button.click(), at - Date.now())"
    for caller, callee in ((ann, bob), (bob, ann)):
        caller.row(callee).get_by_role("button").evaluate(click, at)
    for each in (ann, bob):
        each.expect_remote_picture()
    ann.hang_up()
    bob.expect_list(ann)


def test_a_peer_that_vanishes_is_said_to_have_left(join: Join) -> None:
    ann, bob = in_call(join)
    bob.leave()
    ann.expect_list()
    ann.expect_notice("Bob has left, so the call is over.")


def test_a_caller_that_vanishes_stops_the_ringing(join: Join) -> None:
    ann, bob = join("Ann").sign_in(), join("Bob").sign_in()
    ann.call(bob)
    bob.expect_ringing("Ann")
    ann.leave()
    bob.expect_list()
    bob.expect_notice("Ann has left")


def test_microphone_and_camera_are_switched(join: Join) -> None:
    ann, _ = in_call(join)
    expect(ann.find("own-avatar")).to_have_text("A")
    expect(ann.find("own-avatar")).to_be_hidden()
    enabled = """(kind) => document.getElementById("local-video").srcObject.getTracks()
      .find((track) => track.kind === kind).enabled"""
    for kind, off, on, key in (
        ("audio", "Mute microphone", "Unmute microphone", "m"),
        ("video", "Turn camera off", "Turn camera on", "v"),
    ):
        ann.page.get_by_role("button", name=off).click()
        expect(ann.page.get_by_role("button", name=on)).to_have_attribute("aria-pressed", "true")
        assert ann.page.evaluate(enabled, kind) is False
        expect(ann.find("own-avatar")).to_be_visible(visible=kind == "video")
        ann.page.keyboard.press(key)
        expect(ann.page.get_by_role("button", name=off)).to_have_attribute("aria-pressed", "false")
        assert ann.page.evaluate(enabled, kind) is True


def test_whose_camera_is_off_is_shown_by_his_initials(join: Join) -> None:
    ann, bob = in_call(join)
    expect(bob.find("call-avatar")).to_have_text("A")
    for label, picture in (("Turn camera off", False), ("Turn camera on", True)):
        ann.page.get_by_role("button", name=label).click()
        expect(bob.find("call")).to_have_attribute("data-picture", str(picture).lower())
        expect(bob.find("call-avatar")).to_be_visible(visible=not picture)
    expect(ann.find("call")).to_have_attribute("data-picture", "true")
    bob.expect_remote_picture()


def test_camera_and_microphone_are_let_go_after_the_call(join: Join) -> None:
    ann, bob = in_call(join)
    tracks = ann.page.evaluate_handle(
        'document.getElementById("local-video").srcObject.getTracks()'
    )
    ann.hang_up()
    ann.expect_list(bob)
    assert tracks.evaluate("(tracks) => tracks.map((track) => track.readyState)") == ["ended"] * 2
