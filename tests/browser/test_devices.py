"""Camera, microphone and screen: chosen, changed in a call, shared, missing, denied."""

from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from tests.browser.conftest import FAKE_DEVICES, Join, Launch
from tests.browser.participant import Participant
from tests.browser.serverprocess import running_server
from tests.browser.test_call import in_call

# Chromium's make-believe microphone cannot be unplugged as its cameras can.
NO_MICROPHONE = """
  const real = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);
  navigator.mediaDevices.getUserMedia = (constraints) => constraints.video
    ? real(constraints)
    : Promise.reject(new DOMException("Requested device not found", "NotFoundError"));
"""

# A person who has forbidden the camera, but not the microphone.
NO_CAMERA_ALLOWED = """
  const real = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);
  navigator.mediaDevices.getUserMedia = (constraints) => constraints.video
    ? Promise.reject(new DOMException("Permission denied", "NotAllowedError"))
    : real(constraints);
"""

# What is shared is kept where a test can end it as the browser's own button does.
REMEMBER_SCREEN = """
  const show = navigator.mediaDevices.getDisplayMedia.bind(navigator.mediaDevices);
  window.screensAsked = 0;
  navigator.mediaDevices.getDisplayMedia = async (options) => {
    window.screensAsked += 1;
    const stream = await show(options);
    window.screenTrack = stream.getVideoTracks()[0];
    return stream;
  };
"""

# How often a camera was asked for.
COUNT_CAMERAS = """
  const real = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);
  window.camerasAsked = 0;
  navigator.mediaDevices.getUserMedia = (constraints) => {
    if (constraints.video) window.camerasAsked += 1;
    return real(constraints);
  };
"""

OWN_CAMERA = """document.getElementById("local-video").srcObject.getVideoTracks()[0]
  .getSettings().deviceId"""
SENT_KIND = """window.connections.at(-1).getTransceivers()
  .find(({ receiver }) => receiver.track.kind === "video").sender.track?.getSettings()
  .displaySurface ?? "camera" """


@pytest.fixture(scope="module")
def equipped(launch: Launch) -> Browser:
    """Return a browser with three cameras, where the first screen is chosen to be shared."""
    arguments = ["--auto-select-desktop-capture-source=Entire screen"]
    return launch([f"{FAKE_DEVICES}=device-count=3", *arguments])


@pytest.fixture(scope="module")
def bare(launch: Launch) -> Browser:
    """Return a browser without a camera."""
    return launch([f"{FAKE_DEVICES}=device-count=0"])


def connected(join: Join, browser: Browser, script: str) -> tuple[Participant, Participant]:
    ann = join("Ann", browser=browser, script=script).sign_in()
    bob = join("Bob", browser=browser).sign_in()
    ann.call(bob)
    bob.accept()
    for each in (ann, bob):
        each.expect_remote_picture()
    return ann, bob


def test_camera_and_screen_change_in_a_call(join: Join, equipped: Browser) -> None:
    ann, bob = connected(join, equipped, REMEMBER_SCREEN)
    before = ann.page.evaluate(OWN_CAMERA)
    ann.press("Devices and settings")
    cameras = ann.find("camera-choice").locator("option")
    expect(cameras).to_have_count(4)
    other = cameras.last.get_attribute("value")  # the second one films depth, which is not encoded
    assert before
    assert other not in {"", before}
    ann.find("camera-choice").select_option(other)
    ann.wait_until(lambda: bool(ann.page.evaluate(OWN_CAMERA) == other), "the other camera")
    ann.press("Done")
    bob.expect_remote_picture()
    for end in ("button", "browser"):
        ann.page.keyboard.press("s")
        expect(ann.find("own-badge")).to_be_visible()
        expect(ann.page.get_by_role("button", name="Stop sharing")).to_be_visible()
        ann.wait_until(lambda: ann.page.evaluate(SENT_KIND) == "monitor", "a shared screen")
        bob.expect_remote_picture()
        if end == "button":
            ann.press("Stop sharing the screen")
        else:
            ann.page.evaluate("""() => {
              window.screenTrack.stop();
              window.screenTrack.dispatchEvent(new Event("ended"));
            }""")
        expect(ann.find("own-badge")).to_be_hidden()
        ann.wait_until(lambda: ann.page.evaluate(SENT_KIND) == "camera", "the camera again")
        assert ann.page.evaluate(OWN_CAMERA) == other
        bob.expect_remote_picture()
    ann.hang_up()
    ann.page.reload()
    ann.wait_online()
    ann.press("Settings")
    expect(ann.find("camera-choice")).to_have_value(str(other))


