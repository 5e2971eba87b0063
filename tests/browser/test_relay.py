"""Calls that go through the server's own TURN server, and what the page says of them."""

import json
import re
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Route, expect

from tests.browser.conftest import Join
from tests.browser.participant import Participant
from tests.browser.serverprocess import ServerAddress, running_server

PLUGIN = Path(__file__).with_name("debugturn.py")
UNROUTABLE = "203.0.113.7"

IceServer = dict[str, Any]
Change = Callable[[IceServer], IceServer]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerAddress]:
    """Return a server that tells what its TURN server does."""
    folder = tmp_path_factory.mktemp("server")
    with running_server(folder, plugins=[PLUGIN]) as address:
        yield address


@pytest.fixture(scope="module")
def nat_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerAddress]:
    """Return a server that advertises an address from where nothing comes back."""
    folder = tmp_path_factory.mktemp("nat")
    public_ip = f"{UNROUTABLE}/127.0.0.1,"
    with running_server(folder, plugins=[PLUGIN], public_ip=public_ip) as address:
        yield address


@pytest.fixture
def silent() -> Iterator[tuple[int, int]]:
    """Return a UDP port where nobody answers, and a TCP port where nobody listens."""
    with (
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp,
        socket.socket(socket.AF_INET, socket.SOCK_STREAM) as tcp,
    ):
        for each in (udp, tcp):
            each.bind(("127.0.0.1", 0))
        yield udp.getsockname()[1], tcp.getsockname()[1]


def allocations(participant: Participant, *others: Participant) -> list[dict[str, Any]]:
    """Return what the server knows of the allocations of these people."""
    answer = participant.page.evaluate(
        "async () => (await fetch('/debug/turn', { cache: 'no-store' })).json()"
    )
    users = {each.id for each in (participant, *others)}
    return [each for each in answer["allocations"] if each["user"] in users]


def change_ice_servers(participant: Participant, change: Change) -> None:
    """Change the TURN servers that the page is told of; the product has no switch for it."""

    def fulfill(route: Route) -> None:
        answer = route.fetch()
        told = answer.json()
        told["iceServers"] = [
            change(each) if "credential" in each else each for each in told["iceServers"]
        ]
        route.fulfill(response=answer, body=json.dumps(told))

    participant.page.route("**/api/turn?*", fulfill)


def connect(caller: Participant, callee: Participant) -> None:
    caller.call(callee)
    callee.accept()
    for each in (caller, callee):
        each.expect_remote_picture()
        each.expect_decoded_frames()


@pytest.mark.parametrize("transport", ["udp", "tcp"])
def test_a_call_is_relayed_over_one_transport_alone(join: Join, transport: str) -> None:
    query = {"relay": "1", "transport": transport}
    ann, bob = join("Ann", query=query).sign_in(), join("Bob", query=query).sign_in()
    expect(ann.find("relay-only")).to_be_checked()
    expect(ann.find("relay-transport")).to_have_value(transport)
    connect(ann, bob)
    for each in (ann, bob):
        facts = each.read_call()
        assert (facts["local"], facts["remote"], facts["relay"]) == ("relay", "relay", transport)
        expect(each.find("path")).to_have_attribute("data-path", "relayed")
        expect(each.find("path-words")).to_have_text(
            re.compile(rf"^Relayed, TURN over {transport.upper()} · \d+ ms$")
        )
        assert {entry["transport"] for entry in allocations(each)} == {transport}
        assert all("typ relay" in str(found) for found in each.messages("candidate"))
    assert "a=candidate" not in ann.messages("offer")[0]["description"]["sdp"]


def test_the_end_of_a_call_frees_its_allocations(join: Join) -> None:
    people = [join(name, query={"relay": "1"}).sign_in() for name in ("Ann", "Bob")]
    ann, bob = people
    connect(ann, bob)
    for each in people:
        assert [entry for entry in allocations(each) if not entry["deleted"]]
    ann.hang_up()
    bob.expect_list(ann)
    ann.wait_until(
        lambda: all(entry["deleted"] for entry in allocations(ann, bob)), "deleted allocations"
    )
    for each in people:
        assert max(entry["bytes"] for entry in allocations(each)) > 10_000


def test_one_side_alone_may_want_to_be_relayed(join: Join) -> None:
    ann, bob = join("Ann", query={"relay": "1"}).sign_in(), join("Bob").sign_in()
    connect(ann, bob)
    for each in (ann, bob):
        expect(each.find("path")).to_have_attribute("data-path", "relayed")
    ann.find("path-words").click()
    expect(ann.find("path-hint")).to_contain_text("go through a TURN server")


