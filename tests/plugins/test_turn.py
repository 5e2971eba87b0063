"""The TURN plugin in a server: it relays, says where it is, and leaves nothing behind."""

import logging
import socket
from collections.abc import Callable
from contextlib import closing
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest

from tests.plugins.turn.client import CHANNEL, code
from tests.plugins.turn.site import HOST, LOOPBACK, REALM, SETTINGS, StartTurn, TurnSite, found
from tests.quietport import quiet_port
from tests.web.conftest import Serve
from tests.web.rawhttp import fetch
from tornado_webrtc.config import Config, PublicAddress, Turn
from tornado_webrtc.config.address import PortRange, parse_network, parse_public_address
from tornado_webrtc.errors import ConfigError, PluginError
from tornado_webrtc.hooks import Doubt, IceServer, PluginContext
from tornado_webrtc.implementation import faults
from tornado_webrtc.isolation import plugin_logger
from tornado_webrtc.machine import machine_addresses
from tornado_webrtc.plugins import turn
from tornado_webrtc.plugins.turn import OwnAddresses, listening_addresses, may_listen
from tornado_webrtc.stun.address import TransportAddress
from tornado_webrtc.stun.attribute import (
    EVEN_PORT,
    REQUESTED_ADDRESS_FAMILY,
    XOR_MAPPED_ADDRESS,
)
from tornado_webrtc.stun.message import Method

ExpectLog = Callable[[str], None]

TRANSPORTS = ("udp", "tcp")


def test_plugin_is_sound() -> None:
    assert faults(turn) == []
    assert turn.ENABLED_BY_DEFAULT is True
    assert turn.SETTINGS == ""


# --- relaying ---------------------------------------------------------------


@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_data_both_ways_by_indications(start_turn: StartTurn, transport: str) -> None:
    site = await start_turn(allow_peers=LOOPBACK)
    client, peer = await site.client(transport), site.peer()
    relayed = await client.allocate()
    assert relayed.host == HOST
    assert await client.permit(peer.address) == 0
    client.indicate(peer.address, b"ping")
    assert await peer.receive() == (b"ping", relayed)
    peer.send(b"pong", relayed)
    assert await client.data() == (peer.address, b"pong")


@pytest.mark.parametrize("size", [0, 1, 4, 1200])
@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_data_both_ways_by_channel(start_turn: StartTurn, transport: str, size: int) -> None:
    site = await start_turn(allow_peers=LOOPBACK)
    client, peer = await site.client(transport), site.peer()
    relayed = await client.allocate()
    assert await client.bind(peer.address) == 0
    client.send_channel(b"x" * size)
    assert await peer.receive() == (b"x" * size, relayed)
    peer.send(b"y" * size, relayed)
    assert await client.data() == (CHANNEL, b"y" * size)


@pytest.mark.parametrize("callee_transport", TRANSPORTS)
@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_two_clients_meet_at_the_relay(
    start_turn: StartTurn, transport: str, callee_transport: str
) -> None:
    """Nothing is allowed here but the hairpin: a relay-only call needs no other rule."""
    site = await start_turn()
    alice, bob = await site.client(transport), await site.client(callee_transport, "bob")
    await alice.allocate()
    await bob.allocate()
    assert await alice.permit(bob.relayed) == 0
    assert await bob.bind(alice.relayed) == 0
    alice.indicate(bob.relayed, b"ring")
    assert await bob.data() == (CHANNEL, b"ring")
    bob.send_channel(b"yes")
    assert await alice.data() == (bob.relayed, b"yes")


async def test_addresses_that_no_network_would_carry(start_turn: StartTurn) -> None:
    """Behind a 1:1 NAT the advertised address leads nowhere from here; a call still works."""
    site = await start_turn(public_ip=(parse_public_address("203.0.113.5/127.0.0.1"),))
    (server, _) = await site.ice_servers()
    port = int(server.urls[0].partition("?")[0].rpartition(":")[2])
    assert server.urls[0] == f"turn:203.0.113.5:{port}?transport=udp"
    there = TransportAddress(HOST, port)
    alice, bob = await site.udp(there=there), await site.udp("bob", there=there)
    assert (await alice.allocate()).host == "203.0.113.5"
    await bob.allocate()
    assert await alice.bind(bob.relayed) == 0
    assert await bob.bind(alice.relayed) == 0
    alice.send_channel(b"ring")
    assert await bob.data() == (CHANNEL, b"ring")


