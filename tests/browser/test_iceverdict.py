"""What the ICE test page makes of tests that the servers here cannot bring about."""

from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser

from tests.browser.modulepage import ModulePage, module_page
from tests.browser.serverprocess import ServerAddress

UDP = "turn:a.example:3478?transport=udp"
TCP = "turn:a.example:3479?transport=tcp"
TLS = "turns:a.example"
NO_RELAY = "No relay: calls between some networks will fail"
HERE = "Works on this computer only"

Check = dict[str, Any]


@pytest.fixture(scope="module")
def page(browser: Browser, server: ServerAddress) -> Iterator[ModulePage]:
    with module_page(browser, server.url) as opened:
        yield opened


def found(kind: str, after: float = 31.4) -> dict[str, Any]:
    address = {"address": "192.0.2.1", "port": 5000, "related": "10.0.0.2:4000"}
    return {"type": kind, "protocol": "udp", **address, "afterMs": after}


def check(url: str, *kinds: str, **facts: Any) -> Check:
    """Return the test of a server that gave candidates of these kinds, host candidates besides."""
    errors = [{"code": code, "text": facts.pop("text", "")} for code in facts.pop("codes", [])]
    candidates = [found(kind) for kind in ("host", *kinds)]
    first = 31.4 if kinds else None
    complete = facts.pop("complete", True)
    return {
        "server": {"url": url, "username": "u", "credential": "c"},
        "relays": url.startswith("turn"),
        "gathering": {
            "candidates": facts.pop("candidates", candidates),
            "errors": errors,
            "firstMs": first,
            "complete": complete,
        },
        "roundTripMs": None,
        "refusal": 0,
        **facts,
    }


def works(url: str, round_trip_ms: float = 12) -> Check:
    return check(url, "relay", roundTripMs=round_trip_ms)


def verdict(page: ModulePage, tested: Check) -> dict[str, str]:
    read: dict[str, str] = page.run(
        "iceverdict", "({ serverVerdict }, check) => serverVerdict(check)", tested
    )
    return {key: value.replace("\u00a0", " ") for key, value in read.items()}


def overall(page: ModulePage, *tested: Check) -> dict[str, str]:
    read: dict[str, str] = page.run(
        "iceverdict", "({ overallVerdict }, checks) => overallVerdict(checks)", tested
    )
    return {key: value.replace("\u00a0", " ") for key, value in read.items()}


@pytest.mark.parametrize(
    ("tested", "short", "words"),
    [
        (check("stun:a.example", "srflx"), "works", "public address after 31 ms"),
        (check("stun:a.example", "srflx", codes=[701]), "works", "public address"),
        (check("stun:a.example"), "works", "there is no NAT"),
        (check("stun:a.example", codes=[701]), "not reachable", "Open UDP port 3478 to a.example"),
        (check("stun:a.example:19302", complete=False), "not reachable", "UDP port 19302"),
        (check("stuns:a.example", codes=[701]), "not reachable", "TCP port 5349 to a.example"),
        (check("stun:[2001:db8::1]", codes=[701]), "not reachable", "to [2001:db8::1]"),
        (
            check("stun:a.example", codes=[701], text="host lookup"),
            "not reachable",
            "Check the name",
        ),
        (works(UDP, 0.3), "works", "less than 1 ms"),
        (check(UDP, "relay"), "does not relay", "Open its relay ports for UDP"),
        (check(UDP, "relay", refusal=486), "refused (486)", "but then gives this user no more"),
        (check(UDP, "srflx"), "not reachable", "UDP port 3478 to a.example"),
        (check(TLS, codes=[701]), "not reachable", "TCP port 5349 to a.example"),
        (check(TLS, codes=[701]), "not reachable", "certificate has to be valid"),
        (check(f"{TLS}?transport=udp"), "not reachable", "Not every browser knows TURN over DTLS"),
        (check(UDP, codes=[701, 401]), "refused (401)", "Check user name and password"),
        (check(UDP, codes=[441]), "refused (441)", "Check user name and password"),
        (check(UDP, codes=[486]), "refused (486)", "raise the limits"),
        (check(UDP, codes=[508]), "refused (508)", "relay_ports"),
        (check(UDP, codes=[403]), "refused (403)", "does not allow it"),
        (check(UDP, codes=[599]), "refused (599)", "but refused (error 599)"),
        (check(UDP, candidates=[]), "no network", "no network that it may use"),
        (check(UDP, candidates=[], complete=False), "no answer", "Test again"),
        (check("turn:a b", gathering=None), "not usable", "is not the address of an ICE server"),
    ],
)
def test_one_server(page: ModulePage, tested: Check, short: str, words: str) -> None:
    read = verdict(page, tested)
    assert read["short"] == short
    assert words in f"{read['long']} {read['advice']}"
    assert read["tone"] == ("good" if short == "works" else "bad")
    assert bool(read["advice"]) is (short != "works")