def test_a_double_click_shares_one_screen(join: Join, equipped: Browser) -> None:
    ann, _bob = connected(join, equipped, REMEMBER_SCREEN)
    ann.page.get_by_role("button", name="Share screen").dblclick()
    expect(ann.find("own-badge")).to_be_visible()
    assert ann.page.evaluate("screensAsked") == 1
    ann.press("Stop sharing the screen")
    expect(ann.find("own-badge")).to_be_hidden()
    assert ann.page.evaluate("screenTrack.readyState") == "ended"
    ann.press("Share screen")
    expect(ann.find("own-badge")).to_be_visible()


def test_the_settings_of_a_call_are_those_that_it_can_use(join: Join) -> None:
    ann, bob = in_call(join)
    ann.press("Devices and settings")
    legends = ann.find("settings").locator("legend:visible")
    expect(legends).to_have_text(["Devices", "From the next call on"])
    fields = ann.find("settings").locator(":is(input, select):visible")
    ids = [each.get_attribute("id") for each in fields.all()]
    devices = ["camera-choice", "microphone-choice", "speaker-choice"]
    assert ids == [*devices, "relay-only", "relay-transport"]
    ann.press("Done")
    bob.hang_up()
    ann.expect_list(bob)
    ann.press("Settings")
    expect(legends).to_have_text(["Devices", "Calls", "Where to sign in"])
    expect(ann.find("transport-hint")).to_contain_text("apply from the next call")


def test_to_choose_a_camera_does_not_switch_it_on(join: Join) -> None:
    ann, bob = join("Ann", script=COUNT_CAMERAS).sign_in(), join("Bob").sign_in()
    bob.call(ann, "Audio call")
    ann.accept()
    ann.expect_call_state("connected")
    expect(ann.page.get_by_role("button", name="Turn camera on")).to_be_enabled()
    ann.press("Devices and settings")
    ann.find("camera-choice").dispatch_event("change")
    ann.press("Done")
    assert ann.page.evaluate("camerasAsked") == 0
    ann.press("Turn camera on")
    expect(ann.page.get_by_role("button", name="Turn camera off")).to_be_visible()
    assert ann.page.evaluate("camerasAsked") == 1


def test_the_other_side_is_heard_from_the_chosen_loudspeaker(join: Join) -> None:
    ann, bob = in_call(join)
    ann.press("Devices and settings")
    speakers = ann.find("speaker-choice").locator("option")
    expect(speakers).not_to_have_count(1)
    chosen = speakers.last.get_attribute("value")
    assert chosen
    ann.find("speaker-choice").select_option(chosen)
    sink = "document.getElementById('remote-video').sinkId"
    ann.wait_until(lambda: bool(ann.page.evaluate(sink) == chosen), "the loudspeaker")
    ann.press("Done")
    ann.hang_up()
    ann.page.reload()
    ann.wait_online()
    ann.call(bob)
    bob.accept()
    ann.expect_remote_picture()
    ann.wait_until(lambda: bool(ann.page.evaluate(sink) == chosen), "the loudspeaker again")
    ann.page.evaluate("localStorage.setItem('tornado-webrtc.speaker', 'unplugged')")
    ann.hang_up()
    ann.page.reload()
    ann.wait_online()
    bob.call(ann)
    ann.accept()
    ann.expect_remote_picture()
    assert ann.page.evaluate(sink) == ""


