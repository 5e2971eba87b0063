"""A page with nothing in it, to try the demo client's modules one by one."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from playwright.sync_api import Browser, Page

DEADLINE_MS = 30_000


class ModulePage:
    """Runs JavaScript with the modules of `www/js`.

    Attributes:
        page: Playwright's page.
        complaints: What was thrown and not caught.
    """

    def __init__(self, page: Page) -> None:
        self.page = page
        self.complaints: list[str] = []
        page.set_default_timeout(DEADLINE_MS)
        page.on("pageerror", lambda error: self.complaints.append(str(error)))

    def run(self, module: str, script: str, argument: Any = None) -> Any:
        """Return what a JavaScript function returns for a module and an argument."""
        call = f"async (argument) => ({script})(await import('/js/{module}.js'), argument)"
        return self.page.evaluate(call, argument)


@contextmanager
def module_page(browser: Browser, url: str, **options: Any) -> Iterator[ModulePage]:
    """Open a page below a server's address until the context ends; nothing may go unnoticed."""
    context = browser.new_context(ignore_https_errors=True, **options)
    try:
        opened = ModulePage(context.new_page())
        opened.page.goto(f"{url}style.css")
        yield opened
    finally:
        context.close()
    assert not opened.complaints, opened.complaints
