"""What goes wrong, and that the page says so in words that help."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import FAKE_DEVICES, Join, Launch
from tests.browser.droppingproxy import DroppingProxy
from tests.browser.serverprocess import ServerAddress, running_server

LOST = r"WebSocket connection to .* failed|net::ERR_"

# Chromium's make-believe microphone cannot be unplugged as its cameras can.
NO_MICROPHONE = """
  const real = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);
  navigator.mediaDevices.getUserMedia = (constraints) => constraints.video
    ? real(constraints)
    : Promise.reject(new DOMException("Requested device not found", "NotFoundError"));
"""


@pytest.fixture
def proxy(server: ServerAddress) -> Iterator[DroppingProxy]:
    with DroppingProxy(server.port) as instance:
        yield instance


def through(server: ServerAddress, proxy: DroppingProxy) -> str:
    return f"{server.scheme}://127.0.0.1:{proxy.port}/"


def test_the_page_comes_back_after_the_connection_drops(
    join: Join, server: ServerAddress, proxy: DroppingProxy
) -> None:
    ann, bob = join("Ann", url=through(server, proxy)).sign_in(), join("Bob").sign_in()
    ann.expect_list(bob)
    ann.expect_console(LOST)
    own_id = ann.id
    proxy.drop(refuse=True)
    expect(ann.find("server-state")).to_have_attribute("data-state", "waiting")
    expect(ann.find("server-words")).to_contain_text("Trying again in")
    expect(ann.row(bob).get_by_role("button")).to_be_disabled()
    bob.expect_list()
    proxy.restore()
    ann.page.get_by_role("button", name="Try now").click()
    ann.wait_online()
    assert ann.id == own_id
    ann.expect_list(bob)
    bob.expect_list(ann)


def test_the_page_comes_back_by_itself(
    join: Join, server: ServerAddress, proxy: DroppingProxy
) -> None:
    ann = join("Ann", url=through(server, proxy))
    asked: list[str] = []
    ann.page.on("request", lambda request: asked.append(request.url))
    ann.sign_in()
    ann.expect_console(LOST)
    for _ in range(2):
        asked.clear()
        proxy.drop()
        expect(ann.find("server-state")).not_to_have_attribute("data-state", "online")
        ann.wait_online()
        ann.wait_until(lambda: any("/api/turn?" in url for url in asked), "fresh TURN servers")


def test_a_connection_that_fell_silent_is_noticed(
    join: Join, server: ServerAddress, proxy: DroppingProxy
) -> None:
    ann = join("Ann", url=through(server, proxy))
    ann.expect_console(LOST)
    ann.page.clock.install()
    ann.sign_in()
    proxy.freeze()
    ann.page.clock.fast_forward(16_000)
    ann.wait_until(lambda: ann.sent[-1]["type"] == "keepalive", "the question for a sign of life")
    ann.page.clock.fast_forward(11_000)
    expect(ann.find("server-state")).to_have_attribute("data-state", "waiting")
    proxy.restore()
    ann.page.clock.fast_forward(2_000)
    ann.wait_online()


def test_a_drop_in_a_call_leaves_nobody_on_a_dead_line(
    join: Join, server: ServerAddress, proxy: DroppingProxy
) -> None:
    ann, bob = join("Ann", url=through(server, proxy)).sign_in(), join("Bob").sign_in()
    ann.call(bob)
    bob.accept()
    ann.expect_remote_picture()
    ann.expect_console(LOST)
    proxy.drop()
    ann.wait_online()
    expect(bob.find("call")).to_be_hidden()
    expect(ann.find("call")).to_be_hidden()
    ann.expect_list(bob)
    ann.call(bob)
    bob.accept()
    ann.expect_remote_picture()


def test_an_id_in_use_is_not_taken_and_another_is_offered(join: Join) -> None:
    ann = join("Ann", query={"id": "123456"}).sign_in()
    bob = join("Bob", query={"id": "123456"})
    bob.page.get_by_label("Your name").fill("Bob")
    bob.page.get_by_role("button", name="Sign in").click()
    bob.expect_notice("This id is already in use.")
    expect(bob.page.get_by_label("Your id")).to_have_value(re.compile(r"^[1-9]\d{5}$"))
    bob.page.get_by_role("button", name="Sign in").click()
    bob.wait_online()
    assert bob.id != ann.id == "123456"
    ann.expect_list(bob)


def test_what_went_wrong_is_in_sight_at_the_end_of_a_small_page_too(join: Join) -> None:
    join("Ann", query={"id": "123456"}).sign_in()
    bob = join("Bob", query={"id": "123456"}, viewport={"width": 320, "height": 480})
    button = bob.page.get_by_role("button", name="Sign in")
    button.scroll_into_view_if_needed()
    button.click()
    bob.expect_notice("This id is already in use.")
    expect(bob.find("notice-words")).to_be_in_viewport(ratio=1)
    expect(button).to_be_in_viewport(ratio=1)
    assert bob.page.evaluate("scrollY") > 0


def test_an_id_that_nobody_has_is_said_to_be_absent(join: Join) -> None:
    ann = join("Ann").sign_in()
    ann.page.get_by_label("Call an id").fill("000000")
    ann.page.get_by_role("button", name="Call this id").click()
    ann.expect_notice("000000 is not here")
    ann.expect_list()


def test_the_own_id_cannot_be_called(join: Join) -> None:
    ann = join("Ann").sign_in()
    ann.page.get_by_label("Call an id").fill(ann.id)
    ann.page.get_by_role("button", name="Call this id").click()
    ann.expect_notice("That is your own id.")


def test_without_a_camera_the_call_goes_on_with_sound(join: Join, launch: Launch) -> None:
    bare = launch([f"{FAKE_DEVICES}=device-count=0"])
    ann, bob = join("Ann", browser=bare).sign_in(), join("Bob").sign_in()
    ann.call(bob)
    bob.accept()
    ann.expect_remote_picture()
    expect(ann.find("call-note")).to_contain_text("No camera could be started")
    expect(ann.page.get_by_role("button", name="Turn camera off")).to_be_disabled()
    expect(bob.find("call")).to_have_attribute("data-picture", "false")
    bob.hang_up()
    ann.expect_list(bob)


def test_without_camera_and_microphone_the_call_says_so(join: Join, launch: Launch) -> None:
    bare = launch([f"{FAKE_DEVICES}=device-count=0"])
    ann, bob = join("Ann", browser=bare, script=NO_MICROPHONE).sign_in(), join("Bob").sign_in()
    ann.call(bob)
    ann.expect_notice("No camera and no microphone were found.")
    ann.expect_list(bob)
    assert ann.messages("offer") == []


def test_a_denied_permission_says_where_to_allow_it(join: Join, launch: Launch) -> None:
    strict = launch([FAKE_DEVICES, "--use-fake-ui-for-media-stream=deny"])
    ann, bob = join("Ann", browser=strict).sign_in(), join("Bob").sign_in()
    ann.call(bob)
    ann.expect_notice("not allowed to use camera and microphone")
    ann.expect_list(bob)
    bob.call(ann)
    ann.accept()
    ann.expect_notice("not allowed to use camera and microphone")
    bob.expect_notice("Ann did not take the call.")


def test_plain_http_is_explained(join: Join, launch: Launch, tmp_path: Path) -> None:
    mapped = launch([FAKE_DEVICES, "--host-resolver-rules=MAP calls.test 127.0.0.1"])
    with running_server(tmp_path, tls=False) as server:
        ann = join("Ann", browser=mapped, url=f"http://calls.test:{server.port}/")
        ann.expect_notice("This page came over plain HTTP from calls.test.")
        ann.sign_in()
        bob = join("Bob", url=server.url).sign_in()
        ann.call(bob)
        ann.expect_notice("Open the https:// address to make calls.")
        ann.leave()
        bob.leave()


def test_a_server_that_is_not_there_is_tried_again(join: Join) -> None:
    ann = join("Ann", query={"ws": "wss://127.0.0.1:9/ws"})
    ann.expect_console(LOST)
    ann.page.get_by_role("button", name="Sign in").click()
    expect(ann.find("server-state")).to_have_attribute("data-state", "waiting")
    expect(ann.find("server-words")).to_contain_text("The server cannot be reached.")


def test_a_link_to_another_server_says_so(join: Join) -> None:
    ann = join("Ann", query={"ws": "wss://elsewhere.example/ws"})
    expect(ann.find("foreign-server")).to_contain_text("elsewhere.example")
