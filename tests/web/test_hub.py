"""Messages over real sockets: what is forwarded, what is refused, who hears of it."""

import asyncio

import pytest

from tests.web.conftest import Serve
from tests.wire import WireClient, call, error, signed_in, until
from tornado_webrtc import hookimpl
from tornado_webrtc.hooks import CallRequest, Denied, Message
from tornado_webrtc.web.hub import MAX_ERROR_CODES


@pytest.mark.parametrize(
    ("text", "request_type", "code"),
    [
        ("", "", "bad-message"),
        ("nonsense", "", "bad-message"),
        ("[]", "", "bad-message"),
        ("null", "", "bad-message"),
        ('"text"', "", "bad-message"),
        ('{"data":{}}', "", "bad-message"),
        ('{"type":7}', "", "bad-message"),
        ("[" * 50_000, "", "bad-message"),
        ('{"type":"' + "x" * 100 + '"}', "", "bad-message"),
        ('{"type":"dance"}', "dance", "not-registered"),
        ('{"type":"offer","data":{"to":"a"}}', "offer", "not-registered"),
        ('{"type":"bye","data":{}}', "bye", "not-registered"),
        ('{"type":"leave","data":{}}', "leave", "not-registered"),
        ('{"type":"new"}', "new", "bad-message"),
        ('{"type":"new","data":null}', "new", "bad-message"),
        ('{"type":"new","data":{"id":null}}', "new", "bad-message"),
        ('{"type":"new","data":{"id":""}}', "new", "bad-message"),
        ('{"type":"new","data":{"id":"a\\u0000b"}}', "new", "bad-message"),
        ('{"type":"new","data":{"id":"' + "x" * 129 + '"}}', "new", "bad-message"),
        ('{"type":"new","data":{"id":"a","name":7}}', "new", "bad-message"),
    ],
)
async def test_bad_content_is_answered_and_closes_nothing(
    serve: Serve, text: str, request_type: str, code: str
) -> None:
    server = await serve()
    async with await WireClient.connect(server.port) as client:
        await client.send_text(text)
        answer = await client.read()
        assert (answer["type"], answer["data"]["request"]) == ("error", request_type)
        assert answer["data"]["code"] == code
        assert answer["data"]["reason"]
        assert await client.settled() == []
        assert server.hub.counters[f"error.{code}"] == 1


async def test_unknown_type_is_answered_once_registered(serve: Serve) -> None:
    server = await serve()
    async with await WireClient.connect(server.port) as client:
        await client.register("a")
        await client.send("dance", {})
        assert await client.read() == error("dance", "Unknown message type [dance]", "unknown-type")


async def test_empty_object_is_a_heartbeat(serve: Serve) -> None:
    server = await serve()
    async with await WireClient.connect(server.port) as client:
        await client.send_text("{}")
        assert await client.settled() == []


async def test_keepalive_is_echoed_as_it_came_even_before_new(serve: Serve) -> None:
    server = await serve()
    async with await WireClient.connect(server.port) as client:
        frame = '{ "type" : "keepalive",  "data": {"b":1, "a":[1e3]} }'
        await client.send_text(frame)
        assert await client.read_text() == frame


async def test_payload_is_forwarded_byte_for_byte(serve: Serve) -> None:
    server = await serve()
    async with signed_in(server.port, "1", "2") as (ann, ben):
        data = '{"x":[1e2, 12345678901234567890,"\\u00e9"],"to":"2",  "session_id":"1-2"}'
        await ann.send_text('{"extra":1,"type":"offer","data":' + data + "}")
        filled_in = data[:-1] + ',"from":"1"}'
        assert await ben.read_text() == '{"type":"offer","data":' + filled_in + "}"


@pytest.mark.parametrize("kind", ["offer", "answer", "candidate"])
async def test_spoofed_sender_is_refused_and_reaches_nobody(serve: Serve, kind: str) -> None:
    server = await serve()
    async with signed_in(server.port, "1", "2", "3") as (_, ben, mallory):
        await mallory.send(kind, {"to": "2", "from": "1", "session_id": "1-2"})
        messages = await mallory.settled()
        assert messages[0]["data"]["code"] == "wrong-sender"
        assert await ben.settled() == []


