"""The HTTP port, honest, dead, lying, slow."""

import asyncio
import email.utils
import re
import socket
import ssl
import time
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from click import unstyle

from tests.doctor.conftest import HOST, Answering, Serve, case_of, findings
from tests.quietport import quiet_port
from tornado_webrtc.certificate import make_certificate
from tornado_webrtc.chain import Chain, read_chain
from tornado_webrtc.commands.report import finding_lines
from tornado_webrtc.config import Config, General
from tornado_webrtc.doctor import web
from tornado_webrtc.doctor.case import Case
from tornado_webrtc.doctor.examination import _run, quiet
from tornado_webrtc.doctor.target import Target
from tornado_webrtc.doctor.web import clock_finding, tls_findings
from tornado_webrtc.finding import Finding, Level
from tornado_webrtc.server import load


@pytest.mark.parametrize("tls", [False, True])
async def test_server_that_answers(serve: Serve, tls: bool) -> None:
    case = case_of(await serve(tls=tls))
    (found,) = await findings(web.http, case)
    assert (found.level, case.reachable) == (Level.OK, True)
    assert found.values["rtt_ms"] > 0
    (clock,) = await findings(web.clock, case)
    assert clock.level is Level.OK
    presented = await findings(web.tls, case)
    assert [each.level for each in presented] == ([Level.WARNING] if tls else [])
    if tls:
        assert "TLSv1.3, with a certificate signed by nobody but itself" in presented[0].text


@pytest.mark.parametrize("own", [True, False])
async def test_server_that_stops_takes_no_new_clients(serve: Serve, own: bool) -> None:
    server = await serve()
    case = replace(case_of(server), own=own)
    server.state = type(server.state).STOPPED
    found = await findings(web.http, case)
    assert [each.level for each in found] == [Level.OK, Level.WARNING]
    assert "takes no new clients" in found[1].text
    assert ("start it again" in found[1].hint) is own
    assert not case.takes_clients


async def test_wrong_scheme_is_told(serve: Serve) -> None:
    plain, tls = await serve(), await serve(tls=True)
    case = Case(own=False, target=Target("https", HOST, plain.port))
    (found,) = await findings(web.http, case)
    assert found.level is Level.PROBLEM
    assert f"http://{HOST}:{plain.port}/" in found.hint
    case = Case(own=False, target=Target("http", HOST, tls.port))
    (found,) = await findings(web.http, case)
    assert (found.level, case.reachable) == (Level.PROBLEM, False)
    assert f"https://{HOST}:{tls.port}/" in found.hint


@pytest.mark.parametrize("own", [True, False])
async def test_dead_port_says_how_to_start(own: bool) -> None:
    case = Case(own=own, conf=Path("my.ini"), target=Target("http", HOST, quiet_port()))
    (found,) = await findings(web.http, case)
    assert found.level is Level.PROBLEM
    assert "nothing listens" in found.text
    assert ("tornado-webrtc --conf my.ini" in found.hint) is own
    assert await findings(web.clock, case) == []
    assert await findings(web.tls, case) == []


async def test_silent_port_is_not_waited_for_long(answering: Answering) -> None:
    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    port = await answering(silent)
    case = Case(own=False, target=Target("http", HOST, port), patience_s=0.3)
    (found,) = await findings(web.http, case)
    assert found.level is Level.PROBLEM
    assert "does not answer" in found.text


async def test_name_that_leads_nowhere(monkeypatch: pytest.MonkeyPatch) -> None:
    async def nobody(*_args: object, **_more: object) -> None:
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", nobody)
    case = Case(own=False, target=Target("http", "nowhere.example", 80))
    (found,) = await findings(web.http, case)
    assert "nowhere.example cannot be looked up" in found.text


async def answer_http(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, text: str
) -> None:
    await reader.readuntil(b"\r\n\r\n")
    writer.write(text.encode())
    await writer.drain()
    writer.close()


