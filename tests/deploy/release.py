"""Releases to deploy: ZIPs as `make release` lays them out, good ones and faulty ones."""

import base64
import fcntl
import functools
import hashlib
import importlib.metadata
import re
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import tornado_webrtc
from tests.packagebuild import build

ROOT = Path(__file__).resolve().parents[2]
NOT_SOURCES = shutil.ignore_patterns(
    *(".git", ".venv", ".*_cache", ".hypothesis", "__pycache__", "*.egg-info"),
    *("build", "dist", "run", ".coverage*", "tests", "docs", ".terraform"),
)
OWN_VERSION = tornado_webrtc.__version__

BROKEN = """

async def _start(self):
    raise RuntimeError("this release is broken")

Server.start = _start
"""

MUTE = """

async def _start(self):
    import asyncio
    log.error("this release waits for what never comes")
    await asyncio.Event().wait()

Server.start = _start
"""

Edit = Callable[[str], str]


def run(*command: str | Path, cwd: Path) -> str:
    """Run a program and return what it printed; fail with that when it does not exit with 0."""
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"
    return done.stdout


def _needed(name: str, extras: tuple[str, ...] = ()) -> Iterator[str]:
    for text in importlib.metadata.requires(name) or []:
        wanted = Requirement(text)
        marker = wanted.marker
        if marker is None or any(marker.evaluate({"extra": each}) for each in (*extras, "")):
            yield wanted.name


def pins() -> dict[str, str]:
    """What the server needs, itself left out: versions by name, as they are here."""
    found: dict[str, str] = {}
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    listed = re.search(r"^dependencies = \[(.*?)^\]", text, re.DOTALL | re.MULTILINE)
    assert listed
    waiting = [Requirement(each).name for each in re.findall(r'"([^"]+)"', listed[1])]
    while waiting:
        name = canonicalize_name(waiting.pop())
        if name not in found:
            found[name] = importlib.metadata.version(name)
            waiting += _needed(name)
    return found


@dataclass
class Workshop:
    """What ZIPs are made from, made once.

    Attributes:
        folder: Where everything is.
        builder: The environment that packages are built in.
    """

    folder: Path
    builder: Path

    @functools.cached_property
    def wheel(self) -> Path:
        """The wheel of this checkout."""
        checkout = self.folder / "checkout"
        if found := list(self.folder.glob("*.whl")):
            return found[0]
        shutil.copytree(ROOT, checkout, ignore=NOT_SOURCES, symlinks=True)
        build(self.builder, "--wheel", "--outdir", self.folder, checkout)
        (wheel,) = self.folder.glob("*.whl")
        return wheel

    @functools.cached_property
    def wheelhouse(self) -> Path:
        """The wheels of all that the server needs."""
        folder = self.folder / "wheelhouse"
        if folder.exists():
            return folder
        pinned = [f"{name}=={version}" for name, version in pins().items()]
        pip = (sys.executable, "-m", "pip", "download", "--quiet", "--no-deps")
        run(*pip, "--only-binary", ":all:", "--dest", folder, *pinned, cwd=self.folder)
        return folder

    @functools.cached_property
    def requirements(self) -> str:
        """The content of `requirements.txt`: versions and checksums."""
        lines = []
        for path in sorted(self.wheelhouse.iterdir()):
            name, version, *_ = path.name.split("-")
            digest = hashlib.sha256(path.read_bytes()).hexdigest()
            lines.append(f"{canonicalize_name(name)}=={version} --hash=sha256:{digest}\n")
        return "".join(lines)

    @functools.cached_property
    def base(self) -> Path:
        """The packages of an environment that has all but the server, and pip."""
        folder = self.folder / "base"
        if folder.exists():
            return next(folder.glob("lib/python*/site-packages"))
        run(sys.executable, "-m", "venv", folder, cwd=self.folder)
        (self.folder / "requirements.txt").write_text(self.requirements)
        offline = ("--quiet", "--no-index", "--find-links", self.wheelhouse, "--require-hashes")
        pip = folder / "bin" / "pip"
        run(pip, "install", *offline, "-r", self.folder / "requirements.txt", cwd=self.folder)
        (packages,) = folder.glob("lib/python*/site-packages")
        return packages

    def prepare(self) -> None:
        """Make all of it, unless somebody has."""
        with (self.folder / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            for made in (self.wheel, self.wheelhouse, self.base):
                assert made.exists()

    def wheel_content(self, version: str, edits: Mapping[str, Edit | None]) -> dict[str, bytes]:
        """The files of a wheel of some version.

        Args:
            version: What it says it is.
            edits: What becomes of a file; of all files below a folder, if it is None: they
                are left out.
        """
        info, own = f"tornado_webrtc-{version}.dist-info", f"tornado_webrtc-{OWN_VERSION}.dist-info"
        content = {}
        with zipfile.ZipFile(self.wheel) as archive:
            for name in archive.namelist():
                if any(edit is None and name.startswith(each) for each, edit in edits.items()):
                    continue
                content[name.replace(own, info, 1)] = archive.read(name)
        del content[f"{info}/RECORD"]
        all_edits = {name: edit for name, edit in edits.items() if edit is not None} | {
            f"{info}/METADATA": replacing(f"\nVersion: {OWN_VERSION}\n", f"\nVersion: {version}\n"),
            "tornado_webrtc/__init__.py": replacing(f'"{OWN_VERSION}"', f'"{version}"'),
        }
        for name, edit in all_edits.items():
            content[name] = edit(content[name].decode()).encode()
        record = [f"{name},sha256={_digest(data)},{len(data)}" for name, data in content.items()]
        content[f"{info}/RECORD"] = "\n".join([*record, f"{info}/RECORD,,\n"]).encode()
        return content


def _digest(data: bytes) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(data).digest()).decode().rstrip("=")


