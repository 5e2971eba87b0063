"""The ICE test page: real servers, dead ports, wrong credentials, and what it says of them."""

import json
import re
import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Literal

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, Route, expect

from tests.browser.icepage import Change, IcePage, IceServer
from tests.browser.serverprocess import ServerAddress, running_server

Open = Callable[..., IcePage]

WORKS = "Works on this computer only"
"""The tests' server tells clients a loopback address."""

TOKENS = Path(__file__).with_name("knowntokens.py")
NO_RELAY = "No relay: calls between some networks will fail"
RULES = {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]}


@pytest.fixture
def visit(browser: Browser, server: ServerAddress) -> Iterator[Open]:
    """Return a function that opens the page."""
    pages: list[IcePage] = []

    def visit_page(where: ServerAddress = server, query: str = "", **options: Any) -> IcePage:
        pages.append(IcePage(browser, f"{where.url}ice.html{query}", **options))
        return pages[-1]

    yield visit_page
    for each in pages:
        each.close()
    assert [text for each in pages for text in each.complaints] == []


@pytest.fixture
def ports() -> Iterator[dict[str, int]]:
    """Return a UDP port where nobody answers, and a TCP port where nobody listens."""
    with ExitStack() as stack:
        kinds = {"udp": socket.SOCK_DGRAM, "tcp": socket.SOCK_STREAM}
        sockets = {
            name: stack.enter_context(socket.socket(socket.AF_INET, kind))
            for name, kind in kinds.items()
        }
        for each in sockets.values():
            each.bind(("127.0.0.1", 0))
        yield {name: each.getsockname()[1] for name, each in sockets.items()}


def credential_of(visited: IcePage) -> IceServer:
    """Return a real TURN server with its credential, as `/api/turn` gives it."""
    answer = visited.page.evaluate(
        "async () => (await fetch('/api/turn?service=turn&username=ann&format=ice')).json()"
    )
    return next(each for each in answer["iceServers"] if "credential" in each)


def moved(ports: dict[str, int], *transports: str) -> Change:
    """Move the TURN server to dead ports, for these transports."""

    def move(url: str) -> str:
        found = re.search("transport=(.*)", url)
        assert found
        dead = f"turn:127.0.0.1:{ports[found[1]]}?transport={found[1]}"
        return dead if found[1] in transports else url

    return lambda ice_server: ice_server | {"urls": [move(url) for url in ice_server["urls"]]}


def test_a_server_of_ours_works_over_every_transport(visit: Open) -> None:
    visited = visit().start().finish(WORKS)
    expect(visited.find("overall")).to_have_attribute("data-tone", "warn")
    expect(visited.find("overall-long")).to_contain_text("Through it and back takes")
    for transport in ("udp", "tcp"):
        visited.expect_card(f"transport={transport}", "works", "gave a relayed address after")
        visited.card(f"transport={transport}").locator("summary").click()
        first = visited.card(f"transport={transport}").locator("li").first
        expect(first).to_contain_text("relay udp")
        expect(first).to_contain_text("127.0.0.1:")
        expect(first).to_contain_text("reached from")
    visited.expect_card("stun:", "works")
    expect(visited.page.locator(".ice-server")).to_have_count(3)


def test_the_test_can_be_done_again_and_leaves_no_connection_open(visit: Open) -> None:
    script = """
      window.open_ = new Set();
      window.RTCPeerConnection = class extends RTCPeerConnection {
        constructor(...all) { super(...all); window.open_.add(this); }
        close() { super.close(); window.open_.delete(this); }
      };"""
    visited = visit()
    visited.page.add_init_script(script)
    visited.page.reload()
    visited.start().finish(WORKS)
    expect(visited.find("start")).to_have_text("Test again")
    visited.start().finish(WORKS)
    expect(visited.page.locator(".ice-server")).to_have_count(3)
    assert visited.page.evaluate("window.open_.size") == 0


def test_wrong_credentials_are_named(visit: Open) -> None:
    visited = visit().change(lambda each: each | {"credential": "wrong"})
    visited.start().finish(NO_RELAY)
    expect(visited.find("overall")).to_have_attribute("data-tone", "bad")
    for transport in ("udp", "tcp"):
        visited.expect_card(
            f"transport={transport}",
            "refused (401)",
            "did not accept the user name and password",
            "Check user name and password",
        )
    visited.expect_card("stun:", "works")


def test_dead_ports_are_named_with_what_to_open(visit: Open, ports: dict[str, int]) -> None:
    visited = visit().change(moved(ports, "udp", "tcp")).start().finish(NO_RELAY)
    udp, tcp = (f"Open {kind.upper()} port {ports[kind]} to 127.0.0.1" for kind in ("udp", "tcp"))
    visited.expect_card("transport=udp", "not reachable", udp)
    visited.expect_card("transport=tcp", "not reachable", tcp)


