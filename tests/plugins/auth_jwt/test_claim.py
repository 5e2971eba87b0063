"""Claims: times, issuer, audience, and whom they make their bearer."""

import math
from typing import Any

import pytest
from hypothesis import given
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


# --- anything -----------------------------------------------------------------------------------

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda each: st.lists(each, max_size=3) | st.dictionaries(st.text(), each, max_size=3),
    max_leaves=5,
)
NAMES = st.sampled_from(["sub", "exp", "nbf", "iat", "iss", "aud", "peer_ids", "jti"])


@given(st.dictionaries(NAMES, JSON | st.sampled_from(["ann", "calls", NOW + 10])))
def test_whatever_is_claimed_is_an_identity_or_refused(claims: dict[str, Any]) -> None:
    rules = ClaimRules(issuers=("ann",), audiences=("calls",))
    try:
        found = rules.identify(claims, NOW)
    except TokenError:
        return
    assert "calls" in claims["aud"]
    assert not found.allows("\0") or "peer_ids" in claims
