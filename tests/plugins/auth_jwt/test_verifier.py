"""Tokens: every algorithm with real keys, and every way to fake one."""

import base64
import hmac
import json
import sys
from collections.abc import Coroutine
from types import ModuleType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.plugins.auth_jwt.issuer import (
    KINDS,
    OTHER_SECRET,
    SECRET,
    Held,
    crafted,
    encoded,
    jwk,
    key_set,
    private_pem,
    public_pem,
    settings,
    sign,
)
from tornado_webrtc.hooks import Identity
from tornado_webrtc.plugins.auth_jwt.algorithm import KNOWN, is_symmetric
from tornado_webrtc.plugins.auth_jwt.jwks import read_key_set
from tornado_webrtc.plugins.auth_jwt.key import Key, keys_of_pem, keys_of_secrets
from tornado_webrtc.plugins.auth_jwt.refusal import Cause, TokenError
from tornado_webrtc.plugins.auth_jwt.verifier import MissingLibraryError, Verifier, load_library

ANN = Identity("ann", ("ann",))
CLAIMS = {"sub": "ann"}
ASYMMETRIC = tuple(each for each in KNOWN if not is_symmetric(each))


def verifier(*algorithms: str, keys: tuple[Key, ...] = (), **changes: Any) -> Verifier:
    """One with the keys for its algorithms, unless it is given others."""
    if not keys and is_symmetric(algorithms[0]):
        keys = keys_of_secrets([SECRET], algorithms)
    elif not keys:
        kinds = dict.fromkeys(KINDS[each] for each in algorithms)
        keys = keys_of_pem("".join(map(public_pem, kinds)).encode(), algorithms)
    return Verifier(settings(*algorithms, **changes), Held(keys), lambda: 1_700_000_000.0)


async def cause(verifier: Verifier, token: str) -> Cause:
    with pytest.raises(TokenError) as error:
        await verifier.identify(token)
    assert len(token) < 5 or token not in f"{error.value} {error.value.detail}"
    return error.value.cause


# --- good ones ----------------------------------------------------------------------------------


@pytest.mark.parametrize("algorithm", KNOWN)
async def test_every_algorithm(algorithm: str) -> None:
    alone, all_of_its_kind = (
        verifier(*each)
        for each in ([algorithm], [each for each in KNOWN
                     if is_symmetric(each) == is_symmetric(algorithm)])
    )  # fmt: skip
    token = sign(CLAIMS, algorithm)
    assert await alone.identify(token) == ANN
    assert await all_of_its_kind.identify(token) == ANN


@pytest.mark.parametrize("algorithm", ["RS256", "ES256", "EdDSA"])
async def test_token_that_openssl_signed_would_pass(algorithm: str) -> None:
    """Keys that come as JSON check the same tokens as those that come as PEM."""
    keys = read_key_set(key_set(jwk(KINDS[algorithm], "a")), [algorithm]).keys
    assert await verifier(algorithm, keys=keys).identify(sign(CLAIMS, algorithm, kid="a")) == ANN


async def test_token_of_the_rfc() -> None:
    """RFC 7515 appendix A.1, with its key."""
    secret = (
        "AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow"
    )
    key = Key(frozenset({"HS256"}), base64.urlsafe_b64decode(secret + "=="))
    token = (
        "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9"
        ".eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ"
        ".dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
    )
    asked = verifier("HS256", keys=(key,))
    assert await cause(asked, token) is Cause.EXPIRED, "its signature is right, its time is over"
    assert await cause(asked, token.replace(".dBj", ".dBk")) is Cause.SIGNATURE


async def test_secrets_rotate() -> None:
    asked = verifier("HS256", keys=keys_of_secrets([OTHER_SECRET, SECRET], ["HS256"]))
    assert await asked.identify(sign(CLAIMS)) == ANN
    assert await asked.identify(sign(CLAIMS, secret=OTHER_SECRET)) == ANN
    assert await cause(asked, sign(CLAIMS, secret="x" * 64)) is Cause.SIGNATURE


# --- which key ----------------------------------------------------------------------------------


def set_of(*keys: dict[str, Any]) -> tuple[Key, ...]:
    return read_key_set(key_set(*keys), ASYMMETRIC).keys


