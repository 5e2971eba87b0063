"""The ZIP has the layout that deploy/ relies on."""

import subprocess
import zipfile
from pathlib import Path

import pytest

from release.bundle import bundle_name, make_bundle
from release.errors import ReleaseError

WHEN = 1700000000
WHEEL = "tornado_webrtc-1.2.3-py3-none-any.whl"
FILES = {
    "CHANGELOG.md": "# Changes\n",
    "LICENSE": "MIT\n",
    "conf/server.ini": "[general]\n",
    "conf/server.configspec": "[general]\n",
    "deploy/deploy.sh": "#!/bin/sh\n",
    "deploy/systemd/tornado-webrtc.service": "[Unit]\n",
    "release/requirements.txt": "tornado==6.6.1 --hash=sha256:0\n",
    "release/build.py": "",
}


@pytest.fixture
def source(tmp_path: Path) -> Path:
    folder = tmp_path / "source"
    for name, text in FILES.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    (folder / "deploy" / "deploy.sh").chmod(0o755)
    return folder


def bundle(source: Path, output: Path) -> Path:
    output.mkdir()
    (output / WHEEL).write_bytes(b"wheel")
    return make_bundle(source, output / WHEEL, "1.2.3", output, WHEN)


def test_layout(source: Path, tmp_path: Path) -> None:
    path = bundle(source, tmp_path / "out")
    assert path == tmp_path / "out" / "tornado-webrtc-v1.2.3.zip"
    with zipfile.ZipFile(path) as archive:
        names = {name.removeprefix("tornado-webrtc-v1.2.3/") for name in archive.namelist()}
        archive.extractall(tmp_path / "unpacked")
        modes = {each.filename: each.external_attr >> 16 & 0o777 for each in archive.infolist()}
    assert names == {
        *("VERSION", "SHA256SUMS", "CHANGELOG.md", "LICENSE", "requirements.txt", WHEEL),
        *("conf/server.ini", "deploy/deploy.sh", "deploy/systemd/tornado-webrtc.service"),
    }
    folder = tmp_path / "unpacked" / bundle_name("1.2.3")
    assert (folder / "VERSION").read_text() == "1.2.3\n"
    assert (folder / WHEEL).read_bytes() == b"wheel"
    assert (folder / "requirements.txt").read_text() == FILES["release/requirements.txt"]
    assert modes[f"{folder.name}/deploy/deploy.sh"] == 0o755
    assert modes[f"{folder.name}/VERSION"] == 0o644


def test_every_file_is_in_the_sums(source: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(bundle(source, tmp_path / "out")) as archive:
        archive.extractall(tmp_path)
    folder = tmp_path / bundle_name("1.2.3")
    files = {p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file()}
    lines = (folder / "SHA256SUMS").read_text().splitlines()
    assert {line.partition("  ")[2] for line in lines} == files - {"SHA256SUMS"}
    check = ["sha256sum", "--check", "--strict", "--quiet", "SHA256SUMS"]
    assert subprocess.run(check, cwd=folder, check=False).returncode == 0


def test_nothing_else_is_left(source: Path, tmp_path: Path) -> None:
    bundle(source, tmp_path / "out")
    assert {each.name for each in (tmp_path / "out").iterdir()} == {
        *(WHEEL, "tornado-webrtc-v1.2.3.zip")
    }


@pytest.mark.parametrize("name", ["LICENSE", "conf/server.ini", "deploy/", "CHANGELOG.md"])
def test_missing_part(source: Path, tmp_path: Path, name: str) -> None:
    path = source / name
    path.rename(tmp_path / "away")
    with pytest.raises(ReleaseError, match=f"{path.name} is not in the sources"):
        bundle(source, tmp_path / "out")
    assert {each.name for each in (tmp_path / "out").iterdir()} == {WHEEL}
