"""Nothing secret gets into a log, however careless its author; the rest stays readable."""

import json
import logging
from urllib.parse import quote, urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tornado_webrtc.credential import mint
from tornado_webrtc.redaction import (
    MAX_TEXT,
    REDACTED,
    RedactingFormatter,
    Redaction,
    anonymize,
    bounded,
    clean,
    is_secret,
    message_of,
    redact,
)
from tornado_webrtc.turn.nonce import NonceSource, SecurityFeature

UFRAG, ICE_PWD, FINGERPRINT = "uFr4", "iCePaSsWoRd0123456789abc", "AA:BB:CC:DD:EE"
PRIVATE_IP = "10.20.30.40"
CANDIDATE = f"candidate:842163049 1 udp 1677729535 {PRIVATE_IP} 46154 typ srflx raddr 10.0.0.5"
SDP = "\r\n".join(
    [
        "v=0",
        f"o=- 4611731400430051336 2 IN IP4 {PRIVATE_IP}",
        's=Bob\'s "room"',
        "t=0 0",
        "m=audio 9 UDP/TLS/RTP/SAVPF 111",
        f"c=IN IP4 {PRIVATE_IP}",
        f"a=ice-ufrag:{UFRAG}",
        f"a=ice-pwd:{ICE_PWD}",
        f"a=fingerprint:sha-256 {FINGERPRINT}",
        f"a={CANDIDATE}",
        "",
    ]
)
OF_MEDIA = (UFRAG, ICE_PWD, FINGERPRINT, PRIVATE_IP)
OFFER = {"type": "offer", "data": {"to": "bob", "description": {"type": "offer", "sdp": SDP}}}

SPELLINGS = {
    "as it is": SDP,
    "with line feeds": SDP.replace("\r\n", "\n"),
    "repr": repr(SDP),
    "dictionary": repr(OFFER),
    "bytes": repr(SDP.encode()),
    "JSON": json.dumps(OFFER),
    "JSON as bytes": repr(json.dumps(OFFER).encode()),
    "JSON in JSON": json.dumps({"frame": json.dumps(OFFER)}),
    "JSON in JSON in a repr": repr(json.dumps({"frame": json.dumps(OFFER)})),
    "cut at the end": SDP[: SDP.index("typ srflx")],
    "repr cut at the end": repr(OFFER)[: repr(OFFER).index("typ srflx")],
    "cut at the beginning": SDP[SDP.index("m=audio") - 2 :],
    "repr cut at the beginning": repr(SDP)[repr(SDP).index("IN IP4") :],
    "URL": f"/x?sdp={quote(SDP, safe='')}&y",
    "URL that keeps some": f"/x?o={quote(SDP, safe='=:/')}",
    "form": urlencode({"o": SDP}),
    "URL in a URL": quote(quote(SDP, safe=""), safe=""),
    "JSON in a URL": quote(json.dumps(OFFER)),
    "URL cut at the beginning": quote(SDP, safe="")[quote(SDP).index("IN%20IP4") :],
}


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_session_description(spelling: str) -> None:
    shown = redact(f"cannot forward {SPELLINGS[spelling]}")
    assert [secret for secret in OF_MEDIA if secret in shown] == []
    assert shown.startswith("cannot forward ")
    assert REDACTED in shown


def test_what_follows_a_description_in_json_stays() -> None:
    shown = redact(json.dumps({"sdp": SDP.replace('"', ""), "session_id": "alice-bob"}))
    assert json.loads(shown) == {"sdp": REDACTED, "session_id": "alice-bob"}