async def test_another_server_is_told_apart(answering: Answering) -> None:
    async def other(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await answer_http(reader, writer, "HTTP/1.1 404 Not Found\r\nContent-Length: 2\r\n\r\n[]")

    case = Case(own=False, target=Target("http", HOST, await answering(other)))
    (found,) = await findings(web.http, case)
    assert "status 404: not this server" in found.text
    assert not case.reachable


@pytest.mark.parametrize(
    "answer",
    [
        "220 mail.example ESMTP\r\n\r\n",
        "HTTP/1.1 200 OK\r\nX: " + "x" * 100_000 + "\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 999999999999\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 1, 2\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n" + "[" * 100_000,
        "",
    ],
)
async def test_odd_answers_are_clear_problems(answering: Answering, answer: str) -> None:
    async def odd(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            await answer_http(reader, writer, answer)

    target = Target("http", HOST, await answering(odd))
    for name, check in (("http", web.http), ("server clock", web.clock)):
        case = Case(own=False, target=target, patience_s=2, reachable=True)
        found: list[Finding] = []
        with quiet():
            await _run(name, check, case, found.append)
        assert len(found) == 1
        assert found[0].level in {Level.PROBLEM, Level.WARNING}
        assert "please report" not in found[0].hint
        assert all(len(unstyle(line)) <= 100 for line in finding_lines(found[0]))


@pytest.mark.parametrize("date", ["Fri, 31 Dec 99999 23:59:59 GMT", "Mon, 01 Jan 0001 00:00:00"])
async def test_dates_beyond_all_clocks(answering: Answering, date: str) -> None:
    async def timeless(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await answer_http(
            reader, writer, f"HTTP/1.1 200 OK\r\nDate: {date}\r\nContent-Length: 0\r\n\r\n"
        )

    target = Target("http", HOST, await answering(timeless))
    (found,) = await findings(web.clock, Case(own=False, target=target, reachable=True))
    assert found.level in {Level.PROBLEM, Level.WARNING}


async def test_host_that_is_too_long() -> None:
    case = Case(own=False, target=Target("https", "x" * 300, 1))
    (found,) = await findings(web.http, case)
    assert (found.level, "cannot be looked up" in found.text) == (Level.PROBLEM, True)
    assert len(found.text) < 100


async def test_server_with_another_clock(answering: Answering) -> None:
    async def late(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        date = email.utils.formatdate(time.time() - 3600, usegmt=True)
        body = '{"status": "ok"}'
        head = f"HTTP/1.1 200 OK\r\nDate: {date}\r\nContent-Length: {len(body)}\r\n\r\n"
        await answer_http(reader, writer, head + body)

    case = Case(own=False, target=Target("http", HOST, await answering(late)))
    await findings(web.http, case)
    (found,) = await findings(web.clock, case)
    assert found.level is Level.PROBLEM
    assert re.fullmatch(r"3(599|60\d) s behind this machine's", found.text)


async def test_server_without_a_date(answering: Answering) -> None:
    async def dateless(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        body = '{"status": "ok"}'
        head = f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\nDate: soon\r\n\r\n"
        await answer_http(reader, writer, head + body)

    case = Case(own=False, target=Target("http", HOST, await answering(dateless)))
    await findings(web.http, case)
    (found,) = await findings(web.clock, case)
    assert found.level is Level.WARNING


@pytest.mark.parametrize(
    ("ahead_s", "level"),
    [(0.4, Level.OK), (-1.9, Level.OK), (30, Level.WARNING), (-61, Level.PROBLEM)],
)
def test_clock(ahead_s: float, level: Level) -> None:
    assert clock_finding(ahead_s).level is level


async def test_unknown_port() -> None:
    (found,) = await findings(web.http, Case(own=True))
    assert (found.level, "without its configuration" in found.text) == (Level.SKIPPED, True)
    (found,) = await findings(web.http, Case(own=True, config=Config(general=General(port=0))))
    assert "any free one" in found.text


# --- certificates -----------------------------------------------------------------

NOW = datetime(2026, 1, 1, tzinfo=UTC)
NAMED = Target("https", "rtc.example.org", 443)


def chain(*names: str, days: int = 90, age_days: int = 0) -> Chain:
    pem, _ = make_certificate(names, days=days, now=NOW - timedelta(days=age_days))
    return read_chain(pem, now=NOW, roots=())


def test_trusted_certificate(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Chain, "self_signed", False)
    (found,) = tls_findings(NAMED, "TLSv1.3", chain("rtc.example.org"), "")
    assert (found.level, found.text) == (
        Level.OK,
        "TLSv1.3, certificate trusted, until 2026-04-01, 90 days left",
    )
    (found,) = tls_findings(NAMED, "TLSv1.3", chain("rtc.example.org", days=5), "")
    assert (found.level, "5 days left" in found.text) == (Level.WARNING, True)
    (found,) = tls_findings(NAMED, "TLSv1.3", chain("rtc.example.org"), "no issuer")
    assert (found.level, "no issuer" in found.text) == (Level.PROBLEM, True)


def test_certificate_that_clients_refuse() -> None:
    (found,) = tls_findings(NAMED, "TLSv1.3", chain("other.example"), "")
    assert "rtc.example.org is not among them" in found.text
    (found,) = tls_findings(NAMED, "TLSv1.3", chain("rtc.example.org", days=5, age_days=9), "")
    assert "expired" in found.text


async def test_newer_file_that_was_not_taken_up(serve: Serve, tmp_path: Path) -> None:
    server = await serve(tls=True)
    case = case_of(server)
    case.config = load(tmp_path / "server.ini")[0]
    await findings(web.http, case)
    assert len(await findings(web.tls, case)) == 1
    pem, _ = make_certificate(["localhost"])
    certificate = tmp_path / "cert.pem"
    assert server.certificates is not None
    server.certificates.stop_watching()
    certificate.write_bytes(pem)
    found = await findings(web.tls, case)
    assert "another certificate than" in found[1].text
    certificate.write_text("")
    assert len(await findings(web.tls, case)) == 1


def test_any_certificate_will_do() -> None:
    context = web.any_certificate()
    assert (context.check_hostname, context.verify_mode) == (False, ssl.CERT_NONE)
