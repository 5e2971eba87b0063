"""What is allowed, but probably not meant, and what of it a reload has to say."""

import errno
import ipaddress
import logging
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import ExpectLog
from tornado_webrtc import doubt
from tornado_webrtc.certificate import CertificateStore, make_certificate
from tornado_webrtc.config import Config, General, Turn
from tornado_webrtc.config.address import parse_public_address
from tornado_webrtc.doubt import Doubts, certificate_doubts, doubts
from tornado_webrtc.errors import Problem
from tornado_webrtc.pluginmanager import PluginManager

PUBLIC_4, PUBLIC_6 = "93.184.216.34", "2606:2800:220:1::1"
MACHINE = ["127.0.0.1", "::1", "10.1.2.3", "fd00::1", "192.0.2.1"]
NO_PLUGINS = PluginManager([], Config(), ()).hooks


# --- configuration -------------------------------------------------------------------------


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """This machine's addresses; a test adds public ones."""
    addresses = list(MACHINE)
    monkeypatch.setattr(
        doubt, "machine_addresses", lambda: [ipaddress.ip_address(each) for each in addresses]
    )
    return addresses


def doubts_without_plugins(config: Config) -> list[Problem]:
    return doubts(config, NO_PLUGINS)


def doubtful(config: Config) -> list[str]:
    return [problem.where.rpartition(" ")[2] for problem in doubts_without_plugins(config)]


def configured(*, api_access: Any = "open", path: Path | None = None, **general: Any) -> Config:
    return Config(path=path, general=General(**general), turn=Turn(api_access=api_access))


def test_private_machine_gives_no_doubts(machine: list[str]) -> None:
    assert machine
    assert doubts_without_plugins(configured()) == []


@pytest.mark.parametrize("public", [PUBLIC_4, PUBLIC_6])
def test_open_server_on_a_public_address_is_doubtful(machine: list[str], public: str) -> None:
    machine.append(public)
    found = doubts_without_plugins(configured(path=Path("conf/server.ini")))
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
    found = doubts_without_plugins(configured())
    assert [problem.where for problem in found] == [
        "configuration, turn.api_access",
        "configuration, general.cert",
    ]
    assert all(f"{PUBLIC_4}, {PUBLIC_6}" in problem.message for problem in found)


def test_access_that_is_not_open_is_not_doubtful(machine: list[str]) -> None:
    machine.append(PUBLIC_4)
    assert doubtful(configured(api_access="peer")) == ["general.cert"]


def test_access_by_authentication_needs_somebody_who_authenticates(machine: list[str]) -> None:
    assert machine
    (doubt,) = doubts_without_plugins(configured(api_access="auth"))
    assert "no plugin authenticates" in doubt.message


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
    text = "\n".join(problem.message for problem in doubts_without_plugins(configured(bind=bind)))
    assert [address for address in (PUBLIC_4, PUBLIC_6) if address in text] == reachable


@pytest.mark.parametrize(
    ("bind", "reachable"),
    [(("0.0.0.0", "::"), True), (("10.1.2.3",), True), (("127.0.0.1",), False)],
)
def test_address_that_a_nat_has_counts(
    machine: list[str], bind: tuple[str, ...], reachable: bool
) -> None:
    """Whoever listens for a proxy on the loopback interface alone is not reached there."""
    assert "10.1.2.3" in machine
    public_ip = tuple(map(parse_public_address, [f"{PUBLIC_4}/10.1.2.3", "turn.example.org"]))
    config = Config(general=General(bind=bind), turn=Turn(public_ip=public_ip))
    assert doubtful(config) == (["turn.api_access", "general.cert"] if reachable else [])


def test_address_that_machine_and_nat_have_is_named_once(machine: list[str]) -> None:
    machine.append(PUBLIC_4)
    (found, _) = doubts_without_plugins(
        Config(turn=Turn(public_ip=(parse_public_address(PUBLIC_4),)))
    )
    assert found.message.count(PUBLIC_4) == 1


def test_machine_that_cannot_be_looked_at_gives_no_doubts(monkeypatch: pytest.MonkeyPatch) -> None:
    def exhausted() -> None:
        raise OSError(errno.EMFILE, "Too many open files")

    monkeypatch.setattr(doubt, "machine_addresses", exhausted)
    assert doubts_without_plugins(configured()) == []


def test_this_machine_can_be_looked_at() -> None:
    assert set(doubtful(configured())) <= {"turn.api_access", "general.cert"}


# --- certificate --------------------------------------------------------------------


def store(folder: Path, *names: str, **options: Any) -> CertificateStore:
    cert, key = folder / "cert.pem", folder / "key.pem"
    key.touch(0o600)
    for path, content in zip((cert, key), make_certificate(names, **options), strict=True):
        path.write_bytes(content)
    return CertificateStore(cert, key)


def said(store: CertificateStore, domain: str = "") -> list[str]:
    return [each.message for each in certificate_doubts(with_domain(domain), store)]


def with_domain(domain: str) -> Config:
    return Config(path=Path("server.ini"), general=General(domain=domain))


