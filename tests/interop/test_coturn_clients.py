"""coturn's utilities work with this server: nothing is lost, and nothing stays behind.

turnutils_uclient makes one allocation more than it uses, to find out whether the
server sends it elsewhere: the probe, one for each client, or for each two that talk to
each other. It does not delete that one; the socket is just closed.
"""

import re

import pytest

from tests.interop.coturn import USER_FROM_FILE, Outcome, lucky, run, uclient
from tests.interop.turnprocess import SECRET, Counts, TurnProcess
from tests.listener.test_binding import needs_ipv6

pytestmark = pytest.mark.timeout(150)

MESSAGES = 5  # from each client, unless told otherwise
STREAM = {"udp": (), "tcp": ("-t",)}

own_relays = pytest.mark.xdist_group("interop-own-relays")
other_peers = pytest.mark.xdist_group("interop-other-peers")


async def relay(
    turn: TurnProcess,
    flags: str,
    *,
    clients: int,
    probes: int = 1,
    transports: tuple[str, ...] = ("udp", "tcp"),
    credential: tuple[str, ...] = USER_FROM_FILE,
    host: str = "127.0.0.1",
) -> tuple[Counts, Counts]:
    """Let clients talk, and see that all of it arrives and the server counts the same.

    Args:
        turn: The server.
        flags: Of turnutils_uclient.
        clients: How many that makes, and `probes` beside them.
        transports: Over which they come; over each of these so many, at once.
        credential: Further flags.
        host: Where they find the server.

    Returns:
        The server's counts before and after.
    """
    before, outcomes = await lucky(
        turn,
        *[
            uclient(
                await turn.turn_port(transport),
                *credential,
                *STREAM[transport],
                *flags.split(),
                host=host,
            )
            for transport in transports
        ],
    )
    for outcome in outcomes:
        assert_complete(outcome, clients * MESSAGES)
    sent = sum(outcome.sent for outcome in outcomes)
    left = before.allocations + (probes if "udp" in transports else 0)
    after = await turn.settled(left)
    assert after.allocations == left
    assert after.created - before.created == (clients + probes) * len(transports)
    assert after.packets_to_peer - before.packets_to_peer == sent
    assert after.packets_from_peer - before.packets_from_peer == sent
    assert after.dropped == before.dropped
    return before, after


def assert_complete(outcome: Outcome, messages: int) -> None:
    assert outcome.exit_status == 0, outcome.output
    assert (outcome.sent, outcome.received) == (messages, messages), outcome.output
    assert (outcome.lost, outcome.send_dropped) == (0, 0), outcome.output
    assert outcome.complaints == []


# --- STUN ---------------------------------------------------------------------------


@other_peers
async def test_stunclient_learns_its_address(lan_turn: TurnProcess) -> None:
    outcome = await run(
        "turnutils_stunclient", "-p", str(await lan_turn.turn_port("udp")), "127.0.0.1"
    )
    assert outcome.exit_status == 0
    assert re.search(r"UDP reflexive addr: 127\.0\.0\.1:\d+$", outcome.output, re.M)


# --- client to client ---------------------------------------------------------------


@own_relays
@pytest.mark.parametrize(
    ("flags", "clients"),
    [("", 4), ("-c", 2), ("-s", 4), ("-s -c", 2)],
    ids=["channels", "channels, no RTCP", "Send", "Send, no RTCP"],
)
async def test_client_to_client(turn: TurnProcess, flags: str, clients: int) -> None:
    await relay(turn, f"-y {flags}", clients=clients)


@own_relays
@pytest.mark.parametrize("flags", ["-g", "-g -s", "-G", "-G -s"])
async def test_further_requests_and_attributes(turn: TurnProcess, flags: str) -> None:
    """DONT-FRAGMENT; ChannelBind and CreatePermission to peers of either family."""
    await relay(turn, f"-y -c {flags}", clients=2)


@own_relays
@pytest.mark.parametrize("flags", ["", "-D"])
async def test_padding_is_not_relayed(turn: TurnProcess, flags: str) -> None:
    """A stream's ChannelData is padded, a datagram's may be (RFC 8656 section 12.5)."""
    before, after = await relay(turn, f"-y -c -l 101 {flags}", clients=2)
    assert after.bytes_to_peer - before.bytes_to_peer == 2 * 2 * MESSAGES * 101
    assert after.bytes_from_peer - before.bytes_from_peer == 2 * 2 * MESSAGES * 101


