"""The page's modules one by one, where whole calls do not reach every corner."""

from typing import Any

import pytest

from tests.browser.conftest import Run


def test_back_off_doubles_up_to_half_a_minute_with_jitter(run: Run) -> None:
    least = run("signaling", "({ backOff }) => [0, 1, 2, 3, 9].map((n) => backOff(n, () => 0))")
    most = run("signaling", "({ backOff }) => [0, 1, 2, 3, 9].map((n) => backOff(n, () => 1))")
    assert least == [0.5, 1, 2, 4, 15]
    assert most == [1, 2, 4, 8, 30]


@pytest.mark.parametrize(
    ("name", "initials"),
    [
        ("Ann Kovács", "AK"),
        ("ann", "A"),
        ("Jean Luc van Damme", "JD"),
        ("名前", "名"),
        ("🌪️", "?"),
        ("", "?"),
        ("<img src=x>", "IX"),
    ],
)
def test_initials(run: Run, name: str, initials: str) -> None:
    assert run("avatar", "({ initials }, name) => initials(name)", name) == initials


@pytest.mark.parametrize(
    ("platform", "key", "letter", "erasure"),
    [
        ("Linux", {"key": "a"}, True, False),
        ("Linux", {"key": "a", "altKey": True}, False, False),
        ("Linux", {"key": "@", "altKey": True, "ctrlKey": True}, False, False),
        ("Linux", {"key": "@", "ctrlKey": True, "modifierAltGraph": True}, True, False),
        ("MacIntel", {"key": "@", "altKey": True}, True, False),
        ("iPad", {"key": "@", "altKey": True}, True, False),
        ("MacIntel", {"key": "@", "altKey": True, "metaKey": True}, False, False),
        ("MacIntel", {"key": "a", "ctrlKey": True}, False, False),
        ("MacIntel", {"key": "Enter"}, False, False),
        ("Linux", {"key": "Backspace"}, False, True),
        ("Linux", {"key": "Backspace", "shiftKey": True}, False, True),
        ("Linux", {"key": "Backspace", "ctrlKey": True}, False, False),
        ("MacIntel", {"key": "Backspace", "altKey": True}, False, False),
        ("MacIntel", {"key": "Backspace", "metaKey": True}, False, False),
    ],
)
def test_which_keys_write_and_which_erase(
    run: Run, platform: str, key: dict[str, Any], letter: bool, erasure: bool
) -> None:
    script = """({ isErasure, isLetter }, [platform, key]) => {
      Object.defineProperty(navigator, "platform", { configurable: true, get: () => platform });
      try {
        const event = new KeyboardEvent("keydown", key);
        return [isLetter(event), isErasure(event)];
      } finally {
        delete navigator.platform;
      }
    }"""
    assert run("typing", script, [platform, key]) == [letter, erasure]


@pytest.mark.parametrize(
    ("bytes_", "words"),
    [
        (0, "0 bytes"),
        (999, "999 bytes"),
        (1500, "1.5 kB"),
        (20_000_000, "20.0 MB"),
        (3e11, "300 GB"),
    ],
)
def test_sizes_in_words(run: Run, bytes_: float, words: str) -> None:
    assert run("words", "({ sizeWords }, bytes) => sizeWords(bytes)", bytes_) == words


@pytest.mark.parametrize(
    ("end", "own", "remote"),
    [
        (
            {"type": "host", "protocol": "udp", "address": "10.0.0.1"},
            "own address over UDP (10.0.0.1)",
            "own address over UDP (10.0.0.1)",
        ),
        (
            {"type": "relay", "protocol": "udp", "relayProtocol": "tls", "address": "10.0.0.2"},
            "TURN server, reached over TLS (10.0.0.2)",
            "TURN server (10.0.0.2)",
        ),
        ({"type": "relay", "protocol": "udp", "relayProtocol": ""}, "TURN server", "TURN server"),
        (
            {"type": "prflx", "protocol": "udp"},
            "address behind a router over UDP",
            "address behind a router over UDP",
        ),
        ({"type": "host", "protocol": ""}, "own address", "own address"),
        (None, "\N{EN DASH}", "\N{EN DASH}"),
    ],
)
def test_the_end_of_a_path_in_words(run: Run, end: Any, own: str, remote: str) -> None:
    script = "({ candidateWords }, end) => [false, true].map((each) => candidateWords(end, each))"
    assert run("words", script, end) == [own, remote]