@pytest.mark.parametrize("host", [HOST, "::1"])
async def test_relay_of_ipv6(start_turn: StartTurn, host: str) -> None:
    """For clients that ask for it, whichever family they come from (RFC 8656 section 7.2)."""
    site = await start_turn(
        bind=(HOST, "::1"),
        public_ip=(parse_public_address(HOST), parse_public_address("::1")),
        allow_peers=(parse_network("::1"),),
    )
    there = (await site.address("udp"))._replace(host=host)
    client, peer = await site.udp(host=host, there=there), site.peer("::1")
    relayed = await client.allocate((REQUESTED_ADDRESS_FAMILY, 2))
    assert relayed.host == "::1"
    assert await client.permit(TransportAddress(HOST, 1)) == 443
    assert await client.bind(peer.address) == 0
    client.send_channel(b"ping")
    assert await peer.receive() == (b"ping", relayed)
    peer.send(b"pong", relayed)
    assert await client.data() == (CHANNEL, b"pong")


async def test_family_without_an_address(start_turn: StartTurn) -> None:
    client = await (await start_turn()).udp()
    assert await client.try_to_allocate((REQUESTED_ADDRESS_FAMILY, 2)) == 440


async def test_without_permission_nothing_passes(start_turn: StartTurn) -> None:
    site = await start_turn(allow_peers=LOOPBACK)
    client, peer, stranger = await site.udp(), site.peer(), site.peer("127.0.0.2")
    relayed = await client.allocate()
    client.indicate(peer.address, b"too early")
    assert await client.permit(peer.address) == 0
    stranger.send(b"unasked", relayed)
    client.indicate(stranger.address, b"not permitted")
    client.indicate(peer.address, b"permitted")
    assert await peer.data() == b"permitted"
    peer.send(b"answer", relayed)
    assert await client.data() == (peer.address, b"answer")
    assert peer.is_empty()
    assert stranger.is_empty()
    counters = site.plugin.counters()
    assert counters["dropped-no-permission"] == 2
    assert counters["relay-dropped-permission"] == 1


@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_binding(start_turn: StartTurn, transport: str) -> None:
    client = await (await start_turn()).client(transport)
    response = await client.request(Method.BINDING)
    assert code(response) == 0
    assert response.get(XOR_MAPPED_ADDRESS) == client.wire.address


async def test_port_ranges_and_limits_of_the_configuration(start_turn: StartTurn) -> None:
    site = await start_turn(
        allow_peers=LOOPBACK,
        max_allocations_per_user=1,
        max_permissions=1,
        relay_ports=PortRange(49200, 49299),
    )
    client, other = await site.udp(), await site.udp()
    assert (await client.allocate()).port in range(49200, 49300)
    assert await client.permit(TransportAddress(HOST, 1)) == 0
    assert await client.permit(TransportAddress("127.0.0.2", 1)) == 508
    assert await other.try_to_allocate() == 486
    assert client.realm == REALM


async def test_denied_by_the_operator(start_turn: StartTurn) -> None:
    site = await start_turn(allow_peers=LOOPBACK, deny_peers=LOOPBACK)
    client = await site.udp()
    await client.allocate()
    assert await client.permit(TransportAddress(HOST, 1)) == 403


async def test_listens_on_all_of_ipv4(start_turn: StartTurn) -> None:
    """Answers come from the address that was asked, whichever that is."""
    site = await start_turn(bind=("0.0.0.0",))
    assert (await (await site.udp()).allocate()).host == HOST


# --- what clients are told --------------------------------------------------


async def ask_for_servers(site: TurnSite) -> list[str]:
    return [url for server in await site.ice_servers() for url in server.urls]