def test_a_call_is_relayed_behind_a_nat_that_does_not_hairpin(
    join: Join, nat_server: ServerAddress
) -> None:
    people = [join(name, url=nat_server.url, query={"relay": "1"}) for name in ("Ann", "Bob")]
    for each in people:
        change_ice_servers(each, reachable)
        each.sign_in()
    ann, bob = people
    connect(ann, bob)
    for each in people:
        assert {entry["relayed"] for entry in allocations(each)} == {UNROUTABLE}
        candidates = [found["candidate"]["candidate"] for found in each.messages("candidate")]
        assert {line.split()[4] for line in candidates} == {UNROUTABLE}
    for each in people:
        each.leave()


def test_a_turn_server_that_refuses_connections_is_named_at_once(
    join: Join, silent: tuple[int, int]
) -> None:
    ann, bob = join("Ann", query={"relay": "1", "transport": "tcp"}), join("Bob").sign_in()
    change_ice_servers(ann, moved(*silent))
    ann.sign_in()
    ann.call(bob)
    ann.expect_notice("“Relay only” is switched on, but no TURN server answered")
    ann.expect_notice(f"(127.0.0.1:{silent[1]} over TCP)")
    expect(ann.page.get_by_role("link", name="Test your network").first).to_be_visible()
    expect(ann.find("notice-link")).to_have_attribute("href", "ice.html")
    bob.expect_list(ann)


def test_a_turn_server_that_is_silent_is_not_waited_for(
    join: Join, silent: tuple[int, int]
) -> None:
    ann, bob = join("Ann", query={"relay": "1"}), join("Bob").sign_in()
    ann.page.clock.install()
    change_ice_servers(ann, moved(*silent))
    ann.sign_in()
    ann.call(bob)
    bob.expect_ringing("Ann")
    ann.expect_call_state("ringing")
    ann.page.clock.fast_forward(10_000)
    ann.expect_notice("“Relay only” is switched on, but no TURN server answered")
    ann.expect_notice(f"127.0.0.1:{silent[0]} over UDP, 127.0.0.1:{silent[1]} over TCP")
    bob.expect_list(ann)
    bob.expect_notice("You missed a call from Ann.")


def test_a_wrong_credential_is_named_and_a_new_one_asked_for(join: Join) -> None:
    ann, bob = join("Ann", query={"relay": "1"}), join("Bob", query={"relay": "1"}).sign_in()
    change_ice_servers(ann, lambda ice_server: ice_server | {"credential": "wrong"})
    ann.sign_in()
    ann.call(bob)
    ann.expect_notice("did not accept this page's credential. Call again")
    bob.expect_list(ann)
    assert allocations(ann) == []
    ann.page.unroute_all()
    connect(ann, bob)


def test_the_callee_without_turn_server_leaves_no_caller_in_the_dark(join: Join) -> None:
    ann, bob = join("Ann").sign_in(), join("Bob", query={"relay": "1"})
    change_ice_servers(bob, lambda ice_server: ice_server | {"credential": "wrong"})
    bob.sign_in()
    ann.call(bob)
    bob.accept()
    bob.expect_notice("did not accept this page's credential")
    ann.expect_notice("before it was connected; perhaps no network path was found.")
    ann.expect_list(bob)


def test_relay_only_needs_a_turn_server_that_fits_the_settings(join: Join) -> None:
    ann, bob = join("Ann"), join("Bob").sign_in()
    change_ice_servers(ann, only("transport=udp"))
    ann.sign_in()
    ann.page.get_by_role("button", name="Settings", exact=True).click()
    ann.page.get_by_label("Relay only").check()
    ann.page.get_by_label("Reach TURN over").select_option("TCP")
    ann.page.get_by_role("button", name="Close settings").click()
    ann.call(bob)
    ann.expect_notice("this server offers no TURN server over TCP, the only way that your settings")
    ann.expect_list(bob)
    assert ann.messages("offer") == []


def test_relay_only_says_when_the_server_cannot_be_asked(join: Join) -> None:
    ann, bob = join("Ann", query={"relay": "1"}), join("Bob").sign_in()
    ann.expect_console(r"the server responded with a status of 429")
    ann.page.route("**/api/turn?*", lambda route: route.fulfill(status=429))
    ann.sign_in()
    ann.call(bob)
    ann.expect_notice("the server could not be asked for its TURN servers (HTTP status 429)")
    ann.expect_list(bob)


def reachable(ice_server: IceServer) -> IceServer:
    urls = [url.replace(UNROUTABLE, "127.0.0.1") for url in ice_server["urls"]]
    return ice_server | {"urls": urls}


def moved(port_udp: int, port_tcp: int) -> Change:
    urls = [
        f"turn:127.0.0.1:{port_udp}?transport=udp",
        f"turn:127.0.0.1:{port_tcp}?transport=tcp",
    ]
    return lambda ice_server: ice_server | {"urls": urls}


def only(part: str) -> Change:
    return lambda ice_server: (
        ice_server | {"urls": [url for url in ice_server["urls"] if part in url]}
    )