@pytest.mark.parametrize(
    ("error", "ask", "words"),
    [
        ({"code": "room-full", "reason": "Full!"}, "room", "Full! Wait until"),
        ({"code": "room-full"}, "room", "This room is full. Wait until"),
        ({"code": "room-password", "reason": "No."}, "password", "No. Enter the password"),
        ({"code": "room-needed", "reason": "Say which."}, "room", "Say which. Enter the name"),
        ({"code": "not-authenticated", "reason": "No."}, "token", "The server did not accept your"),
        ({"code": "id-not-allowed", "reason": "No."}, "id", "Your token is not for this id."),
        ({"code": "weather", "reason": "too wet"}, "", "The server refused: too wet"),
        ({}, "", "The server refused: it did not say why"),
    ],
)
def test_a_refusal_says_what_is_needed(
    run: Run, error: dict[str, str], ask: str, words: str
) -> None:
    advice = run("refusal", "({ refusalAdvice }, error) => refusalAdvice(error)", error)
    assert (advice["retry"], advice["ask"]) == ("never", ask)
    assert advice["words"].startswith(words)


def test_a_token_that_has_expired_is_not_called_missing(run: Run) -> None:
    script = "({ closeAdvice }, [code, online]) => closeAdvice(code, online)"
    before, after = (run("refusal", script, [4401, online]) for online in (False, True))
    assert (before["ask"], after["ask"]) == ("token", "token")
    assert before["words"].startswith("This server lets in only those who show a token.")
    assert after["words"].startswith("Your token has expired,")
    assert (before["retry"], after["retry"]) == ("never", "never")


READ_PATH = """({ readPath }, entries) =>
  readPath({ getStats: async () => new Map(entries.map((entry) => [entry.id, entry])) })"""


def path_entries(local: str, remote: str, **pair: Any) -> list[dict[str, Any]]:
    ends = {"localCandidateId": "l", "remoteCandidateId": "r"}
    return [
        {"id": "p", "type": "candidate-pair", **ends, "currentRoundTripTime": 0.0312, **pair},
        {"id": "l", "type": "local-candidate", "candidateType": local, "relayProtocol": "tls"},
        {"id": "r", "type": "remote-candidate", "candidateType": remote},
    ]


TRANSPORT = {"id": "t", "type": "transport", "selectedCandidatePairId": "p"}


@pytest.mark.parametrize(
    ("local", "remote", "kind"),
    [
        ("host", "host", "direct"),
        ("srflx", "prflx", "direct"),
        ("relay", "host", "relayed"),
        ("host", "relay", "relayed"),
    ],
)
def test_the_path_is_read_from_the_selected_pair(
    run: Run, local: str, remote: str, kind: str
) -> None:
    path = run("path", READ_PATH, [*path_entries(local, remote), TRANSPORT])
    relay = "tls" if local == "relay" else ""
    assert path == {"kind": kind, "relay": relay, "tripMs": pytest.approx(31.2)}


def test_the_path_is_read_where_the_transport_names_no_pair(run: Run) -> None:
    marked = path_entries("host", "host", nominated=True, state="succeeded")
    assert run("path", READ_PATH, marked)["kind"] == "direct"
    unmarked = path_entries("host", "host", nominated=False, state="waiting")
    for nothing in (unmarked, []):
        assert run("path", READ_PATH, nothing)["kind"] == "unknown"


@pytest.mark.parametrize(
    ("path", "short", "long"),
    [
        (("direct", "", 31.2), "Direct · 31 ms", "straight from browser to browser"),
        (("direct", "", None), "Direct", "straight"),
        (("relayed", "udp", 0.4), "Relayed, TURN over UDP · 0 ms", "this browser reaches over UDP"),
        (
            ("relayed", "tls", 31.2),
            "Relayed, TURN over TLS · 31 ms",
            "this browser reaches over TLS",
        ),
        (("relayed", "", 31.2), "Relayed · 31 ms", "the TURN server of the other side"),
        (("unknown", "", None), "", ""),
    ],
)
def test_the_path_in_words(
    run: Run, path: tuple[str, str, float | None], short: str, long: str
) -> None:
    script = """({ pathWords }, [kind, relay, trip]) =>
      pathWords({ kind, relay, tripMs: trip ?? NaN })"""
    words = run("words", script, path)
    assert words["short"] == short
    assert long in words["long"]


