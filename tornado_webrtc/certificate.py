"""TLS certificates: make one for development, load one, notice a new one.

A running server picks up a renewed certificate without a restart: connections
that are open stay as they are, new handshakes get the new certificate.
"""

from __future__ import annotations

import hashlib
import ipaddress
import logging
import re
import socket
import ssl
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from tornado.ioloop import PeriodicCallback

from tornado_webrtc.errors import CertificateError
from tornado_webrtc.machine import machine_addresses
from tornado_webrtc.regularfile import read_regular_file
from tornado_webrtc.state import write_file

__all__ = [
    "CertificateStore",
    "machine_names",
    "make_certificate",
    "write_certificate",
]

log = logging.getLogger("tornado_webrtc.certificate")

_LABEL = r"[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?"
_DNS_NAME = re.compile(rf"(?=.{{1,253}}\Z)(?:\*\.)?{_LABEL}(?:\.{_LABEL})*")
_COMMON_NAME_MAX = 64  # RFC 5280 appendix A.1: ub-common-name
_CLOCK_SKEW = timedelta(hours=1)
_HINT = "`tornado-webrtc cert make` makes a self-signed one"


def make_certificate(
    names: Sequence[str], *, days: int = 397, now: datetime | None = None
) -> tuple[bytes, bytes]:
    """Make a self-signed server certificate and its key (EC P-256).

    Args:
        names: Host names and IP addresses that clients will use; the first one
            becomes the common name. Names beyond ASCII are IDNA-encoded.
        days: How long it is valid. Browsers refuse more than 398 days.
        now: The start of its validity, less one hour for clocks that are slow.

    Returns:
        The certificate and the key, both as PEM.

    Raises:
        CertificateError: If there is no name, a name is not valid, or `days`
            is below 1.
    """
    if days < 1:
        raise CertificateError(f"a certificate is valid for at least 1 day, not {days}")
    alternatives = list(dict.fromkeys(_general_name(name) for name in names))
    if not alternatives:
        raise CertificateError("a certificate needs at least one host name or IP address")
    start = now or datetime.now(UTC)
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, "tornado-webrtc, self-signed"),
            x509.NameAttribute(NameOID.COMMON_NAME, str(alternatives[0].value)[:_COMMON_NAME_MAX]),
        ]
    )
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(start - _CLOCK_SKEW)
        .not_valid_after(start + timedelta(days=days))
    )
    for extension, critical in _extensions(alternatives, key.public_key()):
        builder = builder.add_extension(extension, critical)
    certificate = builder.sign(key, hashes.SHA256())
    return (
        certificate.public_bytes(serialization.Encoding.PEM),
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        ),
    )


def _extensions(
    names: Sequence[x509.GeneralName], public_key: ec.EllipticCurvePublicKey
) -> list[tuple[x509.ExtensionType, bool]]:
    usage = x509.KeyUsage(
        digital_signature=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=False,
        crl_sign=False,
        encipher_only=False,
        decipher_only=False,
    )
    return [
        (x509.SubjectAlternativeName(names), False),
        (x509.BasicConstraints(ca=False, path_length=None), True),
        (usage, True),
        (x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), False),
        (x509.SubjectKeyIdentifier.from_public_key(public_key), False),
    ]


def _general_name(name: str) -> x509.IPAddress | x509.DNSName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name.removeprefix("[").removesuffix("]")))
    except ValueError:
        pass
    try:
        ascii_name = name.rstrip(".").encode("idna").decode()
    except UnicodeError:
        ascii_name = ""
    if not _DNS_NAME.fullmatch(ascii_name):
        raise CertificateError(f"{name!r} is neither a host name nor an IP address")
    return x509.DNSName(ascii_name)


def machine_names() -> list[str]:
    """Return the names and addresses under which this machine can be reached.

    IPv6 link-local addresses are left out: they need a scope, which neither a
    URL in a browser nor a certificate can carry.
    """
    names = ["localhost", socket.gethostname(), socket.getfqdn()]
    names = [name for name in names if _DNS_NAME.fullmatch(name)]
    addresses = [
        str(address)
        for address in machine_addresses()
        if isinstance(address, ipaddress.IPv4Address) or not address.is_link_local
    ]
    return list(dict.fromkeys([*names, *addresses]))


def write_certificate(
    cert: Path, key: Path, names: Sequence[str], *, overwrite: bool = False
) -> None:
    """Make a self-signed certificate and write it and its key (mode 0600).

    Raises:
        CertificateError: If a file exists and must not be replaced, cannot be
            written, or a name is not valid.
    """
    if cert == key:
        raise CertificateError(f"certificate and key need two files, not both {cert}")
    if not overwrite:
        for path in (cert, key):
            if path.exists():
                raise CertificateError(f"{path} exists already and is left as it is")
    certificate_pem, key_pem = make_certificate(names)
    for path, content, mode in ((key, key_pem, 0o600), (cert, certificate_pem, 0o644)):
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            write_file(path, content, mode=mode, overwrite=overwrite)
        except OSError as error:
            raise CertificateError(f"cannot write {path}: {error.strerror}") from error