@pytest.mark.parametrize(
    "text",
    [
        CANDIDATE,
        f"a={CANDIDATE}",
        repr({"candidate": CANDIDATE, "sdpMid": "0"}),
        json.dumps({"candidate": {"candidate": CANDIDATE, "usernameFragment": UFRAG}}),
        repr(json.dumps({"candidate": CANDIDATE})),
        CANDIDATE.replace(" ", "+"),
        CANDIDATE.replace(" ", "%20"),
        quote(CANDIDATE),
        quote(quote(CANDIDATE)),
        urlencode({"c": CANDIDATE}),
        f"/x?a={quote(f'a=ice-pwd:{ICE_PWD}')}",
        CANDIDATE.replace(" udp ", " TCP "),
        f"a=ice-ufrag:{UFRAG}\na=ice-pwd:{ICE_PWD}",
        f"ice-pwd: {ICE_PWD}".replace(": ", ":"),
        f"ufrag={UFRAG}",
        f"Candidate(ufrag='{UFRAG}', ice_pwd='{ICE_PWD}')",
        f'{{"usernameFragment":"{UFRAG}"}}',
    ],
)
def test_candidates_and_their_credentials(text: str) -> None:
    shown = redact(f"late: {text}")
    assert [secret for secret in (UFRAG, ICE_PWD, PRIVATE_IP) if secret in shown] == []


SECRET = "s3cr3t-Value_1"


@pytest.mark.parametrize(
    "text",
    [
        "Authorization: Bearer {}",
        "authorization: bearer {}",
        "{{'Authorization': 'Bearer {}'}}",
        "('Authorization', 'Bearer {}')",
        '{{"authorization":"Basic {}"}}',
        "Proxy-Authorization: Digest response={}",
        "Cookie: session={}; a={}",
        "Set-Cookie: id={}; HttpOnly",
        "the client sent Bearer {}",
        "Sec-WebSocket-Protocol: tornado-webrtc, bearer.{}",
        "['tornado-webrtc', 'bearer.{}']",
        "GET /ws?token={}&room=r HTTP/1.1",
        "GET /ws?room=r&access_token={}",
        "https://example.org/?token={}#there",
        "/ws%3Ftoken%3D{}",
        "{{'token': '{}'}}",
        "{{'token': ['x'], 'access_token': b'{}'}}",
        '{{"token":"{}","x":1}}',
        '{{"refresh_token" : "{}"}}',
        r"{{\"token\":\"{}\"}}",
        r"{{\\\"token\\\":\\\"{}\\\"}}",
        "token={}",
        "token = {}",
        "token: {}",
        "id_token={}, next",
        "AuthRequest(kind='new', token='{}')",
        "X-Auth-Token: {}",
        "password={}",
        "password: {}",
        "passwd={}",
        '"password": "{}"',
        "TurnCredential(password='{}', user='alice')",
        "secret='{}'",
        "client_secret={}",
        "turn.secret = {}",
        "api_key={}",
        "API-Key: '{}'",
        "nonce={}",
        "nonce: {}",
        "'nonce', b'{}'",
        "pwd={}",
        '"credential": "{}"',
        "redis://user:{}@cache.example:6379/0",
        "redis://:{}@cache.example",
        "https://{}@o1.ingest.example/2",
        "api_key: {}",
        "X-Api-Key: {}",
        "secret_key: {}",
        "refresh_token: {}",
        "client_secret: {}",
        "db_password: {}",
        "auth_token: {}",
        '"token": ["{}"]',
        "tokens=['x', '{}']",
        r"{{\"token\":[\"{}\"]}}",
        "'token': ('x]', b'{}')",
        "{{'Cookie': 'sid=\"{}\"'}}",
        "{{'Cookie': 'a=\"b\"; sid={}'}}",
        r"{{\"cookie\":\"a=\\\"b\\\"; sid={}\"}}",
        'Set-Cookie: t="a"; {}',
        "Set-Cookie: t='a'; {}\r\nX: y",
        'Authorization: Digest username="a", response="{}"',
        r"{{\"token\":\"a\\\"{}\"}}",
        '"password": "a\\\n{}"',
    ],
)
def test_values_of_secret_things(text: str) -> None:
    filled = text.format(*[SECRET] * text.count("{}"))
    shown = redact(f"failed: {filled} (once)")
    assert SECRET not in shown
    assert "s3cr3t" not in shown
    assert REDACTED in shown