def replacing(before: str, after: str) -> Edit:
    """Return an edit that puts one text in another's place, which has to be there."""

    def edit(text: str) -> str:
        assert before in text
        return text.replace(before, after, 1)

    return edit


def adding(code: str) -> Edit:
    """Return an edit that puts code at the end."""
    return lambda text: text + code


@dataclass
class Release:
    """A ZIP to be.

    Attributes:
        workshop: What it is made from.
        version: Its version.
        edits: What is different in the wheel, see `Workshop.wheel_content`.
        files: What is different beside the wheel: a file's content by its name; None leaves
            it out. It is in SHA256SUMS, whose own content may stand here as well.
        extra: Members of the ZIP that are not in SHA256SUMS, by their whole names.
    """

    workshop: Workshop
    version: str
    edits: Mapping[str, Edit | None] = field(default_factory=dict)
    files: Mapping[str, bytes | None] = field(default_factory=dict)
    extra: Mapping[str, bytes] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """The ZIP's name."""
        return f"tornado-webrtc-v{self.version}.zip"

    def write(self, folder: Path) -> Path:
        """Write the ZIP and its checksum into a folder."""
        top = f"tornado-webrtc-v{self.version}"
        content = self._content(folder)
        sums = "".join(
            f"{hashlib.sha256(data).hexdigest()}  {name}\n" for name, data in content.items()
        )
        content.setdefault("SHA256SUMS", sums.encode())
        path = folder / self.name
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, data in content.items():
                archive.writestr(f"{top}/{name}", data)
            for name, data in self.extra.items():
                archive.writestr(name, data)
        write_sum(path)
        return path

    def _content(self, folder: Path) -> dict[str, bytes]:
        wheel = folder / f"tornado_webrtc-{self.version}-py3-none-any.whl"
        with zipfile.ZipFile(wheel, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, data in self.workshop.wheel_content(self.version, self.edits).items():
                archive.writestr(name, data)
        deploy = {
            path.relative_to(ROOT).as_posix(): path.read_bytes()
            for path in sorted((ROOT / "deploy").iterdir())
            if path.is_file()
        }
        content = {
            "VERSION": f"{self.version}\n".encode(),
            wheel.name: wheel.read_bytes(),
            "requirements.txt": self.workshop.requirements.encode(),
            "conf/server.ini": (ROOT / "conf" / "server.ini").read_bytes(),
            **deploy,
        }
        wheel.unlink()
        different = {**content, **self.files}
        return {name: data for name, data in different.items() if data is not None}


def write_sum(path: Path) -> None:
    """Write ``NAME.sha256`` beside a file, as sha256sum does."""
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    path.with_name(f"{path.name}.sha256").write_text(f"{digest}  {path.name}\n")
