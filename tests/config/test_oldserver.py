"""The old flutter-webrtc server's file works unchanged, byte for byte."""

import os
from collections.abc import Iterator
from ipaddress import ip_address
from pathlib import Path

import pytest

from tornado_webrtc.config import Config, PublicAddress, Signaling, load
from tornado_webrtc.errors import ConfigError
from tornado_webrtc.paths import www_dir

OLD_FILE = (
    b"[general]\n"
    b"domain=demo.cloudwebrtc.com\n"
    b"cert=configs/certs/cert.pem\n"
    b"key=configs/certs/key.pem\n"
    b"bind=0.0.0.0\n"
    b"port=8086\n"
    b"html_root=web\n"
    b"\n"
    b"[turn]\n"
    b"public_ip=127.0.0.1\n"
    b"port=19302\n"
    b"realm=flutter-webrtc\n"
)
CONFIG = Path("configs/config.ini")
CERTIFICATE, KEY = Path("configs/certs/cert.pem"), Path("configs/certs/key.pem")


@pytest.fixture(autouse=True)
def folder(tmp_path: Path) -> Iterator[Path]:
    """The old server's folder: started in it, the file one folder below."""
    (tmp_path / CONFIG).parent.mkdir()
    (tmp_path / CONFIG).write_bytes(OLD_FILE)
    os.chdir(tmp_path)
    yield tmp_path
    assert (tmp_path / CONFIG).read_bytes() == OLD_FILE


@pytest.fixture
def certificates(folder: Path) -> None:
    (folder / "configs/certs").mkdir()
    for name in ("cert.pem", "key.pem"):
        (folder / "configs/certs" / name).touch()


@pytest.fixture
def page(folder: Path) -> None:
    (folder / "web").mkdir()


def check_values(config: Config) -> None:
    general, turn = config.general, config.turn
    assert general.domain == "demo.cloudwebrtc.com"
    assert (general.cert, general.key) == (CERTIFICATE, KEY)
    assert (general.bind, general.port) == (("0.0.0.0",), 8086)
    assert turn.public_ip == (PublicAddress(ip_address("127.0.0.1")),)
    assert (turn.port, turn.port_tcp, turn.realm) == (19302, 19303, "flutter-webrtc")
    assert config.signaling == Signaling()


@pytest.mark.usefixtures("certificates", "page")
def test_with_everything_in_place() -> None:
    config = load(CONFIG, {})
    check_values(config)
    assert config.general.html_root == Path("web")
    assert [str(warning) for warning in config.warnings] == [
        (
            "configs/config.ini, line 10, turn.public_ip: clients are told to connect to 127.0.0.1,"
            " which leads each client to itself"
        )
    ]


@pytest.mark.usefixtures("certificates")
def test_without_the_page() -> None:
    config = load(CONFIG, {})
    check_values(config)
    assert config.general.html_root == www_dir()
    page_warning, _ = config.warnings
    assert str(page_warning) == (
        "configs/config.ini, line 7, general.html_root: there is no folder configs/web,"
        " nor web in the working directory; the packaged page is served instead"
    )


@pytest.mark.usefixtures("page")
def test_without_certificates() -> None:
    with pytest.raises(ConfigError) as caught:
        load(CONFIG, {})
    cert, key = caught.value.problems
    assert cert.where == "configs/config.ini, line 3, general.cert"
    assert cert.message == (
        "there is no file configs/configs/certs/cert.pem,"
        " nor configs/certs/cert.pem in the working directory"
    )
    assert "`tornado-webrtc cert make`" in cert.hint
    assert key.where == "configs/config.ini, line 4, general.key"
    assert "`tornado-webrtc cert make`" in key.hint


@pytest.mark.usefixtures("certificates")
def test_read_from_elsewhere(folder: Path) -> None:
    """Paths in it are relative to the working directory, as the old server took them."""
    os.chdir("/")
    with pytest.raises(ConfigError, match="configs/configs/certs"):
        load(folder / CONFIG, {})


@pytest.mark.usefixtures("certificates", "page")
def test_with_the_tcp_port_of_some_versions() -> None:
    path = Path("configs/with-tcp.ini")
    path.write_bytes(OLD_FILE + b"port_tcp=19303\n")
    check_values(load(path, {}))
