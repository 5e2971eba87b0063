"""STUN and TURN servers as an examination sees them: in order, closed, silent, lying."""

import asyncio
import socket
import time
from dataclasses import replace
from ipaddress import ip_address

import pytest

from tests.doctor.conftest import HOST, Answering, Serve, case_of, findings
from tests.doctor.test_turnclient import Relay
from tests.quietport import quiet_port
from tests.wire import until
from tornado_webrtc.config import Config, PublicAddress, Turn
from tornado_webrtc.doctor import credential, relay, web
from tornado_webrtc.doctor.case import Case
from tornado_webrtc.doctor.relay import Trial
from tornado_webrtc.doctor.target import IceUri, Target
from tornado_webrtc.doctor.turnclient import RefusedError, TurnClient, UnexpectedError
from tornado_webrtc.errors import DecodeError
from tornado_webrtc.finding import Level


async def told(case: Case) -> None:
    """Let the case learn what clients are told."""
    for check in (web.http, credential.credentials):
        await findings(check, case)


async def test_everything_works(serve: Serve) -> None:
    server = await serve()
    case = case_of(server)
    await told(case)
    found = await findings(relay.relay, case)
    assert {each.subject: each.level for each in found} == {
        "turn udp": Level.OK,
        "turn tcp": Level.OK,
        "stun udp": Level.OK,
    }
    by_subject = {each.subject: each.values for each in found}
    for subject in ("turn udp", "turn tcp"):
        assert by_subject[subject]["rtt_ms"] > 0
        assert by_subject[subject]["relayed_rtt_ms"] > 0
    assert server.collections["allocations"].count() == 0


