"""Servers to attack: one for each module, and others with settings of their own."""

import asyncio
import itertools
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.hostile.operated import Installation
from tests.hostile.site import Site, running_site

OpenSite = Callable[..., Site]
Install = Callable[..., Installation]
Figures = Callable[..., None]
TIMEOUT_S = 180.0


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Give these tests time: on a busy machine a crowd moves slowly."""
    for item in items:
        if Path(__file__).parent in item.path.parents and not item.get_closest_marker("timeout"):
            item.add_marker(pytest.mark.timeout(TIMEOUT_S))


@pytest.fixture(autouse=True)
async def no_debug() -> None:
    """Let attackers be fast: asyncio's debug mode keeps a traceback for each of their steps."""
    asyncio.get_running_loop().set_debug(False)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """Serve with the default settings, without TLS."""
    with running_site(tmp_path_factory.mktemp("plain") / "site") as running:
        yield running


@pytest.fixture(scope="module")
def secure_site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """Serve with the default settings, over TLS, on Python's own event loop."""
    folder = tmp_path_factory.mktemp("tls") / "site"
    with running_site(folder, tls=True, event_loop="asyncio") as running:
        yield running


@pytest.fixture
def open_site(tmp_path: Path) -> Iterator[OpenSite]:
    """Return a function that serves with other settings; see `running_site`."""
    numbers = itertools.count()
    with ExitStack() as stack:

        def start(**options: Any) -> Site:
            folder = tmp_path / f"site-{next(numbers)}"
            return stack.enter_context(running_site(folder, **options))

        yield start


@pytest.fixture
def install(tmp_path: Path) -> Install:
    """Return a function that makes installations; see `Installation`."""
    numbers = itertools.count()

    def make(settings: dict[str, str] | None = None, **options: Any) -> Installation:
        return Installation(tmp_path / f"s{next(numbers)}", settings, **options)

    return make


@pytest.fixture
def figures(record_property: Callable[[str, object], None]) -> Figures:
    """Return a function that keeps what was measured: in the report, and shown with `-s`."""

    def keep(**measured: object) -> None:
        for name, value in measured.items():
            shown = f"{value:.4g}" if isinstance(value, float) else value
            record_property(name, shown)
            print(f"\n{name} = {shown}", end="")  # noqa: T201

    return keep
