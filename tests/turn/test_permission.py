"""CreatePermission and ChannelBind: RFC 8656 sections 10.2 and 12.2, and hairpin."""

from collections.abc import Callable
from typing import Any

import pytest

from tests.turn.client import (
    OTHER_PEER,
    PEER,
    PEER_IPV6,
    PRIVATE_PEER,
    REALM_NAME,
    Client,
    code,
    peers,
)
from tests.turn.world import LOCAL_IP, RELAY_IP, World
from tornado_webrtc.stun.address import IPV4, IPV6, TransportAddress
from tornado_webrtc.stun.attribute import (
    CHANNEL_NUMBER,
    LIFETIME,
    MESSAGE_INTEGRITY,
    REQUESTED_ADDRESS_FAMILY,
    XOR_PEER_ADDRESS,
    Attribute,
)
from tornado_webrtc.stun.message import Message, Method
from tornado_webrtc.turn.action import (
    Ask,
    BindChannel,
    ChannelBound,
    MayRelayTo,
    PermissionCreated,
    Permit,
    RelayData,
    Respond,
    Unpermit,
)
from tornado_webrtc.turn.allocation import Channel, Permission
from tornado_webrtc.turn.settings import TurnSettings


def peer(number: int, port: int = 5000) -> TransportAddress:
    """Make one of many public peers."""
    return TransportAddress(f"20.1.{number >> 8}.{number & 255}", port)


# --- CreatePermission -------------------------------------------------------------


def test_permission_lasts_five_minutes_for_every_port() -> None:
    world = World()
    alice = world.client()
    allocation = alice.allocated()
    actions = alice.send(alice.message(Method.CREATE_PERMISSION, *peers(PEER)))
    (response,) = alice.take()
    assert actions == [
        Ask(4, MayRelayTo(allocation, PEER)),
        Permit(allocation, PEER.host, 1300, hairpin=False),
        PermissionCreated(allocation, PEER.host),
        Respond(alice.five_tuple, response),
    ]
    assert allocation.permissions == {PEER.host: Permission(1300, hairpin=False)}
    assert alice.indicate(PEER._replace(port=1), b"x")
    assert alice.indicate(OTHER_PEER, b"x") == []
    world.wait(300)
    assert allocation.permission(PEER.host, world.now) is None
    assert world.server.next_deadline() == world.now
    assert world.expire() == [Unpermit(allocation, PEER.host)]
    assert allocation.permissions == {}


def test_permission_is_refreshed_by_the_same_request() -> None:
    world = World()
    alice = world.client()
    allocation = alice.allocated()
    alice.permit(PEER)
    world.wait(299)
    assert code(alice.permit(PEER)) == 0
    world.wait(1)
    assert world.expire() == []
    assert allocation.permissions[PEER.host].expires_at == 1599


def test_several_peers_in_the_order_in_which_they_came() -> None:
    world = World()
    alice = world.client()
    allocation = alice.allocated()
    addresses = [peer(number) for number in (9, 3, 7, 1, 8)]
    repeated = [*addresses, addresses[0]._replace(port=1)]
    actions = alice.send(alice.message(Method.CREATE_PERMISSION, *peers(*repeated)))
    permitted = [action.ip for action in actions if isinstance(action, Permit)]
    assert permitted == list(allocation.permissions) == [each.host for each in addresses]


def test_every_address_is_asked_about_once() -> None:
    world = World()
    alice = world.client()
    alice.allocated()
    world.asked.clear()
    alice.permit(PEER, PEER, PEER._replace(port=1), OTHER_PEER)
    asked = [question for question in world.asked if isinstance(question, MayRelayTo)]
    assert [question.peer for question in asked] == [PEER, OTHER_PEER]


def test_without_peers_400() -> None:
    alice = World().client()
    alice.allocated()
    assert code(alice.permit()) == 400


