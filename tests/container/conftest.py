"""The image, built once for all tests: they run in one process (`xdist_group`)."""

import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.container.buildah import ROOT, Buildah, Container, wait_until_free
from tests.test_packaging import files

IMAGE = "localhost/tornado-webrtc"
SOURCE = "https://git.example.org/tornado-webrtc"
PROGRAMS = ("buildah", "mmdebstrap")
MEMORY = "/dev/shm"  # noqa: S108 - the folder in it gets a random name
NEEDED_BYTES = 4 * 1024**3


@dataclass(frozen=True)
class Built:
    """The image and what it stands on.

    Attributes:
        buildah: Where they are.
        name: The image's name.
        base: The name in `FROM`.
        package: The files that the package had when it was built.
    """

    buildah: Buildah
    name: str
    base: str
    package: frozenset[str]


def base_name() -> str:
    """What the Dockerfile stands on."""
    text = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    (name,) = re.findall(r"^FROM (debian:\S+)", text, re.MULTILINE)
    return str(name)


def roomy() -> str | None:
    """A folder in memory if there is enough of it; None, for where temporary files usually go.

    An image is tens of thousands of files that are gone a minute later. A disk may take as
    long again to forget them.
    """
    if not os.path.ismount(MEMORY):
        return None
    flags, space = os.statvfs(MEMORY).f_flag, shutil.disk_usage(MEMORY).free
    pages = os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    runs = not flags & (os.ST_NOEXEC | os.ST_RDONLY)
    return MEMORY if runs and min(space, pages) >= NEEDED_BYTES else None


def package_files() -> Iterator[str]:
    """What the wheel is made of."""
    yield from files(ROOT / "tornado_webrtc")
    for folder in ("plugins", "conf", "www"):
        yield from (f"{folder}/{name}" for name in files(ROOT / folder))


@pytest.fixture(scope="module")
def built() -> Iterator[Built]:
    """Build it with the machine's own Debian mirror and package index."""
    if os.geteuid() != 0:
        pytest.skip("only root makes a Debian to build upon: sudo .venv/bin/pytest tests/container")
    if missing := [name for name in PROGRAMS if not shutil.which(name)]:
        pytest.skip(f"missing: {', '.join(missing)}; `make system` installs them")
    with tempfile.TemporaryDirectory(prefix="image-", dir=roomy()) as name:
        folder = Path(name)
        buildah = Buildah(folder)
        base = base_name()
        buildah.make_base(base)
        package = frozenset(package_files())
        buildah.build(f"--build-arg=SOURCE={SOURCE}")
        try:
            yield Built(buildah, IMAGE, base, package)
        finally:
            wait_until_free(folder)


@pytest.fixture(scope="module")
def container(built: Built) -> Iterator[Container]:
    """A container for whoever only looks."""
    with built.buildah.container(built.name) as made:
        yield made