async def test_key_of_the_name_is_taken() -> None:
    keys = set_of(jwk("RSA", "a", 1), jwk("RSA", "b", 2), jwk("P-256", "b", 3))
    asked = verifier(*ASYMMETRIC, keys=keys)
    assert await asked.identify(sign(CLAIMS, "RS256", kid="a", number=1)) == ANN
    assert await asked.identify(sign(CLAIMS, "PS512", kid="b", number=2)) == ANN
    assert await asked.identify(sign(CLAIMS, "ES256", kid="b", number=3)) == ANN
    assert await cause(asked, sign(CLAIMS, "RS256", kid="a", number=2)) is Cause.SIGNATURE
    assert await cause(asked, sign(CLAIMS, "RS256", kid="c", number=1)) is Cause.UNKNOWN_KEY
    assert await cause(asked, sign(CLAIMS, "ES256", kid="a", number=3)) is Cause.UNKNOWN_KEY


async def test_without_a_name_all_fitting_keys_are_tried() -> None:
    asked = verifier(*ASYMMETRIC, keys=set_of(jwk("RSA", "a", 1), jwk("P-256"), jwk("RSA", "b", 2)))
    assert await asked.identify(sign(CLAIMS, "RS256", number=2)) == ANN
    assert await cause(asked, sign(CLAIMS, "RS256", number=3)) is Cause.SIGNATURE
    assert await cause(asked, sign(CLAIMS, "EdDSA")) is Cause.UNKNOWN_KEY


async def test_keys_without_a_name_are_for_tokens_of_any_name() -> None:
    asked = verifier("RS256", keys=set_of(jwk("RSA", None, 1), jwk("RSA", "b", 2)))
    assert await asked.identify(sign(CLAIMS, "RS256", kid="x", number=1)) == ANN
    assert await cause(asked, sign(CLAIMS, "RS256", kid="b", number=1)) is Cause.SIGNATURE


async def test_key_that_says_its_algorithm_is_for_no_other() -> None:
    asked = verifier("RS256", "PS256", keys=set_of(jwk("RSA", "a", alg="PS256")))
    assert await asked.identify(sign(CLAIMS, "PS256", kid="a")) == ANN
    assert await cause(asked, sign(CLAIMS, "RS256", kid="a")) is Cause.UNKNOWN_KEY


async def test_source_is_asked_for_the_name() -> None:
    held = Held(keys_of_secrets([SECRET], ["HS256"]))
    asked = Verifier(settings("HS256"), held)
    await asked.identify(sign(CLAIMS, kid="a"))
    await asked.identify(sign(CLAIMS))
    for token in ("x.y.z", sign(CLAIMS, "HS512"), "a" * 9000):
        await cause(asked, token)
    assert held.asked == ["a", None], "nobody makes it fetch with what is no token of ours"


# --- fakes --------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["none", "None", "NONE", "nOnE", ""])
@pytest.mark.parametrize("algorithm", ["HS256", "RS256"])
async def test_unsigned_tokens(name: str, algorithm: str) -> None:
    for signature in (b"", b"x", b"x" * 32):
        token = crafted({"alg": name}, CLAIMS, signature)
        assert await cause(verifier(algorithm), token) is Cause.ALGORITHM


@pytest.mark.parametrize("algorithm", ["HS256", "HS384", "HS512"])
@pytest.mark.parametrize("kind", ["RSA", "P-256", "Ed25519"])
async def test_public_key_as_a_secret(kind: str, algorithm: str) -> None:
    """The classic: HMAC with what everybody may know (RFC 8725 section 2.1)."""
    asked = verifier("RS256", "ES256", "EdDSA", keys=keys_of_pem(public_pem(kind).encode(), KNOWN))
    der = base64.b64decode("".join(public_pem(kind).splitlines()[1:-1]))
    texts = (public_pem(kind), public_pem(kind).strip(), json.dumps(jwk(kind)))
    for secret in (*(each.encode() for each in texts), der):
        header = {"alg": algorithm, "typ": "JWT"}
        unsigned = crafted(header, CLAIMS).rpartition(".")[0]
        signature = hmac.digest(secret, unsigned.encode(), f"sha{algorithm[2:]}")
        assert await cause(asked, f"{unsigned}.{encoded(signature)}") is Cause.ALGORITHM


