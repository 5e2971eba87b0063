"""What the link, the storage and the person say about who and where one is."""

import pytest

from tests.browser.conftest import Run

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


def test_a_token_for_another_server_does_not_take_the_place_of_the_one_in_use(run: Run) -> None:
    script = """({ Settings }) => {
      const settings = new Settings(new URL("https://calls.example/"));
      settings.setPlace({ server: "chosen.example", room: "" });
      settings.token = "t-1";
      const fate = settings.takeToken("#token=t-2");
      const shown = [settings.token];
      settings.setPlace({ server: "", room: "" });
      shown.push(settings.token);
      localStorage.clear();
      sessionStorage.clear();
      return [fate, shown];
    }"""
    assert run("settings", script) == ["dropped", ["t-1", ""]]


STORED = "wss://stored.example/ws"
ENTRIES: list[tuple[str, str, str, list[str], str]] = [
    ("", "", "#token=t-1", ["t-1", "", ""], "taken"),
    ("", STORED, "#token=t-1", ["t-1", "", ""], "elsewhere"),
    ("?ws=wss://linked.example/ws", STORED, "#token=t-1", ["", "", "t-1"], "taken"),
    ("?ws=rubbish", STORED, "#token=t-1", ["t-1", "", ""], "taken"),
    ("", STORED, "#else", ["", "", ""], ""),
    ("", STORED, "#token=%20", ["", "", ""], ""),
]


@pytest.mark.parametrize(("query", "stored", "fragment", "tokens", "fate"), ENTRIES)
@pytest.mark.parametrize("pasted", [False, True])
def test_the_token_of_a_link_goes_nowhere_else(
    run: Run, query: str, stored: str, fragment: str, tokens: list[str], fate: str, pasted: bool
) -> None:
    script = """({ Settings }, [query, stored, fragment, pasted]) => {
      const open = (rest) => new Settings(new URL(`https://calls.example/${rest}`));
      open("").setPlace({ server: stored, room: "" });
      const opened = open(pasted ? query : query + fragment);
      const fate = pasted ? opened.takeToken(fragment) : opened.linkedToken;
      const again = opened.takeToken(fragment);
      const servers = ["calls", "stored", "linked"].map((name) => `wss://${name}.example/ws`);
      const shown = servers.map((server) => open(`?ws=${server}`).token);
      localStorage.clear();
      sessionStorage.clear();
      return [shown, fate, again];
    }"""
    expected = [tokens, fate, "" if fate == "taken" else fate]
    assert run("settings", script, [query, stored, fragment, pasted]) == expected


REFUSE = """
      const { setItem } = Storage.prototype;
      Storage.prototype.setItem = () => {
        throw new DOMException("There is no room for it", "QuotaExceededError");
      };
"""


def test_what_the_browser_does_not_keep_lives_as_long_as_the_page(run: Run) -> None:
    script = f"""({{ Settings }}) => {{
      const open = () => new Settings(new URL("https://calls.example/"));
      const settings = open();
      settings.token = "t-0";
      {REFUSE}
      const found = [settings.takeToken("#token=t-1")];
      settings.password = "p-1";
      settings.setSignedIn(true);
      found.push(settings.token, settings.password, settings.wasSignedIn, open().token);
      Object.assign(Storage.prototype, {{ setItem }});
      settings.token = "t-2";
      found.push(settings.token, open().token);
      localStorage.clear();
      sessionStorage.clear();
      return found;
    }}"""
    assert run("settings", script) == ["taken", "t-1", "p-1", True, "t-0", "t-2", "t-2"]


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