def test_without_allocation_437() -> None:
    world = World()
    alice = world.client()
    assert code(alice.permit(PEER)) == 437
    assert code(alice.bind(0x4000, PEER)) == 437
    assert not any(isinstance(question, MayRelayTo) for question in world.asked)


@pytest.mark.parametrize("bad", [PRIVATE_PEER, PEER_IPV6, TransportAddress("20.9.9.9", 1)])
@pytest.mark.parametrize("place", [0, 1, 2])
def test_all_of_them_or_none(bad: TransportAddress, place: int) -> None:
    world = World()
    world.may_relay_to = lambda peer: peer.host != "20.9.9.9"
    alice = world.client()
    allocation = alice.allocated()
    addresses = [PEER, OTHER_PEER]
    addresses.insert(place, bad)
    response = alice.permit(*addresses)
    assert code(response) == (443 if bad is PEER_IPV6 else 403)
    assert response.has(MESSAGE_INTEGRITY)
    assert allocation.permissions == {}


def test_nobody_is_asked_when_the_policy_refuses_one() -> None:
    world = World()
    alice = world.client()
    alice.allocated()
    alice.permit(PEER, PRIVATE_PEER)
    assert not any(isinstance(question, MayRelayTo) for question in world.asked)


def test_malformed_peer_among_others_is_400() -> None:
    alice = World().client()
    allocation = alice.allocated()
    request = alice.malformed(
        Method.CREATE_PERMISSION, XOR_PEER_ADDRESS.code, b"\0\x01", *peers(PEER)
    )
    assert code(alice.ask(request)) == 400
    assert allocation.permissions == {}


def test_family_is_that_of_the_allocation() -> None:
    world = World(TurnSettings(realm=REALM_NAME, families=(IPV4, IPV6)))
    alice = world.client()
    alice.allocated((REQUESTED_ADDRESS_FAMILY, IPV6))
    assert code(alice.permit(PEER_IPV6)) == 0
    assert code(alice.permit(PEER)) == 443
    mapped = TransportAddress("::ffff:c0a8:101", 1)
    assert code(alice.permit(mapped)) == 403, "an IPv4 address in another coat"


@pytest.mark.parametrize("asks", [Client.permit, lambda alice, each: alice.bind(0x4000, each)])
@pytest.mark.parametrize(
    ("ip", "reason"),
    [
        ("10.1.2.3", "built_in"),
        ("20.0.0.2", "deny_peers"),
        ("20.9.9.9", "plugin"),
        ("20.0.0.3", ""),
    ],
)
def test_refused_peers_are_counted_by_what_decided(
    asks: Callable[[Client, TransportAddress], Message], ip: str, reason: str
) -> None:
    world = World(deny=["20.0.0.2/32"])
    world.may_relay_to = lambda peer: peer.host != "20.9.9.9"
    alice = world.client()
    alice.allocated()
    assert code(asks(alice, TransportAddress(ip, 9))) == (403 if reason else 0)
    counted = {name: n for name, n in world.server.counters.items() if "refused-peer" in name}
    assert counted == ({f"refused-peer-{reason}": 1} if reason else {})


def test_operator_decides_about_networks() -> None:
    world = World(allow=["192.168.0.0/16"], deny=["20.0.0.2/32"])
    alice = world.client()
    alice.allocated()
    assert code(alice.permit(PRIVATE_PEER)) == 0
    assert code(alice.permit(OTHER_PEER)) == 403


# --- room -------------------------------------------------------------------------


def test_256_permissions_and_no_more() -> None:
    world = World()
    alice = world.client()
    allocation = alice.allocated()
    first = [peer(number) for number in range(255)]
    assert code(alice.permit(*first)) == 0
    assert code(alice.permit(peer(255), peer(256))) == 508
    assert len(allocation.permissions) == 255
    assert code(alice.permit(peer(255), peer(255, 1))) == 0
    assert code(alice.permit(peer(256))) == 508
    assert code(alice.bind(0x4000, peer(256))) == 508
    assert allocation.channels == {}
    assert code(alice.permit(*first)) == 0, "refreshing needs no room"
    assert code(alice.bind(0x4000, peer(1))) == 0
    world.wait(300)
    assert code(alice.permit(*[peer(number) for number in range(256, 512)])) == 0


