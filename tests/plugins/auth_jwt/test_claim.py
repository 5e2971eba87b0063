"""Claims: times, issuer, audience, and whom they make their bearer."""

import math
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tornado_webrtc.hooks import Identity
from tornado_webrtc.plugins.auth_jwt.claim import MAX_PEER_IDS, ClaimRules, read_claims
from tornado_webrtc.plugins.auth_jwt.refusal import Cause, TokenError

NOW = 1_700_000_000.0
LOOSE = ClaimRules(required=())


def refusal(rules: ClaimRules, wall: float = NOW, **claims: Any) -> TokenError:
    with pytest.raises(TokenError) as error:
        rules.identify({"sub": "ann"} | claims, wall)
    return error.value


def identity(rules: ClaimRules = LOOSE, wall: float = NOW, **claims: Any) -> Identity:
    return rules.identify({"sub": "ann"} | claims, wall)


# --- the payload --------------------------------------------------------------------------------


def test_claims_are_an_object() -> None:
    assert read_claims('{"sub": "žluť"}'.encode()) == {"sub": "žluť"}


@pytest.mark.parametrize(
    "payload",
    [
        *(b"", b"[]", b"1", b"null", b'"x"', b"{", b"{}x", b"\xff{}", b"[" * 100_000),
        *(b'{"exp": NaN}', b'{"exp": Infinity}', b'{"exp": -Infinity}', b'{"exp": ' + b"9" * 5000),
        *('{"sub": "ann"}'.encode("utf-16"), b'\xef\xbb\xbf{"sub": "ann"}'),
    ],
)
def test_other_payloads(payload: bytes) -> None:
    with pytest.raises(TokenError) as error:
        read_claims(payload)
    assert error.value.cause is Cause.MALFORMED


# --- times --------------------------------------------------------------------------------------


@pytest.mark.parametrize("leeway_s", [0.0, 30.0])
@pytest.mark.parametrize("kind", [int, float])
def test_expiry(leeway_s: float, kind: type[int] | type[float]) -> None:
    rules = ClaimRules(leeway_s=leeway_s)
    expires_at = kind(NOW)
    assert identity(rules, NOW + leeway_s - 0.001, exp=expires_at).subject == "ann"
    error = refusal(rules, NOW + leeway_s, exp=expires_at)
    assert (error.cause, error.detail) == (Cause.EXPIRED, f"{leeway_s:.0f} s ago")


@pytest.mark.parametrize("leeway_s", [0.0, 30.0])
@pytest.mark.parametrize("name", ["nbf", "iat"])
def test_early_tokens(leeway_s: float, name: str) -> None:
    rules = ClaimRules(leeway_s=leeway_s, required=())
    assert identity(rules, NOW - leeway_s, **{name: NOW}).subject == "ann"
    error = refusal(rules, NOW - leeway_s - 1, **{name: NOW})
    assert error.cause is Cause.NOT_YET_VALID
    assert error.detail == f"{name} is in {leeway_s + 1:.0f} s; compare clocks"


@pytest.mark.parametrize("name", ["exp", "nbf", "iat"])
@pytest.mark.parametrize("value", ["1700000000", "", None, True, [1], {}, 10**400, math.inf])
def test_times_that_are_none(name: str, value: object) -> None:
    claims: dict[str, Any] = {name: value}
    assert refusal(LOOSE, **claims).cause is Cause.CLAIM


def test_exp_is_required_unless_it_is_not() -> None:
    error = refusal(ClaimRules())
    assert (error.cause, error.detail) == (Cause.CLAIM, "the claim 'exp' is missing")
    assert identity(LOOSE).subject == "ann"


def test_required_claims() -> None:
    rules = ClaimRules(required=("exp", "jti", "https://example.org/tenant"))
    claims: dict[str, Any] = {"exp": NOW + 1, "jti": "", "https://example.org/tenant": None}
    assert identity(rules, **claims).subject == "ann"
    for name in claims:
        others: dict[str, Any] = {key: each for key, each in claims.items() if key != name}
        error = refusal(rules, **others)
        assert (error.cause, name in error.detail) == (Cause.CLAIM, True)


