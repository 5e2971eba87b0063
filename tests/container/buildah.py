"""Images, made and run by buildah in a folder that is deleted afterwards."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
DEBIAN = "http://deb.debian.org/debian"
BUNDLE = "/etc/ssl/certs/ca-certificates.crt"
UID = 10001
STATE = "/var/lib/tornado-webrtc"
DEADLINE_S = 60.0


def run(
    *command: str | Path, cwd: Path = ROOT, environ: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run a program to its end."""
    return subprocess.run(
        command,
        cwd=cwd,
        env={**os.environ, **(environ or {})},
        capture_output=True,
        text=True,
        check=False,
    )


def output(*command: str | Path, cwd: Path = ROOT, environ: Mapping[str, str] | None = None) -> str:
    """What a program prints; fails with all it said when it does not exit with 0."""
    done = run(*command, cwd=cwd, environ=environ)
    assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"
    return done.stdout


def debian_mirror() -> str:
    """Where this machine gets Debian's packages from, if it is a Debian."""
    sites = run("apt-get", "indextargets", "--format", "$(SITE)", "Origin: Debian").stdout
    return next((f"{site}/" for site in sites.splitlines() if "security" not in site), DEBIAN)


def pip_setting(name: str) -> str:
    """What pip on this machine is told: a variable, or a line of its configuration."""
    variable = os.environ.get(f"PIP_{name.upper().replace('-', '_')}", "")
    pip = (sys.executable, "-m", "pip", "config", "get", f"global.{name}")
    return variable or run(*pip).stdout.strip()


def build_secrets(folder: Path) -> Iterator[str]:
    """The options that let pip reach its index during a build as it does on this machine."""
    lines = ["[global]"]
    index = pip_setting("index-url")
    if index and not index.startswith("file:"):
        lines.append(f"index-url = {index}")
    bundle = pip_setting("cert") or os.environ.get("SSL_CERT_FILE", BUNDLE)
    if Path(bundle).is_file():
        lines.append("cert = /run/secrets/ca.pem")
        yield f"--secret=id=ca.pem,src={bundle}"
    (folder / "pip.conf").write_text("\n".join(lines) + "\n")
    yield f"--secret=id=pip.conf,src={folder / 'pip.conf'}"


@dataclass(frozen=True)
class Buildah:
    """buildah with all its files below one folder.

    Attributes:
        folder: Images, containers, and whatever is temporary.
    """

    folder: Path

    @property
    def program(self) -> list[str]:
        """What comes before a verb."""
        storage = (f"--root={self.folder / 'root'}", f"--runroot={self.folder / 'run'}")
        return ["buildah", *storage, "--storage-driver=vfs"]

    def command(self, verb: str, *arguments: str | Path) -> list[str | Path]:
        """A command line; `do` runs it."""
        return [*self.program, verb, *arguments]

    @property
    def environ(self) -> dict[str, str]:
        """Variables that every command needs."""
        temporary = self.folder / "tmp"
        temporary.mkdir(exist_ok=True)
        return {"TMPDIR": str(temporary), "BUILDAH_ISOLATION": "chroot"}

    def do(self, verb: str, *arguments: str | Path) -> str:
        """Run a command and return what it prints, without the last line break."""
        return output(*self.command(verb, *arguments), environ=self.environ).strip()

    def make_base(self, name: str) -> None:
        """Make an image of Debian's essential packages, and nothing else.

        Args:
            name: What `FROM` calls it: ``debian:SUITE-slim``.
        """
        suite = name.removeprefix("debian:").removesuffix("-slim")
        tarball = self.folder / "debian.tar"
        # Debian's own images have this setting, too: no package is synced to disk by itself.
        how = ("--mode=root", "--variant=minbase", "--dpkgopt=force-unsafe-io")
        made = (suite, tarball, debian_mirror())
        output("mmdebstrap", "--quiet", *how, *made, environ=self.environ)
        container = self.do("from", "scratch")
        self.do("add", "--quiet", container, tarball, "/")
        self.do("commit", "--quiet", "--rm", container, f"docker.io/library/{name}")
        tarball.unlink()

    def build(self, *options: str) -> str:
        """Run `make image`, and return what was said; the image's name is `tornado-webrtc`."""
        more = ("--network=host", "--pull-never", *build_secrets(self.folder), *options)
        variables = (f"DOCKER={shlex.join(self.program)}", f"IMAGE={shlex.join(more)}")
        return output("make", "image", *variables, environ=self.environ)

    def config(self, name: str) -> dict[str, Any]:
        """What the image says of itself: `docker image inspect`'s Config."""
        inspected = json.loads(self.do("inspect", "--type=image", name))
        config: dict[str, Any] = inspected["Docker"]["config"]
        return config

    def megabytes(self, name: str) -> float:
        """How large an image is."""
        (image,) = json.loads(self.do("images", "--json", name))
        number, unit = image["size"].split()
        assert unit == "MB", image
        return float(number)

    @contextmanager
    def container(self, name: str) -> Iterator[Container]:
        """A container of an image until the end of the block."""
        container = self.do("from", "--pull-never", name)
        try:
            environ = tuple(self.config(name)["Env"])
            yield Container(self, container, Path(self.do("mount", container)), environ)
        finally:
            self.do("rm", container)


