"""The page's modules one by one, where whole calls do not reach every corner."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser

from tests.browser.serverprocess import ServerAddress

Run = Callable[..., Any]


@pytest.fixture
def run(browser: Browser, server: ServerAddress) -> Iterator[Run]:
    """Return a function that runs a JavaScript function with a module as its first argument."""
    context = browser.new_context(ignore_https_errors=True)
    page = context.new_page()
    page.goto(f"{server.url}style.css")

    def evaluate(module: str, script: str, argument: Any = None) -> Any:
        call = f"async (argument) => ({script})(await import('/js/{module}.js'), argument)"
        return page.evaluate(call, argument)

    yield evaluate
    context.close()


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


SERVER_URL = "({ Settings }, url) => new Settings(new URL(url)).serverUrl"


@pytest.mark.parametrize(
    ("query", "transport"),
    [
        ("?transport=tcp", "tcp"),
        ("?transport=udp", "udp"),
        ("?transport=pigeon", "any"),
        ("", "any"),
    ],
)
def test_the_link_may_name_the_way_to_the_turn_server(run: Run, query: str, transport: str) -> None:
    script = "({ Settings }, url) => new Settings(new URL(url)).relayTransport"
    assert run("settings", script, f"https://calls.example/{query}") == transport


@pytest.mark.parametrize(
    ("page", "server_url"),
    [
        ("https://calls.example:8086/", "wss://calls.example:8086/ws"),
        ("http://localhost/", "ws://localhost/ws"),
        ("https://calls.example/?room=a", "wss://calls.example/ws"),
        ("https://calls.example/?ws=wss://other.example/ws", "wss://other.example/ws"),
        ("https://calls.example/?ws=wss://b.example/ws?room=a", "wss://b.example/ws?room=a"),
        ("https://calls.example/?ws=javascript:alert(1)", "wss://calls.example/ws"),
        ("https://calls.example/?ws=wss://:0:", "wss://calls.example/ws"),
    ],
)
def test_the_server_stands_beside_the_page_unless_the_link_says_so(
    run: Run, page: str, server_url: str
) -> None:
    assert run("settings", SERVER_URL, page) == server_url


@pytest.mark.parametrize("kept", ["", "?ws=wss%3A%2F%2Fother.example%2Fws"])
def test_an_invitation_carries_the_server_and_no_identity(run: Run, kept: str) -> None:
    link = f"https://calls.example/{kept or '?'}&id=123456&name=Ann&relay=1&transport=tcp"
    invite = "({ Settings }, url) => new Settings(new URL(url)).inviteLink"
    assert run("settings", invite, link) == f"https://calls.example/{kept}"


def test_early_candidates_are_kept_in_order_and_within_bounds(run: Run) -> None:
    script = """({ EarlyCandidates }) => {
      const early = new EarlyCandidates();
      for (let session = 0; session < 100; session += 1) early.keep(`s${session}`, "a", session);
      for (let number = 0; number < 100; number += 1) early.keep("s99", "a", number);
      return ["s0", "s98", "s99", "s99"].map((session) => early.take(session, "a"));
    }"""
    first, single, many, again = run("earlycandidates", script)
    assert first == []
    assert single == [98]
    assert many == [99, *range(63)]
    assert again == []


def test_early_candidates_of_one_sender_are_not_used_for_another(run: Run) -> None:
    script = """({ EarlyCandidates }) => {
      const early = new EarlyCandidates();
      early.keep("s", "a", 1);
      early.keep("s", "b", 2);
      early.keep("t", "b", 3);
      const taken = [early.take("s", "a"), early.take("s", "c")];
      early.forget("s");
      return [...taken, early.take("s", "b"), early.take("t", "b")];
    }"""
    assert run("earlycandidates", script) == [[1], [], [], [3]]


def test_old_early_candidates_are_forgotten(run: Run) -> None:
    script = """({ EarlyCandidates }) => {
      const early = new EarlyCandidates();
      const real = performance.now;
      early.keep("s", "a", 1);
      performance.now = () => real.call(performance) + 31_000;
      try { return early.take("s", "a"); } finally { performance.now = real; }
    }"""
    assert run("earlycandidates", script) == []


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
        (("relayed", "udp", 0.4), "Relayed over UDP · 0 ms", "this browser reaches over UDP"),
        (("relayed", "tls", 31.2), "Relayed over TLS · 31 ms", "this browser reaches over TLS"),
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
        ({"media": "data"}, None, False, "3", "turn-away"),
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