def test_more_than_there_is_room_for_is_neither_judged_nor_asked_about() -> None:
    world = World()
    alice = world.client(transport="tcp")
    alice.allocated()
    assert code(alice.permit(PRIVATE_PEER, *[peer(number) for number in range(5000)])) == 508
    assert not any(isinstance(question, MayRelayTo) for question in world.asked)


def test_limit_can_be_lifted() -> None:
    world = World(TurnSettings(realm=REALM_NAME, max_permissions=0))
    alice = world.client()
    alice.allocated()
    assert code(alice.permit(*[peer(number) for number in range(300)])) == 0


# --- ChannelBind ------------------------------------------------------------------


def test_channel_lasts_ten_minutes_its_permission_five() -> None:
    world = World()
    alice = world.client(transport="tcp")
    allocation = alice.allocated((REQUESTED_ADDRESS_FAMILY, IPV4))
    actions = alice.send(alice.message(Method.CHANNEL_BIND, (CHANNEL_NUMBER, 0x4001), *peers(PEER)))
    (response,) = alice.take()
    assert actions[1:] == [
        Permit(allocation, PEER.host, 1300, hairpin=False),
        PermissionCreated(allocation, PEER.host),
        BindChannel(allocation, 0x4001, PEER, 1600),
        Respond(alice.five_tuple, response),
        ChannelBound(allocation, 0x4001, PEER),
    ]
    assert allocation.channels == {0x4001: Channel(0x4001, PEER, 1600)}
    world.wait(300)
    alice.refresh()
    assert allocation.permission(PEER.host, world.now) is None
    assert code(alice.permit(PEER)) == 0
    assert allocation.channel(0x4001, world.now) == Channel(0x4001, PEER, 1600)
    world.wait(300)
    assert world.expire() == [Unpermit(allocation, PEER.host)]
    assert allocation.channels == {}


def test_binding_again_refreshes_channel_and_permission() -> None:
    world = World()
    alice = world.client()
    allocation = alice.allocated((REQUESTED_ADDRESS_FAMILY, IPV4))
    alice.bind(0x4000, PEER)
    world.wait(299)
    assert code(alice.bind(0x4000, PEER)) == 0
    assert allocation.channels[0x4000].expires_at == 1899
    assert allocation.permissions[PEER.host].expires_at == 1599
    alice.refresh(3600)
    world.wait(599)
    world.expire()
    assert allocation.channel(0x4000, world.now) is not None


@pytest.mark.parametrize("number", [0, 0x3FFF, 0x7FFF, 0xFFFF])
def test_number_out_of_range_is_400(number: int) -> None:
    alice = World().client()
    allocation = alice.allocated()
    assert code(alice.bind(number, PEER)) == 400
    assert (allocation.channels, allocation.permissions) == ({}, {})


@pytest.mark.parametrize("number", [0x4000, 0x4FFF, 0x5000, 0x7FFE])
def test_number_in_range(number: int) -> None:
    alice = World().client()
    alice.allocated()
    assert code(alice.bind(number, PEER)) == 0


@pytest.mark.parametrize(("limit", "expected"), [(2, 508), (0, 0)])
def test_no_more_channels_than_permissions(limit: int, expected: int) -> None:
    world = World(TurnSettings(realm=REALM_NAME, max_permissions=limit))
    alice = world.client()
    allocation = alice.allocated((LIFETIME, 3600))
    for port in (1, 2):
        assert code(alice.bind(0x4000 + port, PEER._replace(port=port))) == 0
    assert code(alice.bind(0x4003, PEER._replace(port=3))) == expected
    assert code(alice.bind(0x4001, PEER._replace(port=1))) == 0, "refreshing takes no room"
    world.wait(600)
    assert code(alice.bind(0x4004, PEER._replace(port=4))) == 0, "expired ones take none"
    assert list(allocation.channels) == [0x4004]


