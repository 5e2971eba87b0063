"""What a plugin's handler is given of a message, and what it can do with it."""

from collections.abc import Mapping
from typing import Any

import pytest

from tests.conftest import ExpectLog
from tests.web.conftest import Serve
from tests.wire import WireClient, signed_in
from tornado_webrtc import hookimpl
from tornado_webrtc.hooks import Denied, Message, MessageHandler
from tornado_webrtc.web.message import MessageContext


class Waving:
    """Forwards a wave to the peer that it is for, and says what it saw."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, str | None, Any]] = []

    @hookimpl
    def message_types(self) -> Mapping[str, MessageHandler]:
        return {"wave": self.wave, "fail": self.fail}

    @hookimpl
    def permit_message(self, message: Message) -> Denied | None:
        return Denied("no waving today", "closed") if message.data == "closed" else None

    async def wave(self, message: Message) -> None:
        self.seen.append((message.peer.id, message.to, message.data))
        if message.to is None:
            message.error("wave at whom?", "bad-message")
        elif message.send(message.to, "wave", {"from": message.peer.id}):
            message.reply("waved", {"to": message.to})
        else:
            message.reply("nobody", None)

    async def fail(self, message: Message) -> None:
        raise RuntimeError("broken on purpose")


async def test_handler_sees_the_message_and_answers(serve: Serve) -> None:
    plugin = Waving()
    server = await serve(plugins=[plugin])
    async with signed_in(server.port, "1", "2") as (ann, ben):
        await ann.send("wave", {"to": "2", "hand": "left"})
        assert await ben.read() == {"type": "wave", "data": {"from": "1"}}
        assert await ann.read() == {"type": "waved", "data": {"to": "2"}}
        await ann.send("wave", {"to": "3"})
        assert await ann.read() == {"type": "nobody", "data": None}
        assert plugin.seen[0] == ("1", "2", {"to": "2", "hand": "left"})


@pytest.mark.parametrize("data", [None, 7, [], "text", {}, {"to": 7}, {"to": None}])
async def test_any_payload_is_harmless(serve: Serve, data: object) -> None:
    plugin = Waving()
    server = await serve(plugins=[plugin])
    async with await WireClient.connect(server.port) as ann:
        await ann.register("1")
        await ann.send("wave", data)
        answer = (await ann.read())["data"]
        assert answer == {"request": "wave", "reason": "wave at whom?", "code": "bad-message"}
        assert plugin.seen == [("1", None, data)]


async def test_handler_is_asked_only_if_the_message_is_permitted(serve: Serve) -> None:
    plugin = Waving()
    server = await serve(plugins=[plugin])
    async with await WireClient.connect(server.port) as ann:
        await ann.register("1")
        await ann.send("wave", "closed")
        assert (await ann.read())["data"]["code"] == "closed"
        assert plugin.seen == []


async def test_handler_that_fails_is_reported_and_costs_one_message(
    serve: Serve, expect_log: ExpectLog
) -> None:
    server = await serve(plugins=[Waving()])
    expect_log("waving: the handler of fail raised RuntimeError")
    async with await WireClient.connect(server.port) as ann:
        await ann.register("1")
        await ann.send("fail", {})
        assert (await ann.read())["data"]["code"] == "plugin-failed"
        assert await ann.settled() == []


async def test_repr_shows_no_content(serve: Serve) -> None:
    shown: list[str] = []

    class Showing:
        @hookimpl
        def permit_message(self, message: Message) -> None:
            assert isinstance(message, MessageContext)
            shown.append(repr(message))

    server = await serve(plugins=[Showing()])
    async with await WireClient.connect(server.port) as ann:
        await ann.register("1")
        await ann.send("offer", {"to": "1", "session_id": "x", "description": {"sdp": "secret"}})
        await ann.send("wave", {"token": "secret"})
        await ann.settled()
    assert all("secret" not in text for text in shown)
