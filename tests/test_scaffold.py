"""The folder that `init` makes: complete, loadable as it is, and never over something else."""

import re
import stat
from pathlib import Path

import pytest

from tornado_webrtc.certificate import CertificateStore, machine_names
from tornado_webrtc.errors import ConfigError, TornadoWebrtcError
from tornado_webrtc.paths import conf_dir
from tornado_webrtc.scaffold import Scaffold, make_folder, set_keys
from tornado_webrtc.server import Server, load

REFERENCE = (conf_dir() / "server.ini").read_text(encoding="utf-8")
HEADER = 6


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def contents(folder: Path) -> dict[str, bytes]:
    files = [path for path in folder.rglob("*") if path.is_file()]
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


def changed_lines(conf: Path) -> list[str]:
    """The lines that differ from the reference, beside its header; there are as many in both."""
    made, reference = conf.read_text(encoding="utf-8").splitlines(), REFERENCE.splitlines()
    pairs = list(zip(made, reference, strict=True))
    assert [line for line, before in pairs[:HEADER] if line != before] == header(conf)
    return [line for line, before in pairs[HEADER:] if line != before]


def header(conf: Path) -> list[str]:
    tls = "\ncert = " in conf.read_text(encoding="utf-8")
    served = "HTTPS with a development certificate" if tls else "plain HTTP"
    return [
        f"#   tornado-webrtc --conf {conf}",
        f"# It was made by `tornado-webrtc init`, and gives {served}.",
    ]


def test_folder_holds_configuration_secret_and_certificate(tmp_path: Path) -> None:
    folder = tmp_path / "new" / "server"
    made = make_folder(folder)
    assert made == Scaffold(
        conf=folder / "server.ini",
        secret=folder / "secret",
        cert=folder / "certs" / "cert.pem",
        key=folder / "certs" / "key.pem",
        names=tuple(machine_names()),
    )
    assert sorted(contents(folder)) == ["certs/cert.pem", "certs/key.pem", "secret", "server.ini"]
    assert changed_lines(made.conf) == [
        "cert = certs/cert.pem",
        "key = certs/key.pem",
        "secret_file = secret",
    ]


def test_what_must_be_private_is(tmp_path: Path) -> None:
    made = make_folder(tmp_path / "server")
    assert made.key is not None
    assert (mode(made.secret), mode(made.key), mode(made.conf)) == (0o600, 0o600, 0o644)


def test_every_folder_has_a_secret_of_its_own(tmp_path: Path) -> None:
    secrets = {make_folder(tmp_path / name, tls=False).secret.read_text() for name in "ab"}
    assert len(secrets) == 2
    assert all(re.fullmatch(r"[\w-]{43}\n", secret) for secret in secrets)


@pytest.mark.usefixtures("turn_on_loopback")
@pytest.mark.parametrize("tls", [True, False])
async def test_server_starts_from_it_wherever_it_is_started(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tls: bool
) -> None:
    made = make_folder(tmp_path / "server", port=0, bind=["127.0.0.1"], tls=tls)
    monkeypatch.chdir("/")
    config, found = load(made.conf)
    assert config.warnings == ()
    server = Server(config, found)
    assert server.secrets == (made.secret.read_text().strip(),)
    await server.start()
    await server.stop()
    assert server.scheme == ("https" if tls else "http")
    assert [address.host for address in server.addresses] == ["127.0.0.1"]
    lock = "state/admin.sock.lock"
    assert set(contents(made.conf.parent)) - {"certs/cert.pem", "certs/key.pem", lock} == {
        "secret",
        "server.ini",
        "state/node_id",
    }


def test_relative_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    made = make_folder(Path("server"))
    config, _ = load(made.conf)
    assert config.general.cert is not None
    assert config.general.cert.samefile(tmp_path / "server" / "certs" / "cert.pem")


def test_without_tls_there_is_no_certificate(tmp_path: Path) -> None:
    made = make_folder(tmp_path, tls=False)
    assert (made.cert, made.key, made.names) == (None, None, ())
    assert sorted(contents(tmp_path)) == ["secret", "server.ini"]
    assert changed_lines(made.conf) == ["secret_file = secret"]


