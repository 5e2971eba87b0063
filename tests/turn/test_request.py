"""Responses: they mirror their request and are signed with its key."""

import pytest

from tests.turn.client import PEER, SERVER
from tornado_webrtc.stun.address import FiveTuple
from tornado_webrtc.stun.attribute import (
    ERROR_CODE,
    FINGERPRINT,
    LIFETIME,
    MESSAGE_INTEGRITY,
    UNKNOWN_ATTRIBUTES,
)
from tornado_webrtc.stun.integrity import verify_integrity
from tornado_webrtc.stun.message import MessageClass, Method, decode, encode
from tornado_webrtc.turn.request import RejectionError, Request

KEY = bytes(range(16))


def request(method: Method = Method.REFRESH, *, fingerprint: bool = False) -> Request:
    """Make a request that is not authenticated."""
    message = encode(method, MessageClass.REQUEST, b"transaction!", fingerprint=fingerprint)
    return Request(decode(message), FiveTuple("udp", PEER, SERVER), 1.0, 2.0)


@pytest.mark.parametrize("method", [Method.REFRESH, Method.BINDING])
def test_success(method: Method) -> None:
    response = decode(request(method).success([(LIFETIME, 600)]))
    assert (response.method, response.message_class) == (method, MessageClass.SUCCESS)
    assert response.transaction_id == b"transaction!"
    assert response.get(LIFETIME) == 600
    assert not response.has(MESSAGE_INTEGRITY)


def test_error_has_an_empty_reason_and_what_belongs_to_it() -> None:
    response = decode(request().error(RejectionError(420, [(UNKNOWN_ATTRIBUTES, (1, 2))])))
    assert response.message_class is MessageClass.ERROR
    assert response.get(ERROR_CODE) == (420, "")
    assert response.get(UNKNOWN_ATTRIBUTES) == (1, 2)


def test_authenticated_request_gets_a_signed_response() -> None:
    one = request()
    one.key = KEY
    for data in (one.success(), one.error(RejectionError(400))):
        assert verify_integrity(decode(data), KEY)


@pytest.mark.parametrize("asked", [True, False])
@pytest.mark.parametrize("key", [KEY, None])
def test_fingerprint_only_if_the_request_had_one(asked: bool, key: bytes | None) -> None:
    one = request(fingerprint=asked)
    one.key = key
    for data in (one.success(), one.error(RejectionError(400))):
        response = decode(data)
        assert response.has(FINGERPRINT) is asked
        assert response.has(MESSAGE_INTEGRITY) is (key is not None)


def test_rejection_says_its_code() -> None:
    rejection = RejectionError(437)
    assert (str(rejection), rejection.attributes) == ("437", ())


def test_key_does_not_show() -> None:
    one = request()
    one.key = b"secret"
    assert "secret" not in repr(one)