Volumes = Mapping[Path, str]
"""What is to be seen where in a container."""

CONFINED = """set -e
root=$1
shift
mount --bind "$root" "$root"
mount --rbind /dev "$root/dev"
mount -t proc proc "$root/proc"
mount -t tmpfs none "$root/run"
while [ "$1" != -- ]; do
    [ -e "$root$2" ] || { mkdir -p "$(dirname "$root$2")"; touch "$root$2"; }
    mount --bind "$1" "$root$2"
    shift 2
done
mount -o remount,bind,ro "$root"
shift
exec chroot --userspec=10001:10001 "$root" env --ignore-environment "$@"
"""
"""What `docker run --read-only --volume FROM:TO` does, without losing what a program says at
its end, as `buildah run` may."""


@dataclass(frozen=True)
class Container:
    """A container in which commands run.

    Attributes:
        buildah: What made it.
        name: Its name.
        files: Its root folder, as seen from outside.
        environ: What the image sets, ``NAME=value``.
    """

    buildah: Buildah
    name: str
    files: Path
    environ: tuple[str, ...]

    def command(
        self, *command: str, environ: Mapping[str, str], volumes: Volumes | None = None
    ) -> list[str | Path]:
        """What lets buildah run a command in it, as the user of the image."""
        variables = [f"--env={name}={value}" for name, value in environ.items()]
        mounts = [f"--volume={path}:{where}" for path, where in (volumes or {}).items()]
        every = ("--network=host", *variables, *mounts, self.name, "--")
        return self.buildah.command("run", *every, *command)

    def confined(
        self,
        *command: str,
        environ: Mapping[str, str] | None = None,
        volumes: Volumes | None = None,
    ) -> list[str | Path]:
        """What runs a command in it that can write to its volumes and nowhere else."""
        mounts = [each for pair in (volumes or {}).items() for each in pair]
        variables = [f"{name}={value}" for name, value in (environ or {}).items()]
        inside = ("unshare", "--mount", "sh", "-c", CONFINED, "sh", self.files)
        return [*inside, *mounts, "--", *self.environ, *variables, *command]

    def run(
        self,
        *command: str,
        environ: Mapping[str, str] | None = None,
        volumes: Volumes | None = None,
    ) -> subprocess.CompletedProcess[str]:
        """Run a command to its end, confined."""
        return run(*self.confined(*command, environ=environ, volumes=volumes))


def descendants(pid: int) -> list[int]:
    """The processes below a process, the innermost first; any of its threads may have begun one."""
    found = []
    for threads in Path(f"/proc/{pid}/task").glob("*/children"):
        with suppress(FileNotFoundError, ProcessLookupError):
            for child in threads.read_text().split():
                found += [*descendants(int(child)), int(child)]
    return found


def is_free(folder: Path) -> bool:
    """Whether nothing is mounted below a folder, so that it can be deleted."""
    mounts = Path("/proc/self/mounts").read_text()
    return f" {folder}/" not in mounts


def wait_until_free(folder: Path) -> None:
    """Wait until nothing is mounted below a folder any more."""
    deadline = time.monotonic() + DEADLINE_S
    while not is_free(folder):
        assert time.monotonic() < deadline, Path("/proc/self/mounts").read_text()
        time.sleep(0.1)