# --- issuer and audience ------------------------------------------------------------------------


def test_issuer() -> None:
    rules = ClaimRules(required=(), issuers=("https://a.example", "https://b.example/"))
    assert identity(rules, iss="https://a.example").subject == "ann"
    assert identity(rules, iss="https://b.example/").subject == "ann"
    assert identity(LOOSE, iss="anybody").subject == "ann"
    for wrong in (
        "https://b.example",
        "https://a.example.evil",
        "",
        None,
        1,
        ["https://a.example"],
    ):
        assert refusal(rules, iss=wrong).cause is Cause.ISSUER
    assert refusal(rules).detail == "iss is missing"


@pytest.mark.parametrize(
    ("configured", "claimed", "right"),
    [
        (("calls",), "calls", True),
        (("calls", "chat"), ["x", "chat"], True),
        (("calls",), "call", False),
        (("calls",), ["x", "y"], False),
        (("calls",), "Calls", False),
        (("calls",), [], False),
        (("calls",), None, False),
        (("calls",), [["calls"]], False),
        (("calls",), {"calls": 1}, False),
        ((), "calls", False),
        ((), None, False),
    ],
)
def test_audience(configured: tuple[str, ...], claimed: object, right: bool) -> None:
    rules = ClaimRules(required=(), audiences=configured)
    if right:
        assert identity(rules, aud=claimed).subject == "ann"
    else:
        assert refusal(rules, aud=claimed).cause is Cause.AUDIENCE


def test_missing_audience() -> None:
    assert refusal(ClaimRules(required=(), audiences=("calls",))).detail == "aud is missing"
    assert identity(LOOSE).subject == "ann"


# --- when what it allows ends -------------------------------------------------------------------


@pytest.mark.parametrize("leeway_s", [0.0, 30.0])
def test_end_is_that_of_the_token(leeway_s: float) -> None:
    """At the moment from which the token itself is refused."""
    rules = ClaimRules(leeway_s=leeway_s, close_at_expiry=True)
    ends_at = identity(rules, exp=NOW + 60).ends_at
    assert ends_at == NOW + 60 + leeway_s
    assert identity(rules, ends_at - 0.001, exp=NOW + 60).subject == "ann"
    assert refusal(rules, ends_at, exp=NOW + 60).cause is Cause.EXPIRED


def test_no_end_unless_it_is_wanted_and_known() -> None:
    assert identity(ClaimRules(leeway_s=30.0), exp=NOW + 60).expires_at is None
    assert identity(ClaimRules(required=(), close_at_expiry=True)).expires_at is None


# --- the subject --------------------------------------------------------------------------------


def test_subject_may_be_a_number_or_another_claim() -> None:
    assert identity(sub=17) == Identity("17", ("17",))
    rules = ClaimRules(required=(), subject_claim="email")
    assert identity(rules, email="ann@example.org").subject == "ann@example.org"
    assert refusal(rules).detail == "'email' is missing or no text"


@pytest.mark.parametrize(
    "subject", [None, "", True, 1.5, ["ann"], {}, "a" * 129, "a\nb", "a\0", "\ud800", "🎉" * 128]
)
def test_subjects_that_are_none(subject: object) -> None:
    assert refusal(LOOSE, sub=subject).cause is Cause.CLAIM


# --- peer ids -----------------------------------------------------------------------------------


def test_subject_is_the_only_peer_id() -> None:
    found = identity()
    assert found.allows("ann")
    for other in ("ann-1", "anna", "Ann", "ben", ""):
        assert not found.allows(other)


@pytest.mark.parametrize(
    "subject", ["*", "a*", "?", "[a-z]", "[!x]", "a]b", "[[]", "{subject}", "/"]
)
def test_subject_is_no_pattern(subject: str) -> None:
    found = identity(sub=subject)
    assert found.allows(subject)
    for other in ("a", "b", "ann", "a]", "xyz", "subject"):
        assert not found.allows(other)