def test_it_says_when_only_tcp_works(visit: Open, ports: dict[str, int]) -> None:
    visited = visit().change(moved(ports, "udp")).start().finish("Works only over TCP")
    expect(visited.find("overall")).to_have_attribute("data-tone", "warn")
    expect(visited.find("overall-advice")).to_contain_text(f"Open UDP port {ports['udp']}")
    visited.expect_card("transport=udp", "not reachable")
    visited.expect_card("transport=tcp", "works")


def test_a_relay_that_relays_nothing_is_found_out(
    visit: Open, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("closed")
    with running_server(folder, deny_peers="127.0.0.0/8,", bind="127.0.0.1,") as closed:
        visited = visit(closed).start().finish(NO_RELAY)
        visited.expect_card("transport=udp", "does not relay", "Open its relay ports for UDP")


def test_a_limit_of_the_server_is_named(
    visit: Open, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("small")
    with running_server(folder, max_allocations_per_user="1") as small:
        visited = visit(small).start().finish(NO_RELAY)
        visited.expect_card("transport=udp", "refused (486)", "gives this user no more room")


def test_a_server_that_is_added_is_tested_alone(visit: Open) -> None:
    visited = visit()
    real = credential_of(visited)
    udp = next(url for url in real["urls"] if "udp" in url)
    visited.add(udp, real["username"], real["credential"]).finish(WORKS)
    visited.expect_card("transport=udp", "works")
    expect(visited.page.locator(".ice-server")).to_have_count(1)
    visited.start().finish(WORKS)
    expect(visited.page.locator(".ice-server")).to_have_count(4)
    visited.page.get_by_role("button", name=f"Remove {udp}").click()
    expect(visited.page.locator(".ice-server")).to_have_count(3)
    expect(visited.find("progress")).to_have_text(f"{udp} was removed.")
    expect(visited.find("url")).to_be_focused()


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (("", "", ""), "Enter the address of a server"),
        (("https://a.example", "", ""), "does not begin with stun:"),
        (("turn://a.example", "u", "p"), "after turn: come a host"),
        (("turn:u@a.example", "u", "p"), "is not the address of an ICE server"),
        (("turn:a.example", "", ""), "ask for a user name and a password"),
        (("turn:a.example", "u", ""), "ask for a user name and a password"),
        (("turn:a.example?transport=pigeon", "u", "p"), "This browser does not take"),
        (("stun:a.example:99999", "", ""), "This browser does not take"),
    ],
)
def test_what_cannot_be_tested_is_not_added(
    visit: Open, given: tuple[str, str, str], words: str
) -> None:
    visited = visit().add(*given)
    expect(visited.find("add-problem")).to_contain_text(words)
    expect(visited.find("url")).to_be_focused()
    expect(visited.find("url")).to_have_attribute("aria-invalid", "true")
    expect(visited.page.locator(".ice-server")).to_have_count(0)
    visited.add("stun:127.0.0.1:1")
    expect(visited.find("add-problem")).to_be_hidden()
    expect(visited.find("url")).to_have_attribute("aria-invalid", "false")


def test_a_test_can_be_stopped(visit: Open, ports: dict[str, int]) -> None:
    visited = visit().change(moved(ports, "udp")).start()
    expect(visited.card("transport=udp").locator(".ice-state")).to_have_text("testing …")
    expect(visited.find("add-server")).to_be_disabled()
    expect(visited.find("start")).to_have_text("Stop")
    visited.start()
    expect(visited.find("progress")).to_have_text("The test was stopped.")
    visited.expect_card("transport=udp", "stopped")
    expect(visited.find("overall")).to_be_hidden()
    expect(visited.find("add-server")).to_be_enabled()


def test_a_server_that_wants_peers_alone_says_how(
    visit: Open, tmp_path_factory: pytest.TempPathFactory
) -> None:
    with running_server(tmp_path_factory.mktemp("peer"), api_access="peer") as strict:
        visited = visit(strict).start()
        expect(visited.find("problem")).to_contain_text("to those who are signed in")
        expect(visited.find("id")).to_be_visible()
        expect(visited.find("overall")).to_be_hidden()
        signed_in = visited.page.context.new_page()
        signed_in.goto(f"{strict.url}?id=424242")
        signed_in.get_by_role("button", name="Sign in").click()
        expect(signed_in.locator("#self-id")).to_have_text("424242")
        visited.find("id").fill("424242")
        visited.start().finish(WORKS)
        expect(visited.find("problem")).to_be_hidden()


