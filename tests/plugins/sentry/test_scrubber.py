"""What may be reported, and what never is."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tornado_webrtc.plugins.sentry.scrubber import MAX_CRUMB, MAX_TEXT, Scrubber
from tornado_webrtc.redaction import REDACTED

SCRUBBER = Scrubber(anonymous=True)
CANDIDATE = "candidate:1 1 udp 2122260223 10.20.30.40 46154 typ host generation 0 ufrag uFr4"

SECRETS = st.text("abcdefghijklmnopqrstuvwxyz0123456789", min_size=8, max_size=40).map(
    lambda text: f"s3cr3t{text}"
)
FORMS = (
    "Bearer {}",
    "bearer.{}",
    "token={}",
    "/ws?token={}&x=1",
    '{{"access_token": "{}"}}',
    "password='{}'",
    "https://user:{}@turn.example.org/",
    "Authorization: Basic {}",
    "Cookie: session={}",
    "turn_secret: {}",
    "v=0\r\no=- 1 2 IN IP4 10.0.0.1\r\na=ice-pwd:{}\r\n",
    '{{"sdp": "v=0\\r\\na=ice-ufrag:{}\\r\\n"}}',
    "a=ice-pwd:{}",
    "eyJhbGciOiJIUzI1NiJ9.eyJ{}.abc",
    "api_key={}",
    "credential: '{}'",
)
"""Ways in which a secret gets into a text."""

CARRIERS = (
    lambda text: {"message": text},
    lambda text: {"logentry": {"message": text, "formatted": text, "params": [text]}},
    lambda text: {"exception": {"values": [{"type": "ValueError", "value": text}]}},
    lambda text: {"breadcrumbs": {"values": [{"message": text, "data": {"what": text}}]}},
    lambda text: {"extra": {"what": text, "more": [{"deep": (text,)}]}},
    lambda text: {"tags": {"what": text}},
    lambda text: {"tags": [["what", text]]},
    lambda text: {"transaction": text},
    lambda text: {"request": {"url": text, "headers": {"User-Agent": text}}},
    lambda text: {"spans": [{"description": text, "data": {"what": text}}]},
    lambda text: {"contexts": {"trace": {"data": {"what": text}}}},
    lambda text: {"extra": {text: 1}},
)
"""Parts of an event in which a text may stand."""


@pytest.mark.parametrize("form", FORMS)
@given(secret=SECRETS, carrier=st.sampled_from(CARRIERS))
def test_no_form_of_a_secret_passes(form: str, secret: str, carrier: Any) -> None:
    event = carrier(f"it happened: {form.format(secret)}")
    assert secret not in json.dumps(SCRUBBER.event(event))


@pytest.mark.parametrize(
    "name",
    [
        *("token", "access_token", "Authorization", "Cookie", "password", "credential", "sdp"),
        *("candidate", "secret", "api_key", "ice_pwd", "usernameFragment", "nonce"),
    ],
)
@given(secret=SECRETS)
def test_no_value_under_a_telling_name_passes(name: str, secret: str) -> None:
    for carried in (
        {name: secret},
        {"deep": {name: [secret]}},
        {"pairs": [[name, secret], ["x", "y"]]},
        {"listed": [{"name": name, "value": secret}]},
        {"listed": [{"key": name, "value": {"x": secret}}]},
    ):
        assert secret not in json.dumps(SCRUBBER.event({"extra": carried}))
        assert secret not in json.dumps(SCRUBBER.breadcrumb({"data": carried}))


@given(secret=SECRETS)
def test_candidates_never_pass(secret: str) -> None:
    text = json.dumps(SCRUBBER.event({"message": f"{CANDIDATE} {secret}"}))
    assert "10.20.30.40" not in text
    assert "uFr4" not in text


def test_what_a_request_says() -> None:
    request = {
        "method": "GET",
        "url": "https://example.org/ws?token=s3cr3t#s3cr3t",
        "query_string": "token=s3cr3t",
        "cookies": {"a": "s3cr3t"},
        "data": "s3cr3t",
        "env": {"REMOTE_ADDR": "93.184.216.34"},
        "headers": {
            "Host": "example.org",
            "User-Agent": "Dart/3.5 (dart:io)",
            "Upgrade": "websocket",
            "X-Request-Id": "1b0619d9405e0451",
            "Authorization": "s3cr3t",
            "Cookie": "s3cr3t",
            "Sec-WebSocket-Protocol": "bearer.s3cr3t",
            "Sec-WebSocket-Key": "s3cr3t",
            "X-Forwarded-For": "93.184.216.34",
            "X-Anything": "s3cr3t",
            "Referer": "https://example.org/?s3cr3t",
        },
    }
    scrubbed = SCRUBBER.event({"request": request})
    assert scrubbed["request"] == {
        "method": "GET",
        "url": "https://example.org/ws",
        "headers": {
            "Host": "example.org",
            "User-Agent": "Dart/3.5 (dart:io)",
            "Upgrade": "websocket",
            "X-Request-Id": "1b0619d9405e0451",
        },
    }


@pytest.mark.parametrize("request_", [None, "s3cr3t", ["s3cr3t"], {"headers": "s3cr3t"}])
def test_odd_requests(request_: object) -> None:
    assert "s3cr3t" not in json.dumps(SCRUBBER.event({"request": request_}))


def test_what_is_not_listed_stays_here() -> None:
    event = {
        "user": {"ip_address": "93.184.216.34", "id": "s3cr3t"},
        "modules": {"s3cr3t": "1"},
        "contexts": {"runtime": {"name": "CPython"}, "argv": {"s3cr3t": 1}, "os": {"x": "s3cr3t"}},
        "extra": {"sys.argv": ["s3cr3t"], "path": "/ws"},
        "_meta": {"s3cr3t": 1},
        "something_new": "s3cr3t",
        "logentry": {"message": "x %s", "formatted": "x y", "params": ["s3cr3t"], "more": "s3cr3t"},
    }
    scrubbed = SCRUBBER.event(event)
    assert "s3cr3t" not in json.dumps(scrubbed)
    assert scrubbed == {
        "contexts": {"runtime": {"name": "CPython"}},
        "extra": {"path": "/ws"},
        "logentry": {"message": "x %s", "formatted": "x y"},
    }


def test_what_helps_stays() -> None:
    frame = {
        "filename": "hub.py",
        "function": "send",
        "lineno": 12,
        "in_app": True,
        "pre_context": ["def send(self):"],
        "context_line": "    raise ValueError(peer)",
        "post_context": [],
        "vars": {"peer": "s3cr3t"},
    }
    value = {
        "type": "ValueError",
        "value": "no peer 'alice'",
        "module": None,
        "mechanism": {"type": "logging", "handled": True},
        "stacktrace": {"frames": [frame]},
    }
    event = {
        "event_id": "0" * 32,
        "timestamp": "2026-01-01T00:00:00.000000Z",
        "level": "error",
        "logger": "tornado_webrtc.plugins.mine",
        "platform": "python",
        "release": "tornado-webrtc@1.2.3",
        "environment": "production",
        "server_name": "node-1",
        "transaction": "tornado_webrtc.web.turn.TurnHandler.get",
        "exception": {"values": [value]},
        "tags": {"region": "eu"},
        "contexts": {"trace": {"trace_id": "0" * 32, "span_id": "1" * 16}},
        "sdk": {"name": "sentry.python.tornado", "version": "2.0"},
        "fingerprint": ["x"],
    }
    scrubbed = SCRUBBER.event(event)
    del frame["vars"]
    assert scrubbed == event


@pytest.mark.parametrize(("anonymous", "shown"), [(True, "93.184.216.0"), (False, "93.184.216.34")])
def test_addresses(anonymous: bool, shown: str) -> None:
    scrubbed = Scrubber(anonymous=anonymous).event({"message": "lost 93.184.216.34"})
    assert scrubbed["message"] == f"lost {shown}"


def test_sizes() -> None:
    scrubbed = SCRUBBER.event({"message": "x" * 100_000, "extra": {"y" * 1000: 1}})
    assert len(scrubbed["message"]) == MAX_TEXT
    assert max(map(len, scrubbed["extra"])) <= 128
    crumb = SCRUBBER.breadcrumb({"message": "x" * 100_000, "timestamp": object()})
    assert len(crumb["message"]) == MAX_CRUMB


def test_depth() -> None:
    deep: Any = "s3cr3t"
    for _ in range(5000):
        deep = [deep]
    assert "s3cr3t" not in json.dumps(SCRUBBER.event({"extra": {"deep": deep}}))


def test_numbers() -> None:
    event = {"extra": {"tokens": 17, "token": 12345678, "port": 8086, "ok": True, "none": None}}
    assert SCRUBBER.event(event)["extra"] == {
        "tokens": 17,
        "token": REDACTED,
        "port": 8086,
        "ok": True,
        "none": None,
    }


@settings(max_examples=30)
@given(
    st.dictionaries(
        st.text(),
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.text(),
            lambda each: st.lists(each) | st.dictionaries(st.text(), each),
            max_leaves=10,
        ),
    )
)
def test_anything_is_taken(extra: dict[str, Any]) -> None:
    scrubbed = SCRUBBER.event({"extra": extra})
    assert SCRUBBER.event(scrubbed) == scrubbed, "a second time changes nothing"
