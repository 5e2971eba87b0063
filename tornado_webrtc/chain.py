"""What clients will think of a certificate: its names, its time, its chain, its key."""

from __future__ import annotations

import ipaddress
import ssl
import stat
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from tornado_webrtc.errors import CertificateError
from tornado_webrtc.finding import Finding, Level

__all__ = [
    "DAYS_TO_RENEW",
    "Chain",
    "key_findings",
    "read_chain",
    "read_file",
    "trusted_roots",
]

DAYS_TO_RENEW = 21
"""With fewer days left there is a warning: ACME clients renew when 30 are left."""

LEAST_RSA_BITS = 2048
_Extension = TypeVar("_Extension", bound=x509.ExtensionType)
_RENEW = "renew it; the server takes up new files by itself"
_CURVES = {"secp256r1": "P-256", "secp384r1": "P-384", "secp521r1": "P-521"}


@dataclass(frozen=True, slots=True)
class Chain:
    """The certificates of a file, in its order; the first one is the server's own.

    Attributes:
        certificates: At least one.
        roots: What this machine trusts.
        now: When this is.
    """

    certificates: tuple[x509.Certificate, ...]
    roots: tuple[x509.Certificate, ...]
    now: datetime

    @property
    def leaf(self) -> x509.Certificate:
        """The server's own."""
        return self.certificates[0]

    @property
    def names(self) -> list[str]:
        """The host names and addresses that it is for (subjectAltName)."""
        found = _extension(self.leaf, x509.SubjectAlternativeName) or ()
        hosts = x509.DNSName | x509.IPAddress
        return [str(each.value) for each in found if isinstance(each, hosts)]

    @property
    def self_signed(self) -> bool:
        """Whether nobody but itself vouches for it."""
        return _issued(self.leaf, self.leaf)

    @property
    def days_left(self) -> int:
        """Whole days until it expires; negative when that is over."""
        return (self.leaf.not_valid_after_utc - self.now) // timedelta(days=1)

    @property
    def key_type(self) -> str:
        """Kind and size of its key."""
        key = self.leaf.public_key()
        if isinstance(key, rsa.RSAPublicKey):
            return f"RSA {key.key_size}"
        if isinstance(key, ec.EllipticCurvePublicKey):
            return f"EC {_CURVES.get(key.curve.name, key.curve.name)}"
        return type(key).__name__.removesuffix("PublicKey").strip("_")

    def root(self) -> x509.Certificate | None:
        """The trusted certificate that the file's last one comes from, if there is one."""
        last = self.certificates[-1]
        return next((each for each in self.roots if each == last or _issued(last, each)), None)

    def covers(self, host: str) -> bool:
        """Whether it is for a host name or address (RFC 6125 section 6.4)."""
        try:
            wanted = str(ipaddress.ip_address(host))
            return wanted in self.names
        except ValueError:
            pass
        wanted = _ascii(host)
        parent = f"*.{wanted.partition('.')[2]}"
        return any(name.lower() in {wanted, parent} for name in self.names)

    # --- judgement ------------------------------------------------------------

    def findings(self, domain: str = "") -> list[Finding]:
        """What is to be said of it.

        Args:
            domain: The name under which clients reach the server; empty if there is none.
        """
        found = [self._validity(), self._chain(), self._key(), self._names(domain)]
        return [*found, *self._oddities()]

    def key_finding(self, key_pem: bytes) -> Finding:
        """Whether a private key is the one that belongs to it.

        Args:
            key_pem: The key file's content. Nothing of it is shown.
        """

        def finding(level: Level, text: str, hint: str = "") -> Finding:
            values = {"matches_key": level is Level.OK}
            return Finding(subject="key file", level=level, text=text, hint=hint, values=values)

        try:
            key = _spki(serialization.load_pem_private_key(key_pem, password=None).public_key())
        except TypeError:
            text = "encrypted, and a server has nobody to ask for its passphrase"
            return finding(Level.PROBLEM, text, "remove it: openssl pkey -in KEY -out KEY.plain")
        except (ValueError, UnsupportedAlgorithm):
            return finding(Level.PROBLEM, "holds no PEM private key", "see [general] key")
        if key == _spki(self.leaf.public_key()):
            return finding(Level.OK, "belongs to the certificate")
        if any(key == _spki(each.public_key()) for each in self.certificates):
            text = "belongs to another certificate of the file than the first one"
            return finding(Level.PROBLEM, text, "put the server's own certificate first")
        hint = "name the key that the certificate was made with"
        return finding(Level.PROBLEM, "does not belong to the certificate", hint)

    def _validity(self) -> Finding:
        begins, ends = self.leaf.not_valid_before_utc, self.leaf.not_valid_after_utc
        days = self.days_left
        values = {
            "not_before": begins.isoformat(),
            "not_after": ends.isoformat(),
            "days_left": days,
        }
        level, text, hint = Level.OK, f"until {ends.date()}, {_days(days)} left", ""
        if self.now > ends:
            level, hint = Level.PROBLEM, _RENEW
            text = f"expired on {ends.date()}: clients refuse it"
        elif self.now < begins:
            level, text = Level.PROBLEM, f"not before {begins:%Y-%m-%d %H:%M} UTC"
            hint = "set this machine's clock right, or wait"
        elif days < DAYS_TO_RENEW:
            level, hint = Level.WARNING, _RENEW
        return Finding(subject="validity", level=level, text=text, hint=hint, values=values)

    def _chain(self) -> Finding:
        def finding(level: Level, text: str, hint: str = "") -> Finding:
            return Finding(subject="chain", level=level, text=text, hint=hint)

        if stray := self._stray():
            return finding(*stray)
        if self.self_signed:
            return finding(
                Level.WARNING,
                "signed by nobody but itself: browsers warn, apps refuse it",
                "for more than tests get one from a certificate authority, such as Let's Encrypt",
            )
        root = self.root()
        if root is not None:
            count = len(self.certificates)
            many = "1 certificate" if count == 1 else f"{count} certificates"
            return finding(Level.OK, f"complete: {many}, then {_title(root.subject)}, trusted here")
        return finding(
            Level.WARNING,
            f"{_title(self.certificates[-1].issuer)}, who signed the last one in the file, is not"
            " trusted by this machine",
            "append the intermediate certificates (fullchain.pem of ACME clients); with a"
            " certificate authority of your own each client has to trust that",
        )

    def _stray(self) -> tuple[Level, str, str] | None:
        """A certificate that has not signed the one before it."""
        for before, after in zip(self.certificates, self.certificates[1:], strict=False):
            if _issued(before, after):
                continue
            if any(_issued(before, each) for each in self.certificates):
                text = f"out of order: {_title(before.subject)} is not followed by who signed it"
            else:
                text = f"{_title(after.subject)} did not sign {_title(before.subject)} before it"
            hint = "the file has to hold the server's certificate, then who signed that, and so on"
            return Level.PROBLEM, text, hint
        return None

    def _key(self) -> Finding:
        key = self.leaf.public_key()
        weak = isinstance(key, rsa.RSAPublicKey) and key.key_size < LEAST_RSA_BITS
        return Finding(
            subject="key type",
            level=Level.PROBLEM if weak else Level.OK,
            text=f"{self.key_type}{': clients refuse fewer than 2048 bits' if weak else ''}",
            hint="make a new key, and have a certificate made for it" if weak else "",
            values={"key_type": self.key_type},
        )

    def _names(self, domain: str) -> Finding:
        shown = ", ".join(self.names)
        level, text, hint = Level.OK, shown, ""
        if not self.names:
            level, text = Level.PROBLEM, "it has none (subjectAltName): no client takes it"
            hint = "have one made with the server's name in subjectAltName"
        elif domain and not self.covers(domain):
            level, text = Level.PROBLEM, f"{domain} is not among them: {shown}"
            hint = f"have one made for {domain}, or set [general] domain to a name it is for"
        values = {"names": self.names, "matches_domain": self.covers(domain) if domain else None}
        return Finding(subject="names", level=level, text=text, hint=hint, values=values)

    def _oddities(self) -> Iterator[Finding]:
        for each in self.certificates[1:]:
            if self.now > each.not_valid_after_utc:
                text = f"{_title(each.subject)} expired on {each.not_valid_after_utc.date()}"
                yield Finding(subject="chain", level=Level.PROBLEM, text=text, hint=_RENEW)
        algorithm = self.leaf.signature_hash_algorithm
        if algorithm is not None and algorithm.name in {"md5", "sha1"}:
            text = f"signed with {algorithm.name.upper()}: clients refuse that"
            yield Finding(subject="signature", level=Level.PROBLEM, text=text, hint=_RENEW)
        if not _for_servers(self.leaf):
            text = "it is not meant for servers (extendedKeyUsage lacks serverAuth)"
            hint = "have one made for a TLS server"
            yield Finding(subject="purpose", level=Level.PROBLEM, text=text, hint=hint)

    def as_json(self) -> dict[str, Any]:
        """What it is, without judgement."""
        return {
            "subject": self.leaf.subject.rfc4514_string(),
            "names": self.names,
            "issuer": self.leaf.issuer.rfc4514_string(),
            "self_signed": self.self_signed,
            "not_before": self.leaf.not_valid_before_utc.isoformat(),
            "not_after": self.leaf.not_valid_after_utc.isoformat(),
            "days_left": self.days_left,
            "key_type": self.key_type,
            "chain": [each.subject.rfc4514_string() for each in self.certificates],
        }