def test_a_server_that_wants_a_token_gets_it(
    visit: Open, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("token")
    with running_server(folder, plugins=[TOKENS], api_access="auth") as strict:
        visited = visit(strict).start()
        expect(visited.find("problem")).to_contain_text("only to those who show a token")
        visited.find("token").fill("open-sesame")
        visited.start().finish(WORKS)
        visited.find("token").fill("open 🌪")
        visited.start()
        expect(visited.find("problem")).to_contain_text("has characters that no token has")


def test_a_browser_without_webrtc_is_told(visit: Open) -> None:
    visited = visit()
    visited.page.evaluate("() => { delete window.RTCPeerConnection; }")
    visited.start()
    expect(visited.find("problem")).to_contain_text("This browser makes no calls")
    expect(visited.page.locator(".ice-server")).to_have_count(0)


def test_a_server_that_was_asked_too_often_says_when_to_come_again(
    visit: Open, tmp_path_factory: pytest.TempPathFactory
) -> None:
    with running_server(tmp_path_factory.mktemp("slow"), api_per_minute="1") as slow:
        visited = visit(slow).start().finish(WORKS)
        visited.start()
        expect(visited.find("problem")).to_contain_text("Too many have asked")
        expect(visited.find("problem")).to_have_text(re.compile(r"Test again in \d+ seconds?\.$"))


@pytest.mark.parametrize(
    ("status", "body", "words"),
    [
        (401, {"error": {"code": "not-authenticated"}}, "Enter a token, and test again."),
        (401, None, "Enter a token, and test again."),
        (403, {"error": {"code": "banned"}}, "does not want this device"),
        (403, {"error": {"code": "name-not-allowed"}}, "The token is for another id."),
        (403, {"error": {"code": "toString"}}, "does not allow this device or this id"),
        (404, None, "no list of ICE servers"),
        (429, None, "Test again in a minute."),
        (500, None, "(HTTP status 500)"),
        (503, {"error": {"code": "plugin-failed"}}, "cannot check tokens at the moment"),
        (200, None, "is not a list of ICE servers"),
        (200, {"iceServers": 7}, "is not a list of ICE servers"),
    ],
)
def test_every_refusal_has_words(visit: Open, status: int, body: Any, words: str) -> None:
    visited = visit()
    text = "<html>" if body is None else json.dumps(body)
    visited.page.route("**/api/turn?*", lambda route: route.fulfill(status=status, body=text))
    visited.start()
    expect(visited.find("problem")).to_contain_text(words)
    expect(visited.find("start")).to_have_text("Test again")
    expect(visited.find("overall")).to_be_hidden()


def test_a_server_that_is_away_is_named(
    visit: Open, tmp_path_factory: pytest.TempPathFactory
) -> None:
    with running_server(tmp_path_factory.mktemp("away")) as away:
        visited = visit(away)
    visited.start()
    expect(visited.find("problem")).to_contain_text(f"The server 127.0.0.1:{away.port} does not")


def test_an_empty_list_is_a_result(visit: Open) -> None:
    visited = visit()
    visited.page.route("**/api/turn?*", lambda route: route.fulfill(json={"iceServers": []}))
    visited.start().finish(NO_RELAY)
    expect(visited.find("overall-long")).to_contain_text("There is no TURN server in the list.")


@pytest.mark.parametrize("entry", [{}, {"urls": 7}, {"urls": ["turn:a b"]}, {"urls": ["<b>:x"]}])
def test_a_bad_entry_of_the_list_spoils_nothing_else(visit: Open, entry: IceServer) -> None:
    visited = visit()

    def fulfill(route: Route) -> None:
        told = route.fetch().json()
        route.fulfill(json={"iceServers": [entry, *told["iceServers"]]})

    visited.page.route("**/api/turn?*", fulfill)
    visited.start().finish(WORKS)
    if "urls" in entry and isinstance(entry["urls"], list):
        expect(visited.page.locator(".ice-server").first).to_contain_text("not usable")


def test_the_token_and_the_id_go_to_the_server_and_nowhere_else(visit: Open) -> None:
    visited = visit(query="?id=123456")
    requests: list[tuple[str, str | None]] = []
    visited.page.on(
        "request",
        lambda request: requests.append((request.url, request.headers.get("authorization"))),
    )
    visited.page.get_by_text("The server asks who I am").click()
    expect(visited.find("id")).to_have_value("123456")
    visited.find("token").fill("secret-token")
    visited.start().finish(WORKS)
    (url, authorization), *others = sorted(requests, key=lambda each: "/api/turn?" not in each[0])
    assert all(each[1] is None and "secret-token" not in each[0] for each in others)
    assert not any("/api/" in each[0] for each in others)
    assert "username=123456" in url
    assert "secret-token" not in url
    assert authorization == "Bearer secret-token"
    assert visited.page.evaluate("[localStorage.length, sessionStorage.length]") == [0, 0]


def test_the_report_has_everything_but_credentials(visit: Open, ports: dict[str, int]) -> None:
    visited = visit().change(moved(ports, "tcp"))
    visited.page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    real = credential_of(visited)
    visited.find("start").click()
    visited.finish(WORKS)
    visited.add("turn:127.0.0.1:1?transport=tcp", "my-user-name", "my-password").finish(WORKS)
    report = visited.report()
    for words in (
        f"Overall: {WORKS}",
        "Through it and back",
        "relay udp 127.0.0.1:",
        "stun:127.0.0.1",
        "error 701",
    ):
        assert words in report
    for secret in ("my-user-name", "my-password", real["credential"], "ice-test"):
        assert secret not in report
    visited.page.get_by_role("button", name="Copy report").click()
    expect(visited.find("copy")).to_have_text("Copied")
    assert visited.page.evaluate("navigator.clipboard.readText()") == report


def test_the_report_is_selected_where_it_cannot_be_copied(visit: Open) -> None:
    visited = visit()
    visited.page.evaluate(
        "() => { navigator.clipboard.writeText = () => Promise.reject(new Error('no')); }"
    )
    visited.start().finish(WORKS)
    visited.page.get_by_role("button", name="Copy report").click()
    expect(visited.find("report")).to_be_focused()
    expect(visited.find("progress")).to_contain_text("copy it by hand")
    selected = visited.page.evaluate("getSelection().toString()")
    assert selected.startswith("ICE test of 127.0.0.1")


def test_everything_works_from_the_keyboard(visit: Open) -> None:
    visited = visit()
    order = []
    for _ in range(7):
        visited.page.keyboard.press("Tab")
        order.append(
            visited.page.evaluate(
                "document.activeElement.id || document.activeElement.tagName.toLowerCase()"
            )
        )
    assert order == ["a", "start", "summary", "url", "username", "credential", "add-server"]
    visited.find("start").focus()
    visited.page.keyboard.press("Enter")
    visited.finish(WORKS)
    visited.find("url").fill("turn:a.example")
    visited.page.keyboard.press("Enter")
    expect(visited.find("add-problem")).to_be_visible()


def test_progress_is_read_aloud(visit: Open) -> None:
    visited = visit()
    visited.page.evaluate("""() => {
      window.said = [];
      new MutationObserver(() => window.said.push(document.getElementById("progress").textContent))
        .observe(document.getElementById("progress"), { childList: true });
    }""")
    expect(visited.find("progress")).to_have_attribute("role", "status")
    visited.start().finish(WORKS)
    said = visited.page.evaluate("window.said")
    assert said[0].startswith("Asking this server")
    assert said[1] == "Testing 3 servers …"
    assert sum("works." in each for each in said) == 3
    assert said[-1].startswith(f"Done. {WORKS}.")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", [(320, 568), (390, 844), (1280, 800)])
def test_it_fits_and_is_accessible(
    visit: Open, size: tuple[int, int], scheme: Literal["light", "dark"]
) -> None:
    viewport = {"width": size[0], "height": size[1]}
    visited = visit(viewport=viewport, color_scheme=scheme, reduced_motion="reduce")
    visited.change(lambda each: each | {"credential": "wrong"})
    look(visited.page)
    visited.start().finish(NO_RELAY)
    visited.add("turn:bad/address")
    for summary in visited.page.locator("summary").all():
        summary.click()
    look(visited.page)
    visited.page.unroute_all()
    visited.start().finish(WORKS)
    look(visited.page)


def look(page: Page) -> None:
    """Expect that nothing scrolls sideways, and nothing that axe knows to be a barrier."""
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    found = Axe().run(page, options=RULES).response["violations"]
    assert [(each["id"], [node["html"] for node in each["nodes"]]) for each in found] == []


def test_nothing_is_loaded_from_elsewhere(visit: Open) -> None:
    visited = visit().start().finish(WORKS)
    origins = visited.page.evaluate(
        'performance.getEntriesByType("resource").map((entry) => new URL(entry.name).origin)'
    )
    assert set(origins) == {visited.page.evaluate("location.origin")}


def test_the_page_is_part_of_the_shipped_files() -> None:
    www = Path(__file__).resolve().parents[2] / "www"
    assert "js/icetest.js" in (www / "ice.html").read_text()
    assert (www / "js" / "icetest.js").is_file()
