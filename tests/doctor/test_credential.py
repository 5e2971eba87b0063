"""`/api/turn` as an examination asks for it: open, for peers, for token holders, without TURN."""

import asyncio
import json
from contextlib import suppress
from pathlib import Path

import pytest
from click import unstyle

from tests.doctor.conftest import HOST, Answering, Serve, case_of, findings
from tornado_webrtc.commands.report import finding_lines
from tornado_webrtc.doctor import credential, signaling, web
from tornado_webrtc.doctor.case import Case
from tornado_webrtc.doctor.credential import address_finding
from tornado_webrtc.doctor.examination import quiet
from tornado_webrtc.doctor.target import IceUri, Target
from tornado_webrtc.finding import Finding, Level
from tornado_webrtc.pluginmanager import PluginManager
from tornado_webrtc.server import load


async def asked(case: Case) -> Finding:
    await findings(web.http, case)
    (found,) = await findings(credential.credentials, case)
    return found


async def test_open_server_gives_one(serve: Serve) -> None:
    case = case_of(await serve())
    found = await asked(case)
    assert found.level is Level.OK
    assert {uri.kind for uri in case.uris} == {"turn udp", "turn tcp", "stun udp"}
    assert case.username.endswith(f":{case.peer_id}")
    assert case.password
    assert case.password not in repr(case) + str(found)
    assert await findings(credential.credentials, case) == []


async def test_given_user_is_kept(serve: Serve) -> None:
    case = case_of(await serve(), username="alice", password="hers")
    await asked(case)
    assert (case.username, case.password) == ("alice", "hers")


async def test_peers_get_one_while_they_are_signed_in(serve: Serve) -> None:
    server = await serve(turn="api_access = peer")
    case = case_of(server)
    found = await asked(case)
    assert (found.level, "(403)" in found.text, case.uris) == (Level.PROBLEM, True, [])
    assert "TURN cannot be tried" in found.text
    assert found.hint.startswith("only who is signed in gets one: see to it that signing in works")
    assert "--conf" in found.hint
    await findings(signaling.signaling, case)
    found = await asked(case)
    assert found.level is Level.OK
    await case.stack.aclose()


def configured(case: Case, folder: Path) -> Case:
    config, plugins = load(folder / "server.ini")
    case.config, case.plugins = config, PluginManager(plugins, config, ())
    case.plugins.load()
    return case


async def test_configuration_at_hand_makes_up_for_a_refusal(serve: Serve, tmp_path: Path) -> None:
    server = await serve(turn="api_access = auth\nuris = turn:rtc.example.org,")
    case = configured(case_of(server), tmp_path)
    found = await asked(case)
    assert (found.level, "made one" in found.text) == (Level.OK, True)
    assert IceUri("turn", "rtc.example.org", 3478, "udp") in case.uris
    case = configured(case_of(server), tmp_path)
    (tmp_path / "state" / "secret").unlink()
    found = await asked(case)
    assert (found.level, "there is no secret" in found.text) == (Level.PROBLEM, True)
    assert found.hint.startswith(
        "give a --token that the server takes; or run this where the server"
    )
    case.own, case.takes_clients = True, True
    assert "or run this as its user" in refused_hint(case, None)
    case.takes_clients = False
    assert refused_hint(case, None).startswith("try again once the server takes clients")
    assert not (tmp_path / "state" / "secret").exists()
    (tmp_path / "state" / "secret").mkdir()
    found = await asked(case)
    assert (found.level, "cannot read" in found.text) == (Level.PROBLEM, True)


async def test_what_is_odd_is_told_beside_a_credential_made_here(
    serve: Serve, tmp_path: Path
) -> None:
    more = "[plugins]\ndisabled = turn,\n"
    server = await serve(turn="api_access = auth\nuris = stun:rtc.example.org,", more=more)
    case = configured(case_of(server), tmp_path)
    await findings(web.http, case)
    made, odd = await findings(credential.credentials, case)
    assert (made.level, "made one" in made.text) == (Level.OK, True)
    assert (odd.level, "no TURN server" in odd.text) == (Level.WARNING, True)


async def test_turn_that_is_configured_and_not_served(serve: Serve, tmp_path: Path) -> None:
    case = configured(case_of(await serve()), tmp_path)
    case.target = Target("http", HOST, (await serve(more="[plugins]\ndisabled = turn,\n")).port)
    found = await asked(case)
    assert (found.level, "no TURN server" in found.text) == (Level.PROBLEM, True)
    assert "tornado-webrtc check" in found.hint


async def test_banned_client(serve: Serve) -> None:
    server = await serve()
    server.bans.add("ip", HOST)
    found = await asked(case_of(server))
    assert (found.level, found.hint.startswith("lift the ban")) == (Level.PROBLEM, True)


def refused_hint(case: Case, code: object) -> str:
    return credential._how_to_be_given_one(case, code)


def test_token_that_is_not_sent_is_no_token_that_is_refused() -> None:
    case = Case(own=False, token="secret-of-hers")
    assert "have the token sent" in refused_hint(case, "not-authenticated")
    case.shows_secrets = True
    assert "give a --token that the server takes" in refused_hint(case, "not-authenticated")
    assert "any name" in refused_hint(case, "name-not-allowed")
    assert refused_hint(case, ["?"]) == refused_hint(case, None)


