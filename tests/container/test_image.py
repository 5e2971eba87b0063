"""The Dockerfile as it stands: built, looked over, run, asked, stopped."""

import asyncio
import json
import os
import re
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.container.buildah import ROOT, STATE, UID, Container, Volumes, run
from tests.container.conftest import SOURCE, Built
from tests.container.contained import LOOPBACK, Contained, running
from tests.test_packaging import files
from tests.wire import call, signed_in, until
from tornado_webrtc import __version__
from tornado_webrtc.commands.option import EXIT_CONFIG, EXIT_UNAVAILABLE

MAX_OWN_MB = 130
VENV = "opt/tornado-webrtc"
COMPILERS = {"cc", "c99", "gcc", "g++", "c++", "clang", "ld", "as", "make", "cargo", "rustc"}
PACKAGERS = {"pip", "pip3", "easy_install", "uv"}

PLUGIN = """from tornado_webrtc import hookimpl


@hookimpl
def http_handlers(server):
    return []
"""

pytestmark = [pytest.mark.timeout(1200), pytest.mark.xdist_group("container")]


@pytest.fixture(scope="module")
def volumes(tmp_path_factory: pytest.TempPathFactory) -> Volumes:
    """What the server of all tests keeps."""
    return {owned(tmp_path_factory.mktemp("served") / "state"): STATE}


@pytest.fixture(scope="module")
def server(
    built: Built,
    container: Container,
    volumes: Volumes,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Contained]:
    """The image's own command, with nothing said but free ports of this machine."""
    log = tmp_path_factory.mktemp("said") / "log"
    line = container.command(*start(built), environ=LOOPBACK, volumes=volumes)
    with running(line, log, built.buildah.environ) as served:
        assert served.url
        yield served


@pytest.fixture
def state(tmp_path: Path) -> Path:
    """An empty volume."""
    return owned(tmp_path / "state")


def owned(folder: Path) -> Path:
    """Make a folder that belongs to the user of the image."""
    folder.mkdir(mode=0o700)
    os.chown(folder, UID, UID)
    return folder


def start(built: Built) -> list[str]:
    """What `docker run IMAGE` runs."""
    config = built.buildah.config(built.name)
    command: list[str] = [*config["Entrypoint"], *config["Cmd"]]
    return command


def health_check(built: Built) -> list[str]:
    test: list[str] = built.buildah.config(built.name)["Healthcheck"]["Test"]
    assert test[0] == "CMD"
    return test[1:]


# --- what it says of itself ---------------------------------------------------------------


def test_configuration(built: Built) -> None:
    config = built.buildah.config(built.name)
    assert config["Entrypoint"] == ["tornado-webrtc"]
    assert config["Cmd"] == []
    assert config["User"] == f"{UID}:{UID}"
    assert config["StopSignal"] == "SIGTERM"
    assert config["Volumes"] == {STATE: {}}
    assert set(config["ExposedPorts"]) == {"8086/tcp", "19302/udp", "19303/tcp"}


def test_labels(built: Built) -> None:
    labels = built.buildah.config(built.name)["Labels"]
    prefix = "org.opencontainers.image."
    said = {key.removeprefix(prefix): text for key, text in labels.items() if prefix in key}
    assert said["version"] == __version__
    assert said["licenses"] == "MIT"
    assert said["source"] == SOURCE
    assert said["revision"] == run("git", "rev-parse", "HEAD").stdout.strip()


def test_nothing_of_the_build_is_left(built: Built, container: Container) -> None:
    """Neither in the files nor in what the image says of how it was made."""
    assert not (container.files / "etc" / "pip.conf").exists()
    assert not (container.files / "run" / "secrets").exists()
    inspected = built.buildah.do("inspect", "--type=image", built.name)
    assert not re.search(r"BEGIN CERTIFICATE|index-url|://[^/\"]+:[^/\"]+@", inspected)
    names = {each.partition("=")[0] for each in built.buildah.config(built.name)["Env"]}
    paths = {"STATE_DIRECTORY", "TORNADO_WEBRTC_CONF"}
    assert names == {"PATH", "PYTHONDONTWRITEBYTECODE", *paths}


def test_wrong_version_ends_the_build(container: Container) -> None:
    """The check of the Dockerfile, with the package of the image."""
    text = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    (check,) = re.findall(r"^RUN (found=(?:.*\\\n)*.*)$", text, re.MULTILINE)
    script = check.replace("\\\n", "")
    for version in (__version__, ""):
        done = container.run("sh", "-c", script, environ={"VERSION": version})
        assert done.returncode == 0, done.stderr
    done = container.run("sh", "-c", script, environ={"VERSION": "9.9.9"})
    assert done.returncode == 1
    assert f"VERSION is 9.9.9, but the sources are {__version__}" in done.stderr


# --- what is in it ------------------------------------------------------------------------


