"""One person with the page open: what he does, and what he sees."""

import json
import re
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any
from urllib.parse import urlencode

from playwright.sync_api import Browser, ConsoleMessage, Error, Locator, WebSocket, expect

DEADLINE_S = 30.0

# Keeps the page's connections where `read_call` finds them.
REMEMBER_CONNECTIONS = """
  window.connections = [];
  window.RTCPeerConnection = class extends RTCPeerConnection {
    constructor(...settings) {
      super(...settings);
      window.connections.push(this);
    }
  };
"""

CALL_FACTS = """async () => {
  const open = window.connections.filter(({ signalingState }) => signalingState !== "closed");
  const stats = await open.at(-1).getStats();
  const all = [...stats.values()];
  const transport = all.find(({ type }) => type === "transport");
  const pair = stats.get(transport?.selectedCandidatePairId);
  const local = stats.get(pair?.localCandidateId);
  const remote = stats.get(pair?.remoteCandidateId);
  const video = all.find(({ type, kind }) => type === "inbound-rtp" && kind === "video");
  return {
    local: local?.candidateType,
    remote: remote?.candidateType,
    relay: local?.relayProtocol,
    frames: video?.framesDecoded ?? 0,
  };
}"""

VIDEO_FACTS = """() => {
  const video = document.getElementById("remote-video");
  return {
    frames: video.getVideoPlaybackQuality().totalVideoFrames,
    width: video.videoWidth,
    sound: video.srcObject?.getAudioTracks().some((track) => track.readyState === "live") ?? false,
  };
}"""


class Participant:
    """A browser context of its own with the page in it.

    Attributes:
        name: The display name to sign in with.
        page: Playwright's page.
        sent: Messages that the page has sent to the signaling server.
        received: Messages that it got from there, without heartbeats.
    """

    def __init__(self, browser: Browser, url: str, name: str, **options: Any) -> None:
        self.name = name
        self.sent: list[dict[str, Any]] = []
        self.received: list[dict[str, Any]] = []
        self._console: list[str] = []
        self._expected: list[str] = []
        query = urlencode(options.pop("query", {}))
        script = REMEMBER_CONNECTIONS + options.pop("script", "")
        self._context = browser.new_context(ignore_https_errors=True, **options)
        self._context.add_init_script(script)
        self.page = self._context.new_page()
        self.page.set_default_timeout(DEADLINE_S * 1000)
        self.page.on("console", self._note)
        self.page.on("pageerror", lambda error: self._console.append(f"uncaught: {error}"))
        self.page.on("websocket", self._listen)
        self.page.goto(f"{url}?{query}" if query else url)

    def sign_in(self) -> "Participant":
        """Sign in, and wait until the server has let us in."""
        self.page.get_by_label("Your name").fill(self.name)
        self.find("sign-in").click()
        self.wait_online()
        return self

    def wait_online(self) -> None:
        expect(self.find("server-state")).to_have_attribute("data-state", "online")

    @property
    def id(self) -> str:
        return self.page.locator("#self-id").inner_text()

    def find(self, element_id: str) -> Locator:
        return self.page.locator(f"#{element_id}")

    def row(self, other: "Participant") -> Locator:
        """Return the other one's row in the list."""
        return self.page.locator(f'#peers li[data-peer-id="{other.id}"]')

    def call_button(self, other: "Participant", kind: str = "Video call") -> Locator:
        return self.row(other).get_by_role("button", name=kind)

    def call(self, other: "Participant", kind: str = "Video call") -> None:
        self.call_button(other, kind).click()

    def press(self, name: str) -> None:
        """Press the button of this name."""
        self.page.get_by_role("button", name=name, exact=True).click()

    def accept(self) -> None:
        self.page.get_by_role("button", name="Accept").click()

    def reject(self) -> None:
        self.page.get_by_role("button", name="Reject").click()

    def hang_up(self) -> None:
        self.page.get_by_role("button", name="Hang up").click()

    def expect_ringing(self, caller: str) -> None:
        expect(self.find("incoming")).to_be_visible()
        expect(self.find("incoming-name")).to_have_text(caller)

    def expect_call_state(self, state: str) -> None:
        expect(self.find("call")).to_have_attribute("data-state", state)

    def expect_list(self, *others: "Participant") -> None:
        """Expect exactly these people and ourselves in the list, and no call."""
        expect(self.find("call")).to_be_hidden()
        expect(self.find("incoming")).to_be_hidden()
        expect(self.page.locator("#peers li")).to_have_count(len(others) + 1)
        for other in others:
            expect(self.call_button(other)).to_be_enabled()

    def expect_notice(self, words: str) -> None:
        expect(self.find("notice-words")).to_contain_text(words)

    def expect_remote_picture(self) -> None:
        """Expect the other side's picture and sound: frames are being decoded, now."""
        self.expect_call_state("connected")
        before = self._video_facts()["frames"]
        self.wait_until(lambda: self._video_facts()["frames"] > before + 5, "decoded frames")
        facts = self._video_facts()
        assert facts["width"] > 0
        assert facts["sound"]

    def expect_decoded_frames(self) -> None:
        """Expect the browser's own count of decoded frames to rise."""
        before = self.read_call()["frames"]
        self.wait_until(lambda: self.read_call()["frames"] > before + 5, "framesDecoded")

    def read_call(self) -> dict[str, Any]:
        """Return what the browser says of its newest connection: both ends, decoded frames."""
        facts: dict[str, Any] = self.page.evaluate(CALL_FACTS)
        return facts

    def messages(self, kind: str) -> list[dict[str, Any]]:
        """Return the content of the messages of one type that the page has sent."""
        return [message["data"] for message in self.sent if message["type"] == kind]

    def wait_until(self, condition: Callable[[], bool], what: str) -> None:
        deadline = time.monotonic() + DEADLINE_S
        while not condition():
            assert time.monotonic() < deadline, f"{self.name} waited in vain for {what}"
            self.page.wait_for_timeout(50)

    def expect_console(self, pattern: str) -> None:
        """Allow messages of the browser itself that match, for example about a lost server."""
        self._expected.append(pattern)

    @property
    def complaints(self) -> list[str]:
        """What the console complained of and no test expected: errors, warnings, CSP."""
        return [
            text
            for text in self._console
            if not any(re.search(pattern, text) for pattern in self._expected)
        ]

    def crash(self) -> None:
        """Kill the process of the page: it says good-bye to nobody."""
        with suppress(Error):
            self.page.goto("chrome://crash", timeout=2000)

    def leave(self) -> None:
        self._context.close()

    def _video_facts(self) -> dict[str, Any]:
        facts: dict[str, Any] = self.page.evaluate(VIDEO_FACTS)
        return facts

    def _note(self, message: ConsoleMessage) -> None:
        if message.type in {"error", "warning"}:
            self._console.append(f"{message.type}: {message.text}")

    def _listen(self, socket: WebSocket) -> None:
        socket.on("framesent", lambda text: self._keep(self.sent, text))
        socket.on("framereceived", lambda text: self._keep(self.received, text))

    def _keep(self, into: list[dict[str, Any]], text: str | bytes) -> None:
        if message := json.loads(text):
            into.append(message)
