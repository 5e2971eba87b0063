"""Beside the picture of a call: chat, files, how good the connection is."""

import hashlib
import random
import re
from pathlib import Path

from playwright.sync_api import expect

from tests.browser.conftest import Join
from tests.browser.participant import Participant
from tests.browser.test_call import in_call

FILE_BYTES = 20_000_000
TRANSFER_S = 100


def write(person: Participant, words: str) -> None:
    person.page.get_by_label("Message", exact=True).fill(words)
    person.page.keyboard.press("Enter")


def test_two_people_write_to_each_other(join: Join) -> None:
    ann, bob = in_call(join)
    ann.press("Chat and files")
    expect(ann.page.get_by_label("Message", exact=True)).to_be_focused()
    write(ann, "Hello <b>Bob</b>")
    expect(bob.find("toast")).to_have_text("Ann: Hello <b>Bob</b>")
    expect(bob.find("chat-status")).to_have_text("Ann: Hello <b>Bob</b>")
    expect(bob.find("unread")).to_have_text("1")
    bob.page.keyboard.press("c")
    expect(bob.find("unread")).to_be_hidden()
    expect(bob.page.locator(".entry.other .bubble")).to_have_text("Hello <b>Bob</b>")
    write(bob, "Mmm, v, s, c, q")
    expect(ann.page.locator(".entry.other .bubble")).to_have_text("Mmm, v, s, c, q")
    expect(bob.find("mute")).to_have_attribute("data-lit", "false")
    bob.page.keyboard.press("Escape")
    expect(bob.find("panel")).to_be_hidden()
    expect(bob.find("open-chat")).to_be_focused()
    ann.hang_up()
    ann.expect_list(bob)
    ann.call(bob)
    bob.accept()
    ann.expect_call_state("connected")
    ann.press("Chat and files")
    expect(ann.page.locator(".entry")).to_have_count(0)


# What the only file's entry says, and of how many bytes, each time that changes.
WATCH_FILE = """() => {
  window.seen = [];
  const entry = document.querySelector(".file");
  const [state, bar] = [".file-state", "progress"].map((each) => entry.querySelector(each));
  const look = () => seen.push([state.textContent, bar.max]);
  new MutationObserver(look).observe(entry, { subtree: true, childList: true, attributes: true });
}"""


def test_a_large_file_arrives_as_it_was_sent(join: Join, tmp_path: Path) -> None:
    source = tmp_path / "<b>holiday & Söhne.bin"
    source.write_bytes(random.Random(7).randbytes(FILE_BYTES))  # noqa: S311
    checksum = hashlib.sha256(source.read_bytes()).hexdigest()
    ann, bob = in_call(join)
    ann.press("Chat and files")
    ann.find("file-input").set_input_files(source)
    expect(bob.find("toast")).to_contain_text("wants to send you")
    bob.find("toast").click()
    offer = bob.page.locator(".file")
    expect(offer.locator(".file-state")).to_have_text("20.0 MB")
    ann.page.evaluate(WATCH_FILE)
    bob.press("Accept file")
    expect(offer.locator(".file-state")).to_have_text(
        "Received · checksum verified", timeout=TRANSFER_S * 1000
    )
    expect(ann.page.locator(".file-state")).to_have_text("Sent · checksum verified")
    seen = ann.page.evaluate("seen")
    assert any(re.match(r"[\d.]+ [kM]B of 20\.0 MB · ", text) for text, _ in seen)
    assert {most for _, most in seen} == {FILE_BYTES}
    assert len({text for text, _ in seen}) > 2, "it grows"
    expect(offer).to_have_attribute("data-checksum", checksum)
    with bob.page.expect_download() as download:
        bob.page.get_by_role("link", name="Save").click()
    arrived = Path(download.value.path())
    assert hashlib.sha256(arrived.read_bytes()).hexdigest() == checksum
    for each in (ann, bob):
        each.expect_remote_picture()


def test_files_are_declined_and_cancelled(join: Join, tmp_path: Path) -> None:
    source = tmp_path / "a.bin"
    source.write_bytes(bytes(100_000_000))
    ann, bob = in_call(join)
    for each in (ann, bob):
        each.press("Chat and files")
    for number, press in enumerate(("Decline", "Accept file")):
        ann.find("file-input").set_input_files(source)
        bob.press(press)
        entries = [each.page.locator(".file-state").nth(number) for each in (ann, bob)]
        if press == "Accept file":
            expect(entries[1]).to_contain_text(" of 100 MB")
            bob.press("Cancel")
            expect(entries[0]).to_have_text("The other side stopped it.")
            expect(entries[1]).to_have_text("You stopped it.")
        else:
            expect(entries[0]).to_have_text("The other side did not want it.")
            expect(entries[1]).to_have_text("You did not take it.")
    expect(ann.page.locator(".file progress:visible")).to_have_count(0)