def test_range_can_be_that_of_rfc_8656() -> None:
    alice = World(TurnSettings(realm=REALM_NAME, channel_numbers=range(0x4000, 0x5000))).client()
    alice.allocated()
    assert code(alice.bind(0x4FFF, PEER)) == 0
    assert code(alice.bind(0x5000, OTHER_PEER)) == 400


def test_number_and_peer_are_both_required() -> None:
    alice = World().client()
    alice.allocated()
    assert code(alice.request(Method.CHANNEL_BIND, (CHANNEL_NUMBER, 0x4000))) == 400
    assert code(alice.request(Method.CHANNEL_BIND, *peers(PEER))) == 400


@pytest.mark.parametrize(
    ("attribute", "value"), [(CHANNEL_NUMBER, b"\x40\0"), (XOR_PEER_ADDRESS, b"\0\x03" + bytes(6))]
)
def test_malformed_number_or_peer_is_400(attribute: Attribute[Any], value: bytes) -> None:
    alice = World().client()
    allocation = alice.allocated()
    rest = peers(PEER) if attribute is CHANNEL_NUMBER else [(CHANNEL_NUMBER, 0x4000)]
    request = alice.malformed(Method.CHANNEL_BIND, attribute.code, value, *rest)
    assert code(alice.ask(request)) == 400
    assert allocation.channels == {}


def test_number_has_one_peer_and_peer_one_number() -> None:
    world = World()
    alice, bob = world.client(), world.client("bob", port=40001)
    allocation = alice.allocated()
    bob.allocated()
    assert code(alice.bind(0x4000, PEER)) == 0
    assert code(alice.bind(0x4000, OTHER_PEER)) == 400
    assert code(alice.bind(0x4000, PEER._replace(port=1))) == 400
    assert code(alice.bind(0x4001, PEER)) == 400
    assert code(alice.bind(0x4001, PEER._replace(port=1))) == 0, "another port is another peer"
    assert code(bob.bind(0x4000, OTHER_PEER)) == 0, "another allocation has its own numbers"
    assert OTHER_PEER.host not in allocation.permissions
    alice.refresh(3600)
    world.wait(600)
    assert code(alice.bind(0x4000, OTHER_PEER)) == 0, "free again"
    assert code(alice.bind(0x4001, PEER)) == 0


@pytest.mark.parametrize(("bad", "expected"), [(PRIVATE_PEER, 403), (PEER_IPV6, 443)])
def test_peer_of_a_channel_is_judged(bad: TransportAddress, expected: int) -> None:
    alice = World().client()
    allocation = alice.allocated()
    assert code(alice.bind(0x4000, bad)) == expected
    assert allocation.channels == {}


def test_caller_may_forbid_a_channel() -> None:
    world = World()
    world.may_relay_to = lambda _: False
    alice = world.client()
    allocation = alice.allocated()
    assert code(alice.bind(0x4000, PEER)) == 403
    assert world.asked[-1] == MayRelayTo(allocation, PEER)


# --- hairpin ----------------------------------------------------------------------


@pytest.mark.parametrize("ip", [RELAY_IP, LOCAL_IP])
def test_permission_for_our_own_address_is_marked(ip: str) -> None:
    world = World()
    alice = world.client()
    allocation = alice.allocated()
    assert code(alice.permit(TransportAddress(ip, 9))) == 0
    assert allocation.permissions == {ip: Permission(1300, hairpin=True)}
    assert alice.indicate(TransportAddress(ip, 9), b"to a service on this machine") == []
    assert world.server.counters["dropped-no-permission"] == 1


