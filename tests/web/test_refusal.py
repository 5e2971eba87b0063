"""What the operator reads of those who were not let in, and how little of a flood of them."""

import logging
from collections.abc import Callable

import pytest

from tests.web.conftest import Serve
from tests.wire import WireClient, until
from tornado_webrtc import hookimpl
from tornado_webrtc.hooks import AuthRequest, Denied, Identity, JoinRequest, Refused
from tornado_webrtc.web.connection import Handshake
from tornado_webrtc.web.refusal import BURST, INTERVAL_S, MAX_CAUSES, RefusalLog

HERE = Handshake(remote_ip="192.0.2.7", token="a-secret-token", request_id="r1")
Said = Callable[[], list[str]]


@pytest.fixture
def said(caplog: pytest.LogCaptureFixture) -> Said:
    """What was logged of refusals."""
    caplog.set_level(logging.INFO, "tornado_webrtc.web")
    return lambda: [text for text in caplog.messages if "was refused" in text]


class Time:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


# --- lines ----------------------------------------------------------------------------


def test_what_a_line_says(said: Said) -> None:
    log = RefusalLog(Time())
    log.tell("limit", HERE)
    log.tell("not-authenticated", HERE, 7)
    log.tell("banned", HERE, 7, "bob")
    log.tell("room-full", HERE, 7, "bob", "vault")
    log.tell("room-needed", HERE, 7, "", "")
    assert said() == [
        "a connection from '192.0.2.7' was refused: 'limit'",
        "a connection from '192.0.2.7' was refused: 'not-authenticated'",
        "the sign-in of 'bob' from '192.0.2.7' was refused: 'banned'",
        "the sign-in of 'bob' into 'vault' from '192.0.2.7' was refused: 'room-full'",
        "the sign-in of '' from '192.0.2.7' was refused: 'room-needed'",
    ]


def test_fields_for_programs(caplog: pytest.LogCaptureFixture, said: Said) -> None:
    RefusalLog(Time()).tell("room-full", HERE, 7, "bob", "vault")
    (record,) = [each for each in caplog.records if each.getMessage() in said()]
    fields = {"code": "room-full", "remote_ip": "192.0.2.7", "connection_id": 7, "request_id": "r1"}
    assert fields.items() <= vars(record).items()
    assert "a-secret-token" not in str(vars(record))


@pytest.mark.parametrize("text", ["x" * 10_000, "\x1b[2J\r\nfake\u2028\ud800"])
def test_hostile_texts_stay_short_and_on_their_line(said: Said, text: str) -> None:
    RefusalLog(Time()).tell(text, HERE, 7, text, text)
    (line,) = said()
    assert line.isprintable()
    assert len(line) < 600


# --- a flood ----------------------------------------------------------------------------


def test_flood(said: Said) -> None:
    time = Time()
    log = RefusalLog(time)
    for number in range(1000):
        log.tell("room-password", HERE, number, f"eve{number}")
    log.tell("room-full", HERE, 1, "bob")
    assert len(said()) == BURST + 1
    assert "'bob'" in said()[-1]
    time.now += INTERVAL_S
    log.tell("room-password", HERE, 1, "carol")
    log.tell("room-password", HERE, 1, "dave")
    assert said()[-1] == (
        "the sign-in of 'carol' from '192.0.2.7' was refused: 'room-password'; "
        f"{1000 - BURST} before it were not logged"
    )
    time.now += INTERVAL_S * BURST
    log.tell("room-password", HERE, 1, "erin")
    assert said()[-1].endswith("; 1 before it were not logged")
    log.tell("room-password", HERE, 1, "frank")
    assert said()[-1].endswith("'frank' from '192.0.2.7' was refused: 'room-password'")


def test_codes_that_plugins_make_up(said: Said) -> None:
    log = RefusalLog(Time())
    for number in range(10 * MAX_CAUSES):
        log.tell(f"code-{number}", HERE)
    assert len(said()) == MAX_CAUSES + BURST
    log.tell("code-0", HERE)
    assert said()[-1].endswith("refused: 'code-0'")


# --- who is refused ---------------------------------------------------------------------


class Guard:
    """Knows one token, and lets nobody into the vault."""

    @hookimpl
    def authenticate(self, request: AuthRequest) -> Identity | Refused | None:
        if request.token == "a-right-token":
            return Identity("alice", ("alice",))
        return None if request.token is None else Refused("no such token")

    @hookimpl
    def permit_join(self, request: JoinRequest) -> Denied | None:
        return Denied("no", "room-password") if request.room == "vault" else None


@pytest.mark.parametrize(
    ("fields", "line"),
    [
        ({"id": "bob", "room": "vault", "password": "open sesame"}, "'bob' into 'vault'"),
        ({"id": "bob", "token": "a-wrong-token"}, "'bob'"),
        ({"id": "bob", "token": "a-right-token"}, "'bob'"),
    ],
)
async def test_sign_in(serve: Serve, said: Said, fields: dict[str, str], line: str) -> None:
    server = await serve(plugins=[Guard()])
    async with await WireClient.connect(server.port) as client:
        await client.send("new", fields)
        code = (await client.read())["data"]["code"]
        await client.read_until_closed()
    assert said() == [f"the sign-in of {line} from '127.0.0.1' was refused: '{code}'"]
    for secret in ("sesame", "a-wrong-token", "a-right-token"):
        assert secret not in said()[0]


async def test_room_of_the_url(serve: Serve, said: Said) -> None:
    server = await serve(plugins=[Guard()])
    async with await WireClient.connect(server.port, path="/ws?room=vault") as client:
        await client.send("new", {"id": "bob"})
        await client.read_until_closed()
    assert "of 'bob' into 'vault' from" in said()[0]


async def test_token_at_the_upgrade(serve: Serve, said: Said) -> None:
    server = await serve(plugins=[Guard()])
    headers = {"Authorization": "Bearer a-wrong-token"}
    async with await WireClient.connect(server.port, headers=headers) as client:
        assert (await client.read_until_closed()).code == 4401
    headers = {"Authorization": "Bearer a-right-token"}
    server.ban("user", "alice")
    async with await WireClient.connect(server.port, headers=headers) as client:
        assert (await client.read_until_closed()).code == 4403
    assert said() == [
        "a connection from '127.0.0.1' was refused: 'not-authenticated'",
        "a connection from '127.0.0.1' was refused: 'banned'",
    ]


async def test_before_the_upgrade(serve: Serve, said: Said) -> None:
    limits = {"max_connections_per_ip": 1, "allowed_origins": ("https://good.example",)}
    server = await serve(signaling=limits)
    headers = {"Origin": "https://evil.example"}
    async with await WireClient.connect(server.port, headers=headers) as page:
        assert (await page.read_until_closed()).code == 4403
    async with await WireClient.connect(server.port) as first:
        await first.register("alice")
        async with await WireClient.connect(server.port) as second:
            assert (await second.read_until_closed()).code == 4429
    await until(lambda: len(server.hub) == 0)
    server.ban("ip", "127.0.0.1")
    async with await WireClient.connect(server.port) as banned:
        assert (await banned.read_until_closed()).code == 4403
    assert [text.partition("refused: ")[2] for text in said()] == [
        "'origin'",
        "'limit'",
        "'banned'",
    ]


async def test_who_is_let_in_is_not_mentioned(serve: Serve, said: Said) -> None:
    server = await serve(plugins=[Guard()])
    async with await WireClient.connect(server.port) as client:
        await client.register("alice", token="a-right-token")
        await client.send("new", {"id": "bob"})
        assert (await client.read())["data"]["code"] == "already-registered"
    assert said() == []
