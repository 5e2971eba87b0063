"""deploy/unpack.py: what it takes for a release, and what it refuses."""

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from deploy.unpack import ReleaseError
from deploy.unpack import unpack as unpack_here
from release.archive import checksums
from release.bundle import make_bundle
from tests.deploy.machine import DEPLOY
from tests.deploy.release import OWN_VERSION, ROOT

TOP = "tornado-webrtc-v1.2.3"
FILES = {
    "VERSION": b"1.2.3\n",
    "requirements.txt": b"",
    "tornado_webrtc-1.2.3-py3-none-any.whl": b"wheel",
    "deploy/deploy.sh": b"#!/bin/sh\n",
    "conf/server.ini": b"[general]\n",
}

Members = list[tuple[str | zipfile.ZipInfo, bytes]]


def unpack(path: Path, folder: Path) -> "subprocess.CompletedProcess[str]":
    command: list[str | Path] = [sys.executable, "-I", DEPLOY / "unpack.py", path, folder]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)


def members(folder: Path, files: dict[str, bytes], top: str = TOP) -> Members:
    """What a ZIP of some files holds, with the list of their sums."""
    paths = []
    for name, data in files.items():
        path = folder / "made" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        paths.append(path)
    sums = {"SHA256SUMS": checksums(paths, folder / "made").encode()} | files
    return [(f"{top}/{name}", data) for name, data in sums.items()]


def write(folder: Path, content: Members) -> Path:
    path = folder / f"{TOP}.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in content:
            archive.writestr(name, data)
    return path


def refused(folder: Path, path: Path) -> str:
    done = unpack(path, folder / "out")
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr.startswith(f"error: {path.name} is refused: ")
    assert done.stderr.count("\n") == 2
    assert done.stderr.endswith("\n  Make it anew: make release.\n")
    return done.stderr


def test_whole_release(tmp_path: Path) -> None:
    path = write(tmp_path, [(f"{TOP}/deploy/", b""), *members(tmp_path, FILES)])
    done = unpack(path, tmp_path / "out")
    assert (done.returncode, done.stdout, done.stderr) == (0, "1.2.3\n", "")
    out = tmp_path / "out"
    found = {
        each.relative_to(out).as_posix(): each.read_bytes()
        for each in out.rglob("*")
        if each.is_file()
    }
    assert found.pop("SHA256SUMS")
    assert found == FILES
    assert (out / "deploy" / "deploy.sh").stat().st_mode & 0o777 == 0o755
    assert (out / "VERSION").stat().st_mode & 0o777 == 0o644


def test_zip_as_make_release_makes_it(tmp_path: Path) -> None:
    wheel = tmp_path / f"tornado_webrtc-{OWN_VERSION}-py3-none-any.whl"
    wheel.write_bytes(b"wheel")
    path = make_bundle(ROOT, wheel, OWN_VERSION, tmp_path, 0)
    done = unpack(path, tmp_path / "out")
    assert (done.returncode, done.stdout) == (0, f"{OWN_VERSION}\n"), done.stderr
    for script in ("deploy.sh", "install.sh", "settings.sh", "certificate-hook.sh"):
        assert (tmp_path / "out" / "deploy" / script).is_file()


NAMES = [
    "../evil",
    f"{TOP}/../evil",
    f"{TOP}/a/./b",
    f"{TOP}//b",
    "/etc/evil",
    f"{TOP}/a\\b",
    f"{TOP}/a b",
    f"{TOP}/-e\n",
    f"{TOP}/ü",
]


@pytest.mark.parametrize("name", NAMES)
def test_names_that_lead_elsewhere(tmp_path: Path, name: str) -> None:
    path = write(tmp_path, [*members(tmp_path, FILES), (name, b"x")])
    assert f"it holds a file of the name {name!r}" in refused(tmp_path, path)
    assert not (tmp_path / "out").exists(), "names are looked at before anything is written"
    assert not (tmp_path / "evil").exists()


def special(name: str, mode: int) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(f"{TOP}/{name}")
    info.create_system = 3
    info.external_attr = mode << 16
    return info


@pytest.mark.parametrize("mode", [0o120777, 0o010644, 0o060644])
def test_links_and_devices(tmp_path: Path, mode: int) -> None:
    path = write(tmp_path, [*members(tmp_path, FILES), (special("link", mode), b"/etc/passwd")])
    assert "is neither a file nor a folder" in refused(tmp_path, path)


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_same_name_twice(tmp_path: Path) -> None:
    content = members(tmp_path, FILES)
    assert "is in it twice" in refused(tmp_path, write(tmp_path, [*content, content[-1]]))


@pytest.mark.parametrize("name", ["VERSION/x", "deploy"])
def test_file_and_folder_of_one_name(tmp_path: Path, name: str) -> None:
    path = write(tmp_path, [*members(tmp_path, FILES), (f"{TOP}/{name}", b"x")])
    assert "is both a file and a folder" in refused(tmp_path, path)