async def test_server_without_turn(serve: Serve) -> None:
    case = case_of(await serve(more="[plugins]\ndisabled = turn,\n"))
    found = await asked(case)
    assert (found.level, "no TURN server" in found.text) == (Level.WARNING, True)


async def test_server_that_is_down() -> None:
    (found,) = await findings(credential.credentials, Case(own=False))
    assert found.level is Level.SKIPPED


@pytest.mark.parametrize(
    ("status", "body", "level"),
    [
        (500, "[]", Level.PROBLEM),
        (200, "oh", Level.PROBLEM),
        (200, "[" * 100_000, Level.PROBLEM),
        (200, '{"iceServers": [1]}', Level.PROBLEM),
        (500, '{"error": {"reason": ' + "[" * 900 + "]" * 900 + "}}", Level.PROBLEM),
        (200, "x" * 2_000_000, Level.PROBLEM),
        (200, json.dumps({"iceServers": [{"urls": ["tern:h"]}]}), Level.PROBLEM),
        (429, json.dumps({"error": {"reason": "too many"}}), Level.PROBLEM),
        (403, '{"error": {"code": ["?"]}}', Level.PROBLEM),
        (401, "no", Level.PROBLEM),
    ],
)
async def test_odd_answers(answering: Answering, status: int, body: str, level: Level) -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        head = f"HTTP/1.1 {status} Whatever\r\nContent-Length: {len(body)}\r\n\r\n"
        writer.write((head + body).encode())
        with suppress(OSError):
            await writer.drain()
        writer.close()

    target = Target("http", HOST, await answering(answer))
    case = Case(own=False, target=target, reachable=True)
    with quiet():
        (found,) = await findings(credential.credentials, case)
    assert found.level is level


def answered(*servers: object) -> tuple[Case, Finding]:
    case = Case(own=False)
    return case, credential._took(case, {"iceServers": list(servers), "ttl": 9})


def test_thousands_of_servers_are_not_tried() -> None:
    urls = [f"turn:10.{n >> 8}.{n & 255}.1:{port}" for n in range(1000) for port in (1, 2)]
    case, found = answered({"urls": urls, "username": "u", "credential": "c"})
    assert len(case.uris) == 16
    assert (found.level, found.text) == (
        Level.WARNING,
        "clients are told many ICE servers; 1984 of 2000 are not tried",
    )
    assert [str(each.host) for each in case.uris[:2]] == ["10.0.0.1", "10.0.0.1"]
    case, found = answered(*({"urls": "turn:h"} for _ in range(99)))
    assert (len(case.uris), found.level) == (1, Level.OK)


@pytest.mark.parametrize(
    "server",
    [
        *(1, None, [], "turn:h", {"urls": [1]}, {"urls": {"a": 1}}, {"urls": ["turn:h:0"]}),
        *({"urls": ["turn:" + "x" * 300]}, {"urls": ["y" * 9999] * 9}),
    ],
)
def test_servers_that_are_none(server: object) -> None:
    case, found = answered(server)
    assert (case.uris, found.level) == ([], Level.PROBLEM)
    assert found.text.startswith("clients are told what is no ICE server: ")
    assert len(found.text) < 250
    assert all(len(unstyle(line)) <= 100 for line in finding_lines(found))


def test_credentials_that_are_none() -> None:
    case, _ = answered(
        {"urls": "turn:h", "credential": 1},
        {"urls": "turn:h", "credential": "c"},
        {"urls": "turn:h", "username": "u", "credential": "c"},
    )
    assert (case.username, case.password) == ("u", "c")


async def test_server_that_went_away() -> None:
    server: asyncio.Server = await asyncio.start_server(lambda _r, _w: None, HOST, 0)
    port = server.sockets[0].getsockname()[1]
    server.close()
    await server.wait_closed()
    case = Case(own=False, target=Target("http", HOST, port), reachable=True)
    (found,) = await findings(credential.credentials, case)
    assert found.level is Level.PROBLEM


async def test_many_addresses_take_short_lines() -> None:
    hosts = [f"10.0.0.{n}" for n in range(15)] + [".".join(["y" * 60] * 4)]
    case = Case(own=False, uris=[IceUri("turn", host, 1, "udp") for host in hosts])
    found = await findings(credential.addresses, case)
    assert [each.level for each in found] == [Level.WARNING] * 15 + [Level.OK]
    shown = [unstyle(line) for each in found for line in finding_lines(each)]
    assert max(map(len, shown)) <= 100


async def test_addresses_that_clients_cannot_use() -> None:
    hosts = ("127.0.0.1", "10.0.0.1", "93.184.216.34", "rtc.example.org")
    case = Case(own=True, uris=[IceUri("turn", host, 1, "udp") for host in hosts])
    found = await findings(credential.addresses, case)
    assert [each.level for each in found] == [Level.WARNING] * 2 + [Level.OK] * 2
    assert await findings(credential.addresses, Case(own=True)) == []


@pytest.mark.parametrize(
    ("here", "words"),
    [
        (set(), "are told 93.184.216.34"),
        ({"93.184.216.34"}, "an address of this machine"),
        ({"10.0.0.1"}, "shows only from outside"),
    ],
)
def test_good_address(here: set[str], words: str) -> None:
    assert words in address_finding("93.184.216.34", here).text
