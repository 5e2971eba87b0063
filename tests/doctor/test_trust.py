"""Who gets the token, and who does not."""

import asyncio
import ssl
from pathlib import Path

import pytest

from tests.doctor.conftest import HOST, Answering, Serve, case_of, findings
from tornado_webrtc.certificate import write_certificate
from tornado_webrtc.doctor import signaling, trust, web
from tornado_webrtc.doctor.case import Case
from tornado_webrtc.doctor.examination import examine, quiet
from tornado_webrtc.doctor.target import Target
from tornado_webrtc.finding import Finding, Level
from tornado_webrtc.machine import machine_addresses
from tornado_webrtc.server import Server, load

TOKEN = "token-of-a-good-length"
ALIVE = b'HTTP/1.1 200 OK\r\nContent-Length: 15\r\nConnection: close\r\n\r\n{"status":"ok"}'


@pytest.fixture
async def asking(serve: Serve, tmp_path: Path) -> Server:
    """A server with HTTPS, signed by itself, that asks for a token."""
    (tmp_path / "tokens").write_text(f"alice {TOKEN} *\n")
    (tmp_path / "tokens").chmod(0o600)
    return await serve(tls=True, more="[auth_token]\nfile = tokens\n")


async def decided(case: Case) -> Finding:
    await findings(web.http, case)
    (found,) = await findings(trust.token, case)
    return found


async def signed_in(case: Case) -> Finding:
    (found,) = await findings(signaling.signaling, case)
    await case.stack.aclose()
    return found


async def test_unknown_certificate_gets_no_token(asking: Server) -> None:
    case = case_of(asking, token=TOKEN)
    found = await decided(case)
    assert (found.level, case.headers) == (Level.WARNING, {})
    assert found.text.startswith("not sent: the certificate cannot be trusted: self")
    assert "--insecure" in found.hint
    refused = await signed_in(case)
    assert (refused.level, refused.hint) == (Level.WARNING, "the token was not sent, see above")


async def test_it_can_be_sent_anyway(asking: Server) -> None:
    case = case_of(asking, token=TOKEN, insecure=True)
    found = await decided(case)
    assert (found.level, "--insecure" in found.text) == (Level.WARNING, True)
    assert (await signed_in(case)).level is Level.OK


async def test_trusted_certificate_gets_it(
    asking: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "cert.pem"))
    case = case_of(asking, token=TOKEN)
    assert (await decided(case)).text == "sent: the certificate is trusted"
    assert (await signed_in(case)).level is Level.OK
    case = case_of(asking, token=TOKEN)
    case.target = Target("https", "rtc.example.org", asking.port, HOST)
    found = await decided(case)
    assert (found.level, "ostname mismatch" in found.text) == (Level.WARNING, True)


async def test_configured_certificate_gets_it_and_no_other(asking: Server, tmp_path: Path) -> None:
    case = case_of(asking, token=TOKEN)
    case.config = load(tmp_path / "server.ini")[0]
    assert (await decided(case)).text == "sent: the certificate is the configured one"
    assert (await signed_in(case)).level is Level.OK
    write_certificate(tmp_path / "new.pem", tmp_path / "new.key", ["localhost"])
    (tmp_path / "new.pem").replace(tmp_path / "cert.pem")
    case.shows_secrets, case.tls = False, None
    assert (await decided(case)).level is Level.WARNING
    assert case.headers == {}
    (tmp_path / "cert.pem").write_text("")
    assert (await decided(case)).level is Level.WARNING


async def test_unencrypted_token_does_not_leave_this_machine(serve: Serve) -> None:
    case = case_of(await serve(), token=TOKEN)
    assert (await decided(case)).text == "sent: the connection stays on this machine"
    for host in ("93.184.216.34", "rtc.example.org"):
        case = Case(own=False, target=Target("http", host, 80), token=TOKEN, reachable=True)
        (found,) = await findings(trust.token, case)
        assert found.text == "not sent: the connection is not encrypted"
        assert case.headers == {}


@pytest.mark.parametrize("host", ["localhost", "LocalHost", "127.0.0.9", "::1"])
def test_what_stays_here(host: str) -> None:
    assert trust._stays_here(Target("http", host, 1))
    assert trust._stays_here(Target("http", "rtc.example.org", 1, host))


def test_own_addresses_stay_here_names_may_not() -> None:
    for address in machine_addresses():
        here = not address.is_link_local
        assert trust._stays_here(Target("http", str(address), 1)) is here
    for host in ("localhost.example.org", "here", "192.0.2.77"):
        assert not trust._stays_here(Target("http", host, 1))


async def test_nothing_to_decide(serve: Serve) -> None:
    case = case_of(await serve())
    await findings(web.http, case)
    assert await findings(trust.token, case) == []
    assert await findings(trust.token, Case(own=False, token=TOKEN)) == []


async def overheard(tmp_path: Path, heard: list[bytes]) -> asyncio.Server:
    """Somebody with another certificate who writes down what is asked."""
    write_certificate(tmp_path / "other.pem", tmp_path / "other.key", ["localhost"])
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "other.pem", tmp_path / "other.key")

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            heard.append(await reader.readuntil(b"\r\n\r\n"))
        except (asyncio.IncompleteReadError, OSError):
            writer.transport.abort()
            return
        writer.write(ALIVE)
        writer.close()

    return await asyncio.start_server(answer, HOST, 0, ssl=context)


async def test_whole_examination_does_not_give_it_away(tmp_path: Path) -> None:
    heard: list[bytes] = []
    server = await overheard(tmp_path, heard)
    target = Target("https", "localhost", server.sockets[0].getsockname()[1], HOST, named=False)
    case = Case(own=False, target=target, token=TOKEN, patience_s=2)
    found: list[Finding] = []
    with quiet():
        await examine(case, found.append)
        server.close()
        await server.wait_closed()
    assert len(heard) >= 4
    assert TOKEN not in str(heard)
    assert "not sent" in next(each.text for each in found if each.subject == "token")


async def test_whoever_takes_the_place_later_gets_nothing(asking: Server, tmp_path: Path) -> None:
    case = case_of(asking, token=TOKEN)
    case.config = load(tmp_path / "server.ini")[0]
    await decided(case)
    heard: list[bytes] = []
    server = await overheard(tmp_path, heard)
    port = server.sockets[0].getsockname()[1]
    case.target = Target("https", "localhost", port, HOST, named=False)
    with quiet():
        with pytest.raises(web.NO_ANSWER):
            await web.fetch(case, "/api/turn", case.headers)
        (found,) = await findings(signaling.signaling, case)
        server.close()
        await server.wait_closed()
    assert (found.level, heard) == (Level.PROBLEM, [])


async def test_token_does_not_follow_a_redirect(answering: Answering) -> None:
    elsewhere: list[bytes] = []

    async def note(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        elsewhere.append(await reader.readuntil(b"\r\n\r\n"))
        writer.close()

    port = await answering(note)

    async def redirect(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        head = f"HTTP/1.1 302 Found\r\nLocation: http://{HOST}:{port}/ws\r\n"
        writer.write(f"{head}Content-Length: 0\r\n\r\n".encode())
        await writer.drain()
        writer.close()

    target = Target("http", HOST, await answering(redirect))
    case = Case(own=False, target=target, token=TOKEN, reachable=True, patience_s=1)
    (decision,) = await findings(trust.token, case)
    assert decision.level is Level.OK
    (found,) = await findings(signaling.signaling, case)
    assert (found.level, elsewhere) == (Level.PROBLEM, [])
