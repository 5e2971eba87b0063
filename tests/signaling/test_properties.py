"""What holds for any input and any history of peers, calls and departures."""

import json
from collections.abc import Callable
from functools import partial

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
)

from tests.signaling.world import World, frame
from tornado_webrtc.errors import SignalingError
from tornado_webrtc.signaling import Peer, Session, SessionEnded, SessionOffered, SessionState
from tornado_webrtc.signaling.message import (
    Envelope,
    decode_bye,
    decode_directed,
    decode_envelope,
    decode_new,
    forward_frame,
)
from tornado_webrtc.signaling.session import REMEMBERED_S

settings.register_profile("signaling", deadline=None, database=None)
quick = settings(settings.get_profile("signaling"), max_examples=300)

DECODERS: list[Callable[[Envelope], object]] = [decode_new, decode_directed, decode_bye]
FIELDS = ["type", "data", "to", "from", "session_id", "id", "name", "user_agent", "token", "room"]

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(FIELDS) | st.text(max_size=4), inner, max_size=5)
    ),
    max_leaves=12,
)


# --- hostile bytes -----------------------------------------------------------


def refusal(decode: Callable[[], object]) -> str | None:
    """Return the code with which a decoder refuses; whatever else it raises passes."""
    try:
        decode()
    except SignalingError as error:
        return error.code
    return None


def decode_all(text: str | bytes) -> None:
    """Decode a frame in every way; bad messages are fine, anything else is not."""
    code = refusal(lambda: decode_envelope(text))
    assert code in (None, "bad-message")
    if code is None:
        envelope = decode_envelope(text)
        for decode in DECODERS:
            assert refusal(partial(decode, envelope)) in (None, "bad-message")


@quick
@given(st.binary() | st.text())
def test_arbitrary_frames_raise_nothing_but_signaling_errors(text: str | bytes) -> None:
    decode_all(text)


@quick
@given(values, st.booleans())
def test_nor_does_arbitrary_json(value: object, escaped: bool) -> None:
    text = json.dumps(value, ensure_ascii=escaped)
    decode_all(text)
    decode_all(f'{{"type":"offer","data":{text}}}')


@quick
@given(st.data())
def test_nor_do_damaged_messages(data: st.DataObject) -> None:
    text = bytearray(frame("offer", to="2", sender="1", session_id="1-2", n=[1.5, {"é": "\n"}]))
    for _ in range(data.draw(st.integers(1, 4))):
        place = data.draw(st.integers(0, len(text) - 1))
        text[place : place + data.draw(st.integers(0, 2))] = data.draw(st.binary(max_size=2))
        decode_all(bytes(text))


@quick
@given(values)
def test_what_is_a_message_is_json_with_the_same_type(value: object) -> None:
    text = json.dumps(value)
    try:
        envelope = decode_envelope(text)
    except SignalingError:
        return
    parsed = json.loads(text)
    assert envelope.type == parsed.get("type", "")
    assert json.loads(bytes(envelope.data)) == parsed.get("data")


# --- from --------------------------------------------------------------------


def escape(key: str, at: int) -> str:
    """Spell a character of a JSON key as an escape, or none of them."""
    if at >= len(key):
        return key
    return f"{key[:at]}\\u{ord(key[at]):04x}{key[at + 1 :]}"


space = st.sampled_from(["", " ", "\n", "\t\r "])
member = st.builds(
    lambda before, key, at, between, value: f'{before}"{escape(key, at)}"{between}:{value}',
    space,
    st.sampled_from(["from", "from", "to", "session_id", "From", "x"]),
    st.integers(0, 12),
    space,
    st.sampled_from(['"1"', '"2"', '"\\u0031"', "null", '"1-2"', '""', "1", '{"from":"2"}']),
)


@settings(quick, max_examples=1000)
@given(st.lists(member, max_size=6))
def test_from_is_judged_as_the_clients_parsers_read_it(members: list[str]) -> None:
    data = "{" + ",".join(['"to":"2","session_id":"1-2"', *members]) + "}"
    parsed = json.loads(data)
    envelope = decode_envelope(f'{{"type":"offer","data":{data}}}')
    try:
        directed = decode_directed(envelope)
    except SignalingError:
        return
    assert (directed.to, directed.session_id) == (parsed["to"], parsed["session_id"])
    assert directed.sender == parsed.get("from")
    if directed.sender in (None, "1"):
        forwarded = json.loads(forward_frame(envelope, directed, "1"))
        assert forwarded == {"type": "offer", "data": {**parsed, "from": "1"}}


