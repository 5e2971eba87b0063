"""What goes wrong, and that the page says so in words that help."""

import os
import re
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import Join
from tests.browser.droppingproxy import DroppingProxy
from tests.browser.serverprocess import ServerAddress, running_server
from tests.quietport import quiet_port

LOST = r"WebSocket connection to .* failed|net::ERR_"


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
    expect(ann.find("server-countdown")).to_have_text(re.compile(r"^Trying again in \d+ s\.$"))
    spoken = ann.page.locator(":is([role=status], [aria-live]) #server-countdown")
    expect(spoken).to_have_count(0)
    expect(
        ann.page.get_by_role("status").filter(has_text="connection to the server")
    ).to_be_visible()
    expect(ann.call_button(bob)).to_be_disabled()
    bob.expect_list()
    proxy.restore()
    # It tries by itself, too, and then the button is gone.
    ann.find("retry").evaluate("(button) => button.click()")
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
        before = len(ann.messages("new"))
        proxy.drop()
        ann.wait_until(lambda before=before: len(ann.messages("new")) > before, "a sign-in")  # type: ignore[misc]
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


def test_a_call_outlives_the_connection_to_the_server(
    join: Join, server: ServerAddress, proxy: DroppingProxy
) -> None:
    ann, bob = join("Ann", url=through(server, proxy)).sign_in(), join("Bob").sign_in()
    ann.call(bob)
    bob.accept()
    ann.expect_remote_picture()
    expect(bob.find("open-chat")).to_be_visible()
    ann.expect_console(LOST)
    left = len(bob.received)
    proxy.drop()
    bob.wait_until(
        lambda: "leave" in [message["type"] for message in bob.received[left:]],
        "the server's leave",
    )
    ann.wait_online()
    for each in (ann, bob):
        each.expect_remote_picture()
    ann.hang_up()
    ann.expect_list(bob)
    bob.expect_list(ann)
    bob.expect_notice("Ann ended the call.")


@pytest.mark.parametrize("end", [signal.SIGTERM, signal.SIGKILL])
def test_a_call_outlives_the_server(join: Join, tmp_path: Path, end: signal.Signals) -> None:
    port = quiet_port()
    with running_server(tmp_path, port=port) as first:
        ann, bob = (join(name, url=first.url).sign_in() for name in ("Ann", "Bob"))
        ids = ann.id, bob.id
        ann.call(bob)
        bob.accept()
        for each in (ann, bob):
            each.expect_remote_picture()
            each.expect_console(LOST)
            expect(each.find("open-chat")).to_be_visible()
        os.kill(first.pid, end)
        for each in (ann, bob):
            expect(each.find("server-state")).to_have_attribute("data-state", "waiting")
            expect(each.find("call-offline")).to_be_visible()
    ann.expect_remote_picture()
    with running_server(tmp_path, port=port):
        for each in (ann, bob):
            each.wait_online()
            expect(each.find("call-offline")).to_be_hidden()
            each.expect_remote_picture()
        assert (ann.id, bob.id) == ids
        ann.hang_up()
        ann.expect_list(bob)
        bob.expect_list(ann)
        bob.expect_notice("Ann ended the call.")
        ann.call(bob)
        bob.accept()
        ann.expect_remote_picture()
        for each in (ann, bob):
            each.leave()


def test_an_id_in_use_is_not_taken_and_another_is_offered(join: Join) -> None:
    ann = join("Ann", query={"id": "123456"}).sign_in()
    bob = join("Bob", query={"id": "123456"})
    bob.page.get_by_label("Your name").fill("Bob")
    bob.press("Sign in")
    bob.expect_notice("This id is already in use.")
    expect(bob.page.get_by_label("Your id")).to_have_value(re.compile(r"^[1-9]\d{5}$"))
    bob.press("Sign in")
    bob.wait_online()
    assert bob.id != ann.id == "123456"
    ann.expect_list(bob)


