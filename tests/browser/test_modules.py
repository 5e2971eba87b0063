"""The page's modules one by one, where whole calls do not reach every corner."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser

from tests.browser.modulepage import module_page
from tests.browser.serverprocess import ServerAddress

Run = Callable[..., Any]


@pytest.fixture(scope="module")
def run(browser: Browser, server: ServerAddress) -> Iterator[Run]:
    """Return a function that runs a JavaScript function with a module as its first argument."""
    with module_page(browser, server.url) as opened:
        yield opened.run


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


INVITE = """({ Settings }, [url, server]) => {
  const settings = new Settings(new URL(url));
  if (server !== null) settings.setPlace({ server, room: settings.room });
  return settings.inviteLink;
}"""


@pytest.mark.parametrize(
    ("query", "typed", "kept"),
    [
        ("", None, ""),
        ("&room=a%26b", None, "&room=a%26b"),
        ("&ws=wss%3A%2F%2Fother.example%2Fws", None, "&ws=wss%3A%2F%2Fother.example%2Fws"),
        ("&ws=wss%3A%2F%2Fother.example%2Fws", "", ""),
        ("", "b.example:81", "&ws=wss%3A%2F%2Fb.example%3A81%2Fws"),
    ],
)
def test_an_invitation_leads_to_us_and_carries_no_secret(
    run: Run, query: str, typed: str | None, kept: str
) -> None:
    link = f"https://calls.example/?id=123456&name=Ann&relay=1&call=9{query}#token=secret"
    expected = f"https://calls.example/?call=123456&call_name=Ann{kept}"
    assert run("settings", INVITE, [link, typed]) == expected
    run("settings", "() => { localStorage.clear(); sessionStorage.clear(); }")


@pytest.mark.parametrize(
    ("typed", "url"),
    [
        ("wss://a.example:8086/ws", "wss://a.example:8086/ws"),
        (" a.example:8086 ", "wss://a.example:8086/ws"),
        ("https://a.example", "wss://a.example/ws"),
        ("http://localhost:1/", "ws://localhost:1/ws"),
        ("wss://a.example/deep/ws?room=b#c", "wss://a.example/deep/ws?room=b"),
        ("javascript:alert(1)", ""),
        ("ftp://a.example", ""),
        ("not a host", ""),
        ("", ""),
    ],
)
def test_a_server_is_read_as_people_type_it(run: Run, typed: str, url: str) -> None:
    assert run("settings", "({ readServerUrl }, text) => readServerUrl(text)", typed) == url


def test_turn_servers_are_asked_for_beside_the_signaling(run: Run) -> None:
    script = "({ Settings }, url) => new Settings(new URL(url)).turnUrl"
    page = "https://calls.example/"
    assert run("settings", script, page) == "https://calls.example/api/turn"
    deep = f"{page}?ws=ws://b.example:81/deep/ws"
    assert run("settings", script, deep) == "http://b.example:81/deep/api/turn"


def test_a_secret_is_shown_only_to_the_place_it_was_entered_for(run: Run) -> None:
    script = """({ Settings }) => {
      const open = (url) => new Settings(new URL(url));
      const there = "https://calls.example/";
      open(`${there}?room=a#token=t-1`).password = "p-1";
      const shown = ["", "?room=a", "?ws=wss://evil.example/ws&room=a", "?room=b"].map((query) => {
        const { token, password } = open(there + query);
        return [token, password];
      });
      const kept = [JSON.stringify({ ...localStorage }), open(`${there}?room=a#token=t-1`).pageUrl];
      localStorage.clear();
      sessionStorage.clear();
      return [shown, kept];
    }"""
    shown, (stored, address) = run("settings", script)
    assert shown == [["t-1", ""], ["t-1", "p-1"], ["", ""], ["t-1", ""]]
    assert "t-1" not in stored
    assert "p-1" not in stored
    assert address == "https://calls.example/?room=a"


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


def test_a_token_for_another_server_does_not_take_the_place_of_the_one_in_use(run: Run) -> None:
    script = """({ Settings }) => {
      const settings = new Settings(new URL("https://calls.example/"));
      settings.setPlace({ server: "chosen.example", room: "" });
      settings.token = "t-1";
      const changed = settings.takeToken("#token=t-2");
      const shown = [settings.token];
      settings.setPlace({ server: "", room: "" });
      shown.push(settings.token);
      localStorage.clear();
      sessionStorage.clear();
      return [changed, shown];
    }"""
    assert run("settings", script) == [False, ["t-1", ""]]


ENTRIES: list[tuple[str, str, str, list[str]]] = [
    ("", "", "#token=t-1", ["t-1", "", ""]),
    ("", "wss://stored.example/ws", "#token=t-1", ["t-1", "", ""]),
    ("?ws=wss://linked.example/ws", "wss://stored.example/ws", "#token=t-1", ["", "", "t-1"]),
    ("?ws=rubbish", "wss://stored.example/ws", "#token=t-1", ["t-1", "", ""]),
    ("", "wss://stored.example/ws", "#else", ["", "", ""]),
]


@pytest.mark.parametrize(("query", "stored", "fragment", "tokens"), ENTRIES)
@pytest.mark.parametrize("pasted", [False, True])
def test_the_token_of_a_link_goes_nowhere_else(
    run: Run, query: str, stored: str, fragment: str, tokens: list[str], pasted: bool
) -> None:
    script = """({ Settings }, [query, stored, fragment, pasted]) => {
      const open = (rest) => new Settings(new URL(`https://calls.example/${rest}`));
      open("").setPlace({ server: stored, room: "" });
      const opened = open(pasted ? query : query + fragment);
      const changed = pasted && opened.takeToken(fragment);
      const own = opened.token;
      const servers = ["wss://calls.example/ws", "wss://stored.example/ws", "wss://linked.example/ws"];
      const shown = servers.map((server) => open(`?ws=${server}`).token);
      localStorage.clear();
      sessionStorage.clear();
      return [shown, changed === (pasted && Boolean(own))];
    }"""
    shown, told = run("settings", script, [query, stored, fragment, pasted])
    assert shown == tokens
    assert told, "whether the token for the server of this moment is another one"


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


LINKED = """({ Settings }, query) => {
  const open = (query) => new Settings(new URL(`https://calls.example/${query}`));
  const before = open("");
  before.setSignedIn(true);
  before.setChoices({ ...before, relayOnly: true });
  const { relayOnly, wasSignedIn } = open(query);
  localStorage.clear();
  sessionStorage.clear();
  return [relayOnly, wasSignedIn];
}"""


@pytest.mark.parametrize(
    ("query", "signed_in"),
    [
        ("", True),
        ("?relay=0&call=9", True),
        ("?relay=", True),
        ("?ws=wss://evil.example/ws", False),
    ],
)
def test_a_link_neither_ends_relay_only_nor_signs_in_elsewhere(
    run: Run, query: str, signed_in: bool
) -> None:
    assert run("settings", LINKED, query) == [True, signed_in]


def test_a_linked_server_is_not_kept_unless_it_is_chosen(run: Run) -> None:
    script = """({ Settings }) => {
      const open = (query) => new Settings(new URL(`https://calls.example/${query}`));
      const linked = open("?ws=wss://b.example/ws&room=a");
      const stored = () => open("").customServer;
      const found = [];
      linked.setPlace({ server: linked.customServer, room: "b" });
      found.push(stored(), linked.serverUrl, linked.pageUrl);
      linked.setPlace({ server: "c.example", room: "b" });
      found.push(stored(), linked.pageUrl);
      localStorage.clear();
      sessionStorage.clear();
      return found;
    }"""
    page = "https://calls.example/"
    linked = "wss://b.example/ws"
    kept = f"{page}?ws=wss%3A%2F%2Fb.example%2Fws"
    assert run("settings", script) == ["", linked, kept, "wss://c.example/ws", page]