@dataclass(frozen=True, slots=True)
class _Loaded:
    context: ssl.SSLContext
    certificate: x509.Certificate
    digest: bytes  # of both files


class CertificateStore:
    """A certificate and its key on disk, and the TLS context made of them.

    Args:
        cert: PEM file: the certificate, then the intermediate ones.
        key: PEM file with the key, without a passphrase.

    Attributes:
        error: Why what the files held at the last look cannot be used; empty if it can.

    Raises:
        CertificateError: If they cannot be used.
    """

    def __init__(self, cert: Path, key: Path) -> None:
        self.cert = cert
        self.key = key
        self.error = ""
        self._watch: PeriodicCallback | None = None
        self._signature = self._look()
        self._loaded = _load(cert, key)
        _warn_about_validity(cert, self._loaded.certificate)

    @property
    def context(self) -> ssl.SSLContext:
        """The context for new handshakes; ask anew for each of them."""
        return self._loaded.context

    @property
    def certificate(self) -> x509.Certificate:
        """The certificate that new handshakes get."""
        return self._loaded.certificate

    def reload(self) -> bool:
        """Read the files again, and use what they hold if it is new and usable.

        Returns:
            True if new handshakes get a new certificate from now on. If the
            files cannot be used, `error` says why, that is logged, and the old
            one stays.
        """
        # Looked at before reading: what changes in between is seen at the next look.
        self._signature = self._look()
        try:
            loaded = _load(self.cert, self.key)
        except CertificateError as error:
            self.error = str(error)
            log.error("%s; the certificate in use stays", error)
            return False
        self.error = ""
        if loaded.digest == self._loaded.digest:
            return False
        self._loaded = loaded
        log.info(
            "new certificate from %s, valid until %s",
            self.cert,
            loaded.certificate.not_valid_after_utc.date(),
        )
        return True

    def start_watching(self, interval_s: float = 10) -> None:
        """Look at the files every `interval_s` seconds and reload what has changed."""
        self.stop_watching()
        self._watch = PeriodicCallback(self._reload_if_changed, interval_s * 1000)
        self._watch.start()

    def stop_watching(self) -> None:
        """Look at the files no longer."""
        if self._watch is not None:
            self._watch.stop()
            self._watch = None

    def _reload_if_changed(self) -> None:
        if self._look() != self._signature and self.reload():
            _warn_about_validity(self.cert, self.certificate)

    def _look(self) -> tuple[tuple[int, ...] | None, ...]:
        # stat() follows symbolic links, so a link that points elsewhere (the
        # `live/` folder of Let's Encrypt clients) shows as another inode.
        return tuple(_file_signature(path) for path in (self.cert, self.key))


def _file_signature(path: Path) -> tuple[int, ...] | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns


def _load(cert: Path, key: Path) -> _Loaded:
    certificate_pem = _read("certificate", cert)
    key_pem = _read("key", key)
    try:
        certificate = x509.load_pem_x509_certificates(certificate_pem)[0]
    except ValueError as error:
        raise CertificateError(f"{cert} holds no PEM certificate") from error
    context = _server_context()

    def refuse_passphrase() -> str:
        raise CertificateError(
            f"the key {key} is encrypted, and a server has nobody to ask for its passphrase; "
            f"remove it with: openssl pkey -in {key} -out {key}.plain"
        )

    try:
        context.load_cert_chain(cert, key, password=refuse_passphrase)
    except ssl.SSLError as error:
        if error.reason == "KEY_VALUES_MISMATCH":
            message = f"the key {key} does not belong to the certificate {cert}"
        elif b"PRIVATE KEY-----" not in key_pem:
            message = f"{key} holds no PEM private key"
        else:
            message = f"certificate {cert} and key {key} cannot be used ({error.reason or error})"
        raise CertificateError(message) from error
    except OSError as error:
        raise CertificateError(f"cannot read {cert} or {key}: {error.strerror}") from error
    digest = hashlib.sha256(hashlib.sha256(certificate_pem).digest() + key_pem).digest()
    return _Loaded(context, certificate, digest)


def _read(what: str, path: Path) -> bytes:
    try:
        return read_regular_file(path)
    except FileNotFoundError as error:
        raise CertificateError(f"the {what} {path} does not exist; {_HINT}") from error
    except OSError as error:
        raise CertificateError(f"the {what} {path} cannot be read: {error.strerror}") from error


def _server_context() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.options |= ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION
    context.set_alpn_protocols(["http/1.1"])
    return context


def _warn_about_validity(path: Path, certificate: x509.Certificate) -> None:
    now = datetime.now(UTC)
    if now > certificate.not_valid_after_utc:
        log.warning(
            "the certificate %s expired on %s and clients will refuse it; renew it, or %s",
            path,
            certificate.not_valid_after_utc.date(),
            _HINT,
        )
    elif now < certificate.not_valid_before_utc:
        log.warning(
            "the certificate %s is not valid before %s; check the clock of this machine",
            path,
            certificate.not_valid_before_utc,
        )
