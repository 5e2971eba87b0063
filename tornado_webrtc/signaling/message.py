"""Frames: what clients send, decoded as little as possible, and what the server says.

A payload that is forwarded is never re-encoded: `Envelope.data` holds its bytes
as they came, and only the fields that the server must judge are read from them.
Of a field that stands twice the last one counts, as in every JSON parser of the
clients, so nothing can be read differently at the other end.
"""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass, field
from typing import Any, TypeVar

import msgspec

from tornado_webrtc.errors import SignalingError

__all__ = [
    "HEARTBEAT",
    "MAX_ID_LENGTH",
    "PEERS_END",
    "PEERS_START",
    "Bye",
    "Decision",
    "Directed",
    "Envelope",
    "New",
    "bye_frame",
    "decode_bye",
    "decode_directed",
    "decode_envelope",
    "decode_new",
    "decode_payload",
    "error_frame",
    "forward_frame",
    "leave_frame",
    "peer_entry",
    "peers_frame",
    "typed_frame",
]

HEARTBEAT = b"{}"
"""The frame that keeps proxies from closing an idle socket; it needs no reply."""

MAX_ID_LENGTH = 128
MAX_SESSION_ID_LENGTH = 2 * MAX_ID_LENGTH + 1
MAX_NAME_LENGTH = 64
MAX_USER_AGENT_LENGTH = 192
"""Every peer's entry is sent to every other one: the longest has less than 1600 bytes."""

MAX_TYPE_LENGTH = 64
NESTING_MARGIN = 200
"""Levels that a message could be nested deeper and still be decoded."""

PEERS_START = b'{"type":"peers","data":['
PEERS_END = b"]}"
"""What stands around the entries of a list of peers, with commas between them."""

_EMPTY = msgspec.Raw(b"null")


class Envelope(msgspec.Struct, frozen=True):
    """One frame, its payload still undecoded.

    Attributes:
        type: The message type; empty for the heartbeat ``{}``.
        data: The payload's bytes, valid JSON, or ``null`` if there was none.
    """

    type: str = ""
    data: msgspec.Raw = _EMPTY


@dataclass(frozen=True, slots=True)
class New:
    """The payload of `new`: a peer signs in.

    Attributes:
        id: The id it wants.
        name: Shown to people; cut at 64 characters, empty if there was none.
        user_agent: Shown to people; cut at 192 characters, empty if there was none.
        token: For plugins that authenticate; never forwarded, nor shown in a repr.
        room: For plugins that decide the scope.
        password: The room's, for plugins that ask for one; as secret as `token`.
    """

    id: str
    name: str = ""
    user_agent: str = ""
    token: str | None = field(default=None, repr=False)
    room: str | None = None
    password: str | None = field(default=None, repr=False)


class _NewPayload(msgspec.Struct, frozen=True):
    id: str
    name: str | None = None
    user_agent: str | None = None
    token: str | None = None
    room: str | None = None
    password: str | None = None


class Directed(msgspec.Struct, frozen=True):
    """What the server reads of `offer`, `answer` and `candidate`.

    Attributes:
        to: The id of the peer that it is for.
        session_id: The call it belongs to.
        sender: The `from` field, to be verified; None if it was left out.
    """

    to: str
    session_id: str
    sender: str | None = msgspec.field(name="from", default=None)


class Bye(msgspec.Struct, frozen=True):
    """The payload of `bye`; there is no `to`: both legs are told.

    Attributes:
        session_id: The call to end.
        sender: The `from` field, to be verified; None if it was left out.
    """

    session_id: str
    sender: str | None = msgspec.field(name="from", default=None)


@dataclass(frozen=True, slots=True)
class Decision:
    """Why a call ends that may well work: whoever runs the server wants it so.

    A plain `bye` also comes when only a socket broke, so clients that can tell let such a
    call go on. They obey a `bye` with a decision; all others do not look at it.

    Attributes:
        code: What was decided: ``peer-removed`` or ``call-ended``.
        reason: In plain words, for the people in the call; may be empty.
    """

    code: str
    reason: str = ""


_Decoded = TypeVar("_Decoded")

_envelope_decoder = msgspec.json.Decoder(Envelope)
_new_decoder = msgspec.json.Decoder(_NewPayload)
_directed_decoder = msgspec.json.Decoder(Directed)
_bye_decoder = msgspec.json.Decoder(Bye)
_nesting_decoder = msgspec.json.Decoder(msgspec.Raw)
_payload_decoder: msgspec.json.Decoder[Any] = msgspec.json.Decoder()
_encode = msgspec.json.encode


def decode_envelope(frame: str | bytes) -> Envelope:
    """Decode a text frame as far as its type.

    Args:
        frame: The frame's payload, valid UTF-8.

    Returns:
        The envelope; its type is empty only for the heartbeat ``{}``.

    Raises:
        SignalingError: ``bad-message`` if it is not one JSON object with a
            string `type`. Nothing else is raised for any input.
    """
    envelope = _decode(_envelope_decoder, frame, "Not a message")
    _check_nesting(frame)
    if len(envelope.type) > MAX_TYPE_LENGTH:
        raise SignalingError("bad-message", "The message type is too long.")
    if not envelope.type and len(frame) != len(HEARTBEAT):
        raise SignalingError("bad-message", "Not a message: it has no `type`.")
    return envelope


