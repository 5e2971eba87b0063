"""Peer policy: no form of a denied address gets through, and the operator has the last word."""

from collections.abc import Callable
from ipaddress import IPv4Address, IPv4Network, IPv6Address, ip_address, ip_network

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from tornado_webrtc.turn.policy import (
    BUILT_IN_DENIALS,
    CACHED_PEERS,
    IPAddress,
    IPNetwork,
    PeerPolicy,
    Reason,
    canonical,
    embedded,
)

DOCUMENTED = """
    0.0.0.0/8, 127.0.0.0/8, 169.254.0.0/16, 10.0.0.0/8, 172.16.0.0/12, 192.168.0.0/16,
    100.64.0.0/10, 192.0.0.0/24, 192.0.2.0/24, 198.51.100.0/24, 203.0.113.0/24, 192.88.99.0/24,
    198.18.0.0/15, 192.31.196.0/24, 192.52.193.0/24, 192.175.48.0/24, 224.0.0.0/4, 240.0.0.0/4,
    168.63.129.16/32, ::/128, ::1/128, ::/96, 64:ff9b::/96, 64:ff9b:1::/48, 100::/64, 2001::/23,
    2001:db8::/32, 2002::/16, 3fff::/20, 5f00::/16, fc00::/7, fe80::/10, fec0::/10, ff00::/8
"""

PUBLIC = [
    "8.8.8.8",
    "1.1.1.1",
    "100.128.0.1",
    "172.32.0.1",
    "2600::1",
    "2a00:1450::5",
    "2001:200::1",
]


def policy(
    deny: str = "", allow: str = "", own: Callable[[], list[str]] | None = None
) -> PeerPolicy:
    def addresses() -> set[IPAddress]:
        return set(map(ip_address, own())) if own else set()

    return PeerPolicy(networks(deny), networks(allow), addresses)


def networks(text: str) -> list[IPNetwork]:
    return [ip_network(each.strip()) for each in text.split(",") if each.strip()]


PLAIN = policy()

# --- forms of an IPv4 address -----------------------------------------------


def v6(value: int) -> IPv6Address:
    return IPv6Address(value)


def prefixed(prefix: str) -> Callable[[IPv4Address], IPv6Address]:
    return lambda ip: v6(int(IPv6Address(prefix)) | int(ip))


def rfc6052(prefix: str, length: int) -> Callable[[IPv4Address], IPv6Address]:
    """Write the address behind a prefix of that length, around bits 64 to 71."""

    def embed(ip: IPv4Address) -> IPv6Address:
        bits = f"{int(IPv6Address(prefix)):0128b}"[:length] + f"{int(ip):032b}"
        if length < 96:
            bits = bits[:64] + "0" * 8 + bits[64:]
        return v6(int(bits.ljust(128, "0"), 2))

    return embed


FORMS: dict[str, Callable[[IPv4Address], IPAddress]] = {
    "plain": lambda ip: ip,
    "IPv4-mapped": prefixed("::ffff:0:0"),
    "IPv4-compatible": prefixed("::"),
    "IPv4-translated": prefixed("::ffff:0:0:0"),
    "NAT64": prefixed("64:ff9b::"),
    "local NAT64 /48": rfc6052("64:ff9b:1::", 48),
    "local NAT64 /56": rfc6052("64:ff9b:1::", 56),
    "local NAT64 /64": rfc6052("64:ff9b:1::", 64),
    "local NAT64 /96": rfc6052("64:ff9b:1::", 96),
    "6to4": lambda ip: v6(0x2002 << 112 | int(ip) << 80 | 1),
    "Teredo server": lambda ip: v6(0x20010000 << 96 | int(ip) << 64 | 0xF7F7F7F7),
    "Teredo client": lambda ip: v6(0x20010000 << 96 | 0x08080808 << 64 | int(ip) ^ 0xFFFFFFFF),
    "ISATAP": prefixed("2600:1:2:3:0:5efe::"),
    "ISATAP, universal": prefixed("2600:1:2:3:200:5efe::"),
    "ISATAP in 6to4": prefixed("2002:808:808:3:0:5efe::"),
}

