"""A real Chromium, a real server, and people who meet there.

Playwright's synchronous interface keeps an event loop running in the thread, which
pytest-asyncio cannot share: its fixtures live no longer than one module of these tests.
"""

import shutil
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Playwright, expect, sync_playwright

from tests.browser.participant import DEADLINE_S, Participant
from tests.browser.serverprocess import ServerAddress, running_server

NAMES = ("chromium", "chromium-browser", "google-chrome")
ARGUMENTS = (
    "--no-sandbox",
    "--disable-gpu",
    "--use-fake-ui-for-media-stream",
    "--allow-loopback-in-peer-connection",
    "--disable-background-networking",
    "--no-first-run",
    "--disable-component-update",
    "--disable-sync",
)
FAKE_DEVICES = "--use-fake-device-for-media-stream"

Join = Callable[..., Participant]
Launch = Callable[[Sequence[str]], Browser]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.browser)


@pytest.fixture(scope="module")
def playwright() -> Iterator[Playwright]:
    expect.set_options(timeout=DEADLINE_S * 1000)
    with sync_playwright() as instance:
        yield instance


@pytest.fixture(scope="module")
def launch(playwright: Playwright) -> Iterator[Launch]:
    """Return a function that starts a Chromium with further arguments."""
    path = next(filter(None, map(shutil.which, NAMES)), None)
    assert path, f"the browser tests need a Chromium: none of {', '.join(NAMES)} was found"
    browsers: list[Browser] = []

    def start(arguments: Sequence[str]) -> Browser:
        browser = playwright.chromium.launch(
            executable_path=path, args=[*ARGUMENTS, *arguments], chromium_sandbox=False
        )
        browsers.append(browser)
        return browser

    yield start
    for browser in browsers:
        browser.close()


@pytest.fixture(scope="module")
def browser(launch: Launch) -> Browser:
    """Return a Chromium with a camera and a microphone, both make-believe."""
    return launch([FAKE_DEVICES])


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerAddress]:
    with running_server(tmp_path_factory.mktemp("server")) as address:
        yield address


@pytest.fixture
def join(browser: Browser, server: ServerAddress) -> Iterator[Join]:
    """Return a function that opens the page for somebody; nobody's console may complain."""
    people: list[Participant] = []

    def open_page(name: str, **options: Any) -> Participant:
        where = {"browser": browser, "url": server.url, **options}
        people.append(Participant(name=name, **where))
        return people[-1]

    yield open_page
    complaints = [f"{each.name}: {text}" for each in people for text in each.complaints]
    for each in people:
        each.leave()
    assert not complaints
