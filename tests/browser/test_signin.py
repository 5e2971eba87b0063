"""Where and as whom one signs in: settings, rooms, tokens, invitations."""

import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import Join
from tests.browser.knowntokens import TOKENS
from tests.browser.participant import Participant
from tests.browser.serverprocess import ServerAddress, running_server

PLUGIN = Path(__file__).with_name("knowntokens.py")
HEADER_TOKEN, OTHER_TOKEN = TOKENS
PASSWORD = "tea time"
ROOMS = f'closed password="{PASSWORD}"\nsmall max_peers=1\n'


@pytest.fixture(scope="module")
def closed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerAddress]:
    """Return a server that wants a token, and has rooms, one closed and one small."""
    folder = tmp_path_factory.mktemp("closed")
    rooms = folder / "rooms"
    rooms.touch(mode=0o600)
    rooms.write_text(ROOMS)
    environ = {"TORNADO_WEBRTC__ROOMS__FILE": str(rooms)}
    with running_server(folder, plugins=[PLUGIN], environ=environ, api_access="auth") as address:
        yield address


def test_a_token_is_asked_for_and_shown_to_the_server(join: Join, closed: ServerAddress) -> None:
    ann = join("Ann", url=closed.url)
    ann.page.get_by_label("Your name").fill("Ann")
    expect(ann.find("signin-token")).to_be_hidden()
    ann.press("Sign in")
    ann.expect_notice("The server did not accept your token, or you gave it none.")
    expect(ann.find("signin-token")).to_be_focused()
    ann.find("signin-token").fill("wrong")
    ann.page.keyboard.press("Enter")
    ann.expect_notice("This server lets in only those who show a token.")
    with ann.page.expect_response("**/api/turn?*") as answer:
        ann.find("signin-token").fill(HEADER_TOKEN)
        ann.page.keyboard.press("Enter")
        ann.wait_online()
    expect(ann.find("notice")).to_be_hidden()
    assert answer.value.ok
    assert answer.value.request.headers["authorization"] == f"Bearer {HEADER_TOKEN}"
    assert "token" not in ann.messages("new")[-1]
    ann.page.reload()
    ann.wait_online()
    assert HEADER_TOKEN not in str(ann.page.evaluate("({ ...localStorage })"))


def test_a_token_may_come_in_the_link_and_be_of_any_kind(join: Join, closed: ServerAddress) -> None:
    bob = join("Bob", url=f"{closed.url}?room=tea#token={OTHER_TOKEN}")
    assert "token" not in bob.page.url
    bob.expect_console(r"status of 401")
    bob.sign_in()
    assert bob.messages("new")[-1]["token"] == OTHER_TOKEN
    expect(bob.find("room-chip")).to_have_text("Asked for room tea")


def test_a_token_may_be_pasted_into_an_open_page(join: Join, closed: ServerAddress) -> None:
    ann = join("Ann", url=closed.url)
    ann.press("Sign in")
    ann.expect_notice("The server did not accept your token, or you gave it none.")
    paste = "(hash) => { location.hash = hash; }"
    ann.page.evaluate(paste, f"token={HEADER_TOKEN}")
    ann.wait_until(lambda: ann.page.url == closed.url, "an address without the token")
    ann.sign_in()
    signed_in = len(ann.messages("new"))
    ann.page.evaluate(paste, f"token={HEADER_TOKEN}")
    ann.wait_until(lambda: ann.page.url == closed.url, "an address without the token")
    ann.page.evaluate(paste, f"token={OTHER_TOKEN}")
    ann.expect_console(r"status of 401")  # that one cannot stand in a header
    ann.wait_until(lambda: len(ann.messages("new")) > signed_in, "another sign-in")
    ann.wait_online()
    assert [data.get("token") for data in ann.messages("new")[signed_in:]] == [OTHER_TOKEN]


NO_STORAGE = """
  Object.defineProperty(window, "sessionStorage", {
    get: () => { throw new DOMException("Storage is switched off", "SecurityError"); },
  });
"""


def test_a_token_is_shown_to_the_server_though_the_browser_keeps_nothing(
    join: Join, closed: ServerAddress
) -> None:
    ann = join("Ann", url=closed.url, script=NO_STORAGE)
    ann.press("Sign in")
    ann.expect_notice("The server did not accept your token, or you gave it none.")
    ann.find("signin-token").fill(HEADER_TOKEN)
    ann.page.keyboard.press("Enter")
    ann.wait_online()
    bob = join("Bob", url=f"{closed.url}#token={HEADER_TOKEN}", script=NO_STORAGE)
    bob.sign_in()
    ann.expect_list(bob)


