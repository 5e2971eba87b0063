"""Frames: what is a message, what is refused, and that payloads pass untouched."""

import contextlib
from collections.abc import Callable
from functools import partial
from uuid import UUID

import pytest

from tornado_webrtc.errors import SignalingError
from tornado_webrtc.signaling.message import (
    HEARTBEAT,
    Bye,
    Decision,
    Directed,
    Envelope,
    New,
    bye_frame,
    decode_bye,
    decode_directed,
    decode_envelope,
    decode_new,
    decode_payload,
    error_frame,
    forward_frame,
    leave_frame,
    peer_entry,
    peers_frame,
    typed_frame,
)


def refusal(decode: Callable[[], object]) -> str:
    """Return why something is a bad message."""
    with pytest.raises(SignalingError) as raised:
        decode()
    assert raised.value.code == "bad-message"
    assert raised.value.reason == str(raised.value)
    return raised.value.reason


def new(data: bytes) -> New:
    return decode_new(decode_envelope(b'{"type":"new","data":%b}' % data))


def directed(data: bytes) -> Directed:
    return decode_directed(decode_envelope(b'{"type":"candidate","data":%b}' % data))


def bye(data: bytes) -> Bye:
    return decode_bye(decode_envelope(b'{"type":"bye","data":%b}' % data))


# --- envelopes ---------------------------------------------------------------


@pytest.mark.parametrize(
    "frame",
    [
        b'{"type":"new","data":{"id":"1"}}',
        '{"type":"new","data":{"id":"1"}}',
        b'{"data":{"id":"1"},"type":"new"}',
        b' {\t"type" :\n"new" , "data" : {"id":"1"} \r}\n',
        b'{"typ\\u0065":"n\\u0065w","d\\u0061ta":{"id":"1"}}',
        b'{"type":"new","data":{"id":"1"},"request":7,"more":[null,{}]}',
    ],
)
def test_envelope(frame: str | bytes) -> None:
    envelope = decode_envelope(frame)
    assert (envelope.type, bytes(envelope.data)) == ("new", b'{"id":"1"}')


def test_of_a_field_that_stands_twice_the_last_one_counts() -> None:
    envelope = decode_envelope(b'{"type":"bye","data":1,"type":"offer","data":{}}')
    assert (envelope.type, bytes(envelope.data)) == ("offer", b"{}")


def test_data_may_be_missing() -> None:
    envelope = decode_envelope(b'{"type":"leave"}')
    assert (envelope.type, bytes(envelope.data)) == ("leave", b"null")


@pytest.mark.parametrize("frame", [HEARTBEAT, "{}"])
def test_heartbeat(frame: str | bytes) -> None:
    envelope = decode_envelope(frame)
    assert (envelope.type, bytes(envelope.data)) == ("", b"null")


@pytest.mark.parametrize(
    "frame",
    [b'{"data":{}}', b'{"data":null}', b'{"type":""}', b'{"request":"offer"}', b"{ }"],
)
def test_only_the_heartbeat_has_no_type(frame: bytes) -> None:
    assert refusal(lambda: decode_envelope(frame)) == "Not a message: it has no `type`."


@pytest.mark.parametrize(
    "frame",
    [
        b"",
        "",
        b" ",
        b"null",
        b"true",
        b"7",
        b'"offer"',
        b"[]",
        b'["offer",{}]',
        b"{",
        b'{"type":"offer"',
        b'{"type":"offer"}}',
        b'{"type":"offer"}{}',
        b'{"type":"offer",}',
        b"{'type':'offer'}",
        b'{"type":null}',
        b'{"type":7}',
        b'{"type":["offer"]}',
        b'{"type":"\xff"}',
        b"\xef\xbb\xbf{}",
        b"\x00\x01\x02",
        "\ud800",
        '{"type":"\ud800"}',
    ],
)
def test_not_a_message(frame: str | bytes) -> None:
    assert refusal(lambda: decode_envelope(frame)).startswith("Not a message: ")


@pytest.mark.parametrize(
    "value",
    [
        b"01",
        b"1.",
        b".5",
        b"+1",
        b"-",
        b"1e",
        b"NaN",
        b"-Infinity",
        b"tru",
        b"[1,]",
        b'{"a":1,}',
        b"{a:1}",
        b'"\\x41"',
        b'"\\u12"',
        b'"a\nb"',
        b'"\\ud800"',
        b'"\\udc00\\ud800"',
        b"// comment\n1",
    ],
)
def test_what_a_client_could_not_parse_is_never_forwarded(value: bytes) -> None:
    frame = b'{"type":"offer","data":{"to":"2","session_id":"s","x":%b}}' % value
    assert refusal(lambda: decode_envelope(frame)).startswith("Not a message: ")


