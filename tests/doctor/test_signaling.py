"""Signing in: let in, asked for a token, turned away, hung up on."""

import asyncio
import gc
import json
from contextlib import suppress
from pathlib import Path

import pytest
from click import unstyle

from tests.doctor.conftest import HOST, Answering, Serve, case_of, findings
from tests.wire import WireClient
from tornado_webrtc.commands.report import finding_lines
from tornado_webrtc.doctor import signaling, trust, web
from tornado_webrtc.doctor.case import Case
from tornado_webrtc.doctor.examination import _run, quiet
from tornado_webrtc.doctor.signaling import refused
from tornado_webrtc.doctor.target import Target
from tornado_webrtc.finding import Finding, Level

TOKEN = "token-of-a-good-length"


@pytest.mark.parametrize("tls", [False, True])
async def test_signs_in_and_goes(serve: Serve, tls: bool) -> None:
    server = await serve(tls=tls)
    case = case_of(server)
    await findings(web.http, case)
    (found,) = await findings(signaling.signaling, case)
    assert found.level is Level.OK
    assert found.values["rtt_ms"] > 0
    assert [peer.id for peer in server.hub.peers()] == [case.peer_id]
    await case.stack.aclose()
    await server.hub.wait_empty(5)
    assert list(server.hub.peers()) == []


async def test_server_that_asks_for_a_token(serve: Serve, tmp_path: Path) -> None:
    (tmp_path / "tokens").write_text(f"alice {TOKEN} *\n")
    (tmp_path / "tokens").chmod(0o600)
    server = await serve(more="[auth_token]\nfile = tokens\n")
    for token, level in (("", Level.WARNING), (TOKEN, Level.OK)):
        case = case_of(server, token=token)
        await findings(web.http, case)
        await findings(trust.token, case)
        (found,) = await findings(signaling.signaling, case)
        assert found.level is level
        assert ("--token" in found.hint) is not bool(token)
        await case.stack.aclose()


ROOMS = """
[rooms]
file = rooms
only_listed = yes
lobby = no
"""
LISTED = "standup\nfull max_peers=1\nvault password=sesame\n"


@pytest.mark.parametrize(
    ("room", "password", "level", "code", "hint"),
    [
        ("", "", Level.WARNING, "room-needed", "--room"),
        ("standup", "", Level.OK, None, ""),
        ("vault", "sesame", Level.OK, None, ""),
        ("vault", "", Level.WARNING, "room-password", "--room-password-file"),
        ("vault", "wrong", Level.PROBLEM, "room-password", "compare it"),
        ("standup", "sesame", Level.PROBLEM, "room-password", "compare it"),
        ("full", "", Level.WARNING, "room-full", "try again later"),
        ("nowhere", "", Level.PROBLEM, "room-unknown", "name a room that there is: --room"),
        ("a\tb", "", Level.PROBLEM, "room-name", "name a room that there is: --room"),
    ],
)
async def test_server_with_rooms(
    serve: Serve,
    tmp_path: Path,
    room: str,
    password: str,
    level: Level,
    code: str | None,
    hint: str,
) -> None:
    (tmp_path / "rooms").write_text(LISTED)
    (tmp_path / "rooms").chmod(0o600)
    server = await serve(more=ROOMS)
    async with await WireClient.connect(server.port) as other:
        await other.register("other", room="full")
        case = case_of(server, room=room, room_password=password)
        await findings(web.http, case)
        decided = await findings(trust.token, case)
        (found,) = await findings(signaling.signaling, case)
        scopes = [peer.scope for peer in server.hub.peers() if peer.id == case.peer_id]
        assert scopes == ([room] if level is Level.OK else [])
        await case.stack.aclose()
    assert [each.subject for each in decided] == (["password"] if password else [])
    assert (found.level, found.values.get("code")) == (level, code)
    assert hint in found.hint
    assert "sesame" not in f"{found}{decided}"


async def test_password_is_for_whom_can_be_trusted(serve: Serve, tmp_path: Path) -> None:
    (tmp_path / "rooms").write_text(LISTED)
    (tmp_path / "rooms").chmod(0o600)
    server = await serve(tls=True, more=ROOMS)
    for insecure, level in ((False, Level.WARNING), (True, Level.OK)):
        case = case_of(server, room="vault", room_password="sesame", insecure=insecure)
        await findings(web.http, case)
        (decided,) = await findings(trust.token, case)
        (found,) = await findings(signaling.signaling, case)
        await case.stack.aclose()
        assert (decided.subject, decided.level) == ("password", Level.WARNING)
        assert found.level is level
        assert (found.hint == "the password was not sent, see above") is not insecure
    assert server.hub.counters["error.room-password"] == 1