@pytest.mark.parametrize("text", ["it's", 'say "hi"', "a, b", "a\\b", "ü$&;#"])
def test_quoted_values_are_taken_out_whole(text: str) -> None:
    assert redact(f"x {json.dumps({'password': text})} y") == f'x {{"password": "{REDACTED}"}} y'
    shown = redact(f"x { ({'password': text}) } y")
    assert shown in {f"x {{'password': '{REDACTED}'}} y", f"x {{'password': \"{REDACTED}\"}} y"}


def test_password_of_a_room_in_a_message() -> None:
    """As text, in JSON within JSON, in reprs: what logs of broken code might hold."""
    data = {"id": "1", "room": "blue", "password": "open sesame, \\ please", "token": "abc def"}
    message = json.dumps({"type": "new", "data": data})
    url = "GET /ws?room=blue&password=open%20sesame"
    for text in (message, json.dumps(message), repr(message), str(data), repr(str(data)), url):
        shown = redact(f"bad message {text} from 192.0.2.1")
        assert "sesame" not in shown
        assert "please" not in shown
        assert "def" not in shown
        assert "blue" in shown
        assert shown.endswith("from 192.0.2.1")


def test_turn_credentials_are_known_by_their_form() -> None:
    credential = mint("secret", "alice", 60, 1767225600)
    shown = redact(f"minted {credential.username} {credential.password} for alice")
    assert shown == f"minted 1767225660:alice {REDACTED} for alice"


PASSWORD = "abcdefghijklmnopqrstuvwxyz1="


@pytest.mark.parametrize(
    "before", ["", "pw=", "/", "a/", "turn:x/", "'", "x%3D", "a%2F", "1767225660:alice:", '{"a":"']
)
def test_turn_passwords_are_known_wherever_they_stand(before: str) -> None:
    assert PASSWORD[:27] not in redact(f"see {before}{PASSWORD}")
    assert PASSWORD[:27] not in redact(f"see {before}{PASSWORD.replace('=', '%3D')}")
    slash = f"{PASSWORD[:9]}/{PASSWORD[10:]}"
    assert slash[10:27] not in redact(f"see {before}{slash.replace('/', '%2F')}")


@pytest.mark.parametrize("features", [None, SecurityFeature.USERNAME_ANONYMITY])
def test_nonces_are_known_by_their_form(features: SecurityFeature | None) -> None:
    source = NonceSource(b"k" * 16, "realm", features=features)
    nonce = source.make("192.0.2.1", 1767225600)
    assert redact(f"stale {nonce}!") == f"stale {REDACTED}!"
    assert nonce not in redact(repr({"x": nonce.encode()}))


def test_tokens_and_keys_are_known_by_their_form() -> None:
    token = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhbGljZSJ9.c2lnbmF0dXJl"
    assert redact(f"no key for {token}, sorry") == f"no key for {REDACTED}, sorry"
    assert redact(f"x-{token}, /{token}/x") == f"{REDACTED}, /{REDACTED}/x".replace(
        REDACTED, f"x-{REDACTED}", 1
    )
    assert redact(f"state%3D{token} eyJ-eyJ-x eyJa.b") == f"state%3D{REDACTED} eyJ-eyJ-x eyJa.b"
    key = "-----BEGIN EC PRIVATE KEY-----\nMHcCAQEE\n-----END EC PRIVATE KEY-----"
    assert redact(f"read {key} twice") == f"read {REDACTED} twice"
    assert redact(f"read {key[:40]}") == f"read {REDACTED}"


