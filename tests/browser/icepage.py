"""The ICE test page, as somebody uses it."""

import json
import re
from collections.abc import Callable
from typing import Any

from playwright.sync_api import Browser, ConsoleMessage, Locator, Page, Route, expect

from tests.browser.participant import DEADLINE_S

LONG_S = 60.0

IceServer = dict[str, Any]
Change = Callable[[IceServer], IceServer]


class IcePage:
    """The page in a browser context of its own.

    Attributes:
        page: Playwright's page.
        complaints: What its console complained of, but for answers that refuse.
    """

    def __init__(self, browser: Browser, url: str, **options: Any) -> None:
        self.complaints: list[str] = []
        self._context = browser.new_context(ignore_https_errors=True, **options)
        self.page: Page = self._context.new_page()
        self.page.set_default_timeout(DEADLINE_S * 1000)
        self.page.on("pageerror", lambda error: self.complaints.append(f"uncaught: {error}"))
        self.page.on("console", self._note)
        self.page.goto(url)

    def _note(self, message: ConsoleMessage) -> None:
        refused = re.search(r"Failed to load resource", message.text)
        if message.type in {"error", "warning"} and not refused:
            self.complaints.append(message.text)

    def find(self, element_id: str) -> Locator:
        return self.page.locator(f"#{element_id}")

    def start(self) -> "IcePage":
        """Start the test, or stop the one that is under way."""
        self.find("start").click()
        return self

    def finish(self, overall: str, timeout_s: float = LONG_S) -> "IcePage":
        """Wait until the test is done, with this verdict."""
        expect(self.find("progress")).to_contain_text("Done.", timeout=timeout_s * 1000)
        expect(self.find("overall-short")).to_have_text(overall)
        return self

    def add(self, url: str, username: str = "", credential: str = "") -> "IcePage":
        """Add a server by hand."""
        self.page.get_by_label("Address").fill(url)
        self.page.get_by_label("User name").fill(username)
        self.page.get_by_label("Password").fill(credential)
        self.page.get_by_role("button", name="Add and test").click()
        return self

    def card(self, part: str) -> Locator:
        """Return the card of the server whose URL has this part."""
        heading = self.page.get_by_role("heading", level=3, name=part)
        return self.page.locator(".ice-server").filter(has=heading)

    def expect_card(self, part: str, state: str, *words: str) -> None:
        """Expect a server's verdict, and words that are on its card."""
        card = self.card(part)
        expect(card.locator(".ice-state")).to_have_text(state)
        for each in words:
            expect(card).to_contain_text(each)

    def change(self, change: Change) -> "IcePage":
        """Change what the server says of its TURN servers."""

        def fulfill(route: Route) -> None:
            answer = route.fetch()
            told = answer.json()
            told["iceServers"] = [
                change(each) if "credential" in each else each for each in told["iceServers"]
            ]
            route.fulfill(response=answer, body=json.dumps(told))

        self.page.route("**/api/turn?*", fulfill)
        return self

    def report(self) -> str:
        return self.find("report").text_content() or ""

    def close(self) -> None:
        self._context.close()
