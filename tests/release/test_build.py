"""`make release` of a commit: refused, made, made again, unpacked, installed, served."""

import os
import re
import shlex
import signal
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from click.testing import CliRunner

from release.archive import sha256
from release.build import main, make_release
from release.errors import ReleaseError
from tests.release.committed import commit_all, committed_sources, git
from tests.test_packaging import START_S, files, run, wait_for_url
from tornado_webrtc import __version__

ROOT = Path(__file__).resolve().parents[2]
NAME = f"tornado-webrtc-v{__version__}"
WHEEL = f"tornado_webrtc-{__version__}-py3-none-any.whl"
SDIST = f"tornado_webrtc-{__version__}.tar.gz"
NO_VARIABLES = ("PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV")

pytestmark = [pytest.mark.timeout(600), pytest.mark.xdist_group("release")]


@dataclass(frozen=True)
class Released:
    """A checkout, and the files of its release."""

    checkout: Path
    files: Path


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return committed_sources(tmp_path_factory.mktemp("sources") / "checkout")


def build(checkout: Path, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """What `make release` runs, in a checkout, with nothing of this one in the way."""
    return subprocess.run(
        [sys.executable, "release/build.py", *arguments],
        cwd=checkout,
        env={name: text for name, text in os.environ.items() if name not in NO_VARIABLES},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture(scope="module")
def released(checkout: Path, tmp_path_factory: pytest.TempPathFactory) -> Released:
    output = tmp_path_factory.mktemp("released") / "dist"
    done = build(checkout, "--output", output, "--tag", f"v{__version__}")
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout == (output / "SHA256SUMS").read_text()
    return Released(checkout, output)


@pytest.fixture(scope="module")
def unpacked(released: Released, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("unpacked")
    run(sys.executable, "-m", "zipfile", "-e", released.files / f"{NAME}.zip", folder, cwd=folder)
    (top,) = folder.iterdir()
    assert top.name == NAME
    return top


# --- what is refused --------------------------------------------------------------------


def spoiled(checkout: Path, folder: Path) -> Path:
    """A clone to spoil."""
    git(checkout, "clone", "--quiet", str(checkout), str(folder))
    return folder


def test_changes_that_are_not_committed(checkout: Path, tmp_path: Path) -> None:
    clone = spoiled(checkout, tmp_path / "clone")
    (clone / "setup.py").write_text("")
    done = build(clone, "--output", tmp_path / "dist")
    assert done.returncode == 1
    assert done.stderr.startswith("Error: not committed: setup.py. ")
    assert not (tmp_path / "dist").exists()


def test_version_that_the_changelog_does_not_know(checkout: Path, tmp_path: Path) -> None:
    clone = spoiled(checkout, tmp_path / "clone")
    changelog = clone / "CHANGELOG.md"
    changelog.write_text(re.sub(r"^## .*$", "## Unreleased", changelog.read_text(), flags=re.M))
    commit_all(clone)
    with pytest.raises(ReleaseError, match=rf"says nothing of {re.escape(__version__)}"):
        make_release(clone, tmp_path / "dist")
    done = build(clone, "--notes")
    assert done.returncode == 1
    assert "says nothing of" in done.stderr
    assert not (tmp_path / "dist").exists()


def test_tag_of_another_version(checkout: Path, tmp_path: Path) -> None:
    with pytest.raises(ReleaseError, match=r"the tag is 'v9\.9\.9'"):
        make_release(checkout, tmp_path / "dist", tag="v9.9.9")
    assert not (tmp_path / "dist").exists()


def test_notes(checkout: Path) -> None:
    done = build(checkout, "--notes")
    assert done.returncode == 0, done.stderr
    chapter = re.split(r"(?m)^## .*\n", (checkout / "CHANGELOG.md").read_text())[1]
    assert done.stdout.strip() == chapter.strip()


def test_help() -> None:
    result = CliRunner().invoke(main, ["--help"])
    assert result.exit_code == 0
    assert {"--output", "--tag", "--unreleased", "--notes"} <= set(result.output.split())


# --- what is made -----------------------------------------------------------------------


def test_files(released: Released) -> None:
    assert {path.name for path in released.files.iterdir()} == {
        *(WHEEL, SDIST, f"{NAME}.zip", f"{NAME}.zip.sha256", "SHA256SUMS")
    }


def test_checksums(released: Released) -> None:
    for sums, names in (
        ("SHA256SUMS", [SDIST, WHEEL, f"{NAME}.zip"]),
        (f"{NAME}.zip.sha256", [f"{NAME}.zip"]),
    ):
        text = (released.files / sums).read_text()
        assert sorted(line.split()[1] for line in text.splitlines()) == sorted(names)
        run("sha256sum", "--check", "--strict", sums, cwd=released.files)


def test_sdist_is_enough_for_images_and_releases(released: Released) -> None:
    with tarfile.open(released.files / SDIST) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert {"Dockerfile", ".dockerignore", "compose.yaml", "MANIFEST.in"} <= names
    for folder in ("release", "deploy"):
        assert {f"{folder}/{name}" for name in files(ROOT / folder)} <= names


def test_checkout_is_as_it_was(released: Released) -> None:
    """The build leaves nothing there."""
    assert git(released.checkout, "status", "--porcelain", "--ignored") == ""


def test_the_same_bytes_from_a_clone(released: Released, tmp_path: Path) -> None:
    """Elsewhere, later, by somebody with another umask; even if CHANGELOG.md was not asked."""
    before = os.umask(0o077)
    try:
        clone = spoiled(released.checkout, tmp_path / "clone")
        done = build(clone, "--output", tmp_path / "dist", "--unreleased")
    finally:
        os.umask(before)
    assert done.returncode == 0, done.stderr
    for path in released.files.iterdir():
        assert sha256(tmp_path / "dist" / path.name) == sha256(path), path.name


def test_zip_has_its_layout(unpacked: Path) -> None:
    deploy = {f"deploy/{name}" for name in files(ROOT / "deploy")}
    assert deploy, "deploy/ has files"
    assert {path.relative_to(unpacked).as_posix() for path in unpacked.rglob("*.*")} >= deploy
    found = files(unpacked)
    assert found - deploy == {
        *("CHANGELOG.md", "LICENSE", "SHA256SUMS", "VERSION", "requirements.txt", WHEEL),
        "conf/server.ini",
    }
    assert (unpacked / "VERSION").read_text() == f"{__version__}\n"


def test_zip_agrees_with_its_sums(unpacked: Path) -> None:
    run("sha256sum", "--check", "--strict", "SHA256SUMS", cwd=unpacked)
    listed = {line.split()[1] for line in (unpacked / "SHA256SUMS").read_text().splitlines()}
    assert listed == files(unpacked) - {"SHA256SUMS"}


def test_deployment_takes_it(released: Released, tmp_path: Path) -> None:
    """deploy/unpack.py looks a ZIP over before anything of it is used."""
    script = released.checkout / "deploy" / "unpack.py"
    printed = run(
        sys.executable, script, released.files / f"{NAME}.zip", tmp_path / "new", cwd=tmp_path
    )
    assert printed.strip() == __version__


# --- what is in it works ------------------------------------------------------------------


@pytest.fixture(scope="module")
def programs(released: Released, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The programs of a fresh environment with what the ZIP says, made as docs/releases.md says."""
    guide = (ROOT / "docs" / "releases.md").read_text(encoding="utf-8")
    (block,) = re.findall(r"```sh\n(python3 -m zipfile .*?)```", guide, re.DOTALL)
    folder = tmp_path_factory.mktemp("environment")
    environment = folder / "opt" / "tornado-webrtc" / "releases" / __version__
    block = block.replace("0.1.0", __version__).replace("/opt/", f"{folder}/opt/")
    block = block.replace("python3", shlex.quote(sys.executable))
    (folder / f"{NAME}.zip").symlink_to(released.files / f"{NAME}.zip")
    run("sh", "-euc", block, cwd=folder)
    return environment / "bin"


def test_nothing_is_missing(programs: Path, tmp_path: Path) -> None:
    run(programs / "pip", "check", cwd=tmp_path)
    run(programs / "python", "-c", "import jwt, redis, uvloop", cwd=tmp_path)


def test_version(programs: Path, tmp_path: Path) -> None:
    printed = run(programs / "tornado-webrtc", "--version", cwd=tmp_path)
    assert printed.startswith(f"tornado-webrtc {__version__} ")


@pytest.mark.usefixtures("turn_on_loopback")
def test_configuration_is_fine(
    programs: Path, unpacked: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STATE_DIRECTORY", str(tmp_path / "state"))
    reference = unpacked / "conf" / "server.ini"
    printed = run(programs / "tornado-webrtc", "check", "--conf", reference, cwd=tmp_path)
    assert "no problems" in printed


@pytest.fixture
def url(programs: Path, unpacked: Path, tmp_path: Path, turn_on_loopback: None) -> Iterator[str]:
    variables = {
        "TORNADO_WEBRTC__GENERAL__BIND": "127.0.0.1,",
        "TORNADO_WEBRTC__GENERAL__PORT": "0",
        "STATE_DIRECTORY": str(tmp_path / "state"),
    }
    log = tmp_path / "log"
    command = (programs / "tornado-webrtc", "--conf", unpacked / "conf" / "server.ini")
    with log.open("wb") as output:
        server = subprocess.Popen(
            command, cwd=tmp_path, stdout=output, stderr=output, env={**os.environ, **variables}
        )
    try:
        yield wait_for_url(server, log)
        server.send_signal(signal.SIGTERM)
        assert server.wait(START_S) == 0, log.read_text()
    finally:
        server.kill()
        server.wait()


def test_it_serves_from_another_folder(url: str) -> None:
    page = url.removeprefix("http://")
    assert run("curl", "-fsS", f"http://{page}/readyz", cwd=ROOT).strip()
    assert "<title>" in run("curl", "-fsS", f"http://{page}/", cwd=ROOT)
