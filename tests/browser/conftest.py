"""A real Chromium, a real server, and people who meet there.

Each worker starts them once for all of these tests. Playwright's synchronous interface keeps
an event loop running in the thread, which pytest-asyncio cannot share: so everything is closed
as soon as a test of another folder is next.
"""

import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Playwright, expect, sync_playwright

from tests.browser.modulepage import module_page
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
Run = Callable[..., Any]


TIMEOUT_S = 180
"""For a whole test: it is many conditions, and each of them has a deadline of its own."""

HALVES = 2
"""Workers that share these tests; each test file stays with one of them."""


class Stage:
    """What is started once: Playwright, browsers by their arguments, a server."""

    def __init__(self) -> None:
        self._running = ExitStack()
        self._playwright: Playwright | None = None
        self._browsers: dict[tuple[str, ...], Browser] = {}
        self._server: ServerAddress | None = None

    def launch(self, arguments: Sequence[str]) -> Browser:
        """Return a Chromium with further arguments."""
        key = tuple(arguments)
        if key not in self._browsers:
            self._browsers[key] = self._start(key)
        return self._browsers[key]

    def server(self, folders: pytest.TempPathFactory) -> ServerAddress:
        """Return a server with the usual configuration."""
        if self._server is None:
            serving = running_server(folders.mktemp("server"))
            self._server = self._running.enter_context(serving)
        return self._server

    def close(self) -> None:
        """End everything; the next test that needs it starts it anew."""
        self._playwright = self._server = None
        self._browsers.clear()
        self._running.close()

    def _start(self, arguments: tuple[str, ...]) -> Browser:
        path = next(filter(None, map(shutil.which, NAMES)), None)
        assert path, f"the browser tests need a Chromium: none of {', '.join(NAMES)} was found"
        if self._playwright is None:
            expect.set_options(timeout=DEADLINE_S * 1000)
            self._playwright = self._running.enter_context(sync_playwright())
        browser = self._playwright.chromium.launch(
            executable_path=path, args=[*ARGUMENTS, *arguments], chromium_sandbox=False
        )
        self._running.callback(browser.close)
        return browser


STAGE = Stage()


def is_ours(item: pytest.Item) -> bool:
    return Path(__file__).parent in item.path.parents


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    ours = [item for item in items if is_ours(item)]
    files = sorted({item.path for item in ours})
    for item in ours:
        item.add_marker(pytest.mark.browser)
        item.add_marker(pytest.mark.timeout(TIMEOUT_S))
        half = files.index(item.path) % HALVES
        item.add_marker(pytest.mark.xdist_group(f"browser-{half}"))


@pytest.hookimpl(trylast=True)
def pytest_runtest_teardown(nextitem: pytest.Item | None) -> None:
    if nextitem is None or not is_ours(nextitem):
        STAGE.close()


@pytest.fixture(scope="module")
def launch() -> Launch:
    """Return a function that starts a Chromium with further arguments."""
    return STAGE.launch


@pytest.fixture(scope="module")
def browser(launch: Launch) -> Browser:
    """Return a Chromium with a camera and a microphone, both make-believe."""
    return launch([FAKE_DEVICES])


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> ServerAddress:
    """Return a server with the usual configuration."""
    return STAGE.server(tmp_path_factory)


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


@pytest.fixture(scope="module")
def run(browser: Browser, server: ServerAddress) -> Iterator[Run]:
    """Return a function that runs a JavaScript function with a module as its first argument."""
    with module_page(browser, server.url) as opened:
        yield opened.run
