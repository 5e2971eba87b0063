"""deploy/deploy.sh: what is no release, or not a whole one, is refused, and nothing changes."""

import hashlib
import io
import shutil
import tarfile
from pathlib import Path

import pytest

from tests.deploy.cloud import BUCKET, Cloud
from tests.deploy.conftest import Good, MakeZip
from tests.deploy.machine import OLD_PYTHON, Machine
from tests.deploy.release import Workshop, pins, write_sum

pytestmark = [pytest.mark.timeout(300), pytest.mark.xdist_group("deploy-refusal")]

NAME = "tornado-webrtc-v1.0.0.zip"


def refused(machine: Machine, *arguments: object, cloud: Cloud | None = None) -> str:
    """What deploy.sh says; afterwards nothing is there that was not before."""
    said = machine.deploy(*arguments, status=1, environ=cloud.environ if cloud else {})
    assert machine.releases() == []
    assert machine.leftovers() == set()
    assert not (machine.path / "calls").exists(), "the service was left alone"
    return said


def test_release_comes_from_a_bucket(machine: Machine, cloud: Cloud, good: Good) -> None:
    """From a folder in it as well."""
    path = good("1.0.0")
    for each in (path, path.with_name(f"{NAME}.sha256")):
        cloud.aws("s3", "cp", each, f"s3://{BUCKET}/qa/{each.name}")
    machine.deploy("-b", BUCKET, "-f", f"qa/{NAME}", environ=cloud.environ)
    assert machine.serving() == "1.0.0"
    assert machine.leftovers() == set()


@pytest.mark.parametrize("there", ["neither", "the ZIP alone"])
def test_object_is_missing(machine: Machine, cloud: Cloud, tmp_path: Path, there: str) -> None:
    path = tmp_path / f"tornado-webrtc-v9.9.{len(there)}.zip"
    path.write_bytes(b"something")
    if there == "the ZIP alone":
        cloud.upload(path)
    said = refused(machine, "-f", path.name, cloud=cloud)
    missing = path.name if there == "neither" else f"{path.name}.sha256"
    assert "aws s3 ls" not in said, "the machine's role may not list"
    assert f"s3://{BUCKET}/{missing} cannot be fetched; nothing was changed" in said


def test_bucket_is_missing(machine: Machine, cloud: Cloud) -> None:
    assert "s3://nobodys-bucket/" in refused(
        machine, "-b", "nobodys-bucket", "-f", NAME, cloud=cloud
    )


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["-b", "no_bucket", "-f", NAME], "'no_bucket' is no name of a bucket"),
        (["-b", BUCKET, "-f", "--recursive.zip"], "'--recursive.zip' is no name of a ZIP"),
        (["-b", BUCKET, "-f", "a.tar"], "'a.tar' is no name of a ZIP"),
        (["-b", BUCKET, "-f", "a b.zip"], "'a b.zip' is no name of a ZIP"),
    ],
)
def test_names_that_are_none(machine: Machine, arguments: list[str], complaint: str) -> None:
    assert complaint in refused(machine, *arguments)


def test_no_bucket_is_named(machine: Machine) -> None:
    machine.configure(BUCKET="")
    assert "no bucket is given" in refused(machine, "-f", NAME)


def test_no_aws_command_line(machine: Machine, tmp_path: Path) -> None:
    for folder in (Path("/bin"), Path("/usr/bin")):
        for program in folder.iterdir():
            link = tmp_path / program.name
            if program.name != "aws" and not link.is_symlink():
                link.symlink_to(program)
    machine.configure(LINKS=machine.path / "links")
    said = machine.deploy("-f", NAME, status=1, environ={"PATH": str(tmp_path)})
    assert "error: the AWS command line is not here\n  Run install.sh.\n" in said
    assert machine.releases() == []
    assert machine.leftovers() == set()


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (f"{'0' * 64}  {NAME}\n", "is damaged: its checksum is not that of"),
        (f"{'0' * 64}  another.zip\n", "is not a sum of"),
        ("", "is not a sum of"),
        ("<html>Not found</html>\n", "is not a sum of"),
    ],
)
def test_wrong_checksum(
    machine: Machine, good: Good, tmp_path: Path, content: str, complaint: str
) -> None:
    path = Path(shutil.copy(good("1.0.0"), tmp_path))
    path.with_name(f"{NAME}.sha256").write_text(content)
    assert complaint in refused(machine, "--local", path)


def test_checksum_is_missing(machine: Machine, good: Good, tmp_path: Path) -> None:
    path = Path(shutil.copy(good("1.0.0"), tmp_path))
    assert "have to be there; nothing was changed" in refused(machine, "--local", path)


def test_damaged_zip_with_the_right_checksum(machine: Machine, good: Good, tmp_path: Path) -> None:
    path = Path(shutil.copy(good("1.0.0"), tmp_path))
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0xFF
    path.write_bytes(content)
    write_sum(path)
    assert f"{NAME} is refused: " in refused(machine, "--local", path)


def test_path_that_leads_out_of_the_zip(machine: Machine, make_zip: MakeZip) -> None:
    path = make_zip("1.0.0", extra={"tornado-webrtc-v1.0.0/../../../evil": b"x"})
    said = refused(machine, "--local", path)
    assert "it holds a file of the name 'tornado-webrtc-v1.0.0/../../../evil'" in said
    assert not list(machine.path.rglob("evil"))


@pytest.mark.parametrize(
    ("checksum", "complaint"),
    [
        (f" --hash=sha256:{'0' * 64}", "DO NOT MATCH THE HASHES"),
        ("", "Hashes are required in --require-hashes mode"),
    ],
)
def test_library_is_not_the_one_that_was_pinned(
    machine: Machine, workshop: Workshop, make_zip: MakeZip, checksum: str, complaint: str
) -> None:
    machine.configure(PIP_ARGS=f"--ignore-installed --find-links {workshop.wheelhouse}")
    pinned = f"click=={pins()['click']}{checksum}\n".encode()
    said = refused(machine, "--local", make_zip("1.0.0", files={"requirements.txt": pinned}))
    assert complaint in said
    assert "pip could not install the release; nothing was changed" in said


def test_library_that_would_run_its_own_code(
    machine: Machine, workshop: Workshop, make_zip: MakeZip, tmp_path: Path
) -> None:
    """A source package is not taken, even if its checksum is right."""
    ran = tmp_path / "ran"
    info = tarfile.TarInfo("evil-1.0/setup.py")
    code = f"open({str(ran)!r}, 'w')\nfrom setuptools import setup\nsetup(name='evil')\n".encode()
    info.size = len(code)
    path = tmp_path / "evil-1.0.tar.gz"
    with tarfile.open(path, "w:gz") as archive:
        archive.addfile(info, io.BytesIO(code))
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    machine.configure(PIP_ARGS=f"--find-links {tmp_path}")
    pinned = f"evil==1.0 --hash=sha256:{digest}\n".encode()
    said = refused(machine, "--local", make_zip("1.0.0", files={"requirements.txt": pinned}))
    assert "No matching distribution found for evil==1.0" in said
    assert not ran.exists()


def test_python_is_too_old(machine: Machine, good: Good) -> None:
    real = machine.path / "bin" / "quick-python"
    machine.configure(PYTHON=machine.program("old-python", OLD_PYTHON.format(real=real)))
    assert "is no Python 3.11 or newer" in refused(machine, "--local", good("1.0.0"))