def test_a_device_that_stops_is_missed_and_replaced(join: Join) -> None:
    ann, bob = in_call(join)
    ann.page.evaluate("""() => {
      const stream = document.getElementById("local-video").srcObject;
      const [track] = stream.getVideoTracks();
      track.stop();
      track.dispatchEvent(new Event("ended"));
    }""")
    expect(ann.find("call-note")).to_have_text("Your camera has stopped.")
    ann.press("Turn camera on")
    expect(ann.find("call-note")).to_be_hidden()
    bob.expect_remote_picture()


def test_without_a_camera_the_call_goes_on_with_sound(join: Join, bare: Browser) -> None:
    ann, bob = join("Ann", browser=bare).sign_in(), join("Bob").sign_in()
    ann.call(bob)
    bob.accept()
    ann.expect_remote_picture()
    expect(ann.find("call-note")).to_contain_text("No camera could be started")
    expect(bob.find("call")).to_have_attribute("data-picture", "false")
    ann.press("Turn camera on")
    expect(ann.find("call-note")).to_contain_text("No camera")
    bob.hang_up()
    ann.expect_list(bob)


def test_without_camera_and_microphone_one_can_watch(join: Join, bare: Browser) -> None:
    ann = join("Ann", browser=bare, script=NO_MICROPHONE).sign_in()
    bob = join("Bob").sign_in()
    ann.call(bob)
    expect(ann.find("media-words")).to_contain_text("No camera and no microphone were found.")
    ann.page.keyboard.press("Escape")
    ann.expect_notice("There was no call with Bob, since neither camera nor microphone")
    ann.expect_list(bob)
    assert ann.messages("offer") == []
    ann.call(bob)
    ann.press("Only watch and listen")
    bob.accept()
    ann.expect_remote_picture()
    expect(ann.find("call-note")).to_have_text("You see and hear the other side, but send nothing.")
    expect(bob.find("remote-muted")).to_be_visible()
    expect(bob.find("call")).to_have_attribute("data-picture", "false")


def test_who_forbids_the_camera_may_be_heard(join: Join) -> None:
    ann, bob = join("Ann", script=NO_CAMERA_ALLOWED).sign_in(), join("Bob").sign_in()
    ann.call(bob)
    expect(ann.find("media-words")).to_contain_text("not allowed to use camera and microphone")
    ann.press("Try again")
    expect(ann.find("media-help")).to_be_visible()
    ann.press("With sound only")
    bob.accept()
    ann.expect_remote_picture()
    bob.expect_call_state("connected")
    expect(bob.find("remote-muted")).to_be_hidden()


def test_who_forbids_both_is_not_left_in_the_dark(join: Join, launch: Launch) -> None:
    strict = launch([FAKE_DEVICES, "--use-fake-ui-for-media-stream=deny"])
    ann, bob = join("Ann", browser=strict).sign_in(), join("Bob").sign_in()
    bob.call(ann)
    ann.accept()
    expect(ann.find("media-words")).to_contain_text("Allow them beside the address bar")
    ann.press("No call")
    ann.expect_notice("There was no call with Bob")
    bob.expect_notice("Ann did not take the call.")
    bob.call(ann)
    ann.accept()
    expect(ann.find("media-help")).to_be_visible()
    bob.hang_up()
    expect(ann.find("media-help")).to_be_hidden()
    ann.expect_notice("Bob ended the call.")


def test_plain_http_is_explained(join: Join, launch: Launch, tmp_path: Path) -> None:
    mapped = launch([FAKE_DEVICES, "--host-resolver-rules=MAP calls.test 127.0.0.1"])
    with running_server(tmp_path, tls=False) as server:
        ann = join("Ann", browser=mapped, url=f"http://calls.test:{server.port}/")
        ann.expect_notice("This page came over plain HTTP from calls.test.")
        ann.sign_in()
        bob = join("Bob", url=server.url).sign_in()
        ann.call(bob)
        expect(ann.find("media-words")).to_contain_text("Open its https:// address")
        expect(ann.find("media-retry")).to_be_hidden()
        ann.press("Only watch and listen")
        bob.accept()
        ann.expect_remote_picture()
        ann.leave()
        bob.leave()