@pytest.mark.parametrize("name", ["another/file", "tornado-webrtc-v1.2.4/VERSION", "README"])
def test_more_than_one_folder(tmp_path: Path, name: str) -> None:
    path = write(tmp_path, [*members(tmp_path, FILES), (name, b"x")])
    assert "it has to hold one folder, tornado-webrtc-vX.Y.Z" in refused(tmp_path, path)


@pytest.mark.parametrize("top", ["tornado-webrtc", "tornado-webrtc-v1", "other-v1.2.3"])
def test_folder_of_another_name(tmp_path: Path, top: str) -> None:
    path = write(tmp_path, members(tmp_path, FILES, top))
    assert "it has to hold one folder" in refused(tmp_path, path)


def test_nothing(tmp_path: Path) -> None:
    assert "it has to hold one folder" in refused(tmp_path, write(tmp_path, []))


@pytest.mark.parametrize("name", [*FILES, "SHA256SUMS"])
def test_part_is_missing(tmp_path: Path, name: str) -> None:
    left = [each for each in members(tmp_path, FILES) if each[0] != f"{TOP}/{name}"]
    complaint = refused(tmp_path, write(tmp_path, left))
    expected = f"SHA256SUMS and the files differ: {name}" if ".whl" in name else "is missing"
    assert name in complaint
    assert expected in complaint


def test_file_that_is_in_no_list(tmp_path: Path) -> None:
    path = write(tmp_path, [*members(tmp_path, FILES), (f"{TOP}/more", b"x")])
    assert "SHA256SUMS and the files differ: more" in refused(tmp_path, path)


def test_file_that_is_not_what_the_list_says(tmp_path: Path) -> None:
    content = dict(members(tmp_path, FILES)) | {f"{TOP}/conf/server.ini": b"[turn]\n"}
    path = write(tmp_path, list(content.items()))
    assert "conf/server.ini is not what SHA256SUMS says" in refused(tmp_path, path)


def test_list_with_a_line_of_something_else(tmp_path: Path) -> None:
    content = dict(members(tmp_path, FILES)) | {f"{TOP}/SHA256SUMS": b"nothing\n"}
    path = write(tmp_path, list(content.items()))
    assert "a line that is not a sum and a name: 'nothing'" in refused(tmp_path, path)


def test_version_differs(tmp_path: Path) -> None:
    path = write(tmp_path, members(tmp_path, FILES | {"VERSION": b"1.2.4\n"}))
    assert "VERSION says '1.2.4', the folder's name '1.2.3'" in refused(tmp_path, path)


def test_two_wheels(tmp_path: Path) -> None:
    more = {"tornado_webrtc-1.2.4-py3-none-any.whl": b"wheel"}
    path = write(tmp_path, members(tmp_path, FILES | more))
    assert "one wheel of tornado_webrtc, found" in refused(tmp_path, path)


def test_more_than_a_release_can_be(tmp_path: Path) -> None:
    """A small ZIP that would fill the disk; nothing of it is written."""
    path = write(tmp_path, members(tmp_path, FILES))
    with (
        zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED) as archive,
        archive.open(f"{TOP}/big", "w") as member,
    ):
        for _ in range(201):
            member.write(bytes(1024 * 1024))
    assert "more than 5000 files or 209715200 bytes" in refused(tmp_path, path)
    assert not (tmp_path / "out").exists()


def test_more_files_than_a_release_can_have(tmp_path: Path) -> None:
    many: Members = [(f"{TOP}/{number}", b"") for number in range(5001)]
    assert "more than 5000 files" in refused(tmp_path, write(tmp_path, many))


@pytest.mark.parametrize("part", [0.0, 0.3, 0.9])
def test_file_that_was_cut_off(tmp_path: Path, part: float) -> None:
    path = write(tmp_path, members(tmp_path, FILES))
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * part)])
    assert "it is damaged, or no ZIP" in refused(tmp_path, path)


def test_every_flipped_byte_is_found_or_harmless(tmp_path: Path) -> None:
    """A fault never becomes a traceback, and never a file with other content."""
    content = write(tmp_path, members(tmp_path, FILES)).read_bytes()
    refusals = 0
    damaged_zip = tmp_path / "damaged.zip"
    for position in range(0, len(content), 3):
        damaged = bytearray(content)
        damaged[position] ^= 0x41
        damaged_zip.write_bytes(damaged)
        folder = tmp_path / str(position)
        try:
            unpack_here(damaged_zip, folder)
        except (ReleaseError, OSError):
            refusals += 1
        else:
            for name, data in FILES.items():
                assert (folder / name).read_bytes() == data
    assert refusals > len(content) / 6


def test_zip_is_missing(tmp_path: Path) -> None:
    done = unpack(tmp_path / "nothing.zip", tmp_path / "out")
    assert done.returncode == 1
    assert done.stderr.startswith("error: nothing.zip cannot be unpacked here: ")
    assert "No such file" in done.stderr
