"""The HTTP port: does it answer, with which certificate, is it ready, is its clock right?"""

from __future__ import annotations

import asyncio
import email.utils
import json
import socket
import ssl
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import closing, suppress
from dataclasses import replace

from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import load_der_x509_certificate
from tornado.httpclient import HTTPClientError, HTTPRequest, HTTPResponse
from tornado.httputil import HTTPInputError
from tornado.iostream import StreamClosedError, UnsatisfiableReadError
from tornado.simple_httpclient import SimpleAsyncHTTPClient

from tornado_webrtc.chain import Chain, read_chain, read_file
from tornado_webrtc.doctor.case import (
    Case,
    milliseconds,
    ok,
    problem,
    short,
    skipped,
    warning,
    words,
)
from tornado_webrtc.doctor.target import Target
from tornado_webrtc.errors import CertificateError
from tornado_webrtc.finding import Finding, Level

__all__ = [
    "NO_ANSWER",
    "any_certificate",
    "clock",
    "encryption",
    "fetch",
    "http",
    "refusal",
    "tls",
]

NO_ANSWER = (
    *(OSError, HTTPClientError, HTTPInputError, StreamClosedError),
    *(UnsatisfiableReadError, UnicodeError),
)
"""What `fetch` raises when no HTTP answer comes."""

OK = 200

SKEW_S = 2.0
"""A Date header has whole seconds, and the answer was on its way."""

LARGE_SKEW_S = 60.0
MAX_BODY_BYTES = 1024 * 1024
MAX_HEADER_BYTES = 32 * 1024


