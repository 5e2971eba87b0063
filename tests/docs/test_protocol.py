"""The protocol references agree with the code in both directions: types, codes, numbers."""

import re
from collections.abc import Set
from pathlib import Path

import pytest

from tests.docs.source import calls_of, error_codes, texts
from tornado_webrtc.ban import Ban
from tornado_webrtc.collection import BY_OPERATOR
from tornado_webrtc.plugins import rooms
from tornado_webrtc.request import Denied
from tornado_webrtc.signaling import message, presence, server, session
from tornado_webrtc.signaling.message import New
from tornado_webrtc.signaling.server import DIRECTED_TYPES
from tornado_webrtc.web import announcer, connection, registration, websocket
from tornado_webrtc.web.connection import CloseCode
from tornado_webrtc.web.hub import CORE_TYPES

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
SIGNALING = (DOCS / "signaling.md").read_text(encoding="utf-8")
PLUGINS = (DOCS / "plugins.md").read_text(encoding="utf-8")

SENT_BY_TORNADO = 1009


def chapter(text: str, title: str) -> str:
    """What stands under a heading, up to the next one of the same level."""
    _, found, rest = text.partition(f"\n## {title}\n")
    assert found, title
    return rest.partition("\n## ")[0]


def first_cells(text: str) -> list[str]:
    """The first cell of each row of the tables, without their heads."""
    rows = re.findall(r"^\| (.*?) \|", text, re.MULTILINE)
    return [row for row in rows if "`" in row or row.isdecimal()]


def named(cells: list[str]) -> set[str]:
    return {name for cell in cells for name in re.findall(r"`([a-z-]+)`", cell)}


def codes_of(exception: str, *, below: str = "") -> set[str]:
    """The codes that are written out where an exception is made."""
    return {
        argument
        for call in calls_of(exception, below=below)
        for argument in call
        if isinstance(argument, str) and re.fullmatch(r"[a-z]+(-[a-z]+)*", argument)
    }


# --- signaling ----------------------------------------------------------------------------


def test_types_that_clients_send() -> None:
    documented = named(first_cells(chapter(SIGNALING, "What a client sends")))
    assert documented == CORE_TYPES - {""}


def test_types_that_clients_receive() -> None:
    table = chapter(SIGNALING, "What a client receives").partition("| code |")[0]
    made = {call[0] for call in calls_of("typed_frame") if call and isinstance(call[0], str)}
    assert made >= {"bye", "leave", "error"}
    assert any(text.startswith('{"type":"peers"') for text in texts())
    assert named(first_cells(table)) == made | DIRECTED_TYPES | {"peers", "keepalive"}


def test_fields_of_new() -> None:
    (row,) = re.findall(r"^\| `new` \| (.*?) \|", SIGNALING, re.MULTILINE)
    assert re.findall(r"`(\w+)`", row) == list(New.__dataclass_fields__)


def test_error_codes() -> None:
    table = chapter(SIGNALING, "What a client receives").partition("| code |")[2]
    made = codes_of("SignalingError") | codes_of("Denied")
    assert made >= {"bad-message", "server-draining", "banned", "plugin-failed"}
    assert named(first_cells(table)) == made | {Denied("no").code}


def test_codes_of_bye() -> None:
    table = chapter(SIGNALING, "When a peer goes").partition("| `code` |")[2]
    assert named(first_cells(table)) == codes_of("Decision") == {"peer-removed", "call-ended"}


def test_close_codes() -> None:
    documented = [int(code) for code in first_cells(chapter(SIGNALING, "When the server closes"))]
    codes = {value for name, value in vars(CloseCode).items() if name.isupper()}
    assert documented == sorted(codes | {SENT_BY_TORNADO})


