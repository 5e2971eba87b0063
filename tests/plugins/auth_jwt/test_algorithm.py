"""Which algorithms may stand together."""

import pytest

from tornado_webrtc.plugins.auth_jwt.algorithm import HMAC_BYTES, KNOWN, faults, is_symmetric


def test_every_algorithm_that_is_promised() -> None:
    families = [
        f"{family}{bits}" for family in ("HS", "RS", "PS", "ES") for bits in (256, 384, 512)
    ]
    assert sorted(KNOWN) == sorted([*families, "EdDSA"])
    assert HMAC_BYTES == {"HS256": 256 // 8, "HS384": 384 // 8, "HS512": 512 // 8}


@pytest.mark.parametrize("algorithms", [["HS256", "HS512"], ["RS256", "PS512", "ES384", "EdDSA"]])
def test_one_kind_is_right(algorithms: list[str]) -> None:
    assert list(faults(algorithms)) == []
    assert {is_symmetric(each) for each in algorithms} == {algorithms[0] == "HS256"}


@pytest.mark.parametrize("name", ["none", "None", "NONE", "nOnE"])
@pytest.mark.parametrize("other", ["HS256", "RS256"])
def test_none_is_refused(name: str, other: str) -> None:
    (fault,) = faults([other, name])
    assert "anybody could write such a token" in fault


@pytest.mark.parametrize("name", ["hs256", "RS1", "ES256K", "A128GCM", ""])
def test_unknown_names_are_refused(name: str) -> None:
    (fault,) = faults([name])
    assert "is not known; allowed are HS256, " in fault


@pytest.mark.parametrize("other", [each for each in KNOWN if not each.startswith("HS")])
def test_kinds_are_not_mixed(other: str) -> None:
    (fault,) = faults(["HS256", other])
    assert "may not be mixed" in fault