@pytest.mark.parametrize("before", ["", "'", "with ", "webhook: ", "x=", "%20"])
def test_secrets_of_webhooks_are_known_by_their_form(before: str) -> None:
    secret = "whsec_MfKQ9r8G+YqrTwjUPD8I/PZIo2LaLaSw=="
    assert redact(f"signed {before}{secret}, twice") == f"signed {before}whsec_{REDACTED}, twice"
    assert redact(f"{before}{secret.replace('+', '%2B')}") == f"{before}whsec_{REDACTED}"
    advice = "echo whsec_$(openssl rand -base64 32)"
    assert redact(advice) == advice


@pytest.mark.parametrize(
    "text",
    [
        "",
        "peer '123456' joined from '192.0.2.1': name 'Alice', user agent 'Dart/3'",
        "call '123456-654321' ended after 100.2 s: 'bye'",
        "127.0.0.1 GET /api/turn 200 1.2ms",
        "plugin auth_token: answers slowly",
        "server.ini, line 4, turn.secret: a secret of fewer than 16 characters can be guessed",
        "5 tokens read from /etc/tornado-webrtc/tokens",
        "[::1]:4711 as 'alice' was refused: wrong password",
        "turn.secret_file: there is no file secret",
        "open https://localhost:8086/",
        "KeyError: 'token'",
        "{'token': None, 'nonce': null}",
        "stale nonce",
        "a session description of 70000 bytes; candidate is missing",
        "commit 0123456789abcdef0123456789abcdef01234567",
    ],
)
def test_ordinary_lines_stay_as_they_are(text: str) -> None:
    assert redact(text) == text


@given(
    st.lists(
        st.sampled_from(
            [
                *(
                    "token",
                    "password",
                    "nonce",
                    "candidate",
                    "sdp",
                    "bearer",
                    "Authorization",
                    "ice-pwd",
                ),
                *(
                    "=",
                    ":",
                    " ",
                    ", ",
                    '"',
                    "'",
                    "\\",
                    '\\"',
                    "b'",
                    "?",
                    "&",
                    "%3d",
                    "://",
                    "@",
                    ".",
                ),
                *("\r\n", "\\r\\n", "v=0", "a=", "m=", "eyJabcde.", "0069aabbcc", "x", "1 udp 2 h"),
                *(REDACTED, "A" * 27, "-----BEGIN PRIVATE KEY-----", "obMatJos2", "whsec_A"),
            ]
        ),
        max_size=14,
    ).map("".join)
)
def test_a_second_time_changes_nothing(text: str) -> None:
    once = redact(text)
    assert redact(once) == once


# --- length -----------------------------------------------------------------------------


def test_long_text_is_cut_and_says_so() -> None:
    assert bounded("x" * 10, 10) == "x" * 10
    cut = bounded("x" * 1000, 100)
    assert len(cut) == 100
    assert cut.endswith("x… [900 characters more]")
    assert len(bounded("x" * 1000, 5)) == 5


def test_secret_at_the_cut_is_not_shown_in_half() -> None:
    filler = "ordinary words " * (MAX_TEXT // 10)
    assert len(clean(filler + filler + f"token={SECRET}")) == MAX_TEXT
    sdps = f"{SDP} and then " * 1000
    shown = clean(sdps)
    assert len(shown) <= MAX_TEXT
    assert [secret for secret in OF_MEDIA if secret in shown] == []


# --- names of fields ----------------------------------------------------------------------


@pytest.mark.parametrize(
    "name",
    ["token", "access_token", "Password", "turn_secret", "nonce", "sdp", "candidate", "Cookie"],
)
def test_secret_fields(name: str) -> None:
    assert is_secret(name)


@pytest.mark.parametrize("name", ["user", "session_id", "path", "remote_ip", "description_bytes"])
def test_other_fields(name: str) -> None:
    assert not is_secret(name)


def test_numbers_may_be_secret_too() -> None:
    assert is_secret("token", number=True)
    assert is_secret("db_password", number=True)
    assert not is_secret("tokens_used", number=True)
    assert not is_secret("secret_count", number=True)


# --- addresses ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("from 192.0.2.77", "from 192.0.2.0"),
        ("192.0.2.77:4711.", "192.0.2.0:4711."),
        ("('203.0.113.255', 1)", "('203.0.113.0', 1)"),
        ("x192.0.2.77y", "x192.0.2.0y"),
        ("198.51.100.1/24", "198.51.100.0/24"),
        ("from 2001:db8:1:2:3:4:5:6 to", "from 2001:db8:1:: to"),
        ("from 2001:db8:1:2::5: hello", "from 2001:db8:1::: hello"),
        ("[2001:db8:1:2::5]:4711", "[2001:db8:1::]:4711"),
        ("ip:2001:DB8:1:2::5", "ip:2001:db8:1::"),
        ("fe80::1%eth0", "fe80::%eth0"),
        ("::ffff:192.0.2.77", "::ffff:192.0.2.0"),
        ("64:ff9b::192.0.2.77", "64:ff9b::"),
        ("1767225600:2001:db8:1:2::5", "1767225600:2001:db8:1::"),
    ],
)
def test_addresses_lose_their_last_part(text: str, expected: str) -> None:
    assert anonymize(text) == expected
    assert anonymize(expected) == expected


