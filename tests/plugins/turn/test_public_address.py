"""The addresses of relays: as configured, or the best that the machine has, said in words."""

from collections.abc import Sequence
from ipaddress import ip_address

import pytest

from tornado_webrtc.config import IPAddress, PublicAddress
from tornado_webrtc.config.address import parse_public_address
from tornado_webrtc.errors import PluginError
from tornado_webrtc.plugins.turn.machine import Machine, read_machine
from tornado_webrtc.plugins.turn.public_address import Choice, choose, find, told

LOOPBACK = "127.0.0.1 ::1"


def ips(text: str) -> list[IPAddress]:
    return [ip_address(each) for each in text.split()]


def machine(addresses: str, sources: str = "") -> Machine:
    return Machine(ips(addresses), ips(sources))


def configured(text: str) -> tuple[PublicAddress, ...]:
    return tuple(map(parse_public_address, text.split()))


def chosen(text: str, where: Machine, **names: str) -> Choice:
    resolved = {name.replace("_", "."): ips(found) for name, found in names.items()}
    return choose(configured(text), where, resolved)


def warnings(text: str, where: Machine, **names: str) -> tuple[str, ...]:
    """What is said if the server listens everywhere."""
    listening = [str(each) for each in where.addresses]
    return told(chosen(text, where, **names), where, ["0.0.0.0", "::"], listening).warnings


def pairs(choice: Choice) -> list[str]:
    return [f"{each.advertised}/{each.local}" for each in choice.addresses]


# --- found on the machine ---------------------------------------------------


@pytest.mark.parametrize(
    ("addresses", "sources", "expected"),
    [
        ("127.0.0.1 10.0.0.5 8.8.8.8 9.9.9.9", "", ["8.8.8.8"]),
        ("127.0.0.1 10.0.0.5 8.8.8.8 9.9.9.9", "9.9.9.9", ["9.9.9.9"]),
        ("127.0.0.1 10.0.0.5 8.8.8.8", "10.0.0.5", ["8.8.8.8"]),
        ("127.0.0.1 172.17.0.1 10.0.0.5", "10.0.0.5", ["10.0.0.5"]),
        ("127.0.0.1 172.17.0.1 10.0.0.5", "", ["172.17.0.1"]),
        ("127.0.0.1 100.64.0.7", "", ["100.64.0.7"]),
        ("::1 fe80::1 fd00::5 2600::5 8.8.8.8", "", ["8.8.8.8", "2600::5"]),
        ("::1 fe80::1 fd00::5", "", ["fd00::5"]),
        ("127.0.0.1 ::1 2600::5", "", ["2600::5"]),
        ("127.0.0.1 ::1 169.254.1.1 10.0.0.5 fe80::1", "", ["10.0.0.5"]),
        ("127.0.0.1 127.0.0.2 ::1 fe80::1 169.254.1.1", "", ["127.0.0.1", "::1"]),
        ("::1", "", ["::1"]),
    ],
)
def test_best_address_of_each_family(addresses: str, sources: str, expected: list[str]) -> None:
    choice = chosen("", machine(addresses, sources))
    assert pairs(choice) == [f"{each}/{each}" for each in expected]


def test_public_addresses_need_no_warning() -> None:
    where = machine(f"{LOOPBACK} 8.8.8.8 2600::5")
    choice = chosen("", where)
    assert warnings("", where) == ()
    assert choice.description == (
        "IPv4: clients are told 8.8.8.8, found on this machine",
        "IPv6: clients are told 2600::5, found on this machine",
    )


def test_private_address_is_warned_of() -> None:
    choice = chosen("", machine(f"{LOOPBACK} 10.0.0.5"))
    assert choice.description[1] == "IPv6: nothing is relayed: this machine has no such address"
    (warning,) = warnings("", machine(f"{LOOPBACK} 10.0.0.5"))
    assert warning == (
        "turn.public_ip: clients are told to connect to 10.0.0.5, a private address: nobody"
        " outside its network can reach it; behind a NAT write PUBLIC/10.0.0.5"
    )


def test_private_ipv6_address_needs_no_nat() -> None:
    (warning,) = warnings("", machine(f"{LOOPBACK} 8.8.8.8 fd00::5"))
    assert "connect to fd00::5, a private address" in warning
    assert "PUBLIC/" not in warning
    assert warning.endswith("a public IPv6 address, or write only an IPv4 one")


def test_loopback_is_warned_of() -> None:
    (warning,) = warnings("", machine("127.0.0.1"))
    assert warning == (
        "turn.public_ip: clients are told to connect to 127.0.0.1, which leads each client to"
        " itself; write an address that clients can reach"
    )


def test_machine_without_addresses() -> None:
    with pytest.raises(PluginError, match=r"no address that could be found; write one"):
        chosen("", machine("fe80::1"))