def read_chain(
    pem: bytes, *, now: datetime | None = None, roots: Sequence[x509.Certificate] | None = None
) -> Chain:
    """Read what a certificate file holds.

    Args:
        pem: The file's content; keys in it are skipped.
        now: When this is, if not now.
        roots: What is trusted, if not what this machine trusts.

    Raises:
        CertificateError: There is no PEM certificate in it.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # as with the roots
            certificates = tuple(x509.load_pem_x509_certificates(pem))
    except ValueError as error:
        raise CertificateError("it holds no PEM certificate") from error
    trusted = trusted_roots() if roots is None else tuple(roots)
    return Chain(certificates, trusted, now or datetime.now(UTC))


def read_file(path: Path) -> Chain:
    """Read a file's certificates.

    Raises:
        CertificateError: It cannot be read, or holds none.
    """
    try:
        return read_chain(path.read_bytes())
    except OSError as error:
        raise CertificateError(f"{path} cannot be read: {error.strerror}") from error
    except CertificateError as error:
        raise CertificateError(f"{path}: {error}") from error


def key_findings(chain: Chain, path: Path | None) -> list[Finding]:
    """Whether a key file belongs to a certificate, and who may read it."""
    if path is None:
        return []
    try:
        content, mode = path.read_bytes(), path.stat().st_mode
    except OSError as error:
        text = f"{path}: cannot be read: {error.strerror}"
        hint = "run this as the user who runs the server, or as root"
        return [Finding(subject="key file", level=Level.PROBLEM, text=text, hint=hint)]
    found = chain.key_finding(content)
    shown = [replace(found, text=f"{path}: {found.text}")]
    if mode & stat.S_IRWXO:
        text, hint = f"{path}: every user can read it", f"run: chmod 600 {path}"
        shown.append(Finding(subject="key file", level=Level.WARNING, text=text, hint=hint))
    return shown


def trusted_roots() -> tuple[x509.Certificate, ...]:
    """The certificate authorities that this machine trusts; those in a file, as usual."""
    context = ssl.create_default_context()
    found = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # some old ones bend the rules: not the operator's business
        for der in context.get_ca_certs(binary_form=True):
            try:
                found.append(x509.load_der_x509_certificate(der))
            except ValueError:
                continue
    return tuple(found)


def _issued(certificate: x509.Certificate, issuer: x509.Certificate) -> bool:
    """Whether one certificate was signed with the key of another."""
    try:
        certificate.verify_directly_issued_by(issuer)
    except (ValueError, UnsupportedAlgorithm):  # SHA-1, which old roots signed themselves with
        return certificate.issuer == issuer.subject and _fits(certificate, issuer.public_key())
    except (TypeError, InvalidSignature):
        return False
    return True


def _fits(certificate: x509.Certificate, key: Any) -> bool:
    """Whether an RSA key made a certificate's signature, by whatever hash."""
    padding, algorithm = (
        certificate.signature_algorithm_parameters,
        certificate.signature_hash_algorithm,
    )
    if not isinstance(key, rsa.RSAPublicKey) or not isinstance(padding, PKCS1v15) or not algorithm:
        return False
    try:
        key.verify(certificate.signature, certificate.tbs_certificate_bytes, padding, algorithm)
    except (InvalidSignature, UnsupportedAlgorithm):
        return False
    return True


def _extension(certificate: x509.Certificate, kind: type[_Extension]) -> _Extension | None:
    """An extension of a certificate; None if it has no such one."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # as with the roots
        try:
            return certificate.extensions.get_extension_for_class(kind).value
        except x509.ExtensionNotFound:
            return None


def _for_servers(certificate: x509.Certificate) -> bool:
    usage = _extension(certificate, x509.ExtendedKeyUsage)
    if usage is None:
        return True
    anything = ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE
    return ExtendedKeyUsageOID.SERVER_AUTH in usage or anything in usage


def _title(name: x509.Name) -> str:
    """The common name, or all there is."""
    common = name.get_attributes_for_oid(NameOID.COMMON_NAME)
    return str(common[0].value) if common else name.rfc4514_string() or "(nameless)"


def _ascii(host: str) -> str:
    try:
        return host.rstrip(".").encode("idna").decode().lower()
    except UnicodeError:
        return host.lower()


def _days(count: int) -> str:
    return "1 day" if count == 1 else f"{count} days"


def _spki(key: Any) -> bytes:
    encoded: bytes = key.public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return encoded