def _check_nesting(frame: str | bytes) -> None:
    """Refuse what could be decoded here, but perhaps no more by a plugin, deeper in the stack."""
    text = frame.encode() if isinstance(frame, str) else frame
    if text.count(b"[") + text.count(b"{") > NESTING_MARGIN:
        deeper = b"[" * NESTING_MARGIN + text + b"]" * NESTING_MARGIN
        _decode(_nesting_decoder, deeper, "Not a message")


def _decode(
    decoder: msgspec.json.Decoder[_Decoded], text: str | bytes | msgspec.Raw, complaint: str
) -> _Decoded:
    try:
        return decoder.decode(text)
    except RecursionError:
        raise SignalingError("bad-message", f"{complaint}: it is nested too deeply.") from None
    except (msgspec.MsgspecError, ValueError) as error:
        raise SignalingError("bad-message", f"{complaint}: {error}") from None


def _decode_data(decoder: msgspec.json.Decoder[_Decoded], envelope: Envelope) -> _Decoded:
    return _decode(decoder, envelope.data, f"Bad `{envelope.type}`")


def decode_new(envelope: Envelope) -> New:
    """Decode and check the payload of `new`.

    Raises:
        SignalingError: ``bad-message`` if a field has the wrong type, or the id
            is empty, too long or holds control characters.
    """
    payload = _decode_data(_new_decoder, envelope)
    _check_id(payload.id)
    return New(
        payload.id,
        _label(payload.name, MAX_NAME_LENGTH),
        _label(payload.user_agent, MAX_USER_AGENT_LENGTH),
        payload.token,
        payload.room,
        payload.password,
    )


def decode_directed(envelope: Envelope) -> Directed:
    """Decode what the server has to know of an `offer`, `answer` or `candidate`.

    Raises:
        SignalingError: ``bad-message`` if `to` or `session_id` is missing, no
            string, or too long.
    """
    directed = _decode_data(_directed_decoder, envelope)
    if len(directed.to) > MAX_ID_LENGTH:
        raise SignalingError("bad-message", f"`to` must have at most {MAX_ID_LENGTH} characters.")
    _check_session_id(directed.session_id)
    return directed


def decode_bye(envelope: Envelope) -> Bye:
    """Decode the payload of `bye`.

    Raises:
        SignalingError: ``bad-message`` if `session_id` is missing, no string,
            or too long.
    """
    bye = _decode_data(_bye_decoder, envelope)
    _check_session_id(bye.session_id)
    return bye


def decode_payload(envelope: Envelope) -> Any:
    """Decode a whole payload, for those who want to look at it.

    Raises:
        SignalingError: ``bad-message`` if it holds what JSON allows and Python
            does not: numbers out of range, or too deep a nesting.
    """
    return _decode_data(_payload_decoder, envelope)


def _label(text: str | None, max_length: int) -> str:
    """A text for people: cut, and without control characters."""
    shown = (text or "")[:max_length]
    return "".join(" " if _is_control(character) else character for character in shown)


def _is_control(character: str) -> bool:
    return unicodedata.category(character) == "Cc"


def _check_id(peer_id: str) -> None:
    if not 1 <= len(peer_id) <= MAX_ID_LENGTH:
        reason = f"Bad `new`: `id` must have 1 to {MAX_ID_LENGTH} characters."
        raise SignalingError("bad-message", reason)
    if any(map(_is_control, peer_id)):
        raise SignalingError("bad-message", "Bad `new`: `id` must not hold control characters.")


def _check_session_id(value: str) -> None:
    if not 1 <= len(value) <= MAX_SESSION_ID_LENGTH:
        raise SignalingError(
            "bad-message", f"`session_id` must have 1 to {MAX_SESSION_ID_LENGTH} characters."
        )


def typed_frame(message_type: str, data: object) -> bytes:
    """Encode ``{"type": message_type, "data": data}``."""
    return _encode({"type": message_type, "data": data})


def forward_frame(envelope: Envelope, sender: Directed, sender_id: str) -> bytes:
    """Encode a message for its recipient, its payload byte for byte as it came.

    Args:
        envelope: The message; its data is a JSON object.
        sender: The same payload, decoded.
        sender_id: The verified id; filled in as `from` if that was left out.
            It goes last, where it also counts if `from` was null.
    """
    data = bytes(envelope.data)
    if sender.sender is None:
        data = data[:-1] + b',"from":' + _encode(sender_id) + b"}"
    return b'{"type":' + _encode(envelope.type) + b',"data":' + data + b"}"


def bye_frame(session_id: str, to: str, decision: Decision | None = None) -> bytes:
    """Encode the `bye` that the leg `to` receives."""
    data = {"session_id": session_id, "to": to}
    if decision is not None:
        data |= {"code": decision.code, "reason": decision.reason}
    return typed_frame("bye", data)


def leave_frame(peer_id: str) -> bytes:
    """Encode `leave`: a plain string, the id of the peer that went."""
    return typed_frame("leave", peer_id)


def error_frame(request: str, error: SignalingError) -> bytes:
    """Encode the answer to a message that was refused.

    Args:
        request: The type of the refused message, empty if it had none.
        error: Why.
    """
    return typed_frame("error", {"request": request, "reason": error.reason, "code": error.code})


def peer_entry(peer_id: str, name: str, user_agent: str) -> bytes:
    """Encode one entry of the `peers` list; all three are always strings."""
    return _encode({"id": peer_id, "name": name, "user_agent": user_agent})


def peers_frame(entries: list[bytes]) -> bytes:
    """Encode a `peers` list from its encoded entries."""
    return PEERS_START + b",".join(entries) + PEERS_END