async def test_inside_is_not_tried_for_a_server_outside(
    answering: Answering, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[object] = []

    async def note(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append(writer)
        writer.close()

    port = await answering(note)
    named = (HOST, "localhost", "169.254.169.254", "10.0.0.1", "::1")
    uris = [IceUri("turn", host, port, "tcp") for host in named]
    target = Target("https", "93.184.216.34", 443)
    case = Case(own=False, target=target, uris=uris, username="u", password="p")
    (found,) = await findings(relay.relay, case)
    assert (found.level, asked) == (Level.PROBLEM, [])  # of no TURN server it is known now
    assert found.text.startswith(f"not tried: {HOST}:{port}, localhost:{port}, 169.254.169.254:")
    assert " and 2 more" in found.text
    assert len(found.values["not_tried"]) == 5
    (found,) = await findings(relay.relay, replace(case, uris=[replace(uris[0], scheme="stun")]))
    assert found.level is Level.WARNING
    case = replace(case, target=Target("https", HOST, 1), uris=uris[:2])
    assert len(await findings(relay.relay, case)) == 2
    assert len(asked) >= 2


async def test_name_that_nobody_can_have() -> None:
    case = Case(own=False, uris=[IceUri("stun", "x" * 300, 1, "udp")])
    (found,) = await findings(relay.relay, case)
    assert (found.level, found.values["step"]) == (Level.PROBLEM, "connecting")
    assert len(found.text) < 200


async def test_nothing_to_try() -> None:
    (found,) = await findings(relay.relay, Case(own=False))
    assert (found.subject, found.level) == ("turn", Level.SKIPPED)
    case = Case(own=False, uris=[IceUri("turn", HOST, 9, "udp")])
    (found,) = await findings(relay.relay, case)
    assert (found.level, "no credential" in found.text) == (Level.PROBLEM, True)
    assert found.hint == "give --user and --password"
    case = replace(case, target=Target("https", HOST, 1))
    (found,) = await findings(relay.relay, case)
    assert "clients get none" in found.hint


async def test_dtls_is_not_tried(serve: Serve) -> None:
    uris = [IceUri(scheme, HOST, 9, "udp") for scheme in ("stuns", "turns")]
    case = Case(own=False, uris=uris, username="u", password="p")
    (found,) = await findings(relay.relay, case)
    assert (found.level, found.values["not_tried"]) == (Level.PROBLEM, [f"{HOST}:9"] * 2)
    assert "DTLS" in found.text
    assert f"turns:{HOST}:9?transport=tcp" in found.hint
    (found,) = await findings(relay.relay, replace(case, uris=uris[:1]))
    assert found.level is Level.WARNING
    case = case_of(await serve())
    await told(case)
    case.uris.append(uris[1])
    *_, found = await findings(relay.relay, case)
    assert (found.subject, found.level) == ("turn", Level.WARNING)  # others are tried


async def test_draining_server(serve: Serve) -> None:
    server = await serve()
    case = case_of(server)
    client = await Relay(server).client("udp")
    await client.allocate()
    draining = asyncio.create_task(server.drain())
    await until(lambda: not server.accepting)
    await told(case)
    found = await findings(relay.relay, case)
    await client.release()
    client.close()
    await draining
    refused = [each for each in found if each.subject.startswith("turn")]
    assert [each.level for each in refused] == [Level.PROBLEM] * 2
    assert all(
        "508" in each.text and "is being drained, see above" in each.hint for each in refused
    )


async def test_wrong_password(serve: Serve) -> None:
    server = await serve()
    port = Relay(server).udp.port
    uri = IceUri("turn", HOST, port, "udp")
    (found,) = await findings(
        relay.relay, Case(own=False, uris=[uri], username="u", password="wrong")
    )
    assert "an allocation fails: error 401" in found.text
    assert "share the secret" in found.hint
    assert "wrong" not in str(found)


@pytest.mark.parametrize("transport", ["udp", "tcp"])
async def test_closed_port(transport: str) -> None:
    port = quiet_port()
    case = Case(own=False, uris=[IceUri("stun", HOST, port, transport)])
    (found,) = await findings(relay.relay, case)
    assert found.level is Level.PROBLEM
    assert f"nothing listens on {transport.upper()} port {port}" in found.hint


@pytest.mark.parametrize("scheme", ["turn", "turns"])
async def test_server_that_hangs_up_is_behind_no_firewall(
    answering: Answering, scheme: str
) -> None:
    async def hang_up(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()

    uri = IceUri(scheme, HOST, await answering(hang_up), "tcp")
    (found,) = await findings(relay.relay, Case(own=False, uris=[uri], username="u", password="p"))
    assert (found.level, found.values["silent"]) == (Level.PROBLEM, False)
    assert not found.text.endswith(": ")
    assert f"does it speak {'TLS' if scheme == 'turns' else 'TURN, without TLS,'}" in found.hint
    assert "firewall" not in found.hint


@pytest.mark.parametrize("kind", [socket.SOCK_DGRAM, socket.SOCK_STREAM])
async def test_silent_port_costs_little_time(kind: socket.SocketKind) -> None:
    transport = "udp" if kind is socket.SOCK_DGRAM else "tcp"
    with socket.socket(socket.AF_INET, kind) as silent:
        silent.bind((HOST, 0))
        if transport == "tcp":
            silent.listen()
        uri = IceUri("turn", HOST, silent.getsockname()[1], transport)
        case = Case(own=False, uris=[uri], username="u", password="p", patience_s=0.5)
        began = time.monotonic()
        (found,) = await findings(relay.relay, case)
    assert time.monotonic() - began < 5
    assert "no answer within 0.2 s" in found.text
    assert f"open {transport.upper()} port {uri.port} in the firewall" in found.hint


async def test_limit_of_allocations_is_named(serve: Serve) -> None:
    case = case_of(await serve(turn="max_allocations = 1"))
    await told(case)
    found = await findings(relay.relay, case)
    refused = [each for each in found if each.level is Level.PROBLEM]
    assert refused
    assert all("486" in each.text and "max_allocations" in each.hint for each in refused)


async def test_forbidden_peers_are_named(serve: Serve) -> None:
    case = case_of(await serve(turn="deny_peers = 127.0.0.0/8,"))
    await told(case)
    found = await findings(relay.relay, case)
    refused = [each for each in found if each.subject.startswith("turn")]
    assert len(refused) == 2
    assert all("403" in each.text and "deny_peers" in each.hint for each in refused)


async def test_address_outside_is_not_reached_from_inside(serve: Serve) -> None:
    port = Relay(await serve()).udp.port
    outside, inside = ip_address("127.66.0.1"), ip_address(HOST)
    config = Config(turn=Turn(public_ip=(PublicAddress(outside, inside),)))
    uri = IceUri("stun", str(outside), port, "udp")
    (found,) = await findings(relay.relay, Case(own=True, config=config, uris=[uri]))
    assert found.level is Level.WARNING
    assert f"{outside}:{port} does not answer from here, but {HOST} does" in found.text
    (found,) = await findings(relay.relay, Case(own=False, config=config, uris=[uri]))
    assert found.level is Level.PROBLEM
    uri = IceUri("stun", "localhost", 1, "udp")
    (found,) = await findings(relay.relay, Case(own=True, config=config, uris=[uri]))
    assert found.level is Level.PROBLEM
    uri = IceUri("stun", str(outside), quiet_port(), "udp")
    (found,) = await findings(relay.relay, Case(own=True, config=config, uris=[uri]))
    assert found.level is Level.PROBLEM


async def test_data_that_gets_lost_points_to_the_relay_ports(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    case = case_of(await serve(), patience_s=3.0)
    await told(case)
    monkeypatch.setattr(TurnClient, "send", lambda *_args: None)
    case.uris = [uri for uri in case.uris if uri.kind == "turn udp"]
    (found,) = await findings(relay.relay, case)
    assert "data through the relay fails: nothing arrives" in found.text
    assert "open UDP ports" in found.hint
    assert "49152-65535" in found.hint
    case.config = Config()
    (found,) = await findings(relay.relay, case)
    assert "49152-65535" in found.hint


async def test_tls_needs_a_certificate_that_is_trusted(serve: Serve) -> None:
    server = await serve(tls=True)
    uri = IceUri("turns", "localhost", server.port, "tcp")
    case = Case(own=False, uris=[uri], username="u", password="p")
    (found,) = await findings(relay.relay, case)
    assert found.level is Level.PROBLEM
    assert "certificate" in found.hint
    (found,) = await findings(relay.relay, replace(case, uris=[replace(uri, scheme="stuns")]))
    assert (found.subject, found.level) == ("stuns tcp", Level.PROBLEM)
    assert "certificate" in found.hint


@pytest.mark.parametrize(
    ("error", "hint"),
    [
        (RefusedError(403, ""), "deny_peers"),
        (RefusedError(486, ""), "max_allocations"),
        (RefusedError(508, ""), "relay_ports"),
        (RefusedError(500, ""), "log"),
        (UnexpectedError("odd"), "is that a TURN server"),
        (DecodeError("odd"), "is that a TURN server"),
    ],
)
def test_what_to_do(error: Exception, hint: str) -> None:
    found = Trial(Case(own=False), IceUri("turn", HOST, 1, "udp"), "a permission")._failure(error)
    assert hint in found.hint
    assert found.values["silent"] is False