@pytest.mark.parametrize(
    ("bind", "line"),
    [
        (["127.0.0.1"], "bind = 127.0.0.1,"),
        (["::1"], "bind = ::1,"),
        (["192.0.2.1", "2001:db8::1"], "bind = 192.0.2.1, 2001:db8::1"),
    ],
)
def test_what_is_asked_for_stands_in_the_configuration(
    tmp_path: Path, bind: list[str], line: str
) -> None:
    made = make_folder(tmp_path, domain="rtc.example.org", port=443, bind=bind, tls=False)
    assert changed_lines(made.conf) == [
        "domain = rtc.example.org",
        line,
        "port = 443",
        "secret_file = secret",
    ]
    config, _ = load(made.conf)
    general = config.general
    assert (general.domain, general.port, general.bind) == ("rtc.example.org", 443, tuple(bind))


def test_certificate_is_for_the_domain_and_this_machine(tmp_path: Path) -> None:
    made = make_folder(tmp_path, domain="rtc.example.org")
    assert made.names == ("rtc.example.org", *machine_names())
    assert made.cert is not None
    assert made.key is not None
    subject = CertificateStore(made.cert, made.key).certificate.subject.rfc4514_string()
    assert "CN=rtc.example.org" in subject


def test_domain_that_is_this_machine_is_named_once(tmp_path: Path) -> None:
    made = make_folder(tmp_path, domain="localhost")
    assert len(set(made.names)) == len(made.names)


@pytest.mark.parametrize("name", ["server.ini", "secret", "certs/cert.pem", "certs/key.pem"])
def test_nothing_is_ever_overwritten(tmp_path: Path, name: str) -> None:
    (tmp_path / "certs").mkdir()
    (tmp_path / name).write_text("mine")
    with pytest.raises(TornadoWebrtcError, match=rf"has .*{Path(name).name}.* already") as caught:
        make_folder(tmp_path)
    assert not isinstance(caught.value, ConfigError)
    assert contents(tmp_path) == {name: b"mine"}


def test_certificate_that_is_there_does_not_matter_without_tls(tmp_path: Path) -> None:
    make_folder(tmp_path / "a", tls=True)
    (tmp_path / "a" / "server.ini").unlink()
    (tmp_path / "a" / "secret").unlink()
    make_folder(tmp_path / "a", tls=False)
    assert len(contents(tmp_path / "a")) == 4


def test_folder_with_other_files_is_welcome(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    make_folder(tmp_path)
    assert contents(tmp_path)["notes.txt"] == b"mine"


def test_domain_that_is_refused_leaves_room_for_a_second_try(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"general\.domain: found 'not a host!'; allowed is a"):
        make_folder(tmp_path, domain="not a host!")
    with pytest.raises(ConfigError, match=r"general\.bind: found '\*'; allowed is an address"):
        make_folder(tmp_path, bind=["::1", "*"])
    assert contents(tmp_path) == {}
    make_folder(tmp_path, domain="host.example")


@pytest.mark.parametrize("name", ["file", "file/below"])
def test_folder_that_cannot_be_made(tmp_path: Path, name: str) -> None:
    (tmp_path / "file").write_text("mine")
    with pytest.raises(TornadoWebrtcError, match="cannot be written"):
        make_folder(tmp_path / name)
    assert contents(tmp_path) == {"file": b"mine"}


# --- keys -------------------------------------------------------------------------

SMALL = """\
# about it
[red]
# Prose about port = 1, no key.
#port = 1
#name =

[blue]
#port = 2
port = 3
"""


def test_key_is_set_in_its_own_section_only() -> None:
    made = set_keys(SMALL, {("blue", "port"): "4", ("red", "name"): "x # y"})
    assert made == SMALL.replace("#port = 2", "port = 4").replace("#name =", "name = x # y")


def test_nothing_to_set_changes_nothing() -> None:
    assert set_keys(SMALL, {}) == SMALL


@pytest.mark.parametrize("key", [("blue", "name"), ("green", "port"), ("red", "Port"), ("", "x")])
def test_key_that_the_reference_lacks_is_an_error(key: tuple[str, str]) -> None:
    with pytest.raises(KeyError, match=key[1]):
        set_keys(SMALL, {key: "1", ("red", "port"): "1"})


def test_every_key_of_the_reference_can_be_set() -> None:
    section, keys = "", []
    for line in REFERENCE.splitlines():
        if header := re.fullmatch(r"\[(\w+)\]", line):
            section = header[1]
        elif entry := re.match(r"#(\w+) =", line):
            keys.append((section, entry[1]))
    assert len(keys) == len(set(keys)) > 40
    made = set_keys(REFERENCE, dict.fromkeys(keys, "VALUE"))
    assert made.count(" = VALUE\n") == len(keys)