async def test_exact_legacy_reasons(serve: Serve) -> None:
    server = await serve()
    async with await WireClient.connect(server.port) as client:
        await client.register("1")
        for kind in ("offer", "answer", "candidate"):
            await client.send(kind, {"to": "9", "session_id": "1-9"})
            answer = await client.read()
            assert answer == error(kind, "Peer [9] not found ", "not-found")
            if kind == "offer":
                assert await client.read_type("bye") == {"session_id": "1-9", "to": "1"}
        await client.send("bye", {"session_id": "1-9", "from": "1"})
        assert await client.read() == error("bye", "Peer [9] not found.", "not-found")
        assert await client.read_type("bye") == {"session_id": "1-9", "to": "1"}
        await client.send("bye", {"session_id": "nonsense", "from": "1"})
        assert await client.read() == error("bye", "Invalid session [nonsense]", "invalid-session")
        assert await client.read_type("bye") == {"session_id": "nonsense", "to": "1"}


async def test_foreign_bye_ends_nothing(serve: Serve) -> None:
    server = await serve()
    async with signed_in(server.port, "1", "2", "3") as (ann, ben, mallory):
        session_id = await call(ann, ben)
        for sender in ("3", "1", None):
            await mallory.send("bye", {"session_id": session_id, "from": sender})
        answers = await mallory.settled()
        codes = [each["data"]["code"] for each in answers if each["type"] == "error"]
        assert codes == ["invalid-session", "wrong-sender", "invalid-session"]
        byes = [each["data"] for each in answers if each["type"] == "bye"]
        assert byes == [{"session_id": session_id, "to": "3"}] * 3, "only its own, echoed"
        assert await ann.settled() == []
        assert await ben.settled() == []


async def test_leave_trap_two_calls_survive_a_crowd_of_strangers(serve: Serve) -> None:
    server = await serve()
    pairs = [await WireClient.connect(server.port) for _ in range(4)]
    for number, client in enumerate(pairs):
        await client.register(f"10000{number}")
    sessions = [await call(*pairs[:2]), await call(*pairs[2:])]
    for each in pairs:
        await each.settled()

    async def stranger(number: int) -> None:
        async with await WireClient.connect(server.port) as client:
            if number % 3:
                await client.register(f"20{number:04d}")
            if number % 3 == 2:
                await client.send("leave", None)
                await client.settled()

    for start in range(0, 200, 20):
        await asyncio.gather(*(stranger(number) for number in range(start, start + 20)))
    await until(lambda: server.hub.signaling.peer_count == len(pairs))
    for client in pairs:
        assert {message["type"] for message in await client.settled()} <= {"peers"}
    assert {session.id for session in server.hub.sessions()} == set(sessions)
    await pairs[0].drop()
    assert await pairs[1].read_type("bye") == {"session_id": sessions[0], "to": "100001"}
    assert await pairs[1].read_type("leave") == "100000"
    assert {message["type"] for message in await pairs[2].settled()} <= {"peers"}
    for client in pairs[1:]:
        await client.drop()


@pytest.mark.parametrize("end", ["drop", "leave", "stop"])
async def test_what_no_operator_decided_is_a_plain_bye(serve: Serve, end: str) -> None:
    """Clients go on with a call that such a `bye` is about, if it works."""
    server = await serve()
    async with signed_in(server.port, "1", "2") as (ann, ben):
        session_id = await call(ann, ben)
        if end == "drop":
            await ann.drop()
        elif end == "leave":
            await ann.send("leave", {})
        else:
            await server.stop()
        assert await ben.read_type("bye") == {"session_id": session_id, "to": "2"}


class Gate:
    """Holds every message back until it is opened, and notes what it was asked."""

    def __init__(self) -> None:
        self.open = asyncio.Event()
        self.asked: list[str] = []

    @hookimpl
    async def permit_message(self, message: Message) -> None:
        self.asked.append(message.type)
        await self.open.wait()

    @hookimpl
    def permit_call(self, request: CallRequest) -> None:
        self.asked.append(f"call {request.session_id}")


async def test_call_that_ends_while_a_plugin_thinks_begins_anew_only_with_permission(
    serve: Serve,
) -> None:
    gate = Gate()
    gate.open.set()
    server = await serve(plugins=[gate])
    async with signed_in(server.port, "1", "2") as (ann, ben):
        session_id = await call(ann, ben)
        gate.asked.clear()
        gate.open.clear()
        await ann.send("offer", {"to": "2", "session_id": session_id})
        await until(lambda: gate.asked == ["offer"])
        await ben.send("bye", {"session_id": session_id})
        await ben.read_type("bye")
        gate.open.set()
        await ben.read_type("offer")
        assert gate.asked == ["offer", "call 1-2"]