def test_what_went_wrong_is_in_sight_at_the_end_of_a_small_page_too(join: Join) -> None:
    join("Ann", query={"id": "123456"}).sign_in()
    bob = join("Bob", query={"id": "123456"}, viewport={"width": 320, "height": 480})
    button = bob.page.get_by_role("button", name="Sign in", exact=True)
    button.scroll_into_view_if_needed()
    button.click()
    bob.expect_notice("This id is already in use.")
    expect(bob.find("notice-words")).to_be_in_viewport(ratio=1)
    expect(button).to_be_in_viewport(ratio=1)
    assert bob.page.evaluate("scrollY") > 0


def test_an_id_that_nobody_has_is_said_to_be_absent(join: Join) -> None:
    ann = join("Ann").sign_in()
    ann.page.get_by_label("Call an id").fill("000000")
    ann.press("Call this id")
    ann.expect_notice("000000 is not here")
    ann.expect_list()


def test_the_own_id_cannot_be_called(join: Join) -> None:
    ann = join("Ann").sign_in()
    ann.page.get_by_label("Call an id").fill(ann.id)
    ann.press("Call this id")
    ann.expect_notice("That is your own id.")


def test_a_server_that_is_not_there_is_tried_again(join: Join) -> None:
    ann = join("Ann", query={"ws": "wss://127.0.0.1:9/ws"})
    ann.expect_console(LOST)
    ann.press("Sign in")
    expect(ann.find("server-state")).to_have_attribute("data-state", "waiting")
    expect(ann.find("server-words")).to_contain_text("The server cannot be reached.")
    ann.expect_notice("If its certificate is self-made or has changed, open its address once")
    expect(ann.find("notice-link")).to_have_attribute("href", "https://127.0.0.1:9/")


def test_a_link_to_another_server_says_so(join: Join) -> None:
    ann = join("Ann", query={"ws": "wss://elsewhere.example/ws"})
    expect(ann.find("foreign-server")).to_contain_text("elsewhere.example")


def test_a_server_that_the_browser_may_not_connect_to_is_named(join: Join) -> None:
    ann = join("Ann", query={"ws": "ws://elsewhere.example/ws"})
    ann.expect_console("Mixed Content")
    ann.press("Sign in")
    ann.expect_notice("does not let it connect to ws://elsewhere.example/ws without TLS.")
    expect(ann.find("sign-in")).to_be_enabled()
    expect(ann.find("signin")).to_be_visible()


@pytest.mark.parametrize("connected", [False, True])
def test_a_server_that_says_nothing_is_given_up_and_tried_again(
    join: Join, server: ServerAddress, proxy: DroppingProxy, connected: bool
) -> None:
    ann = join("Ann", url=through(server, proxy))
    ann.expect_console(LOST)
    ann.page.clock.install()
    if connected:
        ann.page.route_web_socket("**/ws", lambda _socket: None)
    else:
        proxy.freeze()
    ann.press("Sign in")
    expect(ann.find("server-state")).to_have_attribute("data-state", "connecting")
    expect(ann.find("sign-in")).to_be_disabled()
    ann.page.clock.fast_forward(15_000)
    expect(ann.find("server-state")).to_have_attribute("data-state", "waiting")
    words = "took the connection, but did not let us in" if connected else "did not answer"
    expect(ann.find("server-words")).to_contain_text(f"The server {words} within 15 s.")
    expect(ann.find("sign-in")).to_be_enabled()
    ann.page.unroute_all()
    proxy.restore()
    ann.page.clock.fast_forward(30_000)


def test_another_server_is_chosen_while_one_does_not_answer(
    join: Join, server: ServerAddress, proxy: DroppingProxy
) -> None:
    url = through(server, proxy)
    proxy.freeze()
    ann = join("Ann", url=server.url, query={"ws": f"{url.replace('http', 'ws', 1)}ws"})
    ann.expect_console(LOST)
    ann.press("Sign in")
    expect(ann.find("server-state")).to_have_attribute("data-state", "connecting")
    ann.press("Settings")
    ann.find("settings-server").fill("")
    ann.press("Done")
    ann.wait_online()
    expect(ann.find("people")).to_be_visible()