def test_a_token_that_is_of_no_use_here_is_said_to_be(join: Join, server: ServerAddress) -> None:
    own = urlsplit(server.url).netloc
    paste = "location.hash = 'token=t-1'"
    ann = join("Ann")
    ann.press("Settings")
    ann.find("settings-server").fill("elsewhere.example")
    ann.press("Done")
    ann.page.evaluate(paste)
    where = f"it is for {own}, but you sign in at elsewhere.example"
    ann.expect_notice(f"The token in the link is not used here: {where}. To use it, clear")
    ann.press("Settings")
    ann.find("settings-token").fill("t-2")
    ann.press("Done")
    ann.press("Dismiss this message")
    ann.page.evaluate(paste)
    ann.expect_notice(f"The token in the link was not kept: {where}, with a token of its own.")
    assert ann.page.url == server.url
    ann.page.goto("about:blank")
    ann.page.goto(f"{server.url}#token=t-1")
    ann.expect_notice("The token in the link was not kept")
    ann.press("Settings")
    ann.find("settings-server").fill("")
    ann.press("Done")
    ann.page.evaluate(paste)
    ann.wait_until(lambda: ann.page.url == server.url, "an address without the token")
    ann.press("Settings")
    expect(ann.find("settings-token")).to_have_value("t-1")


def test_a_token_that_is_of_no_use_is_said_to_be_in_a_call_too(
    join: Join, server: ServerAddress
) -> None:
    there = f"{server.url.replace('http', 'ws', 1)}ws?of=another"
    ann, bob = join("Ann"), join("Bob").sign_in()
    ann.press("Settings")
    ann.find("settings-server").fill(there)
    ann.press("Done")
    ann.sign_in()
    ann.call(bob, "Audio call")
    bob.accept()
    ann.expect_call_state("connected")
    ann.page.evaluate("location.hash = 'token=t-1'")
    expect(ann.find("call-note")).to_contain_text("The token in the link is not used here")
    assert len(ann.messages("new")) == 1


def test_a_room_asks_for_its_password(join: Join, closed: ServerAddress) -> None:
    ann = join("Ann", url=f"{closed.url}?room=closed#token={HEADER_TOKEN}")
    expect(ann.find("signin-room")).to_have_value("closed")
    ann.press("Sign in")
    ann.expect_notice("The room [closed] needs a password. Enter the password of the room")
    for password, words in (("coffee", "This is not the password of the room"), (PASSWORD, "")):
        expect(ann.find("room-password")).to_be_focused()
        ann.find("room-password").fill(password)
        ann.page.keyboard.press("Enter")
        if words:
            ann.expect_notice(words)
    ann.wait_online()
    expect(ann.find("room-chip")).to_have_text("Asked for room closed")
    ann.page.reload()
    ann.wait_online()
    bob = join("Bob", url=f"{closed.url}?room=small#token={HEADER_TOKEN}").sign_in()
    bob.expect_list()
    ann.press("Settings")
    ann.find("settings-room").fill("small")
    ann.press("Done")
    ann.expect_notice("The room [small] is full. Wait until somebody has left")
    expect(ann.find("signin-room")).to_be_focused()
    ann.find("signin-room").fill("tea")
    ann.page.keyboard.press("Enter")
    ann.wait_online()
    expect(ann.find("room-chip")).to_have_text("Asked for room tea")
    assert [data.get("password") for data in ann.messages("new")][-2:] == [None, None]


def test_an_invitation_calls_whoever_sent_it(join: Join) -> None:
    ann = join("Ann").sign_in()
    ann.press("Invite somebody")
    link = ann.find("invite-link").input_value()
    assert parse_qs(urlsplit(link).query) == {"call": [ann.id], "call_name": ["Ann"]}
    expect(ann.page.get_by_role("img", name="The link as a code")).to_be_visible()
    ann.page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    ann.press("Copy the link")
    expect(ann.find("copy-words")).to_contain_text("Copied")
    assert ann.page.evaluate("navigator.clipboard.readText()") == link
    ann.page.keyboard.press("Escape")
    bob = join("Bob", url=link)
    expect(bob.find("invited")).to_contain_text(f"invited to call Ann (id {ann.id}): that begins")
    bob.page.get_by_label("Your name").fill("Bob")
    bob.press("Sign in and call")
    ann.expect_ringing("Bob")
    ann.accept()
    bob.expect_remote_picture()
    ann.hang_up()
    bob.expect_list(ann)
    ann.leave()
    bob.expect_list()
    late = join("Late", url=link).sign_in()
    late.expect_notice(f"{parse_qs(urlsplit(link).query)['call'][0]} is not here")