def any_certificate() -> ssl.SSLContext:
    """For TLS with whomever: whether the certificate is good is a check of its own."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def encryption(case: Case) -> ssl.SSLContext | None:
    """TLS with the server, whoever that is, unless a secret is at stake; None: without."""
    if case.server.scheme != "https":
        return None
    return case.tls or any_certificate()


async def fetch(case: Case, path: str, headers: Mapping[str, str] | None = None) -> HTTPResponse:
    """Ask the server for a path; any status is an answer.

    Args:
        case: Whose server is asked.
        path: What for.
        headers: What the request carries; by default it does not say who this is.

    Raises:
        OSError: It does not answer; the others in `NO_ANSWER` likewise.
    """
    target = case.server
    request = HTTPRequest(
        target.url.rstrip("/") + path,
        headers=dict(headers or {}),
        connect_timeout=case.patience_s,
        request_timeout=case.patience_s,
        follow_redirects=False,
        decompress_response=False,
        ssl_options=encryption(case),
    )
    client = SimpleAsyncHTTPClient(
        force_instance=True,
        resolver=case.resolver(),
        max_body_size=MAX_BODY_BYTES,
        max_header_size=MAX_HEADER_BYTES,
    )
    with closing(client):
        return await client.fetch(request, raise_error=False)


# --- does it answer? --------------------------------------------------------------


async def http(case: Case) -> AsyncIterator[Finding]:
    """Whether a server is there, and takes clients."""
    if case.target is None:
        yield _nowhere(case)
        return
    began = time.perf_counter()
    try:
        response = await fetch(case, "/healthz")
    except NO_ANSWER as error:
        yield no_answer(case, case.target, error)
        return
    took = milliseconds(time.perf_counter() - began)
    if case.target.scheme == "http" and b"HTTPS" in response.body:
        yield problem(
            "http", f"{case.target.shown} speaks HTTPS", f"give {_otherwise(case.target)}"
        )
        return
    if _status(response) != "ok":
        text = f"{case.target.shown} answers /healthz with status {response.code}: not this server"
        hint = "is that another server, or a proxy that does not find this one?"
        yield problem("http", text, hint, status=response.code)
        return
    case.reachable = True
    yield ok("http", f"{case.target.shown} answers, {took:g} ms", rtt_ms=took)
    try:
        ready = await fetch(case, "/readyz")
    except NO_ANSWER as error:
        yield no_answer(case, case.target, error)
        return
    case.takes_clients = ready.code == OK
    if not case.takes_clients:
        text = f"takes no new clients at the moment: {short(_status(ready)) or ready.code}"
        again = "start it again after that" if case.own else "try again later"
        yield warning("http", text, f"it is being stopped, or drained: {again}")


def _status(response: HTTPResponse) -> str:
    try:
        return str(json.loads(response.body)["status"])
    except (ValueError, TypeError, KeyError, RecursionError):
        return ""


def _nowhere(case: Case) -> Finding:
    if case.config is not None:
        text = "where the server listens cannot be known: the configured port is 0, any free one"
        hint = "give the URL that the server's log names: tornado-webrtc doctor URL"
        return warning("http", text, hint)
    text = "where the server listens is not known without its configuration"
    hint = "repair the configuration, or give a URL: tornado-webrtc doctor URL"
    return skipped("http", text, hint)


def no_answer(case: Case, target: Target, error: Exception) -> Finding:
    """Say why there is no HTTP answer, and what to do."""
    if isinstance(error, StreamClosedError) and error.real_error is not None:
        cause: BaseException = error.real_error
    else:
        cause = error
    if isinstance(cause, socket.gaierror | UnicodeError):
        hint = "is the name right? has it A or AAAA records?"
        return problem("http", f"{short(target.host)} cannot be looked up", hint)
    if isinstance(cause, ConnectionRefusedError):
        return problem("http", f"nothing listens at {target.shown}", _how_to_start(case))
    if isinstance(cause, ssl.SSLError | StreamClosedError | ConnectionResetError):
        text = f"{target.shown} hangs up without an answer in {target.scheme.upper()}"
        return problem("http", text, f"does it speak something else? try {_otherwise(target)}")
    text = f"{target.shown} does not answer: {words(cause)}"
    return problem("http", text, f"is TCP port {target.port} open in the firewall?")


def _otherwise(target: Target) -> str:
    """The URL with the other scheme."""
    return replace(target, scheme="http" if target.scheme == "https" else "https").url


def _how_to_start(case: Case) -> str:
    if not case.own:
        return "is the address right, and does the server run?"
    conf = f" --conf {case.conf}" if case.conf else ""
    return (
        f"start the server: tornado-webrtc{conf}; if it is a service, see why it stopped:"
        " journalctl -u tornado-webrtc"
    )


# --- its certificate --------------------------------------------------------------


async def tls(case: Case) -> AsyncIterator[Finding]:
    """What clients see of the certificate; the file may be newer."""
    if not case.reachable or case.server.scheme != "https":
        return
    target = case.server
    context = ssl.create_default_context()
    context.check_hostname = False  # the names have a finding of their own
    with suppress(OSError):
        try:
            version, chain = await _presented(target)
            found = tls_findings(target, version, chain, await refusal(target, context))
        except (CertificateError, ValueError) as error:
            hint = "is it made by a usual program? see tornado-webrtc cert inspect"
            yield problem("tls", f"the certificate cannot be read: {short(error)}", hint)
            return
        for finding in found:
            yield finding
        if (stale := _stale(case, chain)) is not None:
            yield stale


def tls_findings(target: Target, version: str, chain: Chain, refusal: str) -> list[Finding]:
    """Judge what was presented in the handshake.

    Args:
        target: The server.
        version: Of TLS.
        chain: The server's own certificate.
        refusal: Why this machine does not trust it; empty if it does.
    """
    found = chain.findings(target.host if target.named else "")
    worse = [each for each in found if each.level is Level.PROBLEM and each.subject != "chain"]
    findings = [problem("tls", f"{each.subject}: {each.text}", each.hint) for each in worse]
    if findings:
        return findings
    left = {"days_left": chain.days_left}
    if chain.self_signed:
        text = f"{version}, with a certificate signed by nobody but itself: browsers warn"
        hint = "for more than tests get one from a certificate authority, such as Let's Encrypt"
        return [warning("tls", text, hint, **left)]
    if refusal:
        text = f"this machine does not trust the certificate: {refusal}"
        hint = "does the server send the intermediate certificates? see tornado-webrtc cert inspect"
        return [problem("tls", text, hint, **left)]
    due = [each for each in found if each.level is Level.WARNING and each.subject == "validity"]
    if due:
        return [warning("tls", f"{version}, certificate valid {due[0].text}", due[0].hint, **left)]
    return [ok("tls", f"{version}, certificate trusted, {found[0].text}", **left)]


async def _presented(target: Target) -> tuple[str, Chain]:
    """The version of TLS, and the certificate that is presented."""
    reader, writer = await asyncio.open_connection(
        target.connect or target.host,
        target.port,
        ssl=any_certificate(),
        server_hostname=target.host,
    )
    del reader
    tls_object = writer.get_extra_info("ssl_object")
    der, version = tls_object.getpeercert(binary_form=True), tls_object.version()
    writer.transport.abort()
    pem = load_der_x509_certificate(der).public_bytes(Encoding.PEM)
    return version, read_chain(pem)


async def refusal(target: Target, context: ssl.SSLContext) -> str:
    """Why a client does not trust the certificate; empty if it does.

    Args:
        target: The server.
        context: What the client trusts.

    Raises:
        OSError: There is no connection.
    """
    try:
        _, writer = await asyncio.open_connection(
            target.connect or target.host, target.port, ssl=context, server_hostname=target.host
        )
    except ssl.SSLCertVerificationError as error:
        return str(error.verify_message)
    writer.transport.abort()
    return ""


def _stale(case: Case, chain: Chain) -> Finding | None:
    """Whether the server has not taken up a new file."""
    if case.config is None or case.config.general.cert is None:
        return None
    try:
        on_disk = read_file(case.config.general.cert)
    except CertificateError:
        return None
    if on_disk.leaf == chain.leaf:
        return None
    return warning(
        "tls",
        f"the server uses another certificate than {case.config.general.cert}",
        "it takes a new file up within seconds, if it can use it: its log says why not",
    )


# --- its clock --------------------------------------------------------------------


async def clock(case: Case) -> AsyncIterator[Finding]:
    """Whether the server's clock agrees with this machine's."""
    if not case.reachable:
        return
    before = time.time()
    try:
        response = await fetch(case, "/healthz")
    except NO_ANSWER as error:
        yield replace(no_answer(case, case.server, error), subject="server clock")
        return
    now = (before + time.time()) / 2
    try:
        date = email.utils.parsedate_to_datetime(response.headers.get("Date", "")).timestamp()
    except (ValueError, OverflowError):
        hint = "does a proxy take out the header Date? its clock cannot be compared without"
        yield warning("server clock", "the server does not say what time it is", hint)
    else:
        yield clock_finding(date + 0.5 - now)


def clock_finding(ahead_s: float) -> Finding:
    """Judge by how much the server's clock is ahead of this one's."""
    words = f"{abs(ahead_s):.0f} s {'ahead of' if ahead_s > 0 else 'behind'} this machine's"
    ahead = round(ahead_s, 1)
    if abs(ahead_s) <= SKEW_S:
        return ok("server clock", "agrees with this machine's", ahead_s=ahead)
    hint = "set the wrong one right with NTP: credentials and certificates depend on it"
    level = problem if abs(ahead_s) > LARGE_SKEW_S else warning
    return level("server clock", words, hint, ahead_s=ahead)
