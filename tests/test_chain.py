"""Certificates good and bad, made by a certificate authority of the tests' own."""

import warnings
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from tornado_webrtc.certificate import make_certificate
from tornado_webrtc.chain import Chain, key_findings, read_chain, read_file, trusted_roots
from tornado_webrtc.errors import CertificateError
from tornado_webrtc.finding import Finding, Level

NOW = datetime(2026, 1, 1, tzinfo=UTC)
DAY = timedelta(days=1)


@dataclass(frozen=True)
class Signer:
    """A certificate with its key."""

    certificate: x509.Certificate
    key: Any

    @property
    def key_pem(self) -> bytes:
        pem: bytes = self.key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        return pem


def made(
    name: str,
    issuer: Signer | None = None,
    *,
    names: tuple[str, ...] = (),
    days: int = 90,
    key: Any = None,
    client_only: bool = False,
) -> Signer:
    key = key or ec.generate_private_key(ec.SECP256R1())
    title = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    builder = (
        x509.CertificateBuilder()
        .subject_name(title)
        .issuer_name(issuer.certificate.subject if issuer else title)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(NOW - 30 * DAY)
        .not_valid_after(NOW + days * DAY)
    )
    if names:
        listed: list[x509.GeneralName] = [
            x509.IPAddress(ip_address(each)) if each[0].isdigit() else x509.DNSName(each)
            for each in names
        ]
        builder = builder.add_extension(x509.SubjectAlternativeName(listed), False)
    if client_only:
        usage = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH])
        builder = builder.add_extension(usage, False)
    signing = issuer.key if issuer else key
    algorithm = None if isinstance(signing, ed25519.Ed25519PrivateKey) else hashes.SHA256()
    return Signer(builder.sign(signing, algorithm), key)


ROOT = made("Root")
MIDDLE = made("Middle", ROOT)
LEAF = made("leaf", MIDDLE, names=("rtc.example.org", "*.turn.example.org", "192.0.2.1"))


def chain(*signers: Signer, roots: tuple[Signer, ...] = (ROOT,)) -> Chain:
    certificates = tuple(each.certificate for each in signers)
    return Chain(certificates, tuple(each.certificate for each in roots), NOW)


def of(found: list[Finding], subject: str) -> Finding:
    return next(each for each in found if each.subject == subject)


def test_good_chain() -> None:
    good = chain(LEAF, MIDDLE)
    found = good.findings("rtc.example.org")
    assert {each.level for each in found} == {Level.OK}
    assert of(found, "chain").text == "complete: 2 certificates, then Root, trusted here"
    assert of(found, "validity").text == "until 2026-04-01, 90 days left"
    assert (good.key_type, good.self_signed) == ("EC P-256", False)
    shown = good.as_json()
    assert shown["names"] == ["rtc.example.org", "*.turn.example.org", "192.0.2.1"]
    assert shown["chain"] == ["CN=leaf", "CN=Middle"]
    assert chain(LEAF, MIDDLE, ROOT).findings()[1].level is Level.OK


@pytest.mark.parametrize(
    ("signers", "level", "words"),
    [
        ([LEAF], Level.WARNING, "Middle, who signed the last one in the file, is not trusted"),
        ([LEAF, ROOT, MIDDLE], Level.PROBLEM, "out of order: leaf is not followed"),
        ([LEAF, made("Stranger")], Level.PROBLEM, "Stranger did not sign leaf"),
        ([made("Lonely")], Level.WARNING, "signed by nobody but itself"),
    ],
)
def test_bad_chains(signers: list[Signer], level: Level, words: str) -> None:
    found = of(chain(*signers).findings(), "chain")
    assert (found.level, words in found.text, bool(found.hint)) == (level, True, True)


@pytest.mark.parametrize(
    ("days", "level", "words"),
    [
        (21, Level.OK, "21 days left"),
        (20, Level.WARNING, "20 days left"),
        (1, Level.WARNING, "1 day left"),
        (-1, Level.PROBLEM, "expired on 2025-12-31"),
    ],
)
def test_validity(days: int, level: Level, words: str) -> None:
    found = of(chain(made("a", days=days)).findings(), "validity")
    assert (found.level, words in found.text) == (level, True)
    assert found.values["days_left"] == days


def test_not_valid_yet() -> None:
    early = Chain((LEAF.certificate,), (), NOW - 31 * DAY)
    found = of(early.findings(), "validity")
    assert (found.level, "clock" in found.hint) == (Level.PROBLEM, True)


