"""What `check` finds beyond the file: certificates that do not load, servers open to the world."""

import ipaddress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import ExpectLog
from tornado_webrtc import inspection
from tornado_webrtc.certificate import make_certificate, write_certificate
from tornado_webrtc.config import Config, General, Turn
from tornado_webrtc.errors import ConfigError
from tornado_webrtc.inspection import check_certificate, doubts

PUBLIC_4, PUBLIC_6 = "93.184.216.34", "2606:2800:220:1::1"
MACHINE = ["localhost", "box", "127.0.0.1", "::1", "10.1.2.3", "fd00::1", "192.0.2.1"]


# --- certificate --------------------------------------------------------------------


def with_certificate(folder: Path, path: Path | None = Path("server.ini")) -> Config:
    general = General(cert=folder / "cert.pem", key=folder / "key.pem")
    return Config(path=path, general=general)


def test_no_certificate_is_fine() -> None:
    check_certificate(Config())


def test_good_certificate_is_fine(tmp_path: Path) -> None:
    write_certificate(tmp_path / "cert.pem", tmp_path / "key.pem", ["localhost"])
    check_certificate(with_certificate(tmp_path))


def test_missing_certificate_names_the_file_and_what_makes_one(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        check_certificate(with_certificate(tmp_path))
    (problem,) = caught.value.problems
    assert problem.where == "server.ini, general.cert"
    assert str(tmp_path / "cert.pem") in problem.message
    assert "tornado-webrtc cert" in problem.message


def test_key_of_another_certificate_is_a_problem(tmp_path: Path) -> None:
    write_certificate(tmp_path / "cert.pem", tmp_path / "key.pem", ["localhost"])
    (tmp_path / "key.pem").write_bytes(make_certificate(["localhost"])[1])
    with pytest.raises(ConfigError, match="does not belong"):
        check_certificate(with_certificate(tmp_path))


def test_problem_without_a_file_does_not_name_one(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        check_certificate(with_certificate(tmp_path, path=None))
    assert caught.value.problems[0].where == "environment, general.cert"


def test_expired_certificate_is_a_warning(tmp_path: Path, expect_log: ExpectLog) -> None:
    cert, key = make_certificate(["localhost"], days=1, now=datetime(2020, 1, 1, tzinfo=UTC))
    (tmp_path / "cert.pem").write_bytes(cert)
    (tmp_path / "key.pem").write_bytes(key)
    expect_log(r"expired on 2020-01-02")
    check_certificate(with_certificate(tmp_path))


# --- doubts -------------------------------------------------------------------------


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """This machine's names and addresses; a test adds public ones."""
    names = list(MACHINE)
    monkeypatch.setattr(inspection, "machine_names", lambda: names)
    return names


def doubtful(config: Config) -> list[str]:
    return [problem.where.rpartition(" ")[2] for problem in doubts(config)]


def configured(*, api_access: Any = "open", path: Path | None = None, **general: Any) -> Config:
    return Config(path=path, general=General(**general), turn=Turn(api_access=api_access))


def test_private_machine_gives_no_doubts(machine: list[str]) -> None:
    assert machine
    assert doubts(configured()) == []


@pytest.mark.parametrize("public", [PUBLIC_4, PUBLIC_6])
def test_open_server_on_a_public_address_is_doubtful(machine: list[str], public: str) -> None:
    machine.append(public)
    found = doubts(configured(path=Path("conf/server.ini")))
    assert [problem.where for problem in found] == [
        "conf/server.ini, turn.api_access",
        "conf/server.ini, general.cert",
    ]
    assert all(public in problem.message for problem in found)
    assert all(problem.hint for problem in found)
    assert not any("10.1.2.3" in problem.message for problem in found)


def test_doubts_name_every_public_address_but_no_file_where_there_is_none(
    machine: list[str],
) -> None:
    machine += [PUBLIC_4, PUBLIC_6]
    found = doubts(configured())
    assert [problem.where for problem in found] == [
        "defaults, turn.api_access",
        "defaults, general.cert",
    ]
    assert all(f"{PUBLIC_4}, {PUBLIC_6}" in problem.message for problem in found)


@pytest.mark.parametrize("api_access", ["peer", "auth"])
def test_access_that_is_not_open_is_not_doubtful(machine: list[str], api_access: str) -> None:
    machine.append(PUBLIC_4)
    assert doubtful(configured(api_access=api_access)) == ["general.cert"]


def test_https_or_a_proxy_for_it_is_not_doubtful(machine: list[str]) -> None:
    machine.append(PUBLIC_4)
    secure = {"cert": Path("cert.pem"), "key": Path("key.pem")}
    behind = {"trusted_proxies": (ipaddress.ip_network("10.0.0.0/8"),)}
    for general in (secure, behind):
        assert doubtful(configured(**general)) == ["turn.api_access"]
        assert doubtful(configured(api_access="peer", **general)) == []


@pytest.mark.parametrize(
    ("bind", "reachable"),
    [
        (("0.0.0.0", "::"), [PUBLIC_4, PUBLIC_6]),
        (("0.0.0.0",), [PUBLIC_4]),
        (("::",), [PUBLIC_6]),
        (("127.0.0.1", "::1"), []),
        (("10.1.2.3",), []),
        ((PUBLIC_4,), [PUBLIC_4]),
        ((PUBLIC_6, "127.0.0.1"), [PUBLIC_6]),
        (("8.8.8.8",), []),
    ],
)
def test_only_addresses_that_the_server_listens_on_count(
    machine: list[str], bind: tuple[str, ...], reachable: list[str]
) -> None:
    machine += [PUBLIC_4, PUBLIC_6]
    text = "\n".join(problem.message for problem in doubts(configured(bind=bind)))
    assert [address for address in (PUBLIC_4, PUBLIC_6) if address in text] == reachable


def test_this_machine_can_be_looked_at() -> None:
    assert set(doubtful(configured())) <= {"turn.api_access", "general.cert"}