# Networks that carry IPv4 addresses: opened, so that only what is in them is judged.
CARRIERS = "::/96, ::ffff:0:0:0/96, 64:ff9b::/96, 64:ff9b:1::/48, 2002::/16, 2001::/32"
OPENED = policy(allow=CARRIERS)

DENIED_V4 = [each for each in BUILT_IN_DENIALS if isinstance(each, IPv4Network)]


def carries_nothing(form: str, ip: IPv4Address) -> bool:
    """`::` and `::1` are no IPv4 addresses; zeros may belong to a prefix of another length."""
    if form.startswith("local"):
        return ip in IPv4Network("0.0.0.0/8")
    return form == "IPv4-compatible" and int(ip) <= 1


def inside(network: IPNetwork) -> st.SearchStrategy[IPAddress]:
    first = int(network.network_address)
    return st.integers(first, first + network.num_addresses - 1).map(type(network.network_address))


denied_v4: st.SearchStrategy[IPv4Address] = st.sampled_from(DENIED_V4).flatmap(
    lambda network: st.integers(int(network.network_address), int(network.broadcast_address)).map(
        IPv4Address
    )
)
forms = st.sampled_from(sorted(FORMS))


def test_embedded_forms_are_those_that_the_standards_draw() -> None:
    """The examples of RFC 6052 section 2.4, of RFC 4380 section 4 and RFC 5214 section 6.1."""
    ip = IPv4Address("192.0.2.33")
    assert rfc6052("2001:db8:122::", 48)(ip) == ip_address("2001:db8:122:c000:2:2100::")
    assert rfc6052("2001:db8:122:300::", 56)(ip) == ip_address("2001:db8:122:3c0:0:221::")
    assert rfc6052("2001:db8:122:344::", 64)(ip) == ip_address("2001:db8:122:344:c0:2:2100::")
    assert rfc6052("2001:db8:122:344::", 96)(ip) == ip_address("2001:db8:122:344::192.0.2.33")
    teredo = ip_address("2001:0:4136:e378:8000:63bf:3fff:fdd2")
    assert list(map(str, embedded(teredo))) == ["65.54.227.120", "192.0.2.45"]
    assert embedded(ip_address("fe80::5efe:192.0.2.33")) == [ip]
    assert embedded(ip_address("2002:c000:221::1")) == [ip]
    assert embedded(ip) == []


@pytest.mark.parametrize("form", FORMS)
@given(ip=denied_v4)
def test_every_form_of_a_denied_address_is_denied(form: str, ip: IPv4Address) -> None:
    assert not PLAIN.verdict(FORMS[form](ip)).allowed


@pytest.mark.parametrize("form", FORMS)
@given(ip=denied_v4)
def test_also_where_the_network_around_it_is_opened(form: str, ip: IPv4Address) -> None:
    assume(not carries_nothing(form, ip))
    assert not OPENED.verdict(FORMS[form](ip)).allowed


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("ip", ["8.8.8.8", "1.2.3.4"])
def test_public_address_passes_in_every_form_that_is_opened(form: str, ip: str) -> None:
    assert OPENED.verdict(FORMS[form](IPv4Address(ip))).allowed


@given(forms, st.ip_addresses(v=4), st.integers(0, 32))
def test_operators_denial_holds_for_every_form(form: str, ip: IPv4Address, length: int) -> None:
    assume(not carries_nothing(form, ip))
    denied = IPv4Network((ip, length), strict=False)
    verdict = PeerPolicy([denied], networks("0.0.0.0/0, ::/0"), set).verdict(FORMS[form](ip))
    assert verdict == (False, Reason.DENIED_BY_OPERATOR, denied)


