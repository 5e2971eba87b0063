"""What a person reads: one screen, aligned, units said, nothing that steers the terminal."""

from typing import Any

import pytest

from tornado_webrtc.commands.overview import collection, counted, entry, overview
from tornado_webrtc.commands.table import MAX_WIDTH
from tornado_webrtc.commands.words import width

STATUS: dict[str, Any] = {
    "version": "0.1.0",
    "state": "running",
    "uptime_s": 11520.4,
    "pid": 4711,
    "node_id": "75c84e7333288fe8",
    "event_loop": "uvloop",
    "config": "/etc/tornado-webrtc/server.ini",
    "addresses": ["https://0.0.0.0:8086", "https://[::]:8086"],
    "certificate": {"file": "/etc/cert.pem", "not_after": "…", "days_left": 89},
    "plugins": [{"id": "logging_console"}, {"id": "turn"}],
    "plugins_left_out": {},
    "collections": {"peers": 12, "sessions": 3, "allocations": 5, "plugins": 2, "bans": 1},
    "bans_stored": True,
    "counters": {
        "signaling": {"connections": 120, "refused.limit": 0, "message.new": 118},
        "listener": {"refused": 0},
        "turn": {"relay-bytes-to-peer": 1_234_567_890, "error-401": 42},
    },
}

SCREEN = """\
tornado-webrtc 0.1.0 is running, started 3 h 12 min ago

configuration  /etc/tornado-webrtc/server.ini
listening on   https://0.0.0.0:8086, https://[::]:8086
certificate    /etc/cert.pem, 89 days left
process        4711, node 75c84e7333288fe8, uvloop
plugins        logging_console, turn

peers  sessions  allocations  bans
12     3         5            1

signaling      connections 120, message.new 118
turn           error-401 42, relay-bytes-to-peer 1.2 GB"""


def test_overview() -> None:
    assert overview(STATUS) == SCREEN


def test_overview_of_a_server_that_has_seen_nothing() -> None:
    shown = overview({**STATUS, "counters": {"signaling": {}}})
    assert shown.endswith("12     3         5            1")


@pytest.mark.parametrize(
    ("change", "line"),
    [
        ({"config": None}, "configuration  none: defaults and environment"),
        ({"certificate": None}, "certificate    none: plain HTTP"),
        (
            {"certificate": {"file": "/c.pem", "not_after": "2026-01-02T03:04", "days_left": -1}},
            "certificate    /c.pem, EXPIRED on 2026-01-02",
        ),
        (
            {"certificate": {"file": "/c.pem", "not_after": "…", "days_left": 1}},
            "certificate    /c.pem, 1 day left",
        ),
        ({"plugins": []}, "plugins        none"),
        (
            {"plugins_left_out": {"rooms": "broke\x1b[2J"}},
            r"left out       rooms: broke\x1b[2J",
        ),
        (
            {"bans_stored": False},
            "attention      the bans could not be stored: a restart loses them (see the log)",
        ),
        ({"collections": {"rooms": None, "bans": 0}}, "?      0"),
        ({"state": "draining"}, "tornado-webrtc 0.1.0 is draining, started 3 h 12 min ago"),
    ],
)
def test_overview_says(change: dict[str, Any], line: str) -> None:
    assert line in overview({**STATUS, **change}).split("\n")


def test_gauges_stand_beside_the_counters_of_their_part() -> None:
    gauges = {"signaling": {"peers": 12}, "listener": {"open": 7}, "rooms": {"full": 0.5}}
    lines = overview({**STATUS, "gauges": gauges}).split("\n")
    assert lines[-4:] == [
        "signaling      connections 120, message.new 118",
        "listener       open 7",
        "turn           error-401 42, relay-bytes-to-peer 1.2 GB",
        "rooms          full 0.5",
    ]


def test_allocations_fit_a_narrow_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    found = {
        "id": "12345",
        "user": "alice@example.org",
        "client": "198.51.100.123:41641",
        "transport": "udp",
        "relayed": "203.0.113.5:52710",
        "created_s": 126,
        "bytes_to_peer": 481_000_000,
        "bytes_from_peer": 450_000_000,
    }
    lines = collection("allocations", [found]).split("\n")
    assert all(width(line) <= 80 for line in lines)
    assert all(width(line) <= 80 for line in overview(STATUS).split("\n"))


def test_overview_fits_a_screen() -> None:
    counters = {f"something-{number}": number for number in range(100)}
    lines = overview({**STATUS, "counters": {"turn": counters}}).split("\n")
    assert all(width(line) <= MAX_WIDTH for line in lines)
    assert "something-7 7" in "\n".join(lines)
    assert not [line for line in lines if line.endswith("-7")], "name and number stay together"


PEER = {
    "id": "1",
    "peer_id": "1",
    "name": "\x1b[31mAnn",
    "user_agent": "x",
    "scope": "",
    "remote_ip": "192.0.2.1",
    "subject": None,
    "node": "n",
    "connected_s": 75.0,
    "sessions": ["1-2"],
}


def test_peers() -> None:
    assert collection("peers", [PEER]) == (
        "ID  NAME         ADDRESS    USER  CONNECTED   CALLS\n"
        r"1   \x1b[31mAnn  192.0.2.1  -     1 min 15 s  1"
    )


def test_bans() -> None:
    bans: list[dict[str, Any]] = [
        {"id": "ip:192.0.2.0/24", "left_s": 3600.0, "created_at": 1.8e9, "reason": "spam"},
        {"id": "peer:ann", "left_s": None, "created_at": 1.8e9, "reason": ""},
    ]
    head, first, second = collection("bans", bans).split("\n")
    assert head.split() == ["ID", "LEFT", "SINCE", "REASON"]
    assert (first.split()[:3], first.split()[-1]) == (["ip:192.0.2.0/24", "1", "h"], "spam")
    assert (second.split()[:3], second.split()[-1]) == (["peer:ann", "for", "ever"], "-")


def test_a_collection_of_a_plugin() -> None:
    rooms: list[dict[str, Any]] = [
        {"id": "lobby", "age_s": 3.0, "open": True, "size_bytes": 2048, "people": ["a", "b"]},
        {"id": "attic", "age_s": None, "open": False, "size_bytes": 0, "people": []},
    ]
    assert collection("rooms", rooms) == (
        "ID     AGE    OPEN  SIZE_BYTES  PEOPLE\n"
        "lobby  3.0 s  yes   2.0 kB      a, b\n"
        "attic  -      no    0 B         -"
    )


def test_nothing_to_list() -> None:
    assert collection("peers", []) == "no peers"


def test_entry() -> None:
    allocation = {
        "id": "7",
        "created_s": 75.0,
        "permissions": ["192.0.2.1", "192.0.2.2"],
        "channels": [{"number": 16384, "peer": "192.0.2.1:9"}],
        "bytes_to_peer": 2048,
        "packets_to_peer": 4,
        "expires_at": None,
    }
    assert entry(allocation).split("\n") == [
        "id               7",
        "created          1 min 15 s",
        "permissions      192.0.2.1, 192.0.2.2",
        "channels         number 16384 peer 192.0.2.1:9",
        "bytes_to_peer    2.0 kB",
        "packets_to_peer  4",
        "expires_at       for ever",
    ]


@pytest.mark.parametrize(
    ("count", "noun", "text"),
    [(1, "connections", "1 connection"), (2, "rooms", "2 rooms"), (0, "bans", "0 bans")],
)
def test_counted(count: int, noun: str, text: str) -> None:
    assert counted(count, noun) == text