async def test_nobody_is_asked_about_what_comes_late(serve: Serve) -> None:
    gate = Gate()
    gate.open.set()
    server = await serve(plugins=[gate])
    async with signed_in(server.port, "1", "2") as (ann, ben):
        session_id = await call(ann, ben)
        await ben.send("bye", {"session_id": session_id})
        await ann.read_type("bye")
        await ben.settled()
        gate.asked.clear()
        await ann.send("candidate", {"to": "2", "session_id": session_id})
        assert await ann.settled() == []
        assert await ben.settled() == []
        assert gate.asked == []
        await ann.send("candidate", {"to": "2", "session_id": "another"})
        await ben.read_type("candidate")
        assert gate.asked == ["candidate"]


async def test_peer_that_goes_while_a_plugin_thinks(serve: Serve) -> None:
    gate = Gate()
    server = await serve(plugins=[gate])
    async with signed_in(server.port, "1", "2") as (ann, ben):
        await ann.send("offer", {"to": "2", "session_id": "1-2"})
        await until(lambda: gate.asked == ["offer"])
        await ann.drop()
        assert [peer["id"] for peer in await ben.read_type("peers")] == ["2"]
        gate.open.set()
        assert await ben.settled() == []
        assert list(server.hub.sessions()) == []


async def test_views_and_messages_for_plugins(serve: Serve) -> None:
    server = await serve()
    async with signed_in(server.port, "1", "2") as (ann, ben):
        await call(ann, ben)
        assert [peer.id for peer in server.hub.peers()] == ["1", "2"]
        assert list(server.hub.peers("elsewhere")) == []
        assert [session.id for session in server.hub.sessions()] == ["1-2"]
        (first, _) = server.hub.peers("")
        server.hub.send(first, "notice", {"text": "hello"})
        assert await ann.read() == {"type": "notice", "data": {"text": "hello"}}
        assert server.hub.counters["message.offer"] == 1
        assert server.hub.counters["connections"] == 2


async def test_permission_to_call_one_is_none_to_call_who_has_its_id_since(serve: Serve) -> None:
    """Rules may be about accounts and addresses, not about ids."""
    gate = Gate()
    called: list[str] = []

    class Rules:
        @hookimpl
        def permit_call(self, request: CallRequest) -> bool:
            called.append(request.callee.name)
            return request.callee.name == "friend"

    server = await serve(plugins=[SlowCall(gate), Rules()])
    async with signed_in(server.port, "1") as (ann,):
        friend = await WireClient.connect(server.port)
        await friend.register("2", name="friend")
        while len(await ann.read_type("peers")) == 1:
            pass
        await ann.send("offer", {"to": "2", "session_id": "1-2"})
        await until(lambda: called == ["friend"] and gate.asked == ["call 1-2"])
        await friend.drop()
        await until(lambda: len(server.hub) == 1)
        async with await WireClient.connect(server.port) as boss:
            await boss.register("2", name="boss")
            gate.open.set()
            await until(lambda: called == ["friend", "boss"])
            answers = await ann.settled()
            assert [each["data"]["code"] for each in answers if each["type"] == "error"] == [
                "denied"
            ]
            assert {each["type"] for each in await boss.settled()} <= {"peers"}


class SlowCall:
    """Objects to no call, but takes its time."""

    def __init__(self, gate: Gate) -> None:
        self._gate = gate

    @hookimpl(trylast=True)
    async def permit_call(self, request: CallRequest) -> None:
        self._gate.asked.append(f"call {request.session_id}")
        await self._gate.open.wait()


class Inventive:
    """Makes codes of what clients send, as no plugin should."""

    @hookimpl
    def permit_message(self, message: Message) -> Denied:
        return Denied("no", message.data["code"])


async def test_codes_that_plugins_invent_do_not_add_up(serve: Serve) -> None:
    server = await serve(plugins=[Inventive()])
    async with signed_in(server.port, "1", "2") as (ann, _):
        total = MAX_ERROR_CODES + 50
        for number in range(total):
            data = {"to": "2", "session_id": "1-2", "code": f"code-{number}"}
            await ann.send("candidate", data)
        assert len(await ann.settled()) == total
        errors = {
            name: count for name, count in server.hub.counters.items() if name.startswith("error.")
        }
        assert len(errors) == MAX_ERROR_CODES + 1
        assert errors["error.code-0"] == 1
        assert errors["error.other"] == 50