def test_length_of_the_type() -> None:
    assert decode_envelope('{"type":"%s"}' % ("x" * 64)).type == "x" * 64
    reason = refusal(lambda: decode_envelope('{"type":"%s"}' % ("x" * 65)))
    assert reason == "The message type is too long."


@pytest.mark.parametrize("brackets", [b"[]", b'{"":}'])
def test_deep_nesting_is_refused(brackets: bytes) -> None:
    nested = brackets[:-1] * 100_000 + b"1" + brackets[-1:] * 100_000
    reason = refusal(lambda: decode_envelope(b'{"type":"offer","data":%b}' % nested))
    assert reason == "Not a message: it is nested too deeply."


def at_depth(frames: int, decode: Callable[[], object]) -> object:
    """Call from further down the stack, where less nesting is left."""
    return decode() if frames == 0 else at_depth(frames - 1, decode)


def test_nesting_that_just_fitted_raises_nothing_else_further_down() -> None:
    def candidate(depth: int) -> bytes:
        data = b'{"to":"2","session_id":"s","x":%b}' % (b"[" * depth + b"]" * depth)
        return b'{"type":"candidate","data":%b}' % data

    depth, deepest = 1, decode_envelope(candidate(1))
    with contextlib.suppress(SignalingError):
        while True:
            depth += 1
            deepest = decode_envelope(candidate(depth))
    with contextlib.suppress(SignalingError):  # CPython 3.12 and later may decode it
        at_depth(30, lambda: decode_directed(deepest))
    assert depth > 100


def test_whole_payload() -> None:
    envelope = decode_envelope(b'{"type":"wave","data":{"x":[1,2.5,"\\u00e9",null]}}')
    assert decode_payload(envelope) == {"x": [1, 2.5, "\u00e9", None]}
    assert decode_payload(decode_envelope(b'{"type":"wave"}')) is None


@pytest.mark.parametrize("number", [b"1e999", b"-1e999", b"1" + b"0" * 5000])
def test_number_that_python_cannot_hold(number: bytes) -> None:
    envelope = decode_envelope(b'{"type":"wave","data":{"x":%b}}' % number)
    assert refusal(lambda: decode_payload(envelope)).startswith("Bad `wave`: ")


@pytest.mark.parametrize("brackets", [b"[]", b'{"":}'])
def test_what_is_let_in_can_also_be_decoded_further_down(brackets: bytes) -> None:
    accepted = 0
    for depth in range(100, 1000, 10):
        nested = brackets[:-1] * depth + b"1" + brackets[-1:] * depth
        try:
            envelope = decode_envelope(b'{"type":"wave","data":%b}' % nested)
        except SignalingError:
            continue
        payload = at_depth(100, partial(decode_payload, envelope))
        assert at_depth(100, partial(typed_frame, "wave", payload)) is not None
        accepted = depth
    assert accepted > 100


# --- new ---------------------------------------------------------------------


def test_new_as_legacy_clients_send_it() -> None:
    data = b'{"name":"Flutter mobile","id":"345216","user_agent":"flutter-webrtc/ios-plugin 0.0.1"}'
    assert new(data) == New(
        id="345216", name="Flutter mobile", user_agent="flutter-webrtc/ios-plugin 0.0.1"
    )


def test_new_with_what_plugins_read() -> None:
    data = b'{"id":"a","token":"t","room":"r","password":"p","protocol":2}'
    assert new(data) == New("a", token="t", room="r", password="p")


@pytest.mark.parametrize("data", [b'{"id":"1"}', b'{"id":"1","name":null,"user_agent":null}'])
def test_new_with_nothing_but_an_id(data: bytes) -> None:
    assert new(data) == New(id="1", name="", user_agent="")


@pytest.mark.parametrize(
    "peer_id",
    [
        "1",
        "345216",
        str(UUID(int=7)),
        "-",
        "a-b-c",
        "with space",
        "Zoë 名前 🙂",
        "x" * 128,
        "🙂" * 128,
    ],
)
def test_ids(peer_id: str) -> None:
    assert new(b'{"id":"%b"}' % peer_id.encode()).id == peer_id


@pytest.mark.parametrize("peer_id", [b"", b"x" * 129, b"\\ud83d\\ude42" * 129])
def test_length_of_an_id(peer_id: bytes) -> None:
    reason = refusal(lambda: new(b'{"id":"%b"}' % peer_id))
    assert reason == "Bad `new`: `id` must have 1 to 128 characters."


