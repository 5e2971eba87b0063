"""Machines to deploy to, releases to deploy, and a bucket to fetch them from."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.deploy.cloud import Cloud, running_cloud
from tests.deploy.machine import Machine, running_machine
from tests.deploy.release import Release, Workshop
from tests.packagebuild import shared_folder

Good = Callable[[str], Path]
MakeZip = Callable[..., Path]


@pytest.fixture(scope="session")
def workshop(tmp_path_factory: pytest.TempPathFactory) -> Workshop:
    """Where releases are made; all workers of a run share what is in it."""
    folder = shared_folder(tmp_path_factory, "workshop")
    made = Workshop(folder, shared_folder(tmp_path_factory, "builder"))
    made.prepare()
    return made


@pytest.fixture(scope="session")
def good(workshop: Workshop, tmp_path_factory: pytest.TempPathFactory) -> Good:
    """Return a function that makes the ZIP of a good release, once for each version."""
    folder = tmp_path_factory.mktemp("zips")

    def make(version: str) -> Path:
        release = Release(workshop, version)
        path = folder / release.name
        return path if path.exists() else release.write(folder)

    return make


@pytest.fixture
def make_zip(workshop: Workshop, tmp_path: Path) -> MakeZip:
    """Return a function that makes the ZIP of a release with faults; see `Release`."""

    def make(version: str, **faults: object) -> Path:
        return Release(workshop, version, **faults).write(tmp_path)  # type: ignore[arg-type]

    return make


@pytest.fixture
def machine(workshop: Workshop) -> Iterator[Machine]:
    """A machine on which nothing was deployed yet."""
    with running_machine(workshop) as made:
        yield made


@pytest.fixture
def fresh(machine: Machine) -> Machine:
    """A machine as install.sh leaves it: no server.ini, but the name is known."""
    machine.conf.unlink()
    machine.configure(
        DOMAIN="localhost",
        PORT=machine.port,
        HTTP_PORT=machine.turn_udp,
        PUBLIC_IP="203.0.113.5/127.0.0.1",
        READY_URL="",
        CERTBOT="false",
    )
    machine.serve_on_loopback()
    return machine


@pytest.fixture
def bare(machine: Machine) -> Machine:
    """A machine with a distribution's programs and nothing of ours."""
    for path in (machine.settings, machine.conf):
        path.unlink()
    machine.note("useradd", "sysctl", "apt-get")
    return machine


@pytest.fixture(scope="session")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    """AWS, with an empty bucket."""
    with running_cloud(tmp_path_factory.mktemp("cloud")) as running:
        yield running