def test_good_certificate_and_none_at_all(tmp_path: Path) -> None:
    good = store(tmp_path, "*.example.org", "192.0.2.1", days=22)
    assert said(good) == said(good, "call.example.org") == said(good, "192.0.2.1") == []
    assert certificate_doubts(Config(), None) == []


@pytest.mark.parametrize(
    ("shift_days", "words"),
    [(-30, "expired on"), (-10, "expires on"), (2, "is not valid before")],
)
def test_time_of_the_certificate(
    tmp_path: Path, expect_log: ExpectLog, shift_days: int, words: str
) -> None:
    if "expires" not in words:
        expect_log(words)
    now = datetime.now(UTC) + timedelta(days=shift_days)
    (found,) = certificate_doubts(Config(), store(tmp_path, "localhost", days=28, now=now))
    assert found.message.startswith(f"the certificate in use {words} ")
    assert found.where == "configuration, general.cert"


def test_name_and_key_file(tmp_path: Path) -> None:
    doubtful = store(tmp_path, "localhost")
    doubtful.key.chmod(0o644)
    assert said(doubtful, "call.example.org") == [
        "call.example.org is not among the names of the certificate in use: localhost",
        f"other users of this machine can use {doubtful.key} (mode 0644)",
    ]
    doubtful.key.chmod(0o640)
    assert said(doubtful, "localhost") == []
    doubtful.key.unlink()
    assert said(doubtful) == []


# --- what is new --------------------------------------------------------------------

OLD = Problem("server.ini, line 3, general.html_root", "is gone")
MOVED = Problem("server.ini, line 8, general.html_root", "is gone")
NEW = Problem("server.ini, line 9, signaling.ping_s", "is long", "Make it shorter.")
SHORT = Problem("server.ini, line 2, turn.secret", "is short")
ALSO_SHORT = Problem("server.ini, line 4, turn.secret_file", "is short")
OF_PLUGIN = Problem("server.ini, plugin turn", "is behind a NAT")
EXPIRED = Problem("server.ini, line 5, general.cert", "has expired")
PLACES = {"turn.secret": SHORT.where, "turn.secret_file": ALSO_SHORT.where}


def config(*warnings: Problem) -> Config:
    return Config(path=Path("server.ini"), places=PLACES, warnings=warnings)


def test_news_are_said_and_logged_once(
    expect_log: ExpectLog, caplog: pytest.LogCaptureFixture
) -> None:
    for words in ("is long", "is behind a NAT"):
        expect_log(words)
    known = Doubts(config(OLD))
    assert known.review(config(OLD), NO_PLUGINS) == ()
    assert known.review(config(MOVED, NEW), NO_PLUGINS, [OF_PLUGIN]) == (str(NEW), str(OF_PLUGIN))
    assert known.review(config(MOVED, NEW), NO_PLUGINS, [OF_PLUGIN]) == ()
    logged = [each for each in caplog.records if each.levelno == logging.WARNING]
    assert [each.getMessage() for each in logged] == [str(NEW), str(OF_PLUGIN)]


def test_start_says_only_what_the_log_lacks(
    expect_log: ExpectLog, caplog: pytest.LogCaptureFixture
) -> None:
    expect_log(re.escape(OF_PLUGIN.message))
    known = Doubts(config(OLD))
    known.begin([MOVED, OF_PLUGIN, OF_PLUGIN])
    assert known.review(config(OLD), NO_PLUGINS, [OF_PLUGIN]) == ()
    logged = [each.getMessage() for each in caplog.records if each.levelno == logging.WARNING]
    assert logged == [str(OF_PLUGIN)]


def test_what_went_away_is_new_when_it_comes_again(expect_log: ExpectLog) -> None:
    expect_log("is gone")
    known = Doubts(config(OLD))
    assert known.review(config(), NO_PLUGINS) == ()
    assert known.review(config(OLD), NO_PLUGINS) == (str(OLD),)


def test_secrets_and_certificate_are_said_each_time(
    expect_log: ExpectLog, caplog: pytest.LogCaptureFixture
) -> None:
    expect_log("has expired")
    expect_log("turn.secret_file: is short")
    known = Doubts(config(SHORT))
    for _ in range(2):
        said = known.review(config(SHORT, ALSO_SHORT), NO_PLUGINS, (), [EXPIRED])
        assert said == (str(SHORT), str(ALSO_SHORT), str(EXPIRED))
    assert len([each for each in caplog.records if each.levelno == logging.WARNING]) == 2


def test_doubts_about_the_whole_are_new_only_once(
    machine: list[str], expect_log: ExpectLog
) -> None:
    expect_log("anyone may ask")
    machine.append(PUBLIC_4)
    behind = General(trusted_proxies=(ipaddress.ip_network("10.0.0.0/8"),))
    peer = Config(general=behind, turn=Turn(api_access="peer"))
    known = Doubts(peer)
    assert known.review(peer, NO_PLUGINS) == ()
    opened = Config(general=behind)
    (said,) = known.review(opened, NO_PLUGINS)
    assert "anyone may ask for TURN credentials" in said
    assert known.review(opened, NO_PLUGINS) == ()