def test_configured_patterns() -> None:
    rules = ClaimRules(required=(), peer_ids=("{subject}", "{subject}-*", "kiosk-[0-9]"))
    found = identity(rules, sub="a*")
    for allowed in ("a*", "a*-phone", "kiosk-7"):
        assert found.allows(allowed)
    for other in ("a", "ab-phone", "kiosk-x"):
        assert not found.allows(other)


def test_listed_ids_come_instead_of_the_subject() -> None:
    found = identity(peer_ids=["desk", "phone-*"])
    assert found.subject == "ann"
    for allowed in ("desk", "phone-", "phone-1-2"):
        assert found.allows(allowed)
    for other in ("ann", "desk-1", "phone", "xphone-1"):
        assert not found.allows(other)


def test_listed_ids_are_no_patterns_but_for_a_star_at_the_end() -> None:
    found = identity(peer_ids=["*a", "[b]", "c?", "d*e*", "f**"])
    for allowed in ("*a", "[b]", "c?", "d*e", "d*exyz", "f*", "f*g"):
        assert found.allows(allowed)
    for other in ("xa", "b", "cx", "dxe", "fg", "f"):
        assert not found.allows(other)


def test_star_alone_is_any_id() -> None:
    assert identity(peer_ids="*").allows("whoever")


def test_single_id_and_none() -> None:
    assert identity(peer_ids="desk").peer_ids == ("desk",)
    assert not identity(peer_ids=[]).allows("ann")


@pytest.mark.parametrize(
    "listed", [None, 5, {}, {"a": 1}, [""], "", ["a", 1], ["a" * 129], ["a"] * (MAX_PEER_IDS + 1)]
)
def test_lists_that_are_none(listed: object) -> None:
    error = refusal(LOOSE, peer_ids=listed)
    assert error.cause is Cause.CLAIM
    assert "peer_ids" in error.detail


def test_another_claim_may_list_ids_or_none() -> None:
    other = ClaimRules(required=(), peer_ids_claim="devices")
    assert identity(other, peer_ids=["desk"], devices=["tablet"]).peer_ids == ("tablet",)
    none = ClaimRules(required=(), peer_ids_claim="")
    unnamed: dict[str, Any] = {"": ["*"]}
    assert identity(none, peer_ids=["*"], **unnamed).peer_ids == ("ann",)


def as_list(claimed: Any) -> list[Any]:
    return claimed if isinstance(claimed, list) else [claimed]


# --- anything -----------------------------------------------------------------------------------

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda each: st.lists(each, max_size=3) | st.dictionaries(st.text(), each, max_size=3),
    max_leaves=5,
)
TIMES = {"exp": NOW + 10, "nbf": NOW - 10, "iat": NOW - 10}
GOOD: dict[str, Any] = {
    "sub": "ann",
    "iss": "we",
    "aud": ["calls"],
    "peer_ids": ["desk"],
    "jti": "1",
    **TIMES,
}
NAMES = st.sampled_from(sorted(GOOD))
VALUES = JSON | st.sampled_from(["ann", "we", "calls", NOW, NOW + 10, ["*"], 7])


@given(st.dictionaries(NAMES, VALUES, max_size=2), st.sets(NAMES, max_size=2))
@example({}, set())
@example({"peer_ids": "*"}, set())
@example({"sub": 7}, {"peer_ids"})
def test_whatever_is_claimed_is_an_identity_or_refused(
    changed: dict[str, Any], missing: set[str]
) -> None:
    claims = {name: each for name, each in (GOOD | changed).items() if name not in missing}
    try:
        found = ClaimRules(issuers=("we",), audiences=("calls",)).identify(claims, NOW)
    except TokenError:
        assert changed or missing
        return
    assert found.subject == str(claims["sub"])
    assert claims["iss"] == "we"
    assert "calls" in claims["aud"]
    assert claims["exp"] > NOW >= max(claims.get("nbf", 0), claims.get("iat", 0))
    assert found.allows("desk") == bool({"desk", "*"} & set(as_list(claims.get("peer_ids", []))))
    assert found.allows("somebody else") == ("*" in as_list(claims.get("peer_ids", [])))