@pytest.mark.parametrize(
    "text",
    [
        *("127.0.0.1:8086", "0.0.0.0", "[::1]:80", "::", "http://localhost:8086/"),
        *("12:34:56", "2026-01-01T12:34:56.789Z", "1.2 s", "10.0.0", "AA:BB:CC:DD:EE:FF"),
        *("a::b::c", "std::vector", "call '123456-654321'", "f(x)[1:2:3]"),
    ],
)
def test_what_is_no_address_of_a_client_stays(text: str) -> None:
    assert anonymize(text) == text


@given(st.ip_addresses())
def test_any_address(address: object) -> None:
    text = f"client {address} came"
    assert anonymize(anonymize(text)) == anonymize(text)


def test_redaction_does_both_if_wished() -> None:
    text = "192.0.2.77 shows token=abc"
    assert Redaction()(text) == f"192.0.2.77 shows token={REDACTED}"
    assert Redaction(anonymous=True)(text) == f"192.0.2.0 shows token={REDACTED}"


# --- the console ------------------------------------------------------------------------------


def record(message: object, *arguments: object) -> logging.LogRecord:
    made = logging.LogRecord("x", logging.INFO, "/src/x.py", 7, message, arguments, None)
    assert isinstance(made, logging.LogRecord)
    return made


def test_console_lines_are_redacted() -> None:
    formatter = RedactingFormatter("%(levelname)s %(message)s")
    assert formatter.format(record("token=%s", "abc")) == f"INFO token={REDACTED}"
    formatter.redaction = Redaction(anonymous=True)
    assert formatter.format(record("from %s", "192.0.2.77")) == "INFO from 192.0.2.0"


def test_tracebacks_are_redacted() -> None:
    try:
        raise ValueError(f"cannot parse {SDP}")
    except ValueError as error:
        failed = record("oops")
        failed.exc_info = (type(error), error, error.__traceback__)
    shown = RedactingFormatter("%(message)s").format(failed)
    assert "Traceback" in shown
    assert "ValueError: cannot parse" in shown
    assert UFRAG not in shown


def test_arguments_that_do_not_fit_are_not_shown() -> None:
    """Logging itself would print them on standard error, whatever they are."""
    text = "%d tokens [TypeError: the arguments do not fit, at /src/x.py:7]"
    assert (
        RedactingFormatter("%(message)s").format(record("%d tokens", SECRET)) == f"INFO x: {text}"
    )
    assert message_of(record("%d tokens", SECRET)) == text


class Unspeakable:
    def __str__(self) -> str:
        raise RuntimeError(SECRET)


def test_things_without_a_text() -> None:
    text = "Unspeakable [RuntimeError: the arguments do not fit, at /src/x.py:7]"
    assert message_of(record(Unspeakable())) == text
    assert message_of(record("%s", "fine")) == "fine"