@other_peers
@needs_ipv6
@pytest.mark.parametrize(
    ("host", "flags"), [("::1", "-x"), ("::1", "-X -s"), ("127.0.0.1", "-x -s")]
)
async def test_families(dual_turn: TurnProcess, host: str, flags: str) -> None:
    """Which family is relayed is a matter of its own (REQUESTED-ADDRESS-FAMILY)."""
    await relay(dual_turn, f"-y -c {flags}", clients=2, host=host)


# --- credentials --------------------------------------------------------------------


@own_relays
async def test_secret_makes_credentials(turn: TurnProcess) -> None:
    """The client makes a name with a time from it, and the password (REST API)."""
    credential = ("-u", "fenchurch", "-W", SECRET)
    before, after = await relay(turn, "-y -c", clients=2, credential=credential)
    assert after.live["fenchurch"] - before.live.get("fenchurch", 0) == 1


@own_relays
async def test_credential_of_the_api(turn: TurnProcess) -> None:
    minted = await turn.credential("trillian")
    credential = ("-u", minted.username, "-w", minted.password)
    before, after = await relay(turn, "-y -c", clients=2, credential=credential)
    assert after.live["trillian"] - before.live.get("trillian", 0) == 1


@other_peers
@pytest.mark.parametrize(
    "credential",
    [(*USER_FROM_FILE[:3], "wrong"), ("-u", "nobody", "-w", "wrong"), ("-u", "bob", "-W", "wrong")],
    ids=["password", "name", "secret"],
)
async def test_wrong_credential(lan_turn: TurnProcess, credential: tuple[str, ...]) -> None:
    before = await lan_turn.counts()
    outcome = await run(*uclient(await lan_turn.turn_port("udp"), *credential, "-y", "-c"))
    assert outcome.exit_status != 0
    assert "Cannot complete Allocation" in outcome.output
    after = await lan_turn.counts()
    assert (after.created, after.live) == (before.created, before.live)


# --- to a peer without TURN ---------------------------------------------------------


@other_peers
@pytest.mark.parametrize(
    ("flags", "clients"),
    [("", 2), ("-s -c -g", 1), ("-G -D -l 101", 2)],
    ids=["channels", "Send, no RTCP, DONT-FRAGMENT", "padded, further requests"],
)
async def test_peer_sends_back(
    lan_turn: TurnProcess, peer_port: int, flags: str, clients: int
) -> None:
    where = f"-e 127.0.0.1 -r {peer_port}"
    await relay(lan_turn, f"{where} {flags}", clients=clients)


@own_relays
async def test_peer_on_the_servers_own_machine_is_refused(
    turn: TurnProcess, peer_port: int
) -> None:
    where = ("-e", "127.0.0.1", "-r", str(peer_port))
    command = uclient(await turn.turn_port("tcp"), *USER_FROM_FILE, "-t", "-c", *where)
    before, (outcome,) = await lucky(turn, command)
    assert outcome.exit_status != 0
    assert "channel bind: error 403" in outcome.output
    after = await turn.settled(before.allocations)
    assert after.packets_to_peer == before.packets_to_peer


# --- clients that vanish ------------------------------------------------------------

# With -B the client closes all its sockets as soon as it has sent more than 5 messages
# at once, which an interval of 0 lets it do. Nobody is there to receive them.
VANISH = ("-y", "-c", "-B", "-z", "0", "-n", "10")


@other_peers
async def test_allocations_end_with_their_connections(lan_turn: TurnProcess) -> None:
    command = uclient(await lan_turn.turn_port("tcp"), *USER_FROM_FILE, "-t", *VANISH)
    before, (outcome,) = await lucky(lan_turn, command)
    assert outcome.exit_status == 0
    assert outcome.lost > 0
    after = await lan_turn.settled(before.allocations)
    assert after.created - before.created == 3
    assert after.ended["disconnected"] - before.ended.get("disconnected", 0) == 3


@other_peers
async def test_server_outlives_datagrams_to_nobody(lan_turn: TurnProcess) -> None:
    """Allocations of UDP clients live on, and what is sent to those comes back as ICMP errors."""
    command = uclient(await lan_turn.turn_port("udp"), *USER_FROM_FILE, *VANISH)
    before, (outcome,) = await lucky(lan_turn, command)
    assert outcome.exit_status == 0
    assert outcome.lost > 0
    after = await lan_turn.counts()
    assert after.allocations - before.allocations == 3
    await relay(lan_turn, "-y -c", clients=2)


# --- many clients -------------------------------------------------------------------


@other_peers
@pytest.mark.parametrize("transport", ["udp", "tcp"])
async def test_hundred_clients(lan_turn: TurnProcess, transport: str) -> None:
    await relay(lan_turn, "-y -c -m 100", clients=100, probes=50, transports=(transport,))
