"""Well-framed messages with hostile content: refused in words, on a connection that stays."""

import asyncio
import json
from typing import Any

import pytest

from tests.hostile.bystander import undisturbed
from tests.hostile.conftest import OpenSite
from tests.hostile.site import CANDIDATE_MARK, SDP_MARK, TOKEN_MARK, Site
from tests.wire import BINARY, TEXT, WireClient, encode_frame

DIRECTED = ("offer", "answer", "candidate")


def directed(kind: str, to: str, session_id: str, **fields: Any) -> dict[str, Any]:
    """The payload of an `offer`, `answer` or `candidate`."""
    if kind == "candidate":
        payload: Any = {"sdpMLineIndex": 0, "sdpMid": "0", "candidate": f"{CANDIDATE_MARK}evil"}
        body = {"candidate": payload}
    else:
        body = {"description": {"sdp": f"{SDP_MARK}\r\ns=evil\r\n", "type": kind}}
    return {"to": to, "session_id": session_id, **body, **fields}


async def answers(client: WireClient) -> list[tuple[str, str]]:
    """What came in reply: errors as (request, code), the rest as (type, session id).

    After an `offer` or `bye` that was refused, its sender is also sent `bye`.
    """
    found = []
    for message in await client.settled():
        data = message["data"]
        if message["type"] == "error":
            assert data["reason"]
            found.append((data["request"], data["code"]))
        elif message["type"] != "peers":
            found.append((message["type"], data["session_id"]))
    return found


async def stranger(site: Site, peer_id: str) -> WireClient:
    """Somebody who is signed in."""
    client = await site.connect()
    await client.register(peer_id)
    return client


# --- somebody else's name -----------------------------------------------------


@pytest.mark.parametrize("key", ['"from"', '"fr\\u006fm"', '"from":"mallory","from"'])
async def test_spoofed_sender(site: Site, key: str) -> None:
    async with undisturbed(site) as people, await stranger(site, "mallory") as mallory:
        ann, ben, eve, _ = people
        for kind in DIRECTED:
            for to, session_id in ((eve.id, f"{ann.id}-{eve.id}"), (ben.id, ann.session_id)):
                text = json.dumps(directed(kind, to, session_id))[:-1] + f',{key}:"{ann.id}"}}'
                await mallory.send_text(f'{{"type":"{kind}","data":{text}}}')
        await mallory.send_text(
            f'{{"type":"bye","data":{{"session_id":"{ann.session_id}",{key}:"{ann.id}"}}}}'
        )
        refused = [("offer", "wrong-sender"), ("bye", f"{ann.id}-{eve.id}")]
        refused += [("offer", "wrong-sender"), ("bye", ann.session_id)]
        refused += [(kind, "wrong-sender") for kind in ("answer", "candidate") for _ in range(2)]
        refused += [("bye", "wrong-sender"), ("bye", ann.session_id)]
        assert await answers(mallory) == refused


async def test_null_sender_is_filled_in_where_every_parser_reads_it(site: Site) -> None:
    async with (
        undisturbed(site) as people,
        await stranger(site, "mallory") as mallory,
        await stranger(site, "accomplice") as accomplice,
    ):
        for sender in (f'"from":"{people[0].id}","from":null', '"from":null', '"x":[{}]'):
            data = f'{{"to":"accomplice","session_id":"m-a",{sender} }}'
            await mallory.send_text(f'{{"type":"candidate", "data" :{data} , "from":"me"}}')
            assert await accomplice.read_type("candidate") == {
                **json.loads(data),
                "from": "mallory",
            }


async def test_sender_in_types_that_do_not_forward_it_changes_nothing(site: Site) -> None:
    async with undisturbed(site) as people:
        ann = people[0]
        async with await stranger(site, "mallory") as mallory:
            await mallory.send("new", {"id": "mallory", "from": ann.id, "name": "evil"})
            await mallory.send("keepalive", {"from": ann.id})
            assert await mallory.read_type("keepalive") == {"from": ann.id}
            await mallory.send("leave", {"from": ann.id, "id": ann.id})
            await mallory.send("leave", ann.id)
            assert await answers(mallory) == [("leave", "not-registered")]
            peers = await mallory.register("mallory")
            assert {person.id for person in people} < {peer["id"] for peer in peers}


# --- somebody else's call -----------------------------------------------------


