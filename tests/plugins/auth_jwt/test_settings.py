"""The section: its defaults, what is wrong in it, and what is doubtful."""

from pathlib import Path
from typing import Any

import pytest

from tests.plugins.auth_jwt.issuer import OTHER_SECRET, SECRET, public_pem
from tornado_webrtc.config import Config, own_marks
from tornado_webrtc.config.specification import make_validator, parse_specification
from tornado_webrtc.hooks import Doubt
from tornado_webrtc.plugins.auth_jwt.claim import ClaimRules
from tornado_webrtc.plugins.auth_jwt.key import UnusableKeyError
from tornado_webrtc.plugins.auth_jwt.remote_keys import Timing
from tornado_webrtc.plugins.auth_jwt.settings import (
    SPECIFICATION,
    Settings,
    secrets_of,
    settings_doubts,
)

URL = "https://id.example.org/keys"


def section(**written: Any) -> dict[str, Any]:
    """What the server makes of what is written."""
    spec, validator = parse_specification(SPECIFICATION), make_validator(None)
    return {
        name: validator.check(spec[name], written.get(name), missing=name not in written)
        for name in spec.scalars
    }


def read(**written: Any) -> Settings:
    return Settings.read(section(**written), Config(path=Path("/etc/tornado-webrtc/server.ini")))


def test_defaults() -> None:
    assert read(algorithms="HS256", secret=SECRET) == Settings(
        algorithms=("HS256",),
        secrets=(SECRET,),
        rules=ClaimRules(leeway_s=30.0),
        anonymous_peer_ids=("[0-9]" * 6,),
    )


def test_everything_is_taken_over() -> None:
    found = read(
        algorithms=["RS256", "ES256"],
        jwks="keys.json",
        key_file="keys.pem",
        secret_file="/secrets",
        jwks_ca_file="ca.pem",
        jwks_ttl_s="60",
        jwks_max_stale_s="0",
        jwks_timeout_s="1",
        issuer="https://id.example.org/",
        audience=["calls", "chat"],
        leeway_s="0",
        require=["exp", "jti"],
        max_token_bytes="4096",
        subject_claim="email",
        peer_ids=["{subject}", "{subject}-*"],
        peer_ids_claim="",
        close_at_expiry="yes",
        allow_anonymous="yes",
        anonymous_peer_ids="guest-*",
    )
    folder = Path("/etc/tornado-webrtc")
    assert found == Settings(
        algorithms=("RS256", "ES256"),
        secret_file=Path("/secrets"),
        key_file=folder / "keys.pem",
        jwks_file=folder / "keys.json",
        jwks_ca_file=folder / "ca.pem",
        jwks_timing=Timing(60.0, 0.0, 1.0),
        max_token_bytes=4096,
        rules=ClaimRules(
            issuers=("https://id.example.org/",),
            audiences=("calls", "chat"),
            leeway_s=0.0,
            required=("exp", "jti"),
            subject_claim="email",
            peer_ids=("{subject}", "{subject}-*"),
            peer_ids_claim="",
            close_at_expiry=True,
        ),
        allow_anonymous=True,
        anonymous_peer_ids=("guest-*",),
    )
    assert read(algorithms="RS256", jwks=URL).jwks_url == URL


def test_every_key_is_live() -> None:
    spec, mark = parse_specification(SPECIFICATION), own_marks(SPECIFICATION)
    assert len(spec.scalars) == 20
    assert {mark((name,)) for name in spec.scalars} == {"live"}


def test_secrets_stand_in_no_repr() -> None:
    shown = repr(read(algorithms="HS256", secret=SECRET, jwks=f"{URL}?key=s3cr3t"))
    assert SECRET not in shown
    assert "s3cr3t" not in shown


@pytest.mark.parametrize(
    "written",
    [
        {"algorithms": "HS256", "secret": SECRET},
        {"algorithms": ["HS256", "HS384"], "secret": [SECRET, OTHER_SECRET], "secret_file": "x"},
        {"algorithms": "RS256", "key_file": "x"},
        {"algorithms": ["ES256", "EdDSA"], "jwks": "x"},
        {"algorithms": "PS512", "jwks": URL},
        {"algorithms": "PS512", "jwks": "http://127.0.0.1:8000/keys"},
    ],
)
def test_good_settings(written: dict[str, Any]) -> None:
    assert read(**written).faults() == []


