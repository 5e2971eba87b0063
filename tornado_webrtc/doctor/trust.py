"""Whether who answers may be shown token and password: whoever gets them could sign in."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator
from ipaddress import ip_address
from pathlib import Path

from cryptography.hazmat.primitives.serialization import Encoding

from tornado_webrtc.chain import read_file
from tornado_webrtc.doctor.case import Case, ok, short, warning
from tornado_webrtc.doctor.target import Target
from tornado_webrtc.doctor.web import any_certificate, refusal
from tornado_webrtc.errors import CertificateError
from tornado_webrtc.finding import Finding
from tornado_webrtc.machine import is_loopback, machine_addresses

__all__ = ["pinned", "token"]


async def token(case: Case) -> AsyncIterator[Finding]:
    """Decide on token and room's password; the server gets neither before, nor without this.

    Connections that carry them later verify the certificate in the same way
    themselves: who answers now may not be who answers then.
    """
    if not (case.token or case.room_password) or not case.reachable:
        return
    subject = "token" if case.token else "password"
    text, doubt = await _judged(case)
    case.shows_secrets = case.insecure or not doubt
    if not doubt:
        yield ok(subject, text)
    elif case.insecure:
        case.tls = any_certificate()
        hint = "if that was somebody else, they have it now: replace it"
        yield warning(subject, f"sent, as --insecure asks, although {doubt}", hint)
    else:
        hint = (
            "give the name that the certificate is for, or run this where the server is, with"
            " --conf; --insecure sends it anyway"
        )
        yield warning(subject, f"not sent: {doubt}", hint)


async def _judged(case: Case) -> tuple[str, str]:
    """Why a secret may be sent, or why not: one of the two is empty."""
    target = case.server
    if target.scheme != "https":
        if _stays_here(target):
            return "sent: the connection stays on this machine", ""
        return "", "the connection is not encrypted"
    verifying = ssl.create_default_context()
    why = await _doubt(target, verifying)
    if not why:
        case.tls = verifying
        return "sent: the certificate is trusted", ""
    if case.config is not None and case.config.general.cert is not None:
        own = pinned(case.config.general.cert)
        if own is not None and not await _doubt(target, own):
            case.tls = own
            return "sent: the certificate is the configured one", ""
    return "", f"the certificate cannot be trusted: {short(why)}"


async def _doubt(target: Target, context: ssl.SSLContext) -> str:
    try:
        return await refusal(target, context)
    except OSError as error:
        return error.strerror or type(error).__name__


def pinned(file: Path) -> ssl.SSLContext | None:
    """TLS with nobody but who has the key of a certificate; its names do not matter.

    Args:
        file: The certificate; None is returned if it cannot be read.
    """
    try:
        leaf = read_file(file).leaf
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
        context.load_verify_locations(cadata=leaf.public_bytes(Encoding.PEM).decode())
    except (CertificateError, ssl.SSLError):
        return None
    return context


def _stays_here(target: Target) -> bool:
    """Whether what is sent there does not leave this machine."""
    host = target.connect or target.host
    if is_loopback(host):
        return True
    try:
        address = ip_address(host)
    except ValueError:  # a name, which may lead anywhere
        return False
    # A link-local address may be another machine's, too, on another link.
    return not address.is_link_local and address in machine_addresses()