@pytest.mark.parametrize(
    "sentence",
    [
        f"1 to {message.MAX_ID_LENGTH} characters",
        f"the first {message.MAX_NAME_LENGTH} and {message.MAX_USER_AGENT_LENGTH} characters",
        f"at most {message.MAX_SESSION_ID_LENGTH} characters",
        f"begun {server.MAX_SESSIONS_PER_PEER} calls",
        f"remembered for {session.REMEMBERED_S:g} s",
        f"answers within {registration.PROBE_TIMEOUT_S:g} s",
        f"others, of at most {message.MAX_TYPE_LENGTH} characters",
        f"more than {announcer.BYTES_PER_S / 10**6:g} MB of lists a second",
        f"After {connection.MAX_THROTTLED_S:g} s above the rate",
        f"more than {presence.ENTRY_BYTES} bytes on average",
        f"at most {websocket.MAX_QUERY_BYTES} bytes and {websocket.MAX_ARGUMENTS} arguments",
        f"an upgrade at most {websocket.MAX_HEADERS} headers",
    ],
)
def test_numbers(sentence: str) -> None:
    assert sentence in re.sub(r"\s+", " ", SIGNALING)


def test_how_often_lists_come() -> None:
    assert (announcer.LISTS_AT_ONCE, announcer.LISTS_PER_S) == (8, 1)
    assert "Eight changes of a scope are told at once, further ones once a second" in SIGNALING


def test_reasons_of_an_operator_who_removes_a_peer() -> None:
    text = re.sub(r"\s+", " ", SIGNALING)
    for reason in (rooms.CLOSED, BY_OPERATOR, Ban("peer", "eve", "", 0.0, None).told):
        assert f"`{reason}`" in text


def test_bursts() -> None:
    assert connection.BURST_S == 5
    assert "bursts of five seconds' worth" in re.sub(r"\s+", " ", SIGNALING)


# --- HTTP, the operator's socket, TURN ----------------------------------------------------


def statuses(page: str) -> set[tuple[int, str]]:
    rows = re.findall(r"^\| (\d{3}) \| `([a-z-]+)` \|", page, re.MULTILINE)
    return {(int(status), code) for status, code in rows}


def api_errors(below: str) -> Set[tuple[object, ...]]:
    return {call[:2] for call in calls_of("ApiError", below=below)}


def test_errors_of_http() -> None:
    page = (DOCS / "http.md").read_text(encoding="utf-8")
    assert statuses(page) == api_errors("tornado_webrtc/web")


def test_errors_of_the_admin_socket() -> None:
    page = (DOCS / "admin.md").read_text(encoding="utf-8")
    assert "bad-config" in texts()
    assert statuses(page) == api_errors("tornado_webrtc/admin") | {(422, "bad-config")}


def test_errors_of_turn() -> None:
    page = (DOCS / "turn.md").read_text(encoding="utf-8")
    documented = first_cells(chapter(page, "Errors that clients get"))
    assert [int(code) for code in documented] == sorted(error_codes())


# --- why peers leave, calls end and allocations are deleted -------------------------------

NEVER_SIGNED_IN = {"refused", "no-hello"}


def reasons(hook: str) -> set[str]:
    _, _, text = PLUGINS.partition(f"\n### `{hook}(")
    (bullet,) = re.findall(r"^\* `reason`: (.*(?:\n  .*)*)", text.partition("\n### ")[0], re.M)
    return set(re.findall(r"`([a-z0-9 -]+)`", bullet))


def test_reasons_of_peer_left() -> None:
    given = {call["left"] for call in calls_of("close", "abort", keywords=True) if "left" in call}
    given |= {call[0] for call in calls_of("_begin_closing") if isinstance(call[0], str)}
    assert reasons("peer_left") == (given - NEVER_SIGNED_IN) | {"left", "disconnected"}


def test_reasons_of_session_ended() -> None:
    assert reasons("session_ended") == {"bye", "server-stopped", "ended by the operator"}
    assert {"bye", "server-stopped", "ended by the operator"} <= texts()


def test_reasons_of_allocation_deleted() -> None:
    given = {call[1] for call in calls_of("delete") if len(call) > 1 and isinstance(call[1], str)}
    assert reasons("allocation_deleted") == given | {"banned", "ended by the operator"}