def test_files_are_taken_by_keys_alone(join: Join) -> None:
    ann, bob = in_call(join)
    for each in (ann, bob):
        each.press("Chat and files")
    for number, keys in enumerate((("Shift+Tab", "Shift+Tab", "Shift+Tab"), ("Tab", "Tab"))):
        ann.find("file-input").set_input_files(
            {"name": f"{number}.txt", "mimeType": "text/plain", "buffer": b"text"}
        )
        expect(bob.page.get_by_role("button", name="Accept file")).to_be_visible()
        for key in keys:
            bob.page.keyboard.press(key)
        expect(bob.page.get_by_role("button", name="Accept file")).to_be_focused()
        bob.page.keyboard.press("Enter")
        expect(bob.page.get_by_role("link", name="Save")).to_have_count(number + 1)
        expect(bob.find("chat-log")).to_be_focused()
    bob.page.keyboard.press("Tab")
    with bob.page.expect_download() as download:
        bob.page.keyboard.press("Enter")
    assert download.value.suggested_filename == "0.txt"
    bob.page.keyboard.press("Escape")
    expect(bob.find("panel")).to_be_hidden()
    expect(bob.find("open-chat")).to_be_focused()


FLOOD = """async () => {
  const channel = await window.chatChannel;
  for (let number = 0; number < 3000; number += 1) {
    channel.send(JSON.stringify({ type: "text", text: `flood ${number}` }));
  }
}"""

# Keeps the text channel where a test can send on it what the page never would.
REMEMBER_CHANNEL = """
  window.chatChannel = new Promise((resolve) => {
    const real = RTCPeerConnection.prototype.createDataChannel;
    RTCPeerConnection.prototype.createDataChannel = function (label, ...options) {
      const channel = real.call(this, label, ...options);
      if (label === "chat") resolve(channel);
      return channel;
    };
  });
"""


def test_a_flood_of_messages_is_cut_off_and_said_once(join: Join) -> None:
    ann, bob = in_call(join, ann_script=REMEMBER_CHANNEL)
    expect(bob.find("open-chat")).to_be_visible()
    ann.page.evaluate(FLOOD)
    expect(bob.find("call-note")).to_have_text(re.compile("^Ann sends more messages than anybody"))
    bob.find("open-chat").click()
    assert 50 < bob.page.locator(".entry").count() < 500
    ann.press("Chat and files")

    def sorry() -> bool:
        write(ann, "Sorry")
        return "Sorry" in bob.page.locator(".entry.other .bubble").last.inner_text()

    ann.wait_until(sorry, "the bucket to fill again")
    for each in (ann, bob):
        each.expect_remote_picture()


def test_many_messages_do_not_push_out_what_is_still_to_be_done(join: Join, tmp_path: Path) -> None:
    ann, bob = in_call(join)
    for each in (ann, bob):
        each.press("Chat and files")
    done, open_ = tmp_path / "done.txt", tmp_path / "open.txt"
    for file in (done, open_):
        file.write_text("Hello")
        ann.find("file-input").set_input_files(file)
    bob.page.get_by_role("button", name="Accept file").first.click()
    expect(bob.page.get_by_role("link", name="Save")).to_be_visible()
    ann.page.evaluate("""() => {
      const form = document.getElementById("chat-form");
      for (let number = 0; number < 600; number += 1) {
        document.getElementById("chat-text").value = `text ${number}`;
        form.requestSubmit();
      }
    }""")
    expect(ann.page.locator(".entry")).to_have_count(499)
    expect(ann.page.locator(".entry.file")).to_have_count(1)
    ann.press("Cancel")
    expect(bob.page.locator(".file-state").nth(1)).to_have_text("The other side stopped it.")
    expect(bob.page.get_by_role("link", name="Save")).to_be_visible()


def test_the_quality_of_a_call_is_shown(join: Join) -> None:
    ann, bob = in_call(join)
    ann.page.keyboard.press("q")
    expect(ann.find("panel-title")).to_have_text("Call quality")
    expect(ann.find("path-hint")).to_contain_text("straight from browser to browser")
    facts = ann.find("quality-facts")
    for words in (
        r"Round trip\s*\d+ ms",
        r"Received\s*[\d.]+ [kM]bit/s",
        r"Sent\s*[\d.]+ [kM]bit/s",
        r"Of it media\s*[\d.]+ [kM]bit/s in, [\d.]+ [kM]bit/s out",
        r"Picture\s*\d+ . \d+, \d+/s, \w+",
        r"Sound\s*opus",
        r"Path\s*direct",
        r"This side\s*own address over UDP",
    ):
        expect(facts).to_have_text(re.compile(words))
    expect(ann.find("plot-down")).to_have_attribute(
        "aria-label", re.compile(r"^Media received.*\d")
    )
    bob.hang_up()
    ann.expect_list(bob)
    expect(ann.find("panel")).to_be_hidden()