@pytest.mark.parametrize("sender", [{}, {"from": "mallory"}, {"from": None}])
async def test_foreign_bye(site: Site, sender: dict[str, Any]) -> None:
    async with undisturbed(site) as people, await stranger(site, "mallory") as mallory:
        for person in people:
            await mallory.send("bye", {"session_id": person.session_id, **sender})
        assert await answers(mallory) == [
            each
            for person in people
            for each in (("bye", "invalid-session"), ("bye", person.session_id))
        ]


@pytest.mark.parametrize("kind", DIRECTED)
async def test_session_id_of_somebody_elses_live_call(site: Site, kind: str) -> None:
    async with (
        undisturbed(site) as people,
        await stranger(site, "mallory") as mallory,
        await stranger(site, "accomplice"),
    ):
        ann, ben, eve, _ = people
        for to in (ann.id, ben.id, eve.id, "accomplice"):
            await mallory.send(kind, directed(kind, to, ann.session_id))
        refusal = [(kind, "not-in-session")]
        if kind == "offer":
            refusal.append(("bye", ann.session_id))
        assert await answers(mallory) == refusal * 4


async def test_ids_made_to_look_like_a_leg_of_the_call(site: Site) -> None:
    """An id that holds a dash can make the session id of others read as one's own."""
    async with undisturbed(site) as people:
        ann, ben = people[:2]
        for peer_id in (f"{ann.id}-", f"-{ben.id}", f"{ann.id}-{ben.id}", f"x-{ann.id}"):
            async with await stranger(site, peer_id) as mallory:
                await mallory.send("bye", {"session_id": ann.session_id})
                for kind in DIRECTED:
                    await mallory.send(kind, directed(kind, ben.id, ann.session_id))
                refused = [(request, code) for request, code in await answers(mallory)]
                assert refused == [
                    ("bye", "invalid-session"),
                    ("bye", ann.session_id),
                    ("offer", "not-in-session"),
                    ("bye", ann.session_id),
                    ("answer", "not-in-session"),
                    ("candidate", "not-in-session"),
                ]


# --- somebody else's id -------------------------------------------------------


async def test_twenty_at_once_want_the_id_of_somebody_who_answers(site: Site) -> None:
    async with undisturbed(site) as people:
        ann = people[0]

        async def impostor() -> None:
            async with await site.connect() as client:
                await client.send("new", {"id": ann.id, "name": "evil", "user_agent": ""})
                refusal = await client.read()
                assert (refusal["type"], refusal["data"]["code"]) == ("error", "id-in-use")
                closed = await client.read_until_closed()
                assert (closed.code, closed.reason) == (4409, f"Peer id [{ann.id}] is in use.")

        await asyncio.gather(*(impostor() for _ in range(20)))
        async with await stranger(site, "onlooker") as onlooker:
            peers = await onlooker.register("onlooker")
            assert [peer["name"] for peer in peers if peer["id"] == ann.id] == [f"peer {ann.id}"]


async def test_twenty_at_once_want_the_id_of_somebody_who_does_not_answer(site: Site) -> None:
    async with undisturbed(site), await stranger(site, "sleeper") as sleeper:
        clients = [await site.connect() for _ in range(20)]
        for client in clients:
            await client.send("new", {"id": "sleeper", "name": "heir"})
        reading = [asyncio.create_task(client.read_until_closed()) for client in clients]
        codes: list[int | None] = []
        for finished in asyncio.as_completed(reading):
            codes.append((await finished).code)
            if len(codes) == 19:
                break
        assert codes == [4409] * 19
        replaced = await sleeper.read_until_closed()
        assert (replaced.code, replaced.reason) == (4001, "replaced by a newer connection")
        for client in clients:
            await client.drop()
        await asyncio.gather(*reading)


# --- what parsers choke on ----------------------------------------------------

NESTED = [
    pytest.param("[" * 60_000, id="arrays that never end"),
    pytest.param('{"a":' * 10_000 + "1" + "}" * 10_000, id="objects"),
    pytest.param('{"type":"new","data":' + "[" * 30_000 + "]" * 30_000 + "}", id="data"),
    pytest.param('{"type":' + "[" * 30_000 + "]" * 30_000 + "}", id="type"),
    pytest.param('{"x":' + '[{"y":' * 8_000 + "1" + "}]" * 8_000 + "}", id="a field nobody reads"),
]