@given(forms, st.ip_addresses(v=4))
def test_own_addresses_are_denied_in_every_form(form: str, ip: IPv4Address) -> None:
    assert not PeerPolicy([], [], lambda: {ip}).verdict(FORMS[form](ip)).allowed


def test_hidden_bits_do_not_hide_an_address() -> None:
    """Whoever translates 64:ff9b:1::/48 by 48 bits does not look at those behind the address."""
    assert OPENED.verdict("64:ff9b:1:0808:8:0800::").allowed
    assert not OPENED.verdict("64:ff9b:1:0a00:0:0100::").allowed
    assert not OPENED.verdict("64:ff9b:1:0a00:0:01ff:ffff:ffff").allowed
    assert not OPENED.verdict("64:ff9b:1:0a00:ff00:0100::").allowed
    assert not OPENED.verdict("64:ff9b:1::").allowed


# --- built-in list ----------------------------------------------------------


def test_list_is_complete() -> None:
    assert sorted(map(str, BUILT_IN_DENIALS)) == sorted(map(str, networks(DOCUMENTED)))


@pytest.mark.parametrize("network", BUILT_IN_DENIALS, ids=str)
@given(data=st.data())
def test_every_address_in_it_is_denied(network: IPNetwork, data: st.DataObject) -> None:
    address = data.draw(inside(network))
    for peer in (address, str(address), network[0], network[-1]):
        assert PLAIN.verdict(peer)[:2] == (False, Reason.BUILT_IN)


@pytest.mark.parametrize("network", BUILT_IN_DENIALS, ids=str)
def test_it_ends_where_it_should(network: IPNetwork) -> None:
    kind = type(network.network_address)
    for value in (int(network[0]) - 1, int(network[-1]) + 1):
        if 0 <= value < 1 << network.max_prefixlen:
            neighbour = kind(value)
            expected = any(
                neighbour in each for each in BUILT_IN_DENIALS if each.version == kind(0).version
            )
            if canonical(neighbour) == neighbour:
                assert PLAIN.verdict(neighbour).allowed is not expected


@given(st.ip_addresses())
def test_agrees_with_a_walk_through_the_list(address: IPAddress) -> None:
    addresses = [canonical(address), *embedded(canonical(address))]
    denied = any(
        each in network
        for each in addresses
        for network in BUILT_IN_DENIALS
        if network.version == each.version
    )
    assert PLAIN.verdict(address).allowed is not denied


@pytest.mark.parametrize("ip", PUBLIC)
def test_public_address_is_allowed(ip: str) -> None:
    assert PLAIN.verdict(ip) == (True, Reason.PUBLIC, None)
    assert PLAIN.verdict(ip_address(ip)) == (True, Reason.PUBLIC, None)


def test_verdict_names_the_network() -> None:
    assert PLAIN.verdict("10.1.2.3") == (False, Reason.BUILT_IN, ip_network("10.0.0.0/8"))
    assert PLAIN.verdict("::ffff:10.1.2.3").network == ip_network("10.0.0.0/8")
    assert PLAIN.verdict("fe80::1%eth0").network == ip_network("fe80::/10")


@pytest.mark.parametrize("text", ["", "localhost", "10.0.0", "1.2.3.4/32", "0x7f000001", "::g"])
def test_what_is_no_address_is_no_peer(text: str) -> None:
    with pytest.raises(ValueError, match="does not appear to be an IPv4 or IPv6 address"):
        PLAIN.verdict(text)


# --- the operator -----------------------------------------------------------


@pytest.mark.parametrize(
    ("allow", "ip"),
    [
        ("10.0.0.0/8", "10.1.2.3"),
        ("10.0.0.0/8", "::ffff:10.1.2.3"),
        ("127.0.0.1/32", "127.0.0.1"),
        ("::1/128", "::1"),
        ("::/128", "::"),
        ("fd00::/8", "fd00::1"),
        ("::ffff:10.0.0.0/104", "10.1.2.3"),
        ("0.0.0.0/0, ::/0", "2002:0a00:1::1"),
        ("64:ff9b::/96, 10.0.0.0/8", "64:ff9b::10.0.0.1"),
    ],
)
def test_operator_opens_what_is_denied_otherwise(allow: str, ip: str) -> None:
    opened = policy(allow=allow, own=lambda: [ip])
    assert opened.verdict(ip)[:2] == (True, Reason.ALLOWED_BY_OPERATOR)