def test_two_clients_of_this_server_reach_each_other() -> None:
    world = World()
    alice, bob = world.client(), world.client("bob", port=40001, transport="tcp")
    allocation, other = alice.allocated(), bob.allocated()
    for address in (other.relay.advertised, other.relay.local):
        assert code(alice.permit(address)) == 0
        assert alice.indicate(address, b"hello") == [RelayData(allocation, address, b"hello")]
    assert code(bob.permit(allocation.relay.advertised)) == 0
    alice.refresh(0)
    assert bob.indicate(allocation.relay.advertised, b"gone") == []
    assert allocation not in world.server.allocations


@pytest.mark.parametrize("ip", [RELAY_IP, LOCAL_IP])
def test_channel_to_a_port_of_ours_that_is_no_live_relay_is_403(ip: str) -> None:
    world = World()
    alice, bob = world.client(), world.client("bob", port=40001)
    allocation = alice.allocated()
    other = TransportAddress(ip, bob.allocated().relay.local.port)
    assert code(alice.bind(0x4000, TransportAddress(ip, 9))) == 403
    assert world.server.counters["refused-peer-no-relay"] == 1
    assert (allocation.channels, allocation.permissions) == ({}, {})
    assert code(alice.bind(0x4000, other)) == 0
    world.wait(300)
    alice.refresh(3600)
    world.wait(300)
    assert code(alice.bind(0x4001, other)) == 403, "not live any more"


def test_operator_who_opens_our_own_address_opens_all_of_its_ports() -> None:
    world = World(allow=[f"{RELAY_IP}/32"])
    alice = world.client()
    allocation = alice.allocated()
    service = TransportAddress(RELAY_IP, 9)
    assert code(alice.bind(0x4000, service)) == 0
    assert allocation.permissions == {RELAY_IP: Permission(1300, hairpin=False)}
    assert alice.indicate(service, b"x") == [RelayData(allocation, service, b"x")]


def test_operator_who_denies_our_own_address_denies_hairpin() -> None:
    world = World(deny=[f"{RELAY_IP}/32"])
    alice = world.client()
    own = alice.allocated().relay.advertised
    assert code(alice.permit(own)) == 403
    assert code(alice.bind(0x4000, own)) == 403


# --- while a question is open -----------------------------------------------------


@pytest.mark.parametrize("method", [Method.CREATE_PERMISSION, Method.CHANNEL_BIND])
def test_allocation_that_ended_while_a_question_was_open_is_437(method: Method) -> None:
    world = World()
    alice = world.client()
    allocation = alice.allocated()
    world.wait(595)
    world.held = {MayRelayTo}
    alice.send(alice.message(method, (CHANNEL_NUMBER, 0x4000), *peers(PEER, OTHER_PEER)))
    world.wait(5)
    world.expire()
    world.answer_all()
    assert [code(response) for response in alice.responses()] == [437]
    assert (allocation.permissions, allocation.channels) == ({}, {})
    assert world.leftovers() == {}


def test_times_count_from_the_answer() -> None:
    world = World()
    alice = world.client()
    allocation = alice.allocated()
    world.held = {MayRelayTo}
    alice.send(alice.message(Method.CREATE_PERMISSION, *peers(PEER)))
    assert allocation.permissions == {}
    world.wait(9)
    actions = world.answer_open()
    assert Permit(allocation, PEER.host, 1309, hairpin=False) in actions


def test_hairpin_is_judged_when_the_answer_is_there() -> None:
    world = World()
    alice, bob = world.client(), world.client("bob", port=40001)
    alice.allocated()
    other = bob.allocated().relay.advertised
    world.held = {MayRelayTo}
    alice.send(alice.message(Method.CHANNEL_BIND, (CHANNEL_NUMBER, 0x4000), *peers(other)))
    bob.refresh(0)
    world.answer_all()
    assert [code(response) for response in alice.responses()] == [403]


def test_nothing_is_left_of_them_when_the_allocation_ends() -> None:
    world = World()
    alice = world.client()
    alice.allocated()
    alice.permit(PEER, OTHER_PEER)
    alice.bind(0x4000, PEER)
    alice.refresh(0)
    assert world.leftovers() == {}
