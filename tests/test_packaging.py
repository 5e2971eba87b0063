"""The wheel and the sdist hold everything, and the installed wheel works from another folder."""

import contextlib
import http.client
import re
import shutil
import signal
import ssl
import subprocess
import sys
import tarfile
import time
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from email.message import Message
from email.parser import Parser
from pathlib import Path
from urllib.parse import urlsplit

import pytest

import tornado_webrtc
from tests.packagebuild import build, shared_folder

ROOT = Path(__file__).resolve().parents[1]
SOURCES = ("tornado_webrtc", "plugins", "conf", "www")
NOT_SOURCES = shutil.ignore_patterns(
    *(".git", ".venv", ".*_cache", ".hypothesis", "__pycache__", "*.egg-info"),
    *("build", "dist", "run", "state", ".coverage*"),
)
START_S = 30.0

pytestmark = [pytest.mark.timeout(600), pytest.mark.xdist_group("packaging")]


def run(*command: str | Path, cwd: Path) -> str:
    """Run a program and return what it printed; fail with that when it does not exit with 0."""
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"
    return done.stdout


def files(folder: Path) -> set[str]:
    """Name every file below a folder, relative to it, but for hidden ones and what was made."""
    found = (path.relative_to(folder) for path in folder.rglob("*") if path.is_file())
    return {
        path.as_posix()
        for path in found
        if not any(part.startswith(".") or part in {"__pycache__", "state"} for part in path.parts)
    }


@dataclass(frozen=True)
class Built:
    """A clean copy of the sources and what was built from it."""

    checkout: Path
    sdist: Path
    wheel: Path
    wheel_of_sdist: Path


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Built:
    folder = tmp_path_factory.mktemp("built")
    checkout = folder / "checkout"
    shutil.copytree(ROOT, checkout, ignore=NOT_SOURCES, symlinks=True)
    (checkout / "conf" / "state").mkdir()
    (checkout / "conf" / "state" / "secret").write_text("made by a server that ran here")
    environment = shared_folder(tmp_path_factory, "builder")
    build(environment, "--outdir", folder / "direct", "--wheel", checkout)
    shutil.rmtree(checkout / "build")
    build(environment, "--outdir", folder / "both", checkout)
    return Built(
        checkout,
        next((folder / "both").glob("*.tar.gz")),
        next((folder / "direct").glob("*.whl")),
        next((folder / "both").glob("*.whl")),
    )