@pytest.mark.parametrize(
    ("allow", "ip"),
    [
        ("10.0.0.0/8", "192.168.0.1"),
        ("10.0.0.0/8", "64:ff9b::10.0.0.1"),
        ("2600::/16", "2600::5efe:10.0.0.1"),
        ("64:ff9b::/96", "64:ff9b::169.254.169.254"),
    ],
)
def test_operator_opens_no_more_than_was_said(allow: str, ip: str) -> None:
    assert not policy(allow=allow).verdict(ip).allowed


def test_opened_network_does_not_open_own_addresses_in_it() -> None:
    opened = policy(allow="64:ff9b::/96", own=lambda: ["8.8.8.8"])
    assert opened.verdict("64:ff9b::8.8.8.8") == (False, Reason.OWN_ADDRESS, None)
    assert opened.verdict("64:ff9b::8.8.4.4") == (True, Reason.PUBLIC, None)


@pytest.mark.parametrize(
    ("deny", "ip"),
    [
        ("8.8.8.0/24", "8.8.8.8"),
        ("8.8.8.0/24", "::ffff:8.8.8.8"),
        ("8.8.8.0/24", "64:ff9b::8.8.8.8"),
        ("::ffff:8.8.8.0/120", "8.8.8.8"),
        ("2600::/16", "2600::1"),
        ("0.0.0.0/0", "8.8.8.8"),
    ],
)
@pytest.mark.parametrize("hairpin", [False, True])
def test_operators_denial_wins(deny: str, ip: str, hairpin: bool) -> None:
    denying = policy(deny=deny, allow="0.0.0.0/0, ::/0")
    assert denying.verdict(ip, hairpin=hairpin)[:2] == (False, Reason.DENIED_BY_OPERATOR)


def test_denial_of_ipv6_is_none_of_ipv4() -> None:
    assert policy(deny="::/0").verdict("::ffff:8.8.8.8").allowed
    assert not policy(deny="::/0").verdict("2600::1").allowed


def test_shorter_networks_than_the_mapped_one_are_plain_ipv6() -> None:
    assert policy(deny="::/80").verdict("::ffff:8.8.8.8").allowed


# --- this machine -----------------------------------------------------------


def test_own_addresses_are_asked_for_every_time() -> None:
    own = ["8.8.8.8"]
    mine = policy(own=lambda: own)
    assert mine.verdict("8.8.8.8") == (False, Reason.OWN_ADDRESS, None)
    own[:] = ["2600::1"]
    assert mine.verdict("8.8.8.8").allowed
    assert not mine.verdict("2600::1").allowed


def test_hairpin_comes_before_what_is_built_in() -> None:
    mine = policy(own=lambda: ["8.8.8.8"])
    for ip in ("8.8.8.8", "10.0.0.1", "1.2.3.4"):
        assert mine.verdict(ip, hairpin=True) == (True, Reason.HAIRPIN, None)


def test_hairpin_comes_after_the_operator() -> None:
    assert policy(allow="10.0.0.0/8").verdict("10.0.0.1", hairpin=True).reason == "allow_peers"
    assert not policy(deny="10.0.0.0/8").verdict("10.0.0.1", hairpin=True).allowed


def test_verdicts_are_kept_within_bounds() -> None:
    kept = policy()
    for number in range(2 * CACHED_PEERS):
        kept.verdict(str(IPv4Address(0x08000000 + number)))
    assert kept._judge.cache_info().currsize == CACHED_PEERS