@pytest.mark.parametrize(
    ("written", "key", "fault"),
    [
        ({"algorithms": ["HS256", "none"], "secret": SECRET}, "algorithms", "none means no sig"),
        ({"algorithms": ["HS256", "RS256"], "secret": SECRET}, "algorithms", "HS… goes with"),
        ({"algorithms": "HS1", "secret": SECRET}, "algorithms", "HS1 is not known"),
        ({"algorithms": "HS256"}, "algorithms", "they need secret or secret_file"),
        ({"algorithms": "RS256"}, "algorithms", "they need key_file or jwks"),
        ({"algorithms": "RS256", "key_file": "x", "jwks": "y"}, "jwks", "key_file is set, too"),
        ({"algorithms": "RS256", "key_file": "x", "jwks": URL}, "jwks", "key_file is set, too"),
        ({"algorithms": "HS512", "secret": SECRET[:40]}, "secret", "secret 1 has 40 bytes, but"),
        ({"algorithms": "HS256", "secret": public_pem("RSA")}, "secret", "secret 1 looks like a"),
        ({"algorithms": "RS256", "jwks": "http://id.example.org/"}, "jwks", "over http, whoever"),
        ({"algorithms": "RS256", "jwks": "ftp://id.example.org/"}, "jwks", "allowed is https://"),
    ],
)
def test_faults(written: dict[str, Any], key: str, fault: str) -> None:
    ((found_key, found),) = read(**written).faults()
    assert (found_key, found[: len(fault)]) == (key, fault)
    assert not isinstance(found, Doubt)


@pytest.mark.parametrize(
    ("algorithm", "wrong"),
    [("HS256", "key_file"), ("HS256", "jwks"), ("RS256", "secret"), ("RS256", "secret_file")],
)
def test_keys_of_the_other_kind(algorithm: str, wrong: str) -> None:
    right = {"secret": SECRET} if algorithm == "HS256" else {"key_file": "x"}
    kind = "secrets" if algorithm == "HS256" else "public keys"
    expected = (wrong, f"algorithms names those for {kind}; leave this key out")
    assert read(algorithms=algorithm, **right, **{wrong: SECRET}).faults() == [expected]


def test_all_faults_at_once() -> None:
    found = read(algorithms="RS256", secret="short", jwks="http://id.example.org/").faults()
    assert [key for key, _ in found] == ["secret", "jwks"]


GOOD = {"algorithms": "HS256", "secret": SECRET, "issuer": "a", "audience": "b"}


def test_nothing_doubtful() -> None:
    assert list(settings_doubts(read(**GOOD))) == []
    assert list(settings_doubts(read(**GOOD | {"allow_anonymous": "yes"}))) == []
    assert list(settings_doubts(read(**GOOD | {"anonymous_peer_ids": "*"}))) == []
    assert list(settings_doubts(read(**GOOD | {"issuer": ["https://a.example"] * 2}))) == []
    some = {"allow_anonymous": "yes", "anonymous_peer_ids": ["??", "guest-*", "*?x"]}
    assert list(settings_doubts(read(**GOOD | some))) == []


@pytest.mark.parametrize(
    ("written", "key", "doubt"),
    [
        ({"issuer": ""}, "issuer", "is empty: whoever has the key may be the issuer"),
        (
            {"issuer": ["https://a.example", "https://b.example"]},
            *("issuer", "names several: each key is believed for all of them, and a subject of"),
        ),
        ({"audience": ""}, "audience", "is empty: tokens that the issuer made for another service"),
        ({"require": "jti"}, "require", "does not name exp: a token without it is good for ever"),
        ({"require": ""}, "require", "does not name exp"),
        ({"peer_ids": ["{subject}", "*"]}, "peer_ids", "has a pattern without {subject}"),
        (
            {"allow_anonymous": "yes", "anonymous_peer_ids": ["[0-9]", "**"]},
            *("anonymous_peer_ids", "has **: clients without a token may sign in under any id"),
        ),
        (
            {"allow_anonymous": "yes", "anonymous_peer_ids": ["[0-9]?", "?*"]},
            *("anonymous_peer_ids", "has ?*: clients without a token may sign in under any id"),
        ),
        ({"secret": [SECRET, "secret" * 6]}, "secret", "a secret with so few different characters"),
    ],
)
def test_doubts(written: dict[str, Any], key: str, doubt: str) -> None:
    ((found_key, found),) = settings_doubts(read(**GOOD | written))
    assert (found_key, found[: len(doubt)]) == (key, doubt)
    assert isinstance(found, Doubt)


def test_same_keys() -> None:
    one = read(**GOOD)
    assert one.same_keys(read(**GOOD | {"leeway_s": "5", "allow_anonymous": "yes"}))
    for changes in ({"secret": OTHER_SECRET}, {"algorithms": "HS512"}, {"jwks_ttl_s": "60"}):
        assert not one.same_keys(read(**GOOD | changes))


def test_same_set() -> None:
    by_url = {"algorithms": "RS256", "jwks": URL}
    one = read(**by_url)
    assert one.same_set(read(**by_url | {"jwks_ttl_s": "60", "jwks_timeout_s": "1"}))
    for changes in ({"jwks": f"{URL}2"}, {"algorithms": "ES256"}, {"jwks_ca_file": "ca.pem"}):
        assert not one.same_set(read(**by_url | changes))


def test_lines_of_secrets() -> None:
    assert secrets_of(b"\xef\xbb\xbf one \r\n\r\ntwo") == ("one", "two")
    for content, reason in ((b"", "it is empty"), (b"a\xff", r"it is not UTF-8 \(byte 1\)")):
        with pytest.raises(UnusableKeyError, match=reason):
            secrets_of(content)