@pytest.mark.parametrize(
    ("tested", "short", "words"),
    [
        ([works(UDP, 20), works(UDP, 7), works(TCP, 3)], "Works", "takes 3 ms from here."),
        ([works(UDP)], "Works", "let no UDP out need TURN over TCP"),
        ([works(UDP), check(TCP, codes=[701])], "Works", "1 of 2 TURN addresses do not work"),
        ([works(TCP), check(UDP, codes=[701])], "Works only over TCP", "Open UDP port 3478 in"),
        ([works(TLS), works(TCP)], "Works only over TCP", "over TLS and TCP alone"),
        ([works(TLS)], "Works only over TCP", "offers TURN over UDP: switch it on"),
        ([works("turn:127.0.0.1:3478")], HERE, "[turn] public_ip has to name"),
        ([works("turn:[::1]:3478"), works("turn:localhost")], HERE, "to itself"),
        ([works("turn:127.0.0.1:3478"), works(UDP)], "Works", "TCP or TLS as well"),
        ([], NO_RELAY, "switch on the one of this server"),
        ([check("stun:a.example", "srflx")], NO_RELAY, "many other calls will find a direct way"),
        ([check(UDP, "relay")], NO_RELAY, "No TURN server relays for this browser."),
        ([check(UDP, gathering=None)], NO_RELAY, "What each TURN server needs stands below"),
    ],
)
def test_all_servers(page: ModulePage, tested: list[Check], short: str, words: str) -> None:
    read = overall(page, *tested)
    assert read["short"] == short
    assert words in f"{read['long']} {read['advice']}"
    tones = {"Works": "good", HERE: "warn", "Works only over TCP": "warn", NO_RELAY: "bad"}
    assert read["tone"] == tones[short]


def test_a_working_tcp_leaves_nothing_to_do(page: ModulePage) -> None:
    assert overall(page, works(UDP), works(TCP))["advice"] == ""


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("192.0.2.1", "192.0.2.1:7"),
        ("2001:db8::1", "[2001:db8::1]:7"),
        ("[2001:db8::1]", "[2001:db8::1]:7"),
        ("x.local", "x.local:7"),
    ],
)
def test_addresses_with_ports(page: ModulePage, address: str, shown: str) -> None:
    script = "({ hostAndPort }, address) => hostAndPort(address, 7)"
    assert page.run("gather", script, address) == shown


# A connection that finds what a test says, as browsers of several ages tell it.
GATHER = """async ({ gather }, [candidates, errors]) => {
  const real = window.RTCPeerConnection;
  window.RTCPeerConnection = class extends EventTarget {
    iceGatheringState = "gathering";
    createDataChannel() {}
    async setLocalDescription() {
      const tell = (type, facts) => this.dispatchEvent(Object.assign(new Event(type), facts));
      for (const each of errors) tell("icecandidateerror", each);
      for (const candidate of [...candidates, null]) tell("icecandidate", { candidate });
      this.iceGatheringState = "complete";
    }
    close() {}
  };
  try {
    return await gather({}, new AbortController().signal);
  } finally {
    window.RTCPeerConnection = real;
  }
}"""


def gather(page: ModulePage, candidates: list[Any], errors: list[Any] | None = None) -> Any:
    return page.run("gather", GATHER, [candidates, errors or []])


def test_candidates_are_read_from_the_line_where_nothing_else_is_told(page: ModulePage) -> None:
    lines = [
        "candidate:1 1 UDP 1686052607 203.0.113.9 4711 typ srflx raddr 10.0.0.2 rport 5000",
        "candidate:2 1 tcp 1518280447 10.0.0.2 9 typ host tcptype active",
        "candidate:3 1 udp 41885439 192.0.2.7 49160 typ relay raddr 0.0.0.0 rport 0",
    ]
    result = gather(page, [{"candidate": line} for line in lines])
    read = [
        (each["type"], each["protocol"], each["address"], each["port"], each["related"])
        for each in result["candidates"]
    ]
    assert read == [
        ("srflx", "udp", "203.0.113.9", 4711, "10.0.0.2:5000"),
        ("relay", "udp", "192.0.2.7", 49160, ""),
    ]
    assert result["firstMs"] is not None
    assert result["complete"] is True


def test_what_is_found_twice_is_listed_once(page: ModulePage) -> None:
    line = {"candidate": "candidate:1 1 udp 1 192.0.2.7 49160 typ host"}
    errors = [{"errorCode": 701, "errorText": "x" * 500}, {"errorCode": 701}]
    result = gather(page, [line, line, {"candidate": ""}], errors)
    assert len(result["candidates"]) == 1
    assert result["firstMs"] is None
    assert result["errors"] == [{"code": 701, "text": "x" * 120}]


def test_a_test_that_was_ended_before_it_began_ends_at_once(page: ModulePage) -> None:
    script = """async ({ gather }) => {
      const result = await gather({ urls: "stun:127.0.0.1:9" }, AbortSignal.abort());
      return result.complete;
    }"""
    assert page.run("gather", script) is False
    script = "({ echo }, server) => echo(server, AbortSignal.abort())"
    server = {"urls": "turn:127.0.0.1:9", "username": "u", "credential": "c"}
    assert page.run("relayecho", script, server) == {"roundTripMs": None, "refusal": 0}


def test_no_more_than_so_many_are_worked_on_at_a_time(page: ModulePage) -> None:
    script = """async ({ eachAtMost }) => {
      let [now, most] = [0, 0];
      const done = [];
      await eachAtMost([1, 2, 3, 4, 5, 6, 7], 3, async (item) => {
        most = Math.max(most, now += 1);
        await new Promise((resolve) => setTimeout(resolve));
        now -= 1;
        done.push(item);
      });
      await eachAtMost([], 3, () => done.push("never"));
      return [most, done.sort()];
    }"""
    assert page.run("icecheck", script) == [3, [1, 2, 3, 4, 5, 6, 7]]