@pytest.mark.parametrize(
    ("host", "covered"),
    [
        ("RTC.example.org", True),
        ("rtc.example.org.", True),
        ("a.turn.example.org", True),
        ("a.b.turn.example.org", False),
        ("turn.example.org", False),
        ("192.0.2.1", True),
        ("192.0.2.2", False),
        ("..", False),
    ],
)
def test_names(host: str, covered: bool) -> None:
    found = of(chain(LEAF).findings(host), "names")
    assert chain(LEAF).covers(host) is covered
    assert found.level is (Level.OK if covered else Level.PROBLEM)


def test_only_hosts_are_names() -> None:
    listed = [x509.RFC822Name("a@example.org"), x509.DNSName("example.org")]
    signed = with_names(listed)
    assert chain(signed).names == ["example.org"]
    assert of(chain(signed).findings("a@example.org"), "names").level is Level.PROBLEM


def with_names(listed: list[x509.GeneralName]) -> Signer:
    key = ec.generate_private_key(ec.SECP256R1())
    title = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "mail")])
    builder = (
        x509.CertificateBuilder()
        .subject_name(title)
        .issuer_name(title)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(NOW - DAY)
        .not_valid_after(NOW + 90 * DAY)
        .add_extension(x509.SubjectAlternativeName(listed), False)
    )
    return Signer(builder.sign(key, hashes.SHA256()), key)


def test_self_signed_is_what_its_own_key_signed() -> None:
    assert chain(ROOT).self_signed
    impostor = made("Root")
    issued = made("Root", impostor)
    assert issued.certificate.subject == issued.certificate.issuer
    assert not chain(issued).self_signed


AUTHORITIES = Path("/etc/ssl/certs/ca-certificates.crt")


@pytest.mark.skipif(not AUTHORITIES.exists(), reason="there are no authorities to look at")
def test_old_authorities_give_no_warnings_and_are_self_signed() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = read_chain(AUTHORITIES.read_bytes(), now=NOW, roots=())
        each_alone = [Chain((each,), (), NOW) for each in found.certificates]
        findings = [each.findings("example.org") for each in each_alone]
    assert all(of(each, "names").level is Level.PROBLEM for each in findings)
    roots = [each for each in each_alone if each.leaf.issuer == each.leaf.subject]
    assert roots
    assert all(each.self_signed for each in roots)


def test_certificate_without_names() -> None:
    found = of(chain(MIDDLE).findings(), "names")
    assert (found.level, found.values["matches_domain"]) == (Level.PROBLEM, None)


def test_oddities() -> None:
    weak = made("a", key=rsa.generate_private_key(65537, 1024))  # noqa: S505
    assert of(chain(weak).findings(), "key type").level is Level.PROBLEM
    assert chain(weak).key_type == "RSA 1024"
    assert of(chain(made("a", client_only=True)).findings(), "purpose").level is Level.PROBLEM
    other = made("a", key=ed25519.Ed25519PrivateKey.generate())
    assert chain(other).key_type == "Ed25519"
    old = made("Old", ROOT, days=-2)
    found = chain(made("b", old), old).findings()
    assert [each.level for each in found if each.subject == "chain"] == [Level.OK, Level.PROBLEM]


def test_key_file(tmp_path: Path) -> None:
    good, key = chain(LEAF, MIDDLE), tmp_path / "key.pem"
    assert key_findings(good, None) == []
    assert "cannot be read" in key_findings(good, key)[0].text
    for content, words in (
        (LEAF.key_pem, "belongs to the certificate"),
        (MIDDLE.key_pem, "another certificate of the file"),
        (ROOT.key_pem, "does not belong"),
        (b"nothing", "no PEM private key"),
    ):
        key.write_bytes(content)
        key.chmod(0o600)
        (found,) = key_findings(good, key)
        assert words in found.text
        assert found.level is (Level.OK if content == LEAF.key_pem else Level.PROBLEM)
    encrypted = LEAF.key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.BestAvailableEncryption(b"secret"),
    )
    assert "encrypted" in good.key_finding(encrypted).text
    key.chmod(0o644)
    assert "every user can read it" in key_findings(good, key)[1].text


def test_files(tmp_path: Path) -> None:
    file = tmp_path / "cert.pem"
    with pytest.raises(CertificateError, match="cannot be read"):
        read_file(file)
    file.write_text("nothing")
    with pytest.raises(CertificateError, match=r"cert\.pem: it holds no PEM certificate"):
        read_file(file)
    pem, _ = make_certificate(["localhost"])
    file.write_bytes(pem)
    assert read_file(file).self_signed
    assert read_chain(pem, roots=()).covers("localhost")


def test_this_machine_trusts_somebody_or_nobody() -> None:
    assert all(isinstance(each, x509.Certificate) for each in trusted_roots())
