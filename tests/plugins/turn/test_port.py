"""Relay ports: not searched for in vain, and no files that others need."""

import errno
import logging
import resource
import socket
from collections.abc import Callable, Iterator
from ipaddress import ip_address

import pytest

from tests.quietport import quiet_port
from tornado_webrtc.config.address import PortRange
from tornado_webrtc.errors import ListenError
from tornado_webrtc.plugins.turn import port
from tornado_webrtc.plugins.turn.port import RETRY_S, RelayPorts
from tornado_webrtc.plugins.turn.public_address import Choice, RelayAddress
from tornado_webrtc.plugins.turn.refusal import RefusalLog
from tornado_webrtc.relay import RelaySocket, open_relay
from tornado_webrtc.stun.address import IPV4, IPV6, FiveTuple, TransportAddress
from tornado_webrtc.turn.action import OpenedRelay, OpenRelay

ExpectLog = Callable[[str], None]

LOCALHOST = ip_address("127.0.0.1")
CLIENT = FiveTuple("udp", TransportAddress("198.51.100.1", 9), TransportAddress("127.0.0.1", 1))
log = logging.getLogger("tornado_webrtc.plugins.turn")


def wanted(family: int = IPV4, *, even: bool = False, reserve_next: bool = False) -> OpenRelay:
    return OpenRelay(family, even, reserve_next, CLIENT)