@pytest.mark.parametrize("text", NESTED)
async def test_deep_nesting(site: Site, text: str) -> None:
    async with undisturbed(site), await stranger(site, "mallory") as mallory:
        await mallory.send_text(text)
        assert await answers(mallory) == [("", "bad-message")]


DEPTHS = [*range(50, 1000, 50), *range(955, 1000)]
READING_PLUGIN = '''
"""Looks at every message that is forwarded, as rate limits and filters do."""
from tornado_webrtc import hookimpl

@hookimpl
def permit_message(message):
    message.data.get("to")
'''


async def test_what_only_a_plugin_decodes(open_site: OpenSite) -> None:
    """The core skips what it need not know: numbers out of range, and nesting just not too deep."""
    site = open_site(plugin=READING_PLUGIN)
    async with (
        undisturbed(site),
        await stranger(site, "mallory") as mallory,
        await stranger(site, "accomplice"),
    ):
        values = ["1e999", "-1e999", "1" + "0" * 5000]
        values += ["[" * depth + "]" * depth for depth in DEPTHS]
        for value in values:
            data = f'{{"to":"accomplice","session_id":"m-a","x":{value}}}'
            await mallory.send_text(f'{{"type":"candidate","data":{data}}}')
        codes = {code for _, code in await answers(mallory)}
        assert codes == {"bad-message"}


SURROGATES = (
    "\\ud800",
    "\\udc00",
    "\\ud800\\ud800",
    "\\udc00\\ud800",
    "\\ud800\\u0041",
    "\\ud800x",
)


@pytest.mark.parametrize("text", SURROGATES)
async def test_half_a_character(site: Site, text: str) -> None:
    """A lone surrogate is a JSON escape that no UTF-8 can hold: it must not come to be sent."""
    async with undisturbed(site) as people, await stranger(site, "mallory") as mallory:
        to = people[0].id
        for frame in (
            f'{{"type":"{text}"}}',
            f'{{"type":"offer","data":{{"to":"{text}","session_id":"a"}}}}',
            f'{{"type":"offer","data":{{"to":"{to}","session_id":"{text}"}}}}',
            f'{{"type":"candidate","data":{{"to":"{to}","session_id":"a","x":"{text}"}}}}',
            f'{{"type":"candidate","data":{{"to":"{to}","session_id":"a","{text}":1}}}}',
            f'{{"type":"bye","data":{{"session_id":"{text}"}}}}',
            f'{{"type":"new","data":{{"id":"mallory","name":"{text}"}}}}',
        ):
            await mallory.send_text(frame)
        assert {code for _, code in await answers(mallory)} == {"bad-message"}


async def test_duplicate_keys_count_as_their_last(site: Site) -> None:
    async with (
        undisturbed(site) as people,
        await stranger(site, "mallory") as mallory,
        await stranger(site, "accomplice") as accomplice,
    ):
        ann = people[0]
        fields = (
            f'"to":"{ann.id}","to":"accomplice","session_id":"{ann.session_id}","session_id":"m"'
        )
        inner = f'{{"to":"{ann.id}","session_id":"{ann.session_id}"}}'
        await mallory.send_text(
            f'{{"type":"bye","type":"candidate","data":{inner},"data":{{{fields}}}}}'
        )
        got = await accomplice.read_type("candidate")
        assert got == {"to": "accomplice", "session_id": "m", "from": "mallory"}
        await mallory.send_text('{"type":"keepalive","type":"dance","data":1}')
        assert await answers(mallory) == [("dance", "unknown-type")]


async def test_huge_ids(site: Site) -> None:
    huge = "x" * 60_000
    async with undisturbed(site) as people, await site.connect() as mallory:
        await mallory.send("new", {"id": huge})
        await mallory.send("new", {"id": "x" * 129})
        assert await answers(mallory) == [("new", "bad-message")] * 2
        (entry,) = (
            peer
            for peer in await mallory.register(
                "x" * 128, name=huge[:30_000], user_agent=huge[:30_000]
            )
            if peer["id"] == "x" * 128
        )
        assert (len(entry["name"]), len(entry["user_agent"])) == (64, 192)
        for kind in DIRECTED:
            await mallory.send(kind, directed(kind, huge, "s"))
            await mallory.send(kind, directed(kind, people[0].id, huge))
        await mallory.send("bye", {"session_id": huge})
        await mallory.send("bye", {"session_id": "-" * 258})
        await mallory.send(huge, {})
        expected = [("offer", "bad-message"), ("bye", "s"), ("offer", "bad-message")]
        expected += [(kind, "bad-message") for kind in DIRECTED[1:] for _ in range(2)]
        expected += [("bye", "bad-message")] * 2
        assert await answers(mallory) == [*expected, ("", "bad-message")]


