"""Calls between the page and a client that behaves as the older Flutter apps do."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.conftest import Join
from tests.browser.participant import Participant
from tests.browser.serverprocess import ServerAddress

SCRIPT = Path(__file__).with_name("legacyclient.js")
FRAMES = "legacy.video?.getVideoPlaybackQuality().totalVideoFrames ?? 0"


@pytest.fixture
def old(browser: Browser, server: ServerAddress) -> Iterator[Page]:
    """Return a page of the same origin that is nothing but the older client, signed in."""
    context = browser.new_context(ignore_https_errors=True, bypass_csp=True)
    page = context.new_page()
    page.goto(f"{server.url}style.css")
    page.add_script_tag(path=SCRIPT)
    page.evaluate("(url) => legacy.connect(url)", f"{server.url.replace('http', 'ws', 1)}ws")
    yield page
    context.close()


def row(page: Participant) -> Any:
    return page.page.locator('#peers li[data-peer-id="424242"]')


def video_button(page: Participant) -> Any:
    return row(page).get_by_role("button", name="Video call")


def wait_for_state(page: Participant, old: Page, state: str) -> None:
    page.wait_until(lambda: bool(old.evaluate("legacy.state") == state), f"the older one's {state}")


def expect_picture_on_both(page: Participant, old: Page) -> None:
    page.expect_remote_picture()
    before = old.evaluate(FRAMES)
    page.wait_until(lambda: bool(old.evaluate(FRAMES) > before + 5), "frames at the older one")


def test_the_page_calls_the_older_client(join: Join, old: Page) -> None:
    ann = join("Ann").sign_in()
    expect(row(ann)).to_contain_text("flutter-webrtc/android-plugin")
    video_button(ann).click()
    wait_for_state(ann, old, "ringing")
    ann.expect_call_state("ringing")
    old.evaluate("legacy.accept()")
    expect_picture_on_both(ann, old)
    expect(ann.find("open-chat")).to_be_hidden()
    ann.hang_up()
    wait_for_state(ann, old, "idle")
    ann.expect_notice("You ended the call with Old phone.")


def test_an_audio_call_with_the_older_client(join: Join, old: Page) -> None:
    ann = join("Ann").sign_in()
    row(ann).get_by_role("button", name="Audio call").click()
    wait_for_state(ann, old, "ringing")
    old.evaluate("legacy.accept()")
    ann.expect_remote_picture()
    expect(ann.find("own-tile")).to_be_hidden()
    old.evaluate("legacy.bye()")
    ann.expect_notice("Old phone ended the call.")


def test_the_text_chat_of_the_older_client(join: Join, old: Page) -> None:
    ann = join("Ann").sign_in()
    old.evaluate("(id) => legacy.inviteToChat(id)", ann.id)
    ann.expect_ringing("Old phone")
    expect(ann.find("incoming-words")).to_have_text("wants to chat")
    ann.accept()
    ann.expect_call_state("connected")
    ann.page.get_by_label("Message", exact=True).fill('Hello {"type": "text"}')
    ann.page.keyboard.press("Enter")
    texts = "legacy.texts ?? []"
    ann.wait_until(lambda: old.evaluate(texts) == ['Hello {"type": "text"}'], "the text as it is")
    old.evaluate("legacy.channel.send('Say hello 1 times, from Old phone')")
    expect(ann.page.locator(".entry.other .bubble")).to_have_text(
        "Say hello 1 times, from Old phone"
    )
    for element in ("attach", "mute", "camera", "share", "own-tile"):
        expect(ann.find(element)).to_be_hidden()
    ann.hang_up()
    wait_for_state(ann, old, "idle")


@pytest.mark.parametrize("candidates_first", [False, True])
def test_the_older_client_calls_the_page(join: Join, old: Page, candidates_first: bool) -> None:
    ann = join("Ann").sign_in()
    invite = "([id, candidatesFirst]) => legacy.invite(id, { candidatesFirst })"
    old.evaluate(invite, [ann.id, candidates_first])
    ann.expect_ringing("Old phone")
    ann.accept()
    expect_picture_on_both(ann, old)
    old.evaluate("legacy.bye()")
    wait_for_state(ann, old, "idle")
    ann.expect_notice("Old phone ended the call.")


def test_the_page_rejects_the_older_client(join: Join, old: Page) -> None:
    ann = join("Ann").sign_in()
    old.evaluate("(id) => legacy.invite(id)", ann.id)
    ann.expect_ringing("Old phone")
    ann.reject()
    wait_for_state(ann, old, "idle")


def test_the_older_client_rejects_the_page(join: Join, old: Page) -> None:
    ann = join("Ann").sign_in()
    video_button(ann).click()
    wait_for_state(ann, old, "ringing")
    old.evaluate("legacy.bye()")
    wait_for_state(ann, old, "idle")
    ann.expect_notice("Old phone did not take the call.")


UNWELCOME: dict[str, Callable[[str], dict[str, Any]]] = {
    "an unknown type": lambda _: {"type": "weather", "data": {"to": None}},
    "an offer without description": lambda to: {
        "type": "offer",
        "data": {"to": to, "from": "424242", "session_id": f"424242-{to}"},
    },
    "a candidate without line": lambda to: {
        "type": "candidate",
        "data": {"to": to, "from": "424242", "session_id": f"424242-{to}", "candidate": {}},
    },
}


@pytest.mark.parametrize("what", UNWELCOME)
def test_what_the_page_does_not_understand_does_no_harm(join: Join, old: Page, what: str) -> None:
    ann = join("Ann").sign_in()
    old.evaluate("(message) => legacy.send(message.type, message.data)", UNWELCOME[what](ann.id))
    old.evaluate("(id) => legacy.send('candidate', { to: id, from: '424242' })", ann.id)
    bob = join("Bob").sign_in()
    bob.call(ann)
    ann.expect_ringing("Bob")
    ann.accept()
    bob.expect_remote_picture()