@quick
@given(st.dictionaries(st.text(max_size=5).filter(lambda key: key != "from"), values, max_size=4))
def test_every_payload_passes_byte_for_byte(extra: dict[str, object]) -> None:
    payload = {**extra, "to": "2", "from": "1", "session_id": "s"}
    data = json.dumps(payload).replace("NaN", "1e999").replace("Infinity", "1e999").encode()
    envelope = decode_envelope(b'{"type":"candidate","data":%b}' % data)
    forwarded = forward_frame(envelope, decode_directed(envelope), "1")
    assert forwarded == b'{"type":"candidate","data":%b}' % data


# --- histories ---------------------------------------------------------------

SCOPES = ["", "room"]
PEER_IDS = ["1", "2", "3", "1-2"]
SESSION_IDS = ["1-2", "1-2-3", "x"]

scopes = st.sampled_from(["", "", "", "room"])  # enough in one place for calls to cross
peer_ids = st.sampled_from(PEER_IDS)
session_ids = st.sampled_from(SESSION_IDS)
sender_fields = st.sampled_from([None, None, None, None, None, None, "1", "2"])


class Calls(RuleBasedStateMachine):
    """Clients of two scopes that sign in, call, hang up, lie and vanish."""

    def __init__(self) -> None:
        super().__init__()
        self.world = World()
        self.clients = {
            (scope, peer_id): self.world.peer(peer_id, scope=scope)
            for scope in SCOPES
            for peer_id in PEER_IDS
        }
        self.live: list[Session] = []

    def frames(self) -> dict[Peer, list[str]]:
        """Take what everybody was sent: the types of the frames, lists left out."""
        addresses = {peer.address for peer in self.clients.values()}
        assert all(send.address in addresses for send in self.world.sent), "sent to nobody"
        self.world.sent.clear()
        taken = {peer: self.world.frames_to(peer) for peer in self.clients.values()}
        return {
            peer: [json.loads(frame)["type"] for frame in frames]
            for peer, frames in taken.items()
            if frames
        }

    def signed_in(self, peer: Peer) -> bool:
        return self.world.server.peer_at(peer.address) is peer

    def shared(self, peer: Peer) -> list[Peer]:
        """Return the other leg of each live session of a peer."""
        return [session.other(peer) for session in self.live if is_leg(session, peer)]

    @initialize(peer_ids=st.sets(peer_ids, min_size=2))
    def some_are_there(self, peer_ids: set[str]) -> None:
        for peer_id in sorted(peer_ids):
            self.join("", peer_id)

    @rule(scope=scopes, peer_id=peer_ids)
    def join(self, scope: str, peer_id: str) -> None:
        peer = self.clients[scope, peer_id]
        if self.signed_in(peer):
            with pytest.raises(SignalingError):
                self.world.server.join(self.world.peer(peer_id, scope=scope))
            return
        peer = self.clients[scope, peer_id] = self.world.peer(peer_id, scope=scope)
        self.world.perform(self.world.server.join(peer))
        assert self.frames() == {}

    @rule(scope=scopes, peer_id=peer_ids, name=st.text(max_size=3))
    def update(self, scope: str, peer_id: str, name: str) -> None:
        peer = self.clients[scope, peer_id]
        if self.signed_in(peer):
            self.world.perform(self.world.server.update(peer, name, ""))
            assert self.frames() == {}

    @rule(scope=scopes, peer_id=peer_ids, says_so=st.booleans())
    def leave(self, scope: str, peer_id: str, says_so: bool) -> None:
        peer = self.clients[scope, peer_id]
        if not self.signed_in(peer):
            assert self.world.leave(peer) == []
            return
        expected = {}
        for leg in (others := self.shared(peer)):
            only_with_the_leaver = set(self.shared(leg)) == {peer}
            expected[leg] = ["bye"] * others.count(leg) + ["leave"] * only_with_the_leaver
        actions = self.world.receive(peer, b'{"type":"leave"}') if says_so else None
        ended = {
            action.session
            for action in actions or self.world.leave(peer)
            if isinstance(action, SessionEnded)
        }
        assert ended == {session for session in self.live if is_leg(session, peer)}
        assert self.frames() == expected
        self.live = [session for session in self.live if session not in ended]

    @rule(
        scope=scopes,
        kind=st.sampled_from(["offer", "offer", "answer", "candidate"]),
        sender_id=peer_ids,
        to=peer_ids,
        session_id=session_ids,
        claimed=sender_fields,
    )
    def direct(
        self, scope: str, kind: str, sender_id: str, to: str, session_id: str, claimed: str | None
    ) -> None:
        sender, target = self.clients[scope, sender_id], self.clients[scope, to]
        of_this_id = [session for session in self.live if session.id == session_id]
        states = [session.state for session in of_this_id]
        actions = self.world.receive(
            sender, frame(kind, to=to, sender=claimed, session_id=session_id)
        )
        frames = self.frames()
        if kind in frames.get(target, []):
            assert frames == {target: [kind]}
            assert self.signed_in(sender)
            assert claimed in (None, sender_id)
            assert not any(
                is_leg(session, sender) != is_leg(session, target) for session in of_this_id
            )
        else:
            assert frames.keys() <= {sender}
            assert "leave" not in frames.get(sender, [])
            assert [session.state for session in of_this_id] == states
        begun = [action.session for action in actions if isinstance(action, SessionOffered)]
        assert not begun or (kind, begun[0].caller, begun[0].callee) == ("offer", sender, target)
        self.live += begun

    @rule(scope=scopes, sender_id=peer_ids, session_id=session_ids, claimed=sender_fields)
    def bye(self, scope: str, sender_id: str, session_id: str, claimed: str | None) -> None:
        sender = self.clients[scope, sender_id]
        mine = [each for each in self.live if each.id == session_id and is_leg(each, sender)]
        actions = self.world.receive(sender, frame("bye", sender=claimed, session_id=session_id))
        frames = self.frames()
        ended = [action.session for action in actions if isinstance(action, SessionEnded)]
        if not self.signed_in(sender) or claimed not in (None, sender_id):
            echoed = self.signed_in(sender) and not mine
            answer = ["error", "bye"] if echoed else ["error"]
            assert (ended, frames) == ([], {sender: answer})
        elif mine:
            legs = (sender, mine[0].other(sender))
            assert (ended, frames) == (mine, {leg: ["bye"] for leg in legs})
            self.live.remove(mine[0])
        else:
            assert ended == []
            assert frames.pop(sender) in (["bye"], ["error", "bye"])
            for other, types in frames.items():
                named = {f"{sender.id}-{other.id}", f"{other.id}-{sender.id}"}
                assert (types, other.scope) == (["bye"], scope)
                assert session_id in named
                assert session_id not in other.sessions

    def several_are_there(self) -> bool:
        return len(self.world.server.presence.roster("")) > 1

    @precondition(several_are_there)
    @rule(data=st.data(), session_id=session_ids, answered=st.booleans())
    def call(self, data: st.DataObject, session_id: str, answered: bool) -> None:
        present = list(self.world.server.presence.roster(""))
        caller, callee = data.draw(st.permutations(present))[:2]
        self.direct("", "offer", caller.id, callee.id, session_id, None)
        if answered:
            self.direct("", "answer", callee.id, caller.id, session_id, callee.id)

    @precondition(lambda self: self.live)
    @rule(data=st.data())
    def hang_up(self, data: st.DataObject) -> None:
        session = data.draw(st.sampled_from(self.live))
        leg = data.draw(st.sampled_from([session.caller, session.callee]))
        self.bye(leg.scope, leg.id, session.id, leg.id)
        if data.draw(st.booleans()):
            self.bye(leg.scope, session.other(leg).id, session.id, None)

    @rule(seconds=st.sampled_from([1.0, 15.0, REMEMBERED_S]))
    def wait(self, seconds: float) -> None:
        self.world.now += seconds

    @invariant()
    def peers_and_table_agree(self) -> None:
        assert list(self.world.server.sessions) == self.live
        for session in self.live:
            assert session.state is not SessionState.ENDED
            assert session.caller is not session.callee
            assert session.caller.scope == session.callee.scope
            for leg in (session.caller, session.callee):
                assert self.signed_in(leg)
                assert leg.sessions[session.id] is session
        held = [each for peer in self.clients.values() for each in peer.sessions.values()]
        assert len(held) == 2 * len(self.live)

    @invariant()
    def nobody_has_two_live_sessions_of_one_id(self) -> None:
        ends = [
            (leg, session.id) for session in self.live for leg in (session.caller, session.callee)
        ]
        assert len(ends) == len(set(ends))

    @invariant()
    def rosters_hold_exactly_who_signed_in(self) -> None:
        server = self.world.server
        present = {peer for peer in self.clients.values() if self.signed_in(peer)}
        listed = [peer for scope in server.presence for peer in server.presence.roster(scope)]
        assert set(listed) == present
        assert len(listed) == len(present) == server.peer_count
        assert all(server.find(peer.scope, peer.id) is peer for peer in listed)

    def teardown(self) -> None:
        for peer in self.clients.values():
            self.world.leave(peer)
        self.world.server.sessions.forget(self.world.now + REMEMBERED_S)
        assert list(self.world.server.sessions) == []
        assert self.world.server.sessions.remembered == 0
        assert self.world.server.peer_count == 0
        assert list(self.world.server.presence) == []


def is_leg(session: Session, peer: Peer) -> bool:
    return peer in (session.caller, session.callee)


TestCalls = Calls.TestCase
TestCalls.settings = settings(quick, max_examples=200, stateful_step_count=50)
