"""The section `[sentry]`: read, and looked over as a whole."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import SplitResult, urlsplit

from tornado_webrtc import __version__
from tornado_webrtc.hooks import Doubt
from tornado_webrtc.machine import is_near
from tornado_webrtc.regularfile import exposure, read_regular_file

if TYPE_CHECKING:
    from tornado_webrtc.config import Config

__all__ = ["SPECIFICATION", "Finding", "Settings", "dsn_fault"]

SPECIFICATION = """\
# The project's address (DSN), as Sentry shows it: https://KEY@HOST/PROJECT. Has to be set,
# here or in dsn_file.
# live
dsn = secret(default="")
# A file that holds it, and nothing else. Mode 0600.
# live
dsn_file = string(default="")
# Where this server is used: production, staging, somebody's desk.
# live
environment = string(min=1, max=64, default="production")
# Which version of the software runs. Empty is tornado-webrtc@ with the version.
# live
release = string(max=200, default="")
# Which machine it is. Empty is the node id.
# live
server_name = string(max=200, default="")
# The part of the faults that is reported: 1 is all, 0.1 every tenth by chance.
# live
sample_rate = float(min=0, max=1, default=1)
# The part of the HTTP requests whose duration is reported. WebSockets never are.
# live
traces_sample_rate = float(min=0, max=1, default=0)
# From which level on a line of the log is reported as a fault.
# live
level = option("WARNING", "ERROR", "CRITICAL", default="ERROR")
# How many lines of the log before a fault (breadcrumbs) are reported with it, at most.
# live
breadcrumbs = integer(min=0, max=100, default=30)
# How many faults are reported in a minute, at most, and as many requests. The rest is counted.
# live
events_per_minute = integer(min=1, max=6000, default=60)
# Network addresses in every text are shortened: IPv4 to /24, IPv6 to /48. Loopback addresses
# stay.
# live
anonymize_addresses = boolean(default=True)
# Whether Sentry's library says in the log what it does.
# live
debug = boolean(default=False)
"""

Finding = tuple[str, str]
"""A key of the section and what is wrong with it; a `Doubt` if it is only doubtful."""

MAX_DSN_BYTES = 4096

_FORM = "allowed is https://KEY@HOST/PROJECT, as Sentry shows it under Client Keys (DSN)"


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The section, with the DSN from wherever it is.

    Attributes:
        dsn: Where to report to; empty if there is none.
        findings: What is wrong or doubtful about the section.
        level: The number of a logging level.
    """

    dsn: str = field(repr=False)
    findings: tuple[Finding, ...]
    environment: str
    release: str
    server_name: str
    sample_rate: float
    traces_sample_rate: float
    level: int
    breadcrumbs: int
    events_per_minute: int
    anonymous: bool
    debug: bool

    @classmethod
    def read(cls, section: Mapping[str, Any], config: Config) -> Settings:
        """Take over a section that was checked against `SPECIFICATION`; reads the file."""
        dsn, findings = _dsn(section, config)
        return cls(
            dsn=dsn,
            findings=tuple(findings),
            environment=section["environment"],
            release=section["release"] or f"tornado-webrtc@{__version__}",
            server_name=section["server_name"],
            sample_rate=section["sample_rate"],
            traces_sample_rate=section["traces_sample_rate"],
            level=logging.getLevelNamesMapping()[section["level"]],
            breadcrumbs=section["breadcrumbs"],
            events_per_minute=section["events_per_minute"],
            anonymous=section["anonymize_addresses"],
            debug=section["debug"],
        )

    @property
    def faults(self) -> tuple[Finding, ...]:
        """What is wrong, without what is only doubtful."""
        return tuple(each for each in self.findings if not isinstance(each[1], Doubt))


def _dsn(section: Mapping[str, Any], config: Config) -> tuple[str, list[Finding]]:
    """Find the DSN, and what is to be said of it."""
    written, file = section["dsn"].strip(), section["dsn_file"]
    if written and file:
        return "", [("dsn_file", "dsn is set, too; leave one of them out")]
    if not written and not file:
        return "", [("dsn", f"is empty: nothing would be reported; {_FORM}")]
    key, findings = "dsn", list[Finding]()
    if file:
        key, path = "dsn_file", config.resolve(file)
        try:
            written = read_regular_file(path, MAX_DSN_BYTES).decode().strip()
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or "it is no text"
            return "", [(key, f"{path} cannot be read: {reason}")]
        if open_to := exposure(path):
            findings.append((key, Doubt(open_to)))
    if fault := dsn_fault(written):
        return "", [*findings, (key, fault)]
    return written, [*findings, *((key, Doubt(each)) for each in _doubts(written))]


def dsn_fault(dsn: str) -> str:
    """Say what is wrong with a DSN, without a part of it; or nothing."""
    try:
        parts = urlsplit(dsn)
        host, _port = parts.hostname, parts.port
    except ValueError:
        return f"it is no URL; {_FORM}"
    for wrong, words in (
        (not dsn, "it is empty"),
        (any(each.isspace() for each in dsn), "it has a space or a line break"),
        (parts.scheme not in {"https", "http"}, "it does not begin with https://"),
        (not host, "it names no host"),
        (not parts.username, "there is no key before the @"),
        (not _project(parts), "it does not end with the number of a project"),
        (parts.query or parts.fragment, "there is something behind the project"),
    ):
        if wrong:
            return f"{words}; {_FORM}"
    return ""


def _project(parts: SplitResult) -> bool:
    project = parts.path.rpartition("/")[2]
    return project.isascii() and project.isdecimal()


def _doubts(dsn: str) -> Iterator[str]:
    parts = urlsplit(dsn)
    if parts.scheme == "http" and not is_near(parts.hostname or ""):
        yield "over http, whoever is on the way reads what is reported; use https"
    if parts.password:
        yield "it holds a secret key, which is not needed: https://KEY@HOST/PROJECT is enough"