async def test_mixed_keys_stay_apart_even_if_somebody_mixes_them() -> None:
    """Settings refuse the mixture; a key would still never serve for the other kind."""
    keys = (
        *keys_of_pem(public_pem("RSA").encode(), ["RS256"]),
        *keys_of_secrets([SECRET], ["HS256"]),
    )
    asked = verifier("RS256", "HS256", keys=keys)
    assert await asked.identify(sign(CLAIMS, "RS256")) == ANN
    assert await asked.identify(sign(CLAIMS, "HS256")) == ANN
    unsigned = crafted({"alg": "HS256"}, CLAIMS).rpartition(".")[0]
    signature = hmac.digest(public_pem("RSA").encode(), unsigned.encode(), "sha256")
    assert await cause(asked, f"{unsigned}.{encoded(signature)}") is Cause.SIGNATURE


async def test_algorithms_that_are_not_configured() -> None:
    asked = verifier("RS256")
    for algorithm in ("RS512", "PS256", "ES256", "EdDSA", "HS256"):
        assert await cause(asked, sign(CLAIMS, algorithm)) is Cause.ALGORITHM


@pytest.mark.parametrize("algorithm", KNOWN)
async def test_changed_tokens(algorithm: str) -> None:
    asked, token = verifier(algorithm), sign(CLAIMS, algorithm)
    head, _, signature = token.split(".")
    other = encoded(json.dumps({"sub": "eve"}).encode())
    assert await cause(asked, f"{head}.{other}.{signature}") is Cause.SIGNATURE
    flipped = bytearray(base64.urlsafe_b64decode(signature + "=="))
    flipped[len(flipped) // 2] ^= 1
    assert (
        await cause(asked, token.rpartition(".")[0] + f".{encoded(bytes(flipped))}")
        is Cause.SIGNATURE
    )
    for wrong in (b"", b"x", bytes(64), bytes(256)):
        assert (
            await cause(asked, token.rpartition(".")[0] + f".{encoded(wrong)}") is Cause.SIGNATURE
        )


async def test_zero_signature_of_ecdsa() -> None:
    """r = s = 0 verified anything in several implementations."""
    for algorithm, size in (("ES256", 64), ("ES384", 96), ("ES512", 132)):
        token = crafted({"alg": algorithm}, CLAIMS, bytes(size))
        assert await cause(verifier(algorithm), token) is Cause.SIGNATURE


@pytest.mark.parametrize("member", ["jwk", "jku", "x5u", "x5c"])
async def test_token_does_not_choose_its_key(member: str) -> None:
    value: Any = jwk("RSA", None, 1) if member == "jwk" else "https://evil.example/keys"
    token = sign(CLAIMS, "RS256", number=1, **{member: value})
    assert await cause(verifier("RS256"), token) is Cause.SIGNATURE


@pytest.mark.parametrize("critical", [["b64"], ["exp"], [], "exp", None])
async def test_critical_extensions_are_not_understood(critical: object) -> None:
    header = {"alg": "HS256", "crit": critical, "exp": 1, "b64": True}
    unsigned = crafted(header, CLAIMS).rpartition(".")[0]
    signature = hmac.digest(SECRET.encode(), unsigned.encode(), "sha256")
    assert await cause(verifier("HS256"), f"{unsigned}.{encoded(signature)}") is Cause.MALFORMED


HEADERS: list[Any] = [
    *({}, [], None, 1, "x", b"", b"{", b"\xff", {"alg": None}, {"alg": ["HS256"]}, {"alg": 1}),
    *({"alg": "HS256", "kid": 5}, {"alg": "HS256", "kid": ["a"]}, {"typ": "JWT"}),
    *({"alg": "HS256", "b64": False}, b'{"alg": "HS256"' + b" " * 100),
    b"[" * 4000,
]


@pytest.mark.parametrize("header", HEADERS, ids=range(len(HEADERS)))
async def test_headers_that_are_none(header: object) -> None:
    unsigned = crafted(header, CLAIMS).rpartition(".")[0]
    signature = hmac.digest(SECRET.encode(), unsigned.encode(), "sha256")
    token = f"{unsigned}.{encoded(signature)}"
    assert await cause(verifier("HS256"), token) is Cause.MALFORMED


async def test_detached_payload() -> None:
    """RFC 7797: the signature would be one of something that is not in the token."""
    head = encoded(json.dumps({"alg": "HS256", "b64": False}).encode())
    signature = hmac.digest(SECRET.encode(), f"{head}.".encode(), "sha256")
    assert await cause(verifier("HS256"), f"{head}..{encoded(signature)}") is Cause.MALFORMED


GARBAGE = [
    *("", ".", "..", "...", "a.b", "a.b.c.d", "a.b.c.d.e", "Bearer x.y.z", " . . ", "\0.\0.\0"),
    *("ž.ž.ž", "\ud800.\udfff.x", "🎉" * 10, "=.=.=", "!!.!!.!!", "e30.e30.", "e30=.e30=.e30="),
    *("../../../etc/passwd", "%2e.%2e.%2e", "a\n.b\r.c", "null", "undefined", "[object Object]"),
]


@pytest.mark.parametrize("token", GARBAGE, ids=range(len(GARBAGE)))
async def test_garbage(token: str) -> None:
    assert await cause(verifier("HS256"), token) is Cause.MALFORMED
    assert await cause(verifier("RS256"), token) is Cause.MALFORMED


async def test_signed_nonsense() -> None:
    for payload in (b"", b"[]", b"no JSON", b"\xff", b"[" * 5000):
        unsigned = crafted({"alg": "HS256"}, payload).rpartition(".")[0]
        signature = hmac.digest(SECRET.encode(), unsigned.encode(), "sha256")
        token = f"{unsigned}.{encoded(signature)}"
        assert await cause(verifier("HS256"), token) is Cause.MALFORMED


async def test_long_tokens() -> None:
    token = sign({"sub": "ann", "more": "x" * 600})
    assert await verifier("HS256", max_token_bytes=len(token)).identify(token) == ANN
    asked = verifier("HS256", max_token_bytes=len(token) - 1)
    assert await cause(asked, token) is Cause.TOO_LONG
    for giant in ("a" * 10_000_000, ".." + "a" * 9000, "ž" * 9000):
        assert await cause(asked, giant) is Cause.TOO_LONG


async def test_claims_are_checked_last() -> None:
    asked = verifier("HS256")
    expired = sign({"sub": "ann", "exp": 1})
    assert await cause(asked, expired) is Cause.EXPIRED
    assert (
        await cause(asked, sign({"sub": "ann", "exp": 1}, secret=OTHER_SECRET)) is Cause.SIGNATURE
    )


PARTS = st.text("ABCDefgh0123-_=+/ \n", max_size=40) | st.binary(max_size=40).map(encoded)
HEADER = st.fixed_dictionaries(
    {},
    optional={
        "alg": st.sampled_from(["HS256", "RS256", "none", "", None, 1, "\ud800"]),
        "kid": st.text() | st.integers() | st.none(),
        "crit": st.lists(st.text()),
        "b64": st.booleans(),
    },
)
CRAFTED = st.builds(
    lambda header, *parts: ".".join((encoded(json.dumps(header).encode()), *parts)),
    HEADER, PARTS, PARTS,
)  # fmt: skip
TOKEN = sign(CLAIMS)
TAMPERED = st.builds(
    lambda at, each: TOKEN[:at] + each + TOKEN[at + 1 :],
    st.integers(0, len(TOKEN)),
    st.characters(),
)


BY_SECRET, BY_KEY = verifier("HS256"), verifier("RS256")


@given(st.text() | st.lists(PARTS).map(".".join) | CRAFTED | TAMPERED)
def test_whatever_comes_is_refused(token: str) -> None:
    for asked in (BY_SECRET, BY_KEY):
        try:
            found = run(asked.identify(token))
        except TokenError:
            continue
        assert found == ANN
        assert token.rpartition(".")[0] == TOKEN.rpartition(".")[0], "only the right one gets in"


def run(asking: Coroutine[Any, Any, Identity]) -> Identity:
    """Run what waits for nothing, without an event loop."""
    try:
        asking.send(None)
    except StopIteration as end:
        found: Identity = end.value
        return found
    raise AssertionError("it waits")


# --- the library --------------------------------------------------------------------------------


def test_missing_library(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "jwt", None)
    with pytest.raises(MissingLibraryError, match=r"pip install 'PyJWT\[crypto\]'$"):
        load_library()
    with pytest.raises(MissingLibraryError):
        Verifier(settings("HS256"), Held(()))


def test_another_library_of_that_name(monkeypatch: pytest.MonkeyPatch) -> None:
    other = ModuleType("jwt")
    other.__file__ = "/somewhere/jwt.py"
    monkeypatch.setitem(sys.modules, "jwt", other)
    with pytest.raises(MissingLibraryError, match=r"^/somewhere/jwt.py is another library"):
        load_library()


async def test_private_key_never_stands_in_a_repr() -> None:
    assert private_pem("RSA").splitlines()[1] not in repr(verifier("RS256"))