@pytest.mark.parametrize("peer_id", [b"a\\u0000b", b"a\\n", b"\\u001b[2J", b"a\\u0085b", b"\x7f"])
def test_control_characters_in_an_id(peer_id: bytes) -> None:
    reason = refusal(lambda: new(b'{"id":"%b"}' % peer_id))
    assert reason == "Bad `new`: `id` must not hold control characters."


@pytest.mark.parametrize(("label", "limit"), [("name", 64), ("user_agent", 192)])
def test_long_labels_are_cut(label: str, limit: int) -> None:
    data = '{"id":"1","%s":"%s"}'
    for length in (limit, limit + 1, 5000):
        assert getattr(new((data % (label, "x" * length)).encode()), label) == "x" * limit


def test_control_characters_in_a_label_are_blanks() -> None:
    assert new(b'{"id":"1","name":"a\\u0000\\n\\u001b[2Jb"}').name == "a   [2Jb"


@pytest.mark.parametrize("field", [b"token", b"password"])
def test_secrets_do_not_show(field: bytes) -> None:
    decoded = new(b'{"id":"1","%b":"s3cret"}' % field)
    assert getattr(decoded, field.decode()) == "s3cret"
    assert "s3cret" not in repr(decoded)


@pytest.mark.parametrize(
    "data",
    [
        b"null",
        b"[]",
        b'"1"',
        b"{}",
        b'{"id":null}',
        b'{"id":345216}',
        b'{"id":"1","name":7}',
        b'{"id":"1","user_agent":{}}',
        b'{"id":"1","token":[]}',
        b'{"id":"1","password":7}',
        b'{"id":"1","room":1}',
    ],
)
def test_bad_new(data: bytes) -> None:
    assert refusal(lambda: new(data)).startswith("Bad `new`: ")


# --- offer, answer, candidate, bye -------------------------------------------


def test_directed_reads_three_fields_and_leaves_the_rest() -> None:
    data = b'{"to":"2","from":"1","session_id":"1-2","description":{"sdp":"v=0","type":"offer"}}'
    assert directed(data) == Directed(to="2", session_id="1-2", sender="1")


def test_bye_as_legacy_clients_send_it() -> None:
    assert bye(b'{"session_id":"1-2","from":"1"}') == Bye(session_id="1-2", sender="1")


@pytest.mark.parametrize(
    ("sender", "read"),
    [
        (b'"from":"1"', "1"),
        (b'"from":"1","from":"2"', "2"),
        (b'"from":"1","fr\\u006fm":"2"', "2"),
        (b'"fr\\u006fm":"2","from":"1"', "1"),
        (b'"from":"1","from":null', None),
        (b'"from":null,"from":"1"', "1"),
        (b'"from":null', None),
        (b'"From":"2","from ":"2","from\\u0000":"2"', None),
        (b'"nested":{"from":"2"}', None),
        (b'"from":""', ""),
        (b'"from":"\\u0031"', "1"),
    ],
)
def test_from_is_read_as_json_parsers_read_it(sender: bytes, read: str | None) -> None:
    assert directed(b'{"to":"2","session_id":"s",%b}' % sender).sender == read
    assert bye(b'{"session_id":"s",%b}' % sender).sender == read


@pytest.mark.parametrize(
    "data",
    [
        b"null",
        b"[]",
        b"{}",
        b'{"to":"2"}',
        b'{"session_id":"s"}',
        b'{"to":null,"session_id":"s"}',
        b'{"to":2,"session_id":"s"}',
        b'{"to":["2"],"session_id":"s"}',
        b'{"to":"2","session_id":12}',
        b'{"to":"2","session_id":"s","from":1}',
        b'{"to":"2","session_id":"s","from":{"from":"1"}}',
    ],
)
def test_bad_directed(data: bytes) -> None:
    assert refusal(lambda: directed(data)).startswith("Bad `candidate`: ")


@pytest.mark.parametrize("data", [b"null", b'"s"', b"{}", b'{"session_id":null}'])
def test_bad_bye(data: bytes) -> None:
    assert refusal(lambda: bye(data)).startswith("Bad `bye`: ")


def test_length_of_to() -> None:
    data = '{"to":"%s","session_id":"s"}'
    assert directed((data % ("2" * 128)).encode()).to == "2" * 128
    reason = refusal(lambda: directed((data % ("2" * 129)).encode()))
    assert reason == "`to` must have at most 128 characters."


@pytest.mark.parametrize("decode", [directed, bye])
def test_length_of_session_ids(decode: Callable[[bytes], Directed | Bye]) -> None:
    longest = "x" * 128 + "-" + "y" * 128
    data = '{"to":"2","session_id":"%s"}'
    assert decode((data % longest).encode()).session_id == longest
    for session_id in ("", longest + "y"):
        text = (data % session_id).encode()
        reason = refusal(lambda text=text: decode(text))  # type: ignore[misc]
        assert reason == "`session_id` must have 1 to 257 characters."