# --- configured -------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("8.8.8.8", ["8.8.8.8/8.8.8.8"]),
        ("9.9.9.9", ["9.9.9.9/10.0.0.5"]),
        ("9.9.9.9/172.17.0.1", ["9.9.9.9/172.17.0.1"]),
        ("127.0.0.1", ["127.0.0.1/127.0.0.1"]),
        ("127.0.1.1", ["127.0.1.1/127.0.1.1"]),
        ("::1", ["::1/::1"]),
        ("2600::9 9.9.9.9", ["9.9.9.9/10.0.0.5", "2600::9/2600::5"]),
        ("192.0.2.77/127.0.0.1", ["192.0.2.77/127.0.0.1"]),
    ],
)
def test_what_is_written_is_taken(text: str, expected: list[str]) -> None:
    where = machine(f"{LOOPBACK} 172.17.0.1 8.8.8.8 10.0.0.5 fe80::1 2600::5", "10.0.0.5 2600::5")
    choice = chosen(text, where)
    assert pairs(choice) == expected
    assert choice.warnings == ()


def test_family_that_is_not_written_is_not_relayed() -> None:
    choice = chosen("9.9.9.9/10.0.0.5", machine(f"{LOOPBACK} 10.0.0.5 2600::5"))
    assert choice.description == (
        "IPv4: clients are told 9.9.9.9; relays are bound to 10.0.0.5",
        "IPv6: nothing is relayed: turn.public_ip has no such address",
    )
    assert choice.of_version(6) is None
    (address,) = choice.addresses
    assert choice.of_version(4) is address
    assert address.version == 4


def test_guess_among_several_addresses_is_warned_of() -> None:
    choice = chosen("9.9.9.9", machine(f"{LOOPBACK} 172.17.0.1 10.0.0.5"))
    assert pairs(choice) == ["9.9.9.9/172.17.0.1"]
    (warning,) = choice.warnings
    assert "172.17.0.1 is taken as the one behind it" in warning
    assert "write 9.9.9.9/PRIVATE" in warning
    assert chosen("9.9.9.9", machine(f"{LOOPBACK} 172.17.0.1")).warnings == ()


def test_private_address_of_another_machine_is_warned_of() -> None:
    choice = chosen("9.9.9.9/10.0.0.9", machine(f"{LOOPBACK} 10.0.0.5"))
    assert pairs(choice) == ["9.9.9.9/10.0.0.9"]
    (warning,) = choice.warnings
    assert warning == (
        "turn.public_ip: 10.0.0.9 is no address of this machine;"
        " relays can be opened only once it is"
    )


def test_public_address_without_one_to_relay_from() -> None:
    with pytest.raises(PluginError, match=r"2600::9 is no address .* has no IPv6 address to relay"):
        chosen("2600::9", machine(f"{LOOPBACK} 10.0.0.5 fe80::1"))


# --- names ------------------------------------------------------------------


def test_name_stands_for_an_address_of_each_family() -> None:
    where = machine(f"{LOOPBACK} 10.0.0.5 2600::5")
    choice = chosen("turn.example", where, turn_example="9.9.9.9 2600::5")
    assert pairs(choice) == ["9.9.9.9/10.0.0.5", "2600::5/2600::5"]
    assert choice.warnings == ()
    assert choice.description == (
        "IPv4: clients are told 9.9.9.9, the address of turn.example; relays are bound to 10.0.0.5",
        "IPv6: clients are told 2600::5, the address of turn.example",
    )


def test_of_several_addresses_that_of_this_machine_is_meant() -> None:
    where = machine(f"{LOOPBACK} 8.8.8.8")
    assert pairs(chosen("a.b", where, a_b="9.9.9.9 8.8.8.8")) == ["8.8.8.8/8.8.8.8"]
    assert pairs(chosen("a.b", where, a_b="9.9.9.9 7.7.7.7")) == ["9.9.9.9/8.8.8.8"]


def test_family_that_the_machine_has_not_is_left_out() -> None:
    choice = chosen("a.b", machine(f"{LOOPBACK} 8.8.8.8"), a_b="8.8.8.8 2600::9")
    assert pairs(choice) == ["8.8.8.8/8.8.8.8"]
    assert choice.description[1] == (
        "IPv6: nothing is relayed: a.b is 2600::9, this machine has none"
    )


def test_name_with_a_private_address_is_of_its_family_only() -> None:
    where = machine(f"{LOOPBACK} 10.0.0.5 2600::5")
    choice = chosen("a.b/10.0.0.5", where, a_b="9.9.9.9 2600::5")
    assert pairs(choice) == ["9.9.9.9/10.0.0.5"]


@pytest.mark.parametrize("text", ["a.b 8.8.8.8", "8.8.8.8 a.b"])
def test_written_address_comes_before_that_of_a_name(text: str) -> None:
    where = machine(f"{LOOPBACK} 8.8.8.8 7.7.7.7 2600::5")
    choice = chosen(text, where, a_b="7.7.7.7 2600::5")
    assert pairs(choice) == ["8.8.8.8/8.8.8.8", "2600::5/2600::5"]