def unpacked(wheel: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(wheel) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def metadata(wheel: Path) -> Message:
    (text,) = (text for name, text in unpacked(wheel).items() if name.endswith("/METADATA"))
    return Parser().parsestr(text.decode())


def test_wheel_holds_every_source_file_and_nothing_else(built: Built) -> None:
    expected = {f"tornado_webrtc/{name}" for name in files(ROOT / "tornado_webrtc")}
    for folder in ("plugins", "conf", "www"):
        expected |= {f"tornado_webrtc/{folder}/{name}" for name in files(ROOT / folder)}
    assert {name for name in unpacked(built.wheel) if ".dist-info/" not in name} == expected


def test_wheel_holds_what_it_cannot_do_without(built: Built) -> None:
    assert {
        "tornado_webrtc/py.typed",
        "tornado_webrtc/conf/server.ini",
        "tornado_webrtc/conf/server.configspec",
        "tornado_webrtc/www/index.html",
        "tornado_webrtc/plugins/auth_token/__init__.py",
    } <= unpacked(built.wheel).keys()


def test_what_a_server_has_made_is_in_no_package(built: Built) -> None:
    with tarfile.open(built.sdist) as archive:
        names = [*archive.getnames(), *unpacked(built.wheel), *unpacked(built.wheel_of_sdist)]
    assert [name for name in names if "conf/state" in name] == []


def test_metadata(built: Built) -> None:
    found = metadata(built.wheel)
    assert found["Name"] == "tornado-webrtc"
    assert found["Version"] == tornado_webrtc.__version__
    assert found["License-Expression"] == "MIT"
    assert found["Requires-Python"] == ">=3.11"


def test_sdist_holds_sources_tests_and_documents(built: Built) -> None:
    with tarfile.open(built.sdist) as archive:
        members = archive.getmembers()
    found = {member.name.partition("/")[2] for member in members if member.isfile()}
    for folder in (*SOURCES, "tests"):
        assert {f"{folder}/{name}" for name in files(ROOT / folder)} <= found
    assert {"setup.py", "pyproject.toml", "Makefile", "LICENSE", "README.md"} <= found


def test_sdist_makes_the_same_wheel(built: Built) -> None:
    direct, indirect = unpacked(built.wheel), unpacked(built.wheel_of_sdist)
    assert direct.keys() == indirect.keys()
    assert [name for name in direct if direct[name] != indirect[name]] == []


@pytest.fixture(scope="module")
def programs(built: Built, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder with `tornado-webrtc` and `python` of a fresh environment with the wheel."""
    folder = tmp_path_factory.mktemp("environment")
    run(sys.executable, "-m", "venv", folder, cwd=folder)
    run(folder / "bin" / "pip", "install", "--quiet", built.wheel, cwd=folder)
    return folder / "bin"


def test_version(programs: Path, tmp_path: Path) -> None:
    for command in (["tornado-webrtc"], ["python", "-m", "tornado_webrtc"]):
        program, *arguments = command
        printed = run(programs / program, *arguments, "--version", cwd=tmp_path)
        assert tornado_webrtc.__version__ in printed


def test_installed_files_are_found(programs: Path, tmp_path: Path) -> None:
    program = (
        "from tornado_webrtc import paths\n"
        "print((paths.conf_dir() / 'server.ini').is_file())\n"
        "print((paths.www_dir() / 'index.html').is_file())\n"
        "print(paths.shipped_plugins_dir())\n"
    )
    assert run(programs / "python", "-c", program, cwd=tmp_path) == "True\nTrue\nNone\n"


def import_every_plugin() -> str:
    """Return a program that imports every shipped plugin and prints where it was found."""
    names = sorted(path.parent.name for path in (ROOT / "plugins").glob("*/__init__.py"))
    assert names
    return "\n".join(
        f"import tornado_webrtc.plugins.{name} as plugin\nprint(plugin.__file__)" for name in names
    )


def test_installed_plugins_are_imported(programs: Path, tmp_path: Path) -> None:
    for line in run(programs / "python", "-c", import_every_plugin(), cwd=tmp_path).splitlines():
        assert Path(line).is_relative_to(programs.parent)


def test_editable_install_uses_the_checkout(built: Built, programs: Path, tmp_path: Path) -> None:
    """In the place of the wheel, whose libraries are those of the checkout, too."""
    python = tmp_path / "environment" / "bin" / "python"
    shutil.copytree(programs.parent, python.parents[1], symlinks=True)
    run(python, "-m", "pip", "install", "--quiet", "--editable", built.checkout, cwd=tmp_path)
    program = f"{import_every_plugin()}\nfrom tornado_webrtc import paths\nprint(paths.www_dir())"
    for line in run(python, "-c", program, cwd=tmp_path).splitlines():
        assert Path(line).is_relative_to(built.checkout)


@pytest.fixture
def base_url(programs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Where a server listens that was started as the README says, on a free port."""
    run(programs / "tornado-webrtc", "init", "site", cwd=tmp_path)
    monkeypatch.setenv("TORNADO_WEBRTC__GENERAL__PORT", "0")
    monkeypatch.setenv("TORNADO_WEBRTC__TURN__PORT", "0")
    monkeypatch.setenv("TORNADO_WEBRTC__TURN__PORT_TCP", "0")
    monkeypatch.setenv("TORNADO_WEBRTC__GENERAL__BIND", "127.0.0.1")
    log = tmp_path / "log"
    command = (programs / "tornado-webrtc", "--conf", "site/server.ini")
    with (
        log.open("w") as output,
        subprocess.Popen(command, cwd=tmp_path, stdout=output, stderr=output) as server,
    ):
        try:
            yield wait_for_url(server, log)
            server.send_signal(signal.SIGTERM)
            assert server.wait(START_S) == 0, log.read_text()
        finally:
            server.kill()


def wait_for_url(server: subprocess.Popen[bytes], log: Path) -> str:
    deadline = time.monotonic() + START_S
    while time.monotonic() < deadline and server.poll() is None:
        if found := re.search(r"listening on (https?://\S+:\d+)", log.read_text()):
            return found[1]
        time.sleep(0.05)
    pytest.fail(f"the server did not say where it listens:\n{log.read_text()}")


def fetch(url: str, path: str) -> tuple[int, bytes]:
    """Get a page from a server whose certificate was made a moment ago."""
    trusting = ssl.create_default_context()
    trusting.check_hostname = False
    trusting.verify_mode = ssl.CERT_NONE
    connection = http.client.HTTPSConnection(urlsplit(url).netloc, timeout=10, context=trusting)
    with contextlib.closing(connection):
        connection.request("GET", path)
        response = connection.getresponse()
        return response.status, response.read()


def test_installed_server_serves(base_url: str) -> None:
    assert base_url.startswith("https://")
    assert fetch(base_url, "/") == (200, (ROOT / "www" / "index.html").read_bytes())
    status, _ = fetch(base_url, "/healthz")
    assert status == 200