def executables(container: Container) -> set[str]:
    folders = ("bin", "sbin", "usr/bin", "usr/sbin", "usr/local/bin", f"{VENV}/bin", "pip/bin")
    return {path.name for each in folders for path in (container.files / each).glob("*")}


def test_no_tool_of_the_build_is_in_it(container: Container) -> None:
    found = executables(container)
    assert {"tornado-webrtc", "python3"} <= found
    names = {re.sub(r"^x86_64-linux-gnu-|^aarch64-linux-gnu-|[-.\d]+$", "", name) for name in found}
    assert not names & (COMPILERS | PACKAGERS)
    for path in ("source", "wheel", "pip", "root/.cache", "usr/include/python3.13"):
        assert not (container.files / path).exists(), path
    for folder in ("var/lib/apt/lists", "var/cache/apt", "var/log"):
        assert not list((container.files / folder).glob("*")), folder


def test_libraries_are_those_of_the_list(container: Container) -> None:
    program = (
        "import importlib.metadata as m, json\n"
        "print(json.dumps({d.name: d.version for d in m.distributions()}))"
    )
    done = container.run("python", "-c", program)
    assert done.returncode == 0, done.stderr
    found = {name.lower().replace("_", "-"): each for name, each in json.loads(done.stdout).items()}
    assert found.pop("tornado-webrtc") == __version__
    text = (ROOT / "release" / "requirements.txt").read_text(encoding="utf-8")
    listed = dict(re.findall(r"^([a-z0-9-]+)==(\S+)", text, re.MULTILINE))
    assert {"pyjwt", "redis", "uvloop"} <= found.keys()
    assert found.items() <= listed.items()


def test_package_is_whole(built: Built, container: Container) -> None:
    """Nothing that belongs into the wheel was kept from the build."""
    (package,) = (container.files / VENV).glob("lib/python3.*/site-packages/tornado_webrtc")
    assert files(package) == built.package


def test_only_its_state_belongs_to_it(container: Container) -> None:
    """What runs as the server's user can change nothing that it runs."""
    loose = []
    for folder, _, names in os.walk(container.files):
        for path in (Path(folder), *(Path(folder, name) for name in names)):
            found = path.lstat()
            others = found.st_mode & stat.S_IWOTH and not found.st_mode & stat.S_ISVTX
            if found.st_uid == UID or (others and not stat.S_ISLNK(found.st_mode)):
                loose.append(f"/{path.relative_to(container.files)}")
    assert STATE in loose
    mounted = ("/dev/", "/proc/", "/sys/")
    assert [path for path in loose if not path.startswith((STATE, *mounted))] == []


def test_configuration_file_is_the_reference(container: Container) -> None:
    shipped = container.files / "etc" / "tornado-webrtc" / "server.ini"
    assert shipped.read_bytes() == (ROOT / "conf" / "server.ini").read_bytes()
    assert stat.S_IMODE(shipped.stat().st_mode) == 0o644


def test_size(built: Built, record_property: Callable[[str, object], None]) -> None:
    """`pytest --junitxml` has the figures; docs/container.md says them."""
    below = built.buildah.megabytes(f"docker.io/library/{built.base}")
    own = built.buildah.megabytes(built.name) - below
    record_property("base_megabytes", below)
    record_property("own_megabytes", own)
    page = (ROOT / "docs" / "container.md").read_text(encoding="utf-8")
    (said,) = re.findall(r"(\d+) MB on top of Debian", page)
    assert own < MAX_OWN_MB, f"{own:.0f} MB on top of {below:.0f} MB"
    assert own == pytest.approx(int(said), rel=0.15)


# --- running ------------------------------------------------------------------------------


def test_it_is_ready(server: Contained) -> None:
    """With its default command; the variables of the container are those of the server."""
    assert server.url.startswith("http://127.0.0.1:")
    for path in ("/readyz", "/healthz", "/"):
        assert server.status(path) == 200
    assert f"tornado-webrtc {__version__}, configuration /etc/tornado-webrtc/server.ini" in (
        server.log
    )


def test_clients_are_served(server: Contained) -> None:
    """A peer signs in; datagrams go through the relay and back, for clients over UDP and TCP."""
    findings = server.doctor()
    for subject in ("http", "signaling", "credentials", "turn udp", "turn tcp"):
        assert findings[subject]["level"] == "ok", findings[subject]
    for subject in ("turn udp", "turn tcp"):
        assert "through the relay and back" in findings[subject]["text"]


def test_it_runs_without_privileges(server: Contained) -> None:
    status = Path(f"/proc/{server.pid}/status").read_text()
    assert re.search(rf"^Uid:\s+{UID}\s+{UID}\s+{UID}\s+{UID}$", status, re.MULTILINE)
    assert re.search(rf"^Gid:\s+{UID}\s+{UID}\s+{UID}\s+{UID}$", status, re.MULTILINE)
    for kind in ("Prm", "Eff", "Amb"):
        assert re.search(rf"^Cap{kind}:\s+0+$", status, re.MULTILINE), status