async def test_server_that_is_down() -> None:
    (found,) = await findings(signaling.signaling, Case(own=False))
    assert found.level is Level.SKIPPED


async def test_path_that_is_no_websocket(answering: Answering) -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")
        await writer.drain()
        writer.close()

    target = Target("http", HOST, await answering(answer))
    case = Case(own=False, target=target, reachable=True)
    (found,) = await findings(signaling.signaling, case)
    assert found.level is Level.PROBLEM
    assert "404" in found.text
    assert "proxy" in found.hint


async def test_full_server_turns_away(serve: Serve) -> None:
    server = await serve(more="[signaling]\nmax_connections = 1\n")
    first, second = case_of(server), case_of(server)
    for case in (first, second):
        await findings(web.http, case)
    assert (await findings(signaling.signaling, first))[0].level is Level.OK
    (found,) = await findings(signaling.signaling, second)
    assert (found.level, found.values["code"]) == (Level.WARNING, 1013)
    await first.stack.aclose()
    await second.stack.aclose()


async def test_peer_id_that_is_in_use_is_an_error_of_the_server(serve: Serve) -> None:
    server = await serve(more="[signaling]\non_duplicate_id = reject\n")
    cases = [case_of(server, peer_id="same") for _ in range(2)]
    found = []
    for case in cases:
        await findings(web.http, case)
        found += await findings(signaling.signaling, case)
    assert [each.level for each in found] == [Level.OK, Level.PROBLEM]
    for case in cases:
        await case.stack.aclose()


ACCEPT = "HTTP/1.1 101 Whatever\r\nUpgrade: {}\r\nConnection: Upgrade\r\n{}\r\n"


@pytest.mark.parametrize(
    "answer",
    [
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi",
        "HTTP/1.1 200 OK\r\nX: " + "x" * 100_000 + "\r\n\r\n",
        "HTTP/1.1 302 Found\r\nLocation: /other\r\nContent-Length: 0\r\n\r\n",
        "220 mail.example ESMTP\r\n\r\n",
        "HTTP/1.1 101 Whatever\r\n\r\n",
        ACCEPT.format("smoke", ""),
        ACCEPT.format("websocket", "Sec-WebSocket-Accept: no\r\n"),
        ACCEPT.format("websocket", ""),
        "",
    ],
)
async def test_answers_that_are_no_websocket(answering: Answering, answer: str) -> None:
    asked = []

    async def odd(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(answer.encode())
        with suppress(OSError):
            await writer.drain()
        writer.close()

    target = Target("http", HOST, await answering(odd))
    case = Case(own=False, target=target, reachable=True, patience_s=1)
    found: list[Finding] = []
    with quiet():
        await _run("signaling", signaling.signaling, case, found.append)
    gc.collect()
    assert [each.level for each in found] == [Level.PROBLEM]
    assert "no WebSocket at" in found[0].text
    assert all(len(unstyle(line)) <= 100 for line in finding_lines(found[0]))
    assert len(asked) == 1


def test_words_of_the_server_stay_short() -> None:
    found = refused(4403, "no " + "x" * 9999)
    assert all(len(unstyle(line)) <= 100 for line in finding_lines(found))
    deep = '{"type":' + "[" * 100_000
    assert signaling._message(deep) == ("", None)


@pytest.mark.parametrize(
    ("code", "level", "hint"),
    [
        (4401, Level.WARNING, "--token"),
        (1012, Level.WARNING, "later"),
        ("not-authenticated", Level.WARNING, "--token"),
        (4500, Level.PROBLEM, "log"),
        (None, Level.PROBLEM, "log"),
    ],
)
def test_refusals(code: int | str | None, level: Level, hint: str) -> None:
    found = refused(code, "no way")
    assert (found.level, hint in found.hint, "no way" in found.text) == (level, True, True)


@pytest.mark.parametrize(
    "received", ["{}", "[]", "no json", json.dumps({"type": "peers", "data": [1, {"id": "b"}]})]
)
def test_messages_that_say_nothing(received: str) -> None:
    kind, content = signaling._message(received)
    assert not (kind == "peers" and signaling._contains(content, "a"))