def test_two_names_for_two_families() -> None:
    where = machine(f"{LOOPBACK} 8.8.8.8 2600::5")
    choice = chosen("v6.b v4.b", where, v6_b="2600::5", v4_b="8.8.8.8")
    assert pairs(choice) == ["8.8.8.8/8.8.8.8", "2600::5/2600::5"]


def test_name_that_adds_nothing_is_warned_of() -> None:
    choice = chosen("a.b c.d", machine("8.8.8.8"), a_b="8.8.8.8", c_d="9.9.9.9")
    assert pairs(choice) == ["8.8.8.8/8.8.8.8"]
    assert choice.warnings == ("turn.public_ip: c.d adds no address to the others",)


@pytest.mark.parametrize(
    ("text", "found"), [("a.b", "2600::9"), ("a.b", ""), ("a.b/10.0.0.5", "2600::9")]
)
def test_name_of_no_use(text: str, found: str) -> None:
    with pytest.raises(PluginError, match=r"a\.b stands for no address that this machine could"):
        chosen(text, machine(f"{LOOPBACK} 10.0.0.5"), a_b=found)


@pytest.mark.parametrize(
    ("found", "words"),
    [("127.0.1.1", "leads each client to itself"), ("10.0.0.5", "nobody outside its network")],
)
def test_name_that_few_can_reach_is_warned_of(found: str, words: str) -> None:
    choice = chosen("a.b", machine(f"{LOOPBACK} 10.0.0.5"), a_b=found)
    assert pairs(choice) == [f"{found}/{found}"]
    (warning,) = warnings("a.b", machine(f"{LOOPBACK} 127.0.1.1 10.0.0.5"), a_b=found)
    assert words in warning
    assert warning.endswith("; a.b has to stand for a public one")


# --- what nothing listens on ------------------------------------------------


@pytest.mark.parametrize(
    ("text", "bind", "expected"),
    [
        ("9.9.9.9/10.0.0.5", "10.0.0.5", ""),
        ("9.9.9.9/10.0.0.5", "10.0.0.5 127.0.0.1", ""),
        ("9.9.9.9/10.0.0.5 2600::5", "10.0.0.5", ""),
        ("127.0.1.1", "127.0.1.1", ""),
        ("9.9.9.9/10.0.0.99", "127.0.0.1", ""),
        ("9.9.9.9/10.0.0.5", "127.0.0.1", "told 9.9.9.9, but nothing listens on 10.0.0.5"),
        ("127.0.1.1", "127.0.0.1", "told 127.0.1.1, but nothing listens on 127.0.1.1"),
        ("2600::5", "::1", "told 2600::5, but nothing listens on 2600::5"),
        ("9.9.9.9/10.0.0.5", "::1", "not told 9.9.9.9"),
    ],
)
def test_addresses_told_in_vain(text: str, bind: str, expected: str) -> None:
    where = machine(f"{LOOPBACK} 10.0.0.5 2600::5")
    choice = chosen(text, where)
    warnings = told(choice, where, bind.split(), bind.split()).warnings
    found = warnings[len(choice.warnings) :]
    only = f"the server listens on {', '.join(bind.split())} only"
    assert found == ((f"turn.bind: clients are {expected}: {only}",) if expected else ())


@pytest.mark.parametrize(
    ("bind", "expected"),
    [
        ("10.0.0.5", ["connect to 10.0.0.5, a private address"]),
        ("fd00::5", ["connect to fd00::5, a private address"]),
        ("127.0.0.1", ["told 10.0.0.5, but nothing listens on 10.0.0.5"]),
    ],
)
def test_one_warning_for_each_address_that_clients_are_told(bind: str, expected: list[str]) -> None:
    where = machine(f"{LOOPBACK} 10.0.0.5 fd00::5")
    found = told(chosen("", where), where, [bind], [bind]).warnings
    assert len(found) == len(expected)
    assert all(words in each for words, each in zip(expected, found, strict=True))


# --- with the machine -------------------------------------------------------


async def test_find_looks_up_names_only() -> None:
    asked: list[str] = []

    async def lookup(name: str) -> Sequence[IPAddress]:
        asked.append(name)
        return ips("2600::5")

    where = machine("8.8.8.8 2600::5")
    choice = await find(configured("8.8.8.8 turn.example"), where, lookup)
    assert pairs(choice) == ["8.8.8.8/8.8.8.8", "2600::5/2600::5"]
    assert asked == ["turn.example"]


async def test_find_on_this_machine() -> None:
    where = read_machine()
    assert (await find((), where)).addresses
    choice = await find(configured("localhost"), where)
    assert all(each.advertised.is_loopback for each in choice.addresses)
