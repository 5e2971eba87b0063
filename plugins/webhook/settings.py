"""The section `[webhook]`: read, and looked over as a whole."""

from __future__ import annotations

import difflib
import ssl
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from tornado_webrtc.hooks import Doubt
from tornado_webrtc.machine import is_near
from tornado_webrtc.regularfile import exposure, read_regular_file

from .event import TYPES
from .signature import parse_secret

if TYPE_CHECKING:
    from tornado_webrtc.config import Config

__all__ = ["SPECIFICATION", "Finding", "Settings", "url_fault"]

SPECIFICATION = """\
# Where events are sent: https://HOST/PATH. Treated as a secret, as some have a password in the
# path.
# live
url = secret
# What events are signed with: whsec_ and the Base64 of 24 to 64 random bytes. With several, each
# signs, so that they can be exchanged. Has to be set, here or in secret_file.
# live
secret = secret_list(default=list())
# A file with such secrets, one a line. Mode 0600.
# live
secret_file = string(default="")
# Which events are sent: names, and patterns such as session.*
# live
events = force_list(min=1, default=list("*"))
# How long a receiver may take to answer.
# live
timeout_s = seconds(min=0.1, max=60, default=10)
# How many events may wait, beside those that are being sent. Beyond that the oldest are
# dropped, and counted.
# live
max_queue = integer(min=1, max=100000, default=10000)
# How old an event may be when it is tried again. An older one is dropped, and counted.
# live
give_up_after_s = seconds(max=604800, default=3600)
# How many events are sent at the same time. Those of one peer, call or allocation stay in order.
# live
concurrency = integer(min=1, max=32, default=1)
# How long the server waits for events to be sent when it stops.
# live
flush_s = seconds(max=8, default=5)
# Certificates of the authorities that vouch for the receiver; empty is the system's.
# live
ca_file = string(default="")
# Addresses of clients are shortened: IPv4 to /24, IPv6 to /48. Loopback addresses stay.
# live
anonymize_addresses = boolean(default=False)
"""

Finding = tuple[str, str]
"""A key of the section and what is wrong with it; a `Doubt` if it is only doubtful."""

MAX_SECRET_BYTES = 65536

_GROUPS = tuple(dict.fromkeys(f"{name.partition('.')[0]}.*" for name in TYPES))
"""The patterns that people write."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The section, with the secrets from wherever they are.

    Attributes:
        keys: What to sign with, the newest first.
        types: The events that are wanted.
        findings: What is wrong or doubtful about the section.
    """

    url: str = field(repr=False)
    keys: tuple[bytes, ...] = field(repr=False)
    types: frozenset[str]
    findings: tuple[Finding, ...]
    timeout_s: float = 10.0
    max_queue: int = 10000
    give_up_after_s: float = 3600.0
    concurrency: int = 1
    flush_s: float = 5.0
    ca_file: Path | None = None
    anonymous: bool = False

    @classmethod
    def read(cls, section: Mapping[str, Any], config: Config) -> Settings:
        """Take over a section that was checked against `SPECIFICATION`; reads the files."""
        ca_file = config.resolve(section["ca_file"]) if section["ca_file"] else None
        keys, findings = _keys(section, config)
        findings += _of_url(section["url"])
        findings += _of_events(section["events"])
        if ca_file is not None and (fault := _ca_fault(ca_file)):
            findings.append(("ca_file", fault))
        return cls(
            url=section["url"],
            keys=keys,
            types=_types(section["events"]),
            findings=tuple(findings),
            timeout_s=section["timeout_s"],
            max_queue=section["max_queue"],
            give_up_after_s=section["give_up_after_s"],
            concurrency=section["concurrency"],
            flush_s=section["flush_s"],
            ca_file=ca_file,
            anonymous=section["anonymize_addresses"],
        )

    @property
    def faults(self) -> tuple[Finding, ...]:
        """What is wrong, without what is only doubtful."""
        return tuple(each for each in self.findings if not isinstance(each[1], Doubt))


def _keys(section: Mapping[str, Any], config: Config) -> tuple[tuple[bytes, ...], list[Finding]]:
    """Decode all secrets; with what is wrong about them."""
    named = [("secret", text) for text in section["secret"]]
    findings: list[Finding] = []
    if file := section["secret_file"]:
        lines, findings = _lines(config.resolve(file))
        named += [("secret_file", line) for line in lines]
    keys = []
    for name, text in named:
        try:
            keys.append(parse_secret(text))
        except ValueError as error:
            findings.append((name, str(error)))
    if not named and not findings:
        words = "is empty: without one nobody can tell that an event is from here; this makes one:"
        findings.append(("secret", f"{words} echo whsec_$(openssl rand -base64 32)"))
    return tuple(keys), findings


def _lines(path: Path) -> tuple[list[str], list[Finding]]:
    try:
        text = read_regular_file(path, MAX_SECRET_BYTES).decode()
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "it is no text"
        return [], [("secret_file", f"{path} cannot be read: {reason}")]
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    if not lines:
        return [], [("secret_file", f"{path} is empty; a line is whsec_ with Base64 behind it")]
    open_to = exposure(path)
    return lines, [("secret_file", Doubt(open_to))] if open_to else []


def _of_url(url: str) -> Iterator[Finding]:
    if fault := url_fault(url):
        yield "url", fault
    elif urlsplit(url).scheme == "http" and not is_near(urlsplit(url).hostname or ""):
        words = "over http, whoever is on the way reads who calls whom, and can hold events back"
        yield "url", Doubt(f"{words}; use https")


def url_fault(url: str) -> str:
    """Say what is wrong with a URL, without a part of it; or nothing."""
    allowed = "allowed is https://HOST/PATH"
    try:
        parts = urlsplit(url)
        host, _port = parts.hostname, parts.port
    except ValueError:
        return f"it is no URL; {allowed}"
    if parts.scheme not in {"https", "http"} or not host:
        return f"it is no address of a web server; {allowed}"
    if parts.username is not None or parts.password is not None or parts.fragment:
        return f"a user, password or fragment may not be in it; {allowed}"
    if not url.isascii() or not url.isprintable() or " " in url:
        return f"it has characters that a URL cannot have; {allowed}"
    return ""


def _of_events(patterns: tuple[str, ...]) -> Iterator[Finding]:
    for pattern in patterns:
        if not any(fnmatchcase(name, pattern) for name in TYPES):
            close = difflib.get_close_matches(pattern, (*TYPES, *_GROUPS), n=1)
            hint = f"did you mean {close[0]}?" if close else f"there are {', '.join(TYPES)}"
            yield "events", f"{pattern!r} is no event; {hint}"


def _types(patterns: tuple[str, ...]) -> frozenset[str]:
    return frozenset(
        name for name in TYPES if any(fnmatchcase(name, pattern) for pattern in patterns)
    )


def _ca_fault(path: Path) -> str:
    try:
        ssl.create_default_context(cafile=path)
    except ssl.SSLError:
        return f"there is no certificate in PEM form in {path}"
    except OSError as error:
        return f"{path} cannot be read: {error.strerror}"
    return ""