def test_an_invitation_that_is_too_long_for_a_code_is_a_link_still(join: Join) -> None:
    ann = join("\N{SNOWMAN}" * 60, query={"room": "\N{SNOWMAN}" * 100}).sign_in()
    ann.press("Invite somebody")
    expect(ann.find("copy-link")).to_be_focused()
    expect(ann.find("invite-code")).to_be_hidden()
    assert parse_qs(urlsplit(ann.find("invite-link").input_value()).query)["call"] == [ann.id]


def test_settings_are_kept(join: Join) -> None:
    ann = join("Ann")
    ann.press("Settings")
    ann.page.get_by_label("Relay only").check()
    ann.page.get_by_label("Reach TURN over").select_option("TCP")
    ann.page.get_by_label("Ring tone").uncheck()
    ann.find("settings-name").fill("Ann Other")
    ann.find("settings-room").fill("tea")
    ann.find("settings-token").fill("t-1")
    ann.find("settings-server").fill("not a server")
    ann.press("Done")
    expect(ann.find("settings")).to_be_visible()
    ann.find("settings-server").fill("elsewhere.example")
    ann.press("Done")
    expect(ann.find("settings")).to_be_hidden()
    expect(ann.find("foreign-server")).to_contain_text("elsewhere.example")
    expect(ann.page.get_by_label("Your name")).to_have_value("Ann Other")
    expect_kept(ann, token="t-1")
    ann.find("settings-token").fill("t-2")
    ann.press("Done")
    ann.page.reload()
    expect_kept(ann, token="t-2")
    other = ann.page.context.new_page()
    other.goto(ann.page.url)
    expect(other.get_by_label("Your name")).to_have_value("Ann Other")
    expect(other.locator("#own-id")).not_to_have_value(ann.find("own-id").input_value())
    other.get_by_role("button", name="Settings", exact=True).click()
    expect(other.locator("#settings-token")).to_have_value("")


def expect_kept(ann: Participant, token: str) -> None:
    ann.press("Settings")
    for field, value in (
        ("name", "Ann Other"),
        ("room", "tea"),
        ("server", "wss://elsewhere.example/ws"),
        ("token", token),
    ):
        expect(ann.find(f"settings-{field}")).to_have_value(value)
    expect(ann.page.get_by_label("Relay only")).to_be_checked()
    expect(ann.page.get_by_label("Reach TURN over")).to_have_value("tcp")
    expect(ann.page.get_by_label("Ring tone")).not_to_be_checked()


def test_a_token_that_is_pasted_in_a_call_applies_after_it(join: Join) -> None:
    ann, bob = join("Ann").sign_in(), join("Bob").sign_in()
    bob.call(ann, "Audio call")
    ann.accept()
    ann.expect_call_state("connected")
    ann.press("Devices and settings")
    ann.page.evaluate("location.hash = 'token=t-1'")
    ann.wait_until(lambda: "t-1" not in ann.page.url, "an address without the token")
    assert len(ann.messages("new")) == 1
    bob.hang_up()
    expect(ann.find("settings")).to_be_hidden()
    ann.wait_until(lambda: len(ann.messages("new")) == 2, "another sign-in")
    ann.wait_online()
    ann.expect_list(bob)


def test_only_its_buttons_apply_what_was_typed_into_the_settings(join: Join) -> None:
    ann, bob = join("Ann").sign_in(), join("Bob").sign_in()
    fields = {"name": "Ann Other", "room": "tea", "server": "not a server", "token": "t-1"}
    for ending in ("Escape", "a call"):
        ann.press("Settings")
        for field, value in fields.items():
            expect(ann.find(f"settings-{field}")).not_to_have_value(value)
            ann.find(f"settings-{field}").fill(value)
        if ending == "Escape":
            ann.page.keyboard.press("Escape")
        else:
            bob.call(ann, "Audio call")
            ann.accept()
            ann.expect_call_state("connected")
        expect(ann.find("settings")).to_be_hidden()
    assert "t-1" not in str(ann.page.evaluate("({ ...sessionStorage })"))
    bob.hang_up()
    ann.expect_list(bob)
    assert len(ann.messages("new")) == 1
    ann.press("Settings")
    ann.find("settings-name").fill("Ann Other")
    ann.page.keyboard.press("Enter")
    bob.wait_until(
        lambda: bool(re.search("Ann Other", bob.find("peers").inner_text())), "the new name"
    )
    ann.wait_online()
    ann.expect_list(bob)


def test_a_token_does_not_take_away_a_name_that_is_being_typed(join: Join) -> None:
    ann = join("Ann")
    ann.find("name").press_sequentially("An")
    ann.page.evaluate("location.hash = 'token=t-1'")
    ann.wait_until(lambda: "t-1" not in ann.page.url, "an address without the token")
    expect(ann.find("name")).to_have_value("An")
