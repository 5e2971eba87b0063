"""Calls between two pages: picture and sound on both sides, and every way to end."""

from playwright.sync_api import Locator, expect

from tests.browser.conftest import Join
from tests.browser.participant import Participant

# Neither's call arrives before both have pressed the button.
HELD_CAMERA = """
  const real = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);
  const released = new Promise((resolve) => (window.releaseCamera = resolve));
  navigator.mediaDevices.getUserMedia = async (constraints) => {
    await released;
    return real(constraints);
  };
"""


def in_call(join: Join, ann_script: str = "") -> tuple[Participant, Participant]:
    ann, bob = join("Ann", script=ann_script).sign_in(), join("Bob").sign_in()
    ann.call(bob)
    bob.expect_ringing("Ann")
    bob.accept()
    for each in (ann, bob):
        each.expect_remote_picture()
    return ann, bob


def test_a_call_from_ringing_to_its_end(join: Join) -> None:
    ann, bob = in_call(join)
    expect(ann.find("call-peer")).to_have_text("Bob")
    expect(bob.find("call-peer")).to_have_text("Ann")
    for each in (ann, bob):
        expect(each.find("call-state")).to_have_text("Connected")
        expect(each.find("path")).to_have_attribute("data-path", "direct")
        expect(each.find("call-time")).to_be_visible()
    expect_messages_of_the_contract(ann, bob)
    tracks = ann.page.evaluate_handle(
        'document.getElementById("local-video").srcObject.getTracks()'
    )
    ann.hang_up()
    ann.expect_list(bob)
    bob.expect_list(ann)
    ann.expect_notice("You ended the call with Bob.")
    bob.expect_notice("Ann ended the call.")
    assert ann.messages("bye") == [{"session_id": f"{ann.id}-{bob.id}", "from": ann.id}]
    assert tracks.evaluate("(tracks) => tracks.map((track) => track.readyState)") == ["ended"] * 2


def expect_messages_of_the_contract(ann: Participant, bob: Participant) -> None:
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


def test_the_callee_hangs_up_and_calls_back(join: Join) -> None:
    ann, bob = in_call(join)
    bob.hang_up()
    ann.expect_notice("Bob ended the call.")
    bob.expect_notice("You ended the call with Ann.")
    for caller, callee in ((ann, bob), (bob, ann)):
        caller.expect_list(callee)
        caller.call(callee)
        callee.accept()
        caller.expect_remote_picture()
        callee.expect_remote_picture()
        caller.hang_up()
        callee.expect_list(caller)


# Nothing ever arrives from the other side, so its picture waits to be played.
NO_CANDIDATES = "RTCPeerConnection.prototype.addIceCandidate = async () => {};"


def test_a_picture_that_never_played_leaves_no_noise_in_the_console(join: Join) -> None:
    ann, bob = (join(name, script=NO_CANDIDATES).sign_in() for name in ("Ann", "Bob"))
    noise: list[str] = []
    for each in (ann, bob):
        each.page.on("console", lambda message: noise.append(message.text))
    ann.call(bob)
    bob.accept()
    for each in (ann, bob):
        each.expect_call_state("connecting")
        each.page.wait_for_function("document.getElementById('remote-video').srcObject !== null")
    ann.hang_up()
    bob.expect_list(ann)
    ann.expect_list(bob)
    assert noise == []


def test_a_call_that_is_not_taken(join: Join) -> None:
    ann, bob = join("Ann").sign_in(), join("Bob").sign_in()
    ann.call(bob)
    bob.expect_ringing("Ann")
    expect(bob.find("incoming-words")).to_have_text("wants a video call")
    ann.expect_call_state("ringing")
    expect(ann.find("call-state")).to_have_text("Ringing…")
    bob.reject()
    ann.expect_notice("Bob did not take the call.")
    bob.expect_notice("You rejected the call from Ann.")
    ann.expect_list(bob)
    ann.call(bob)
    bob.expect_ringing("Ann")
    ann.hang_up()
    bob.expect_list(ann)
    ann.expect_list(bob)
    ann.expect_notice("You cancelled the call to Bob.")
    bob.expect_notice("You missed a call from Ann.")


def test_an_audio_call_and_a_camera_that_joins_it(join: Join) -> None:
    ann, bob = join("Ann").sign_in(), join("Bob").sign_in()
    ann.call(bob, "Audio call")
    bob.expect_ringing("Ann")
    expect(bob.find("incoming-words")).to_have_text("wants an audio call")
    expect(bob.find("accept-audio")).to_be_hidden()
    bob.accept()
    for each in (ann, bob):
        each.expect_call_state("connected")
        expect(each.find("call")).to_have_attribute("data-picture", "false")
        expect(each.find("own-tile")).to_be_hidden()
    [offer] = ann.messages("offer")
    assert offer["media"] == "audio"
    ann.press("Turn camera on")
    expect(bob.find("call")).to_have_attribute("data-picture", "true")
    bob.expect_remote_picture()
    expect(ann.find("own-tile")).to_be_visible()
    bob.press("Turn camera on")
    ann.expect_remote_picture()
    assert len(ann.messages("offer")) == 1, "older clients would take it for another call"


