"""Signatures: the specification's own vector, and an independent implementation."""

import base64
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from tests.plugins.webhook.receiver import OLD_SECRET, SECRET
from tornado_webrtc.plugins.webhook.signature import parse_secret, signature


def headers(message_id: str, timestamp: int, signed: str) -> dict[str, str]:
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": signed,
    }


def test_known_vector() -> None:
    key = parse_secret("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    made = signature([key], "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, b'{"test": 2432232314}')
    assert made == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


@given(st.binary(min_size=24, max_size=64), st.text(), st.uuids())
def test_others_verify_it(key: bytes, text: str, identifier: object) -> None:
    secret = "whsec_" + base64.b64encode(key).decode()
    body, now = text.encode("utf-8", "replace"), int(time.time())
    made = signature([parse_secret(secret)], f"msg_{identifier}", now, body)
    Webhook(secret).verify(body, headers(f"msg_{identifier}", now, made), json_parse=False)


def test_every_secret_signs() -> None:
    now = int(time.time())
    made = signature([parse_secret(SECRET), parse_secret(OLD_SECRET)], "msg_1", now, b"{}")
    for secret in (SECRET, OLD_SECRET):
        assert Webhook(secret).verify(b"{}", headers("msg_1", now, made)) == {}
    assert made.split()[0] == signature([parse_secret(SECRET)], "msg_1", now, b"{}")


@pytest.mark.parametrize(
    ("message_id", "shift", "body"), [("msg_2", 0, b"{}"), ("msg_1", 1, b"{}"), ("msg_1", 0, b"[]")]
)
def test_everything_is_signed(message_id: str, shift: int, body: bytes) -> None:
    now = int(time.time())
    made = signature([parse_secret(SECRET)], "msg_1", now, b"{}")
    with pytest.raises(WebhookVerificationError):
        Webhook(SECRET).verify(body, headers(message_id, now + shift, made))


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("", "does not begin with whsec_"),
        ("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "does not begin with whsec_"),
        ("WHSEC_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "does not begin with whsec_"),
        ("whsec_", "a secret has 0 bytes"),
        ("whsec_s3cr3t s3cr3t", "is no Base64"),
        ("whsec_é", "is no Base64"),
        ("whsec_" + base64.b64encode(bytes(23)).decode(), "a secret has 23 bytes"),
        ("whsec_" + base64.b64encode(bytes(65)).decode(), "a secret has 65 bytes"),
    ],
)
def test_bad_secrets(text: str, fault: str) -> None:
    with pytest.raises(ValueError, match=fault) as raised:
        parse_secret(text)
    assert "openssl rand -base64 32" in str(raised.value)
    assert "s3cr3t" not in str(raised.value)
    assert raised.value.__cause__ is None


@pytest.mark.parametrize("size", [24, 64])
def test_sizes(size: int) -> None:
    assert parse_secret("whsec_" + base64.b64encode(bytes(size)).decode()) == bytes(size)