class Site:
    """Relay ports on 127.0.0.1.

    Attributes:
        now: What its clock says.
        searches: How often ports were looked for.
        fault: Raised by the next search.
        ports: What is tested.
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 100.0
        self.searches = 0
        self.fault: Exception | None = None
        self.opened: list[RelaySocket] = []
        monkeypatch.setattr(port, "open_relay", self._search)
        choice = Choice((RelayAddress(LOCALHOST, LOCALHOST),), (), ())
        refusals = RefusalLog(log, self._clock)
        self.ports = RelayPorts(free_range(), choice, refusals, log, self._clock)

    def _clock(self) -> float:
        return self.now

    def _search(self, *args: object, **kwargs: object) -> object:
        self.searches += 1
        if self.fault is not None:
            raise self.fault
        return open_relay(*args, **kwargs)  # type: ignore[arg-type]

    def open(self, question: OpenRelay) -> OpenedRelay | None:
        opened = self.ports.open(question)
        if opened is not None:
            relays = [relay for relay in (opened.relay, opened.reserved) if relay is not None]
            self.opened += [relay for relay in relays if isinstance(relay, RelaySocket)]
        return opened


def free_range() -> PortRange:
    """One port that is free."""
    number = quiet_port()
    return PortRange(number, number)


@pytest.fixture
def site(monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    made = Site(monkeypatch)
    yield made
    for relay in made.opened:
        relay.close()


def test_range_that_is_used_up_is_not_searched_for_a_moment(site: Site) -> None:
    assert site.open(wanted()) is not None
    assert [site.open(wanted()) for _ in range(5)] == [None] * 5
    assert site.searches == 2
    site.now += RETRY_S
    assert [site.open(wanted()) for _ in range(5)] == [None] * 5
    assert site.searches == 3, "refusing does not put it off"


def test_port_that_was_freed_can_be_had_at_once(site: Site) -> None:
    site.open(wanted())
    assert site.open(wanted()) is None
    site.opened.pop().close()
    site.ports.freed()
    assert site.open(wanted()) is not None


def test_pair_that_cannot_be_had_says_nothing_of_single_ports(site: Site) -> None:
    assert site.open(wanted(even=True, reserve_next=True)) is None
    assert site.open(wanted()) is not None


def test_gauges_are_of_the_families_that_there_are(site: Site) -> None:
    assert site.ports.gauges([]) == {"relay-ports-ipv4": 1, "relay-ports-ipv4-used": 0}
    assert site.ports.gauges([IPV4, IPV4])["relay-ports-ipv4-used"] == 2


def test_gauges_of_both_families(site: Site) -> None:
    both = [RelayAddress(ip_address(each), ip_address(each)) for each in ("127.0.0.1", "::1")]
    refusals = RefusalLog(log, site._clock)
    ports = RelayPorts(PortRange(5, 7), Choice((*both,), (), ()), refusals, log, site._clock)
    assert ports.gauges([IPV6, IPV4, IPV6]) == {
        "relay-ports-ipv4": 3,
        "relay-ports-ipv4-used": 1,
        "relay-ports-ipv6": 3,
        "relay-ports-ipv6-used": 2,
    }


def test_family_without_an_address(site: Site) -> None:
    assert site.open(wanted(IPV6)) is None
    assert site.searches == 0


def test_trouble_with_the_machine_is_logged_once_a_minute(
    site: Site, expect_log: ExpectLog, caplog: pytest.LogCaptureFixture
) -> None:
    expect_log("no relay can be opened: no such address")
    site.fault = ListenError("no such address")
    for _ in range(3):
        assert site.open(wanted()) is None
    assert caplog.text.count("no such address") == 1
    assert site.searches == 3, "it may be over the next time"


def test_trouble_with_another_port_each_time_is_the_same_trouble(
    site: Site, expect_log: ExpectLog, caplog: pytest.LogCaptureFixture
) -> None:
    expect_log("no relay can be opened: cannot use UDP port 1: too many open files")
    for number in range(1, 4):
        site.fault = ListenError(f"cannot use UDP port {number}: too many open files")
        site.fault.__cause__ = OSError(errno.EMFILE, "too many open files")
        assert site.open(wanted()) is None
    assert caplog.text.count("no relay can be opened") == 1


@pytest.mark.parametrize(
    ("limit", "has_room"),
    [(resource.RLIM_INFINITY, True), (1 << 20, True), (4, False)],
)
def test_files_are_left_for_others(
    site: Site,
    expect_log: ExpectLog,
    monkeypatch: pytest.MonkeyPatch,
    limit: int,
    has_room: bool,
) -> None:
    if not has_room:
        expect_log("no relay can be opened: too many open files")
    monkeypatch.setattr(resource, "getrlimit", lambda _: (limit, limit))
    assert (site.open(wanted()) is not None) is has_room
    if not has_room:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.bind(("127.0.0.1", site.ports._ports.first))


@pytest.mark.parametrize(
    ("fault", "limit", "cause"),
    [
        (None, 1 << 20, "no port is free in turn.relay_ports {0}-{0} (508)"),
        (None, 4, "too many open files (508)"),
        (OSError(errno.EMFILE, "of the process"), 1 << 20, "too many open files (508)"),
        (OSError(errno.ENFILE, "of the machine"), 1 << 20, "too many open files (508)"),
        (OSError(errno.EADDRNOTAVAIL, "no"), 1 << 20, "127.0.0.1 cannot be relayed from (508)"),
    ],
)
def test_refusal_has_the_cause(
    site: Site,
    expect_log: ExpectLog,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
    fault: OSError | None,
    limit: int,
    cause: str,
) -> None:
    caplog.set_level(logging.INFO, log.name)
    monkeypatch.setattr(resource, "getrlimit", lambda _: (limit, limit))
    number = site.ports._ports.first
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        if cause.startswith("no port"):
            taken.bind(("127.0.0.1", number))
        else:
            expect_log("no relay can be opened")
        if fault is not None:
            site.fault = ListenError(f"cannot use UDP port {number}")
            site.fault.__cause__ = fault
        assert site.open(wanted()) is None
    refusals = [each for each in caplog.messages if "was refused" in each]
    assert refusals == [f"198.51.100.1:9 was refused: {cause.format(number)}"]


def test_refusal_of_a_family_without_an_address(
    site: Site, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, log.name)
    assert site.open(wanted(IPV6)) is None
    assert caplog.messages == [
        "198.51.100.1:9 was refused: nothing is relayed over this address family (508)"
    ]
