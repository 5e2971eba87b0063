"""The configuration as an examination sees it."""

import asyncio
import socket
from pathlib import Path

import pytest

from tests.doctor.conftest import findings
from tornado_webrtc.certificate import make_certificate, write_certificate
from tornado_webrtc.config import Config, General
from tornado_webrtc.doctor import configuration
from tornado_webrtc.doctor.case import Case
from tornado_webrtc.doctor.configuration import domain_finding
from tornado_webrtc.finding import Level

pytestmark = pytest.mark.usefixtures("turn_on_loopback")


def written(folder: Path, text: str) -> Case:
    conf = folder / "server.ini"
    conf.write_text(text)
    return Case(own=True, conf=conf)


async def test_good_configuration_says_where_its_server_is(tmp_path: Path) -> None:
    case = written(tmp_path, "[general]\nbind = 127.0.0.1,\nport = 1234\n")
    found = await findings(configuration.configuration, case)
    assert [each.level for each in found] == [Level.OK, Level.OK]
    assert found[1].text == "logging_console, turn"
    assert case.target is not None
    assert case.target.url == "http://localhost:1234/"


async def test_every_problem_is_listed(tmp_path: Path) -> None:
    case = written(tmp_path, "[general]\nport = many\n[signalling]\n")
    found = await findings(configuration.configuration, case)
    assert [each.level for each in found] == [Level.PROBLEM] * 2
    assert all(each.hint for each in found)
    assert case.target is None


async def test_doubts_and_plugins_that_fail_are_warnings(tmp_path: Path) -> None:
    (tmp_path / "bad.py").write_text(
        "from tornado_webrtc import hookimpl\nclass Plugin:\n"
        "    def __init__(self, context): raise OSError('no')\n"
        "    @hookimpl\n    def server_stopped(self): pass\n"
    )
    text = "[general]\nbind = 127.0.0.1,\n[turn]\napi_access = auth\n[plugins]\npath = .,\n"
    (tmp_path / "conf").mkdir()
    case = written(tmp_path / "conf", text.replace("path = .,", f"path = {tmp_path},"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("tornado_webrtc.isolation.plugin_logger", lambda _name: _Silent())
        patch.setattr("tornado_webrtc.pluginmanager.plugin_logger", lambda _name: _Silent())
        found = await findings(configuration.configuration, case)
    warnings = [each for each in found if each.level is Level.WARNING]
    assert [each.subject for each in warnings] == ["configuration", "plugins"]
    assert "bad is left out: Plugin() raised OSError" in warnings[1].text


class _Silent:
    def error(self, *_args: object, **_more: object) -> None: ...

    def log(self, *_args: object, **_more: object) -> None: ...


async def test_required_plugin_that_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "plugins"
    folder.mkdir()
    (folder / "bad.py").write_text(
        "from tornado_webrtc import hookimpl\nclass Plugin:\n"
        "    def __init__(self, context): raise OSError('no')\n"
        "    @hookimpl\n    def server_stopped(self): pass\n"
    )
    monkeypatch.setattr("tornado_webrtc.isolation.plugin_logger", lambda _name: _Silent())
    case = written(tmp_path, "[plugins]\npath = plugins,\nrequired = bad,\n")
    found = await findings(configuration.configuration, case)
    assert [each.level for each in found] == [Level.PROBLEM]
    assert "plugin bad" in found[0].text


async def test_certificate(tmp_path: Path) -> None:
    cert, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    case = Case(own=True, config=Config(general=General(cert=cert, key=key)))
    (missing,) = await findings(configuration.certificate, case)
    assert missing.level is Level.PROBLEM
    write_certificate(cert, key, ["localhost"])
    found = await findings(configuration.certificate, case)
    assert [each.level for each in found] == [Level.WARNING, Level.OK]
    assert "396 days left, for localhost" in found[1].text
    key.write_bytes(make_certificate(["localhost"])[1])
    found = await findings(configuration.certificate, case)
    assert [each.level for each in found] == [Level.WARNING, Level.PROBLEM]
    assert await findings(configuration.certificate, Case(own=True, config=Config())) == []


async def test_domain_is_looked_up(monkeypatch: pytest.MonkeyPatch) -> None:
    async def found(name: str, *_args: object, **_more: object) -> list[object]:
        if name == "nowhere.example":
            raise socket.gaierror(-2, "unknown")
        return [(0, 0, 0, "", ("127.0.0.1", 0)), (0, 0, 0, "", ("127.0.0.1", 0))]

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", found)
    texts = []
    for name, level in (("nowhere.example", Level.PROBLEM), ("here.example", Level.OK)):
        case = Case(own=True, config=Config(general=General(domain=name)))
        (finding,) = await findings(configuration.domain, case)
        assert finding.level is level
        texts.append(finding.text)
    assert texts == ["nowhere.example cannot be looked up", "here.example is 127.0.0.1"]
    assert await findings(configuration.domain, Case(own=True)) == []


def test_domain_that_leads_elsewhere() -> None:
    finding = domain_finding("a.example", ["192.0.2.1", "192.0.2.2"], ["192.0.2.1"])
    assert finding.level is Level.WARNING
    assert "192.0.2.2 is no address of this machine" in finding.text