URLS = [
    "turn:a.example",
    "turn:a.example:80?transport=tcp",
    "turns:a.example",
    "turns:[::1]:443?transport=udp",
    "stun:a.example",
]


@pytest.mark.parametrize(
    ("transport", "kept"), [("any", URLS), ("udp", [0, 3, 4]), ("tcp", [1, 2, 4])]
)
def test_turn_servers_are_left_out_by_the_way_to_them(
    run: Run, transport: str, kept: list[Any]
) -> None:
    expected = kept if kept is URLS else [URLS[number] for number in kept]
    script = """({ restrict, hasRelay }, [urls, transport]) => {
      const together = restrict([{ urls, username: "u" }], transport);
      const apart = restrict(urls.map((urls) => ({ urls })), transport);
      return [together, apart.flatMap(({ urls }) => urls), hasRelay(apart), hasRelay([])];
    }"""
    answer = run("relay", script, [URLS, transport])
    assert answer == [[{"urls": expected, "username": "u"}], expected, True, False]


@pytest.mark.parametrize(
    ("url", "host", "transport"),
    [
        (URLS[0], "a.example:3478", "udp"),
        (URLS[1], "a.example:80", "tcp"),
        (URLS[2], "a.example:5349", "tls"),
        (URLS[3], "[::1]:443", "dtls"),
        ("turn:[::1]", "[::1]:3478", "udp"),
    ],
)
def test_the_address_in_a_turn_uri(run: Run, url: str, host: str, transport: str) -> None:
    answer = run("relay", "({ readUrl }, url) => readUrl(url)", url)
    assert answer == {"host": host, "transport": transport}


A_UDP = {"host": "a:1", "transport": "udp"}
A_TCP = {"host": "a:1", "transport": "tcp"}


@pytest.mark.parametrize(
    ("codes", "found", "words"),
    [
        ([701, 701], False, "no TURN server answered (a:1 over UDP, a:1 over TCP)"),
        ([701, 401], False, "TURN server at a:1 did not accept this page's credential"),
        ([486, 701], False, "TURN server at a:1 gives you no more room"),
        ([599], False, "TURN server at a:1 refused (error 599)."),
        ([], True, "the TURN server found no way"),
    ],
)
def test_why_turn_servers_did_not_help(run: Run, codes: list[int], found: bool, words: str) -> None:
    errors = [each | {"code": code} for each, code in zip((A_UDP, A_TCP), codes, strict=False)]
    script = "({ relayWords }, [trouble, only]) => relayWords(trouble, only)"
    trouble = {"found": found, "errors": errors}
    only = run("words", script, [trouble, True])
    assert words in only
    assert only.startswith("“Relay only” is switched on, ")
    others = run("words", script, [trouble, False])
    assert others == "" if found else words[3:] in others
    assert run("words", script, [{"found": False, "errors": []}, False]) == ""


JUDGE = """({ judgeOffer }, [offer, current, offered, self]) =>
  judgeOffer({ from: "5", sessionId: "5-3", media: "video", ...offer }, current, offered, self)"""
CALLING = {"sessionId": "3-5", "peer": {"id": "5"}, "outgoing": True, "state": "ringing"}


@pytest.mark.parametrize(
    ("offer", "current", "offered", "self_id", "judgement"),
    [
        ({}, None, False, "3", "ring"),
        ({"media": "data"}, None, False, "3", "ring"),
        ({}, CALLING, True, "3", "keep-ours"),
        ({}, CALLING, True, "7", "take-theirs"),
        ({}, CALLING | {"state": "preparing"}, False, "3", "take-theirs"),
        ({}, CALLING | {"state": "connected"}, True, "3", "turn-away"),
        ({}, CALLING | {"peer": {"id": "6"}}, True, "3", "turn-away"),
        ({}, CALLING | {"sessionId": "5-3", "outgoing": False}, True, "3", "restart"),
        ({"from": "9", "sessionId": "3-5"}, CALLING, True, "3", "ignore"),
    ],
)
def test_what_becomes_of_an_offer(
    run: Run,
    offer: dict[str, Any],
    current: dict[str, Any] | None,
    offered: bool,
    self_id: str,
    judgement: str,
) -> None:
    assert run("offer", JUDGE, [offer, current, offered, self_id]) == judgement