def test_a_video_call_is_taken_with_sound_only(join: Join) -> None:
    ann, bob = join("Ann").sign_in(), join("Bob").sign_in()
    ann.call(bob)
    bob.press("Take it with sound only")
    bob.expect_remote_picture()
    expect(ann.find("call")).to_have_attribute("data-picture", "false")
    expect(bob.find("own-tile")).to_be_hidden()


def test_a_call_goes_on_while_strangers_come_call_and_go(join: Join) -> None:
    ann, bob = in_call(join)
    cy = join("Cy").sign_in()
    cy.expect_list(ann, bob)
    cy.call(ann)
    cy.expect_notice("Ann did not take the call.")
    expect(ann.find("call-note")).to_have_text("Cy called while you are in this call.")
    cy.leave()
    for each in (ann, bob):
        each.expect_remote_picture()
    bob.hang_up()
    ann.expect_list(bob)


def test_two_who_call_each_other_at_once_are_connected(join: Join) -> None:
    ann, bob = (join(name, script=HELD_CAMERA).sign_in() for name in ("Ann", "Bob"))
    for caller, callee in ((ann, bob), (bob, ann)):
        caller.call(callee)
        caller.expect_call_state("preparing")
    for each in (ann, bob):
        each.page.evaluate("releaseCamera()")
    for each in (ann, bob):
        each.expect_remote_picture()
    ann.hang_up()
    bob.expect_list(ann)


def test_a_peer_that_vanishes_is_said_to_have_left(join: Join) -> None:
    ann, bob = in_call(join)
    bob.crash()
    ann.expect_list()
    ann.expect_notice("Bob has left, so the call is over.")
    cy = join("Cy").sign_in()
    cy.call(ann)
    ann.expect_ringing("Cy")
    cy.leave()
    ann.expect_list()
    ann.expect_notice("Cy has left")


HEAR = """() => {
  window.heard = [];
  const hear = (records) => records.forEach(({ target }) => window.heard.push(target.textContent));
  for (const region of document.querySelectorAll("#call [role=status]")) {
    const { display, visibility } = getComputedStyle(region);
    if (display === "none" || visibility === "hidden") continue; // no reader listens to it
    const all = { childList: true, characterData: true, subtree: true };
    new MutationObserver(hear).observe(region, all);
  }
}"""


def test_screen_readers_hear_what_is_new_and_nothing_twice(join: Join) -> None:
    ann, bob = in_call(join)
    ann.page.evaluate(HEAR)
    for key in "mmvv":
        ann.page.keyboard.press(key)
    cy = join("Cy").sign_in()
    cy.call(ann)
    words = "Cy called while you are in this call."
    ann.wait_until(lambda: bool(ann.page.evaluate("window.heard.length")), "words")
    ann.page.keyboard.press("m")
    expect(bob.find("remote-muted")).to_be_visible()
    before = ann.find("call-time").inner_text()
    expect(ann.find("call-time")).not_to_have_text(before)
    assert ann.page.evaluate("window.heard") == [words]


def expect_lit(button: Locator, lit: str) -> None:
    """Expect a button to look pressed or not; its words say it, so nothing else does as well."""
    expect(button).to_have_attribute("data-lit", lit)
    assert button.get_attribute("aria-pressed") is None


def test_microphone_and_camera_are_switched(join: Join) -> None:
    ann, bob = in_call(join)
    expect(ann.find("own-avatar")).to_have_text("A")
    expect(ann.find("own-avatar")).to_be_hidden()
    expect(bob.find("call-avatar")).to_have_text("A")
    enabled = """(kind) => document.getElementById("local-video").srcObject.getTracks()
      .find((track) => track.kind === kind).enabled"""
    for kind, off, on, key in (
        ("audio", "Mute microphone", "Unmute microphone", "m"),
        ("video", "Turn camera off", "Turn camera on", "v"),
    ):
        ann.press(off)
        expect_lit(ann.page.get_by_role("button", name=on), "true")
        assert ann.page.evaluate(enabled, kind) is False
        expect(ann.find("own-avatar")).to_be_visible(visible=kind == "video")
        expect(bob.find("remote-muted")).to_be_visible(visible=kind == "audio")
        picture = str(kind == "audio").lower()
        expect(bob.find("call")).to_have_attribute("data-picture", picture)
        ann.page.keyboard.press(key)
        expect_lit(ann.page.get_by_role("button", name=off), "false")
        assert ann.page.evaluate(enabled, kind) is True
    expect(bob.find("remote-muted")).to_be_hidden()
    bob.expect_remote_picture()