async def test_uris_of_a_running_server(start_turn: StartTurn) -> None:
    site = await start_turn(uris=("turn:elsewhere.example",))
    udp, tcp = await site.address("udp"), await site.address("tcp")
    assert udp.port
    assert tcp.port
    assert await site.ice_servers() == [
        IceServer(
            urls=(f"turn:{HOST}:{udp.port}?transport=udp", f"turn:{HOST}:{tcp.port}?transport=tcp"),
            needs_credential=True,
        ),
        IceServer(urls=(f"stun:{HOST}:{udp.port}",), needs_credential=False),
    ]
    answer = await fetch(site.server.port, "/api/turn?service=turn&username=alice")
    assert answer.json["uris"] == [
        f"turn:{HOST}:{udp.port}?transport=udp",
        f"turn:{HOST}:{tcp.port}?transport=tcp",
        "turn:elsewhere.example",
    ]


async def test_credential_of_the_api_opens_the_door(start_turn: StartTurn) -> None:
    site = await start_turn(secret=())
    answer = (await fetch(site.server.port, "/api/turn?service=turn&username=alice")).json
    client = await site.udp(credential=(answer["username"], answer["password"]))
    assert await client.try_to_allocate() == 0


async def test_uris_of_both_families(start_turn: StartTurn) -> None:
    addresses = ("203.0.113.5/127.0.0.1", "2001:db8::5/::1")
    site = await start_turn(
        bind=("::", "0.0.0.0"), public_ip=tuple(map(parse_public_address, addresses))
    )
    site.plugin._port, site.plugin._port_tcp = 3478, 3479
    assert await ask_for_servers(site) == [
        "turn:203.0.113.5:3478?transport=udp",
        "turn:203.0.113.5:3479?transport=tcp",
        "turn:[2001:db8::5]:3478?transport=udp",
        "turn:[2001:db8::5]:3479?transport=tcp",
        "stun:203.0.113.5:3478",
        "stun:[2001:db8::5]:3478",
    ]


async def test_family_that_nobody_listens_on_is_not_told(start_turn: StartTurn) -> None:
    addresses = ("203.0.113.5/127.0.0.1", "2001:db8::5/::1")
    site = await start_turn(public_ip=tuple(map(parse_public_address, addresses)))
    assert not [uri for uri in await ask_for_servers(site) if "[" in uri]


async def test_no_tcp(start_turn: StartTurn) -> None:
    site = await start_turn(port_tcp=None)
    assert not [uri for uri in await ask_for_servers(site) if "tcp" in uri]
    assert await (await site.udp()).try_to_allocate() == 0


@pytest.mark.parametrize(
    ("port", "port_tcp", "uris"),
    [
        (3478, 3479, ["turn:{}:3478?transport=udp", "turn:{}:3479?transport=tcp", "stun:{}:3478"]),
        (3478, None, ["turn:{}:3478?transport=udp", "stun:{}:3478"]),
        (0, 0, []),
    ],
)
async def test_uris_before_the_start(
    start_turn: StartTurn, port: int, port_tcp: int | None, uris: list[str]
) -> None:
    """`tornado-webrtc check` asks a server that never starts."""
    site = await start_turn(start=False, port=port, port_tcp=port_tcp)
    site.server.plugins.load()
    assert await ask_for_servers(site) == [uri.format(HOST) for uri in uris]
    assert site.plugin.counters() == {}


# --- life -------------------------------------------------------------------


def can_bind(kind: socket.SocketKind, port: int) -> bool:
    with closing(socket.socket(socket.AF_INET, kind)) as sock:
        try:
            sock.bind((HOST, port))
        except OSError:
            return False
        return True


async def test_stopped_server_leaves_no_socket(start_turn: StartTurn) -> None:
    """Neither of allocations nor of reserved ports, and its own can be had again."""
    site = await start_turn()
    alice, bob = await site.udp(), await site.tcp("bob")
    ports = [(await alice.allocate((EVEN_PORT, True))).port, (await bob.allocate()).port]
    ports += [ports[0] + 1, (await site.address("udp")).port]
    tcp_port = (await site.address("tcp")).port
    assert not any(can_bind(socket.SOCK_DGRAM, port) for port in ports)
    await site.server.stop()
    assert all(can_bind(socket.SOCK_DGRAM, port) for port in ports)
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((HOST, tcp_port))