async def test_what_would_move_a_terminals_cursor_stays_out_of_the_log(open_site: OpenSite) -> None:
    """`undisturbed` finds what is not printable in the log."""
    site = open_site(log_level="DEBUG")
    evil = ("\x1b[2J\x1b[31mroot", "a\r\nINFO faked", "\x9b2J", "\x00")
    async with undisturbed(site) as people:
        for text in evil:
            async with await site.connect(path="/ws?token=" + TOKEN_MARK) as mallory:
                await mallory.send("new", {"id": text, "token": TOKEN_MARK})
                assert await answers(mallory) == [("new", "bad-message")]
                await mallory.register("mallory", name=text, user_agent=text)
                await mallory.register("mallory", token=TOKEN_MARK)
                await mallory.send(text, {})
                for kind in DIRECTED:
                    await mallory.send(kind, directed(kind, text, text))
                await mallory.send("bye", {"session_id": text})
                await mallory.send("offer", directed("offer", "mallory", text))
                await mallory.send("leave", {"from": text})
                assert len(await answers(mallory)) == 9
                await mallory.send_raw(encode_frame(BINARY, text.encode()))
                await mallory.read_until_closed()
        async with await stranger(site, "accomplice") as accomplice:
            await accomplice.send("offer", directed("offer", people[0].id, people[0].session_id))
            assert len(await answers(accomplice)) == 2


async def test_sessions_whose_ids_hold_anything_are_logged_harmlessly(open_site: OpenSite) -> None:
    site = open_site(log_level="DEBUG")
    evil = ("\x1b[2J", "\r\nINFO faked", "\x9b", "\u202egnp.exe", "\u2028x", "-" * 257)
    async with (
        undisturbed(site),
        await stranger(site, "mallory") as mallory,
        await stranger(site, "accomplice") as accomplice,
    ):
        for text in evil:
            await mallory.send("offer", directed("offer", "accomplice", text))
            assert (await accomplice.read_type("offer"))["session_id"] == text
            await accomplice.send("answer", directed("answer", "mallory", text))
            assert (await mallory.read_type("answer"))["session_id"] == text
            await mallory.send("bye", {"session_id": text})
            assert (await accomplice.read_type("bye"))["session_id"] == text
    assert r"\x1b[2J" in site.log()


# --- too many of something ----------------------------------------------------


async def test_a_thousand_message_types_leave_no_trace(open_site: OpenSite) -> None:
    site = open_site(messages_per_s=0)
    async with undisturbed(site), await stranger(site, "mallory") as mallory:
        await mallory.send("type-0", {})
        assert await answers(mallory) == [("type-0", "unknown-type")]
        before = await site.tables()
        frames = [json.dumps({"type": f"type-{n}", "data": {}}).encode() for n in range(1, 1001)]
        await mallory.send_raw(b"".join(encode_frame(TEXT, frame) for frame in frames))
        for number in range(1, 1001):
            assert (await mallory.read())["data"]["request"] == f"type-{number}"
        assert (await site.tables())["counters"] == before["counters"]


async def test_offers_of_a_thousand_sessions(open_site: OpenSite) -> None:
    site = open_site(messages_per_s=0)
    async with (
        undisturbed(site),
        await stranger(site, "mallory") as mallory,
        await stranger(site, "accomplice") as accomplice,
    ):
        for number in range(1000):
            await mallory.send("offer", directed("offer", "accomplice", f"session-{number}"))
        offered = [("offer", f"session-{number}") for number in range(64)]
        assert await answers(accomplice) == offered
        refused = await answers(mallory)
        assert refused[0::2] == [("offer", "too-many-sessions")] * 936
        assert refused[1::2] == [("bye", f"session-{number}") for number in range(64, 1000)]
        await site.until_tables(sessions=64 + 2)
        # Its own share is used up, nobody else's is.
        await accomplice.send("offer", directed("offer", "mallory", "back"))
        assert await answers(mallory) == [("offer", "back")]
    await site.until_tables(sessions=0, peers=0, connections=0)