# --- what the server says ----------------------------------------------------


@pytest.mark.parametrize(
    "data",
    [
        b'{"to":"2","from":"1","session_id":"s","n":1e999}',
        b'{"to":"2","from":"1","session_id":"s","n":12345678901234567890}',
        b'{"to":"2","from":"1","session_id":"s","n":-0,"m":1.0000000000000000001,"k":1E+2}',
        b'{"z":1,"to":"2","a":2,"session_id":"s","from":"1","Z":3}',
        b'{ "to" : "2" ,\t"session_id":\n"s", "from":"1" }',
        b'{"to":"\\u0032","session_id":"\\u0073","fr\\u006fm":"\\u0031"}',
        b'{"to":"2","from":"1","session_id":"s","t":"\\ud83d\\ude42\\/\\u00e9"}',
        '{"to":"2","from":"1","session_id":"s","t":"é 🙂"}'.encode(),
        b'{"to":"3","to":"2","from":"2","from":"1","session_id":"x","session_id":"s"}',
        b'{"to":"2","from":"1","session_id":"s","d":[ [ ],{ },null , true]}',
    ],
)
def test_payload_is_forwarded_byte_for_byte(data: bytes) -> None:
    envelope = decode_envelope(b'{ "data" :  %b  , "x":1, "type" : "answer" }' % data)
    read = decode_directed(envelope)
    assert read == Directed(to="2", session_id="s", sender="1")
    assert forward_frame(envelope, read, "1") == b'{"type":"answer","data":%b}' % data


@pytest.mark.parametrize(
    ("data", "forwarded"),
    [
        (b'{"to":"2","session_id":"s"}', b'{"to":"2","session_id":"s","from":"1"}'),
        (
            b'{"from":null,"to":"2","session_id":"s"}',
            b'{"from":null,"to":"2","session_id":"s","from":"1"}',
        ),
        (
            b'{"from":"9","to":"2","fr\\u006fm":null,"session_id":"s"}',
            b'{"from":"9","to":"2","fr\\u006fm":null,"session_id":"s","from":"1"}',
        ),
        (b'{"to":"2","session_id":"s" \n}  ', b'{"to":"2","session_id":"s" \n,"from":"1"}'),
    ],
)
def test_missing_from_is_filled_in_where_it_counts(data: bytes, forwarded: bytes) -> None:
    envelope = decode_envelope(b'{"type":"offer","data":%b}' % data)
    frame = forward_frame(envelope, decode_directed(envelope), "1")
    assert frame == b'{"type":"offer","data":%b}' % forwarded
    assert decode_directed(decode_envelope(frame)).sender == "1"


def test_id_that_is_filled_in_is_escaped() -> None:
    envelope = decode_envelope(b'{"type":"offer","data":{"to":"2","session_id":"s"}}')
    frame = forward_frame(envelope, decode_directed(envelope), 'a"}\\é')
    expected = '{"type":"offer","data":{"to":"2","session_id":"s","from":"a\\"}\\\\é"}}'
    assert frame == expected.encode()


def test_frames_of_the_server() -> None:
    error = SignalingError("not-found", "Peer [2] not found ")
    assert HEARTBEAT == b"{}"
    assert bye_frame("1-2", "1") == b'{"type":"bye","data":{"session_id":"1-2","to":"1"}}'
    assert bye_frame("1-2", "1", Decision("call-ended", 'says "no"')) == (
        b'{"type":"bye","data":'
        b'{"session_id":"1-2","to":"1","code":"call-ended","reason":"says \\"no\\""}}'
    )
    assert leave_frame("1") == b'{"type":"leave","data":"1"}'
    assert error_frame("offer", error) == (
        b'{"type":"error","data":'
        b'{"request":"offer","reason":"Peer [2] not found ","code":"not-found"}}'
    )
    assert typed_frame("keepalive", {}) == b'{"type":"keepalive","data":{}}'


def test_list_of_peers_is_never_null() -> None:
    assert peers_frame([]) == b'{"type":"peers","data":[]}'


def test_list_of_peers() -> None:
    entries = [peer_entry("1", "Ann", "ios"), peer_entry('"', "", "")]
    assert peers_frame(entries) == (
        b'{"type":"peers","data":['
        b'{"id":"1","name":"Ann","user_agent":"ios"},'
        b'{"id":"\\"","name":"","user_agent":""}]}'
    )


def test_envelope_of_nothing_is_the_heartbeat() -> None:
    assert (Envelope().type, bytes(Envelope().data)) == ("", b"null")