async def test_start_that_fails_leaves_no_socket(
    start_turn: StartTurn, expect_log: ExpectLog
) -> None:
    expect_log("plugin turn: start failed: .* in use")
    port = quiet_port()
    with socket.create_server((HOST, 0)) as taken, pytest.raises(PluginError, match="in use"):
        await start_turn(port=port, port_tcp=taken.getsockname()[1])
    assert can_bind(socket.SOCK_DGRAM, port)


async def test_there_is_no_server_without_it(serve: Serve, expect_log: ExpectLog) -> None:
    """Clients that were told of no relay would fail later, one by one, at somebody's home."""
    expect_log("plugin turn: start failed: .*port")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind((HOST, 0))
        settings = {**SETTINGS, "port": taken.getsockname()[1]}
        with pytest.raises(PluginError, match="plugin turn: "):
            await serve(turn=settings, plugins=[found()])


@pytest.mark.parametrize("content", [None, "alice\n"])
async def test_users_file_is_checked_before_anything_is_opened(
    start_turn: StartTurn, tmp_path: Path, content: str | None
) -> None:
    users = tmp_path / "users"
    if content is not None:
        users.write_text(content)
    port = quiet_port()
    with pytest.raises(ConfigError, match="cannot be read" if content is None else "line 1"):
        await start_turn(users_file=users, port=port)
    assert can_bind(socket.SOCK_DGRAM, port)


def unstarted(**settings: Any) -> turn.Plugin:
    """The plugin as `tornado-webrtc check` has it."""
    config = Config(turn=Turn(**{**SETTINGS, **settings}))
    return turn.Plugin(PluginContext("turn", {}, config, plugin_logger("turn")))


@pytest.mark.parametrize(
    ("content", "found_faults"),
    [("alice:wonderland\n", []), ("alice\n", ["line 1: expected name:password"])],
)
async def test_check_reads_the_users_file(
    tmp_path: Path, content: str, found_faults: list[str]
) -> None:
    (tmp_path / "users").write_text(content)
    found_there = await unstarted(users_file=tmp_path / "users").check()
    assert [each.rpartition(", ")[2] for each in found_there] == found_faults
    assert all(each.startswith("turn.users_file: ") for each in found_there)


async def test_nobody_to_ask_is_no_fault_of_the_name(monkeypatch: pytest.MonkeyPatch) -> None:
    """The server is started again until somebody answers; a status of 78 would end that."""

    def unanswered(*_: object, **_more: object) -> None:
        raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure")

    monkeypatch.setattr(socket, "getaddrinfo", unanswered)
    with pytest.raises(PluginError, match=r"turn.public_ip: .* \(Temporary failure\)"):
        await unstarted(public_ip=(PublicAddress("turn.example"),)).check()


@pytest.mark.parametrize("key", ["public_ip", "bind"])
async def test_check_looks_names_up(key: str) -> None:
    value = PublicAddress("turn..example") if key == "public_ip" else "turn..example"
    (problem,) = await unstarted(**{key: (value,)}).check()
    assert problem.startswith(f"turn.{key}: turn..example cannot be looked up")
    assert not isinstance(problem, Doubt)


@pytest.mark.parametrize(
    ("public_ip", "words"),
    [
        (HOST, ""),
        ("8.8.8.8/192.0.2.99", "turn.public_ip: 192.0.2.99 is no address of this machine"),
        ("8.8.8.8/127.0.0.2", "turn.bind: clients are told 8.8.8.8, but nothing listens on"),
        ("::1", "turn.bind: clients are not told ::1: the server listens on 127.0.0.1 only"),
    ],
)
async def test_check_warns_of_what_the_log_will_warn_of(public_ip: str, words: str) -> None:
    found_there = await unstarted(public_ip=(parse_public_address(public_ip),)).check()
    assert all(isinstance(each, Doubt) for each in found_there)
    assert len(found_there) == bool(words)
    assert all(words in each for each in found_there)


async def test_address_that_nothing_listens_on_is_a_warning(
    start_turn: StartTurn, expect_log: ExpectLog
) -> None:
    expect_log("clients are told 8.8.8.8, but nothing listens on 127.0.0.2")
    await start_turn(public_ip=(parse_public_address("8.8.8.8/127.0.0.2"),))