def test_it_answers_operators(
    built: Built, container: Container, volumes: Volumes, server: Contained
) -> None:
    """`docker exec`, and the health check; the libraries of the extras are used."""
    assert server.process.poll() is None
    done = container.run("tornado-webrtc", "status", "--json", volumes=volumes)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["event_loop"] == "uvloop"
    done = container.run(*health_check(built), volumes=volumes)
    assert done.returncode == 0, done.stderr


def test_health_check_of_a_server_that_is_not_there(
    built: Built, container: Container, state: Path
) -> None:
    done = container.run(*health_check(built), volumes={state: STATE})
    assert done.returncode == EXIT_UNAVAILABLE, done.stderr


def test_arguments_are_those_of_the_program(built: Built, container: Container) -> None:
    done = container.run(*start(built), "--version")
    assert done.returncode == 0
    assert f"tornado-webrtc {__version__} (Python 3." in done.stdout
    done = container.run(*start(built), environ={"TORNADO_WEBRTC__GENERAL__PROT": "1"})
    assert done.returncode == EXIT_CONFIG
    assert "TORNADO_WEBRTC__GENERAL__PROT" in done.stderr


async def test_stopping_waits_for_calls(
    built: Built, container: Container, state: Path, tmp_path: Path
) -> None:
    line = container.command(*start(built), environ=LOOPBACK, volumes={state: STATE})
    with running(line, tmp_path / "log", built.buildah.environ) as server:
        port = await asyncio.to_thread(lambda: server.port)
        async with signed_in(port, "ann", "bob") as (ann, bob):
            session_id = await call(ann, bob)
            server.terminate()
            await until(lambda: "draining, at most 30 s" in server.log)
            assert await asyncio.to_thread(server.status, "/readyz") == 503
            assert await asyncio.to_thread(server.status, "/healthz") == 200
            await ann.send("bye", {"from": "ann", "session_id": session_id})
            await bob.read_type("bye")
            assert (await bob.read_until_closed()).code == 1001
        assert await asyncio.to_thread(server.exit_code) == 0
        assert not re.search(r"ERROR|Traceback", server.log), server.log


# --- as docs/container.md and compose.yaml run it -------------------------------------------


def test_folder_of_the_operator(
    built: Built, container: Container, tmp_path: Path, state: Path
) -> None:
    """`init` makes it; then it is HTTPS, a plugin of it runs, and the health check agrees."""
    conf = owned(tmp_path / "conf")
    volumes = {conf: "/etc/tornado-webrtc", state: STATE}
    made = container.run(*start(built), "init", "/etc/tornado-webrtc", volumes=volumes)
    assert made.returncode == 0, made.stdout + made.stderr
    (conf / "plugins").mkdir()
    (conf / "plugins" / "greeting.py").write_text(PLUGIN)
    variables = {**LOOPBACK, "TORNADO_WEBRTC__PLUGINS__PATH": "plugins"}
    line = container.confined(*start(built), environ=variables, volumes=volumes)
    with running(line, tmp_path / "log") as server:
        assert server.url.startswith("https://")
        assert server.status("/readyz") == 200
        assert "greeting" in server.log
        done = container.run(*health_check(built), volumes=volumes)
        assert done.returncode == 0, done.stderr
        server.process.terminate()
        assert server.exit_code() == 0
    assert (state / "node_id").stat().st_uid == UID


def test_secret_is_a_file(container: Container, tmp_path: Path, state: Path) -> None:
    """What compose.yaml mounts: the server can read it, and nobody else."""
    secret = tmp_path / "turn_secret"
    secret.write_text("north-sea-herring-and-then-some\n")
    secret.chmod(0o600)
    variables = {**LOOPBACK, "TORNADO_WEBRTC__TURN__SECRET_FILE": "/run/secrets/turn_secret"}
    volumes = {secret: "/run/secrets/turn_secret", state: STATE}
    done = container.run("tornado-webrtc", "check", environ=variables, volumes=volumes)
    assert done.returncode == EXIT_CONFIG, "it belongs to root"
    os.chown(secret, UID, UID)
    done = container.run("tornado-webrtc", "check", environ=variables, volumes=volumes)
    assert done.returncode == 0, done.stderr
    assert "other users" not in done.stderr
    assert not (state / "secret").exists()


def test_read_only_root(built: Built, container: Container, state: Path, tmp_path: Path) -> None:
    volumes = {state: STATE}
    touch = ("sh", "-c", "touch /tmp/x || touch /opt/tornado-webrtc/x || touch /x")
    assert container.run(*touch, volumes=volumes).stderr.count("Read-only file system") == 3
    line = container.confined(*start(built), environ=LOOPBACK, volumes=volumes)
    with running(line, tmp_path / "log") as server:
        assert server.status("/readyz") == 200
        assert server.doctor()["turn udp"]["level"] == "ok"
        server.process.terminate()
        assert server.exit_code() == 0
        assert not re.search(r"ERROR|Traceback", server.log), server.log