async def test_log_says_where_it_is(
    start_turn: StartTurn, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "tornado_webrtc.plugins.turn")
    site = await start_turn()
    udp, tcp = await site.address("udp"), await site.address("tcp")
    assert caplog.messages == [
        "IPv4: clients are told 127.0.0.1",
        "IPv6: nothing is relayed: turn.public_ip has no such address",
        f"TURN on UDP port {udp.port}, TCP port {tcp.port}; relaying on UDP ports 49152 to 65535",
    ]


async def test_doubtful_address_is_a_warning(start_turn: StartTurn, expect_log: ExpectLog) -> None:
    expect_log("192.0.2.99 is no address of this machine")
    expect_log("no relay can be opened: cannot use UDP port .* of 192.0.2.99")
    site = await start_turn(public_ip=(parse_public_address("203.0.113.5/192.0.2.99"),))
    (server, _) = await site.ice_servers()
    port = int(server.urls[0].partition("?")[0].rpartition(":")[2])
    client = await site.udp(there=TransportAddress(HOST, port))
    assert await client.try_to_allocate() == 508


# --- counters ---------------------------------------------------------------


async def test_counters_of_protocol_and_data(start_turn: StartTurn) -> None:
    """What has ended still counts; the ports are those that are taken at the moment."""
    site = await start_turn(allow_peers=LOOPBACK, relay_ports=PortRange(50000, 59999))
    assert site.plugin.gauges() == {"relay-ports-ipv4": 10000, "relay-ports-ipv4-used": 0}
    peer = site.peer()
    for name in ("alice", "bob"):
        client = await site.udp(name)
        await client.allocate()
        assert await client.bind(peer.address) == 0
        client.send_channel(b"four")
        await peer.receive()
        client.send_channel(b"lost", CHANNEL + 1)
        assert await client.permit(TransportAddress("10.0.0.1", 1)) == 403
        if name == "alice":
            assert await client.refresh(0) == 0
    counters = site.plugin.counters()
    assert site.plugin.gauges() == {"relay-ports-ipv4": 10000, "relay-ports-ipv4-used": 1}
    expected = {
        "error-401": 2,
        "error-403": 2,
        "relay-packets-to-peer": 2,
        "relay-bytes-to-peer": 8,
        "relay-dropped-channel": 2,
        "relay-packets-from-peer": 0,
    }
    assert {name: counters[name] for name in expected} == expected


# --- addresses --------------------------------------------------------------


async def test_addresses_to_listen_on() -> None:
    machine = machine_addresses()
    ipv4 = [str(each) for each in machine if each.version == 4]
    ipv6 = [str(each) for each in machine if each.version == 6 and not each.is_link_local]
    assert await listening_addresses(["127.0.0.1", "127.0.0.2", "127.0.0.1"]) == [
        "127.0.0.1",
        "127.0.0.2",
    ]
    assert await listening_addresses(["0.0.0.0"]) == ipv4
    assert await listening_addresses(["127.0.0.1", "0.0.0.0", "::"]) == list(
        dict.fromkeys(["127.0.0.1", *ipv4, *ipv6])
    )
    assert HOST in await listening_addresses(["localhost"])


async def test_name_to_listen_on_that_stands_for_nothing() -> None:
    with pytest.raises(PluginError, match=r"turn\.bind: turn\.\.example cannot be looked up"):
        await listening_addresses(["turn..example"])


async def test_nothing_to_listen_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(turn, "machine_addresses", lambda: (ip_address(HOST),))
    with pytest.raises(PluginError, match=r"turn\.bind: this machine has no address of ::"):
        await listening_addresses(["::"])


@pytest.mark.parametrize(
    ("bind", "versions"),
    [
        (["0.0.0.0"], {4}),
        (["::"], {6}),
        (["127.0.0.1", "::1"], {4, 6}),
        (["localhost"], {4, 6}),
    ],
)
def test_families_that_may_be_listened_on(bind: list[str], versions: set[int]) -> None:
    assert {version for version in (4, 6) if may_listen(bind, version)} == versions


def test_own_addresses_are_read_again_once_a_minute() -> None:
    seconds = [100.0]
    own = OwnAddresses(lambda: seconds[0])
    first = own()
    assert first == frozenset(machine_addresses())
    seconds[0] += 59
    assert own() is first
    seconds[0] += 1
    assert own() is not first
    assert own() == first
