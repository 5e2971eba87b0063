"""What no log may hold is taken out: secrets, session descriptions and, if wished, addresses.

Whoever logs is asked to log none of it. This is the net below them, and below
exceptions whose text nobody chose. It knows

* session descriptions and ICE candidates, whole or in part, as text, as JSON, in a repr;
* ICE user name fragments and passwords, TURN passwords and nonces;
* tokens: ``Bearer``, ``bearer.TOKEN``, JWTs, query parameters, whatever is called a token;
* secrets of webhooks: ``whsec_…``;
* passwords in URLs, private keys in PEM form.

A rule runs only where one of its words occurs, so that an ordinary line costs a
few microseconds. Taking out too much is right, too little is wrong.

Every rule takes time that grows with the length of the text and no faster, whatever
the text: others write what is in it. A run of characters is taken whole or not at
all (possessive quantifiers), and looked at from its beginning only.
"""

from __future__ import annotations

import ipaddress
import logging
import re
from dataclasses import dataclass

__all__ = [
    "MAX_TEXT",
    "REDACTED",
    "RedactingFormatter",
    "Redaction",
    "anonymize",
    "bounded",
    "clean",
    "is_secret",
    "message_of",
    "redact",
]

REDACTED = "[redacted]"

MAX_TEXT = 65536
"""Characters of one record at most; what is longer is cut."""

IPV4_KEPT_BITS = 24
IPV6_KEPT_BITS = 48

_MAX_EXAMINED = 4 * MAX_TEXT


@dataclass(frozen=True, slots=True)
class _Rule:
    """What is taken out, and the words (lower case) without which it cannot be there."""

    words: tuple[str, ...]
    pattern: re.Pattern[str]
    replacement: str


# A line's end, as it is or as a repr or JSON (in JSON, …) writes it; what is before one.
_END = r"(?:(?<!\\)(?:\\++r)?\\++n|\r?\n|\r)"
_LINE = r"(?:[^\\\r\n]++|\\++(?!n|r\\++n))*+"
_SDP_LINE = rf"(?:[a-z]={_LINE})"
_SPACE = r"(?:\s|\+|%20)++"
_ENCODED = r"[^\s\"'&<>]*+"
_PERCENT = r"%(?:25)?"

_SENSITIVE = re.compile(
    r"(?:.*(?:token|passw|passphrase|secret|api_?-?key|nonce|ufrag|pwd|cookie|sdp|credential"
    r"|authorization)|candidates?|usernamefragment)",
    re.IGNORECASE | re.DOTALL,
)
_SENSITIVE_NUMBER = re.compile(
    r".*(?:token|passw(?:or)?d|passphrase|secret|api_?-?key|nonce|ufrag|pwd|cookie|credential)",
    re.IGNORECASE | re.DOTALL,
)

# Names of things whose value is secret, after any prefix: access_token, X-Auth-Token, …
_NAMES = (
    r"[\w-]*(?:token|passw(?:or)?d|passphrase|secret|(?:api|secret)_?-?key|nonce|ufrag)|pwd"
    r"|ice[_-]?pwd|credential|usernamefragment|sdp|candidate|cookie"
)
_NAME_WORDS = (
    *("token", "passw", "passphrase", "secret", "key", "nonce", "ufrag", "pwd"),
    *("credential", "fragment", "sdp", "candidate", "cookie"),
)
_KEPT = re.escape(REDACTED)
_PLAIN = rf"(?!{_KEPT}|(?:None|null)\b)(?!\\*[\"'])[^\s,;&#\"'<>)\]}}\\]+"
# With backslashes before it, a quote ends at one with as many; without, at the first that
# has no backslash. More than 15 of them are three times JSON in JSON, or somebody's joke.
_QUOTED = (
    rf"(?P<open>b?)(?:(?P<quote>\\{{1,15}}+[\"'])(?!{_KEPT})"
    r"(?:(?!(?P=quote))(?:\\++[\s\S]|[^\\]))++(?P<end>(?P=quote))?"
    rf"|(?P<bare>[\"'])(?!{_KEPT})(?:(?!(?P=bare))(?:\\[\s\S]|[^\\]))++(?P<stop>(?P=bare))?)"
)
_QUOTED_LEFT = rf"\g<open>\g<quote>\g<bare>{REDACTED}\g<end>\g<stop>"
_HEADER = r"\b((?:proxy-)?authorization|(?:set-)?cookie)(\\{0,15}+[\"']?\s*+[:=,]\s*+)"
_LIST = (
    r"(?=b?\\{0,15}+[\"'])"
    r"(?:\"(?:[^\"\\]|\\[\s\S])*+(?:\"|\\?\Z)|'(?:[^'\\]|\\[\s\S])*+(?:'|\\?\Z)|[^\])\"'])++"
)

_RULES = (
    _Rule(
        ("private key",),
        re.compile(
            r"-----BEGIN ([A-Z ]*)PRIVATE KEY-----.*?(?:-----END \1PRIVATE KEY-----|\Z)", re.S
        ),
        REDACTED,
    ),
    _Rule(
        ("v=0",),
        re.compile(rf"\bv=0(?:{_END}{_SDP_LINE}?+)++", re.IGNORECASE),
        REDACTED,
    ),
    _Rule(  # the rest of one whose beginning was cut off
        ("\na=", "\nm=", "\nc=", "\\na=", "\\nm=", "\\nc="),
        re.compile(rf"(?:{_END}(?-i:[abckmrtz])={_LINE})++{_END}?+", re.IGNORECASE),
        REDACTED,
    ),
    _Rule(  # the same in a URL, once or twice encoded
        ("v=0%", "v%3d0", "v%253d0"),
        re.compile(rf"v(?:=|{_PERCENT}3D)0%{_ENCODED}", re.IGNORECASE),
        REDACTED,
    ),
    _Rule(
        ("0aa", "0am", "0ac", "5cna", "5cnm", "5cnc"),
        re.compile(
            rf"{_PERCENT}(?:0A|5Cn)(?-i:[abckmrtz])(?:=|{_PERCENT}3D){_ENCODED}", re.IGNORECASE
        ),
        REDACTED,
    ),
    _Rule(
        ("candidate%", "ice-ufrag%", "ice-pwd%", "fingerprint%", "crypto%"),
        re.compile(
            rf"(candidate|ice-(?:ufrag|pwd)|fingerprint|crypto)({_PERCENT}3A)(?!{_KEPT}){_ENCODED}",
            re.IGNORECASE,
        ),
        rf"\1\2{REDACTED}",
    ),
    _Rule(
        ("ip4", "ip6"),
        re.compile(
            rf"(?<![A-Za-z])(IN((?:\s|\+|{_PERCENT}20)++)IP[46])\2"
            rf"(?:[0-9a-f:.]|{_PERCENT}3A)++",
            re.IGNORECASE,
        ),
        rf"\1\2{REDACTED}",
    ),
    _Rule(
        ("candidate:",),
        re.compile(
            rf"\bcandidate:[^\s\"'\\+%]{{1,64}}{_SPACE}\d{{1,5}}{_SPACE}[a-z][^\r\n\"'\\]*",
            re.IGNORECASE,
        ),
        f"candidate:{REDACTED}",
    ),
    _Rule(
        ("ice-", "fingerprint:", "crypto:"),
        re.compile(
            rf"\b(ice-(?:ufrag|pwd)|fingerprint|crypto):(?!\s|{_KEPT})[^\r\n\"'\\]+", re.IGNORECASE
        ),
        rf"\1:{REDACTED}",
    ),
    _Rule(  # 'Cookie': '…'
        ("authorization", "cookie"),
        re.compile(rf"{_HEADER}{_QUOTED}", re.IGNORECASE),
        rf"\1\2{_QUOTED_LEFT}",
    ),
    _Rule(  # Cookie: … to the end of the line
        ("authorization", "cookie"),
        re.compile(rf"{_HEADER}(?!\s|{_KEPT}|b?\\*+[\"']){_LINE}", re.IGNORECASE),
        rf"\1\2{REDACTED}",
    ),
    _Rule(
        ("bearer",),
        re.compile(rf"\bbearer({_SPACE}|\.|%2e)(?!{_KEPT})[\w\-.~+/%=]+", re.IGNORECASE),
        rf"bearer\1{REDACTED}",
    ),
    _Rule(
        ("://",),
        re.compile(rf"(://)(?!{_KEPT})[^\s/@\"'?#]+@", re.IGNORECASE),
        rf"\1{REDACTED}@",
    ),
    _Rule(  # "token": "…", token='…', 'token', b'…'
        _NAME_WORDS,
        re.compile(
            rf"(?<![\w-])({_NAMES})(\\*[\"']?\s*(?::|=>?|,(?=\s*b?[\"']))\s*+){_QUOTED}",
            re.IGNORECASE,
        ),
        rf"\1\2{_QUOTED_LEFT}",
    ),
    _Rule(  # "tokens": ["…", "…"]
        _NAME_WORDS,
        re.compile(
            rf"(?<![\w-])((?:{_NAMES})s?)(\\*[\"']?\s*+(?::|=>?)\s*+[\[(]\s*+)(?!{_KEPT}){_LIST}",
            re.IGNORECASE,
        ),
        rf"\1\2{REDACTED}",
    ),
    _Rule(  # token=…, ?token=…, token%3D…
        _NAME_WORDS,
        re.compile(rf"(?<![\w-])({_NAMES})(\s*=\s*+|%3d){_PLAIN}", re.IGNORECASE),
        rf"\1\2{REDACTED}",
    ),
    _Rule(  # token: …; "plugin auth_token: …" and "turn.secret: …" speak of something else
        _NAME_WORDS,
        re.compile(
            r"(?<![\w.-])(?<!plugin )([\w-]*(?:token|password|passwd|passphrase|secret|nonce"
            rf"|(?:api|secret)_?-?key)|pwd|ufrag)(\\*[\"']?:\s*+){_PLAIN}",
            re.IGNORECASE,
        ),
        rf"\1\2{REDACTED}",
    ),
    _Rule(  # JSON Web Tokens (RFC 7519): the header begins with {"
        ("eyj",),
        re.compile(r"(?<![\w-])(?=[\w-]++\.)([\w-]*?)eyJ[\w-]{5,}+\.[\w-]*+(?:\.[\w-]*+)?"),
        rf"\1{REDACTED}",
    ),
    _Rule(  # TURN passwords: Base64 of 20 bytes
        ("=", "%3d"),
        re.compile(
            r"(?:(?<![A-Za-z0-9+])|(?<=%3D)|(?<=%2F)|(?<=%3d)|(?<=%2f))"
            r"(?:[A-Za-z0-9+/]|%2[BbFf]){27}(?:=|%3[Dd])(?![A-Za-z0-9+/=])"
        ),
        REDACTED,
    ),
    _Rule(  # TURN nonces of this server, with or without the cookie of RFC 8489 section 9.2
        ("00",),
        re.compile(r"(?<![\w-])00[0-9a-f]{8}[\w-]{16}(?![\w-])"),
        REDACTED,
    ),
    _Rule(  # secrets of webhooks (Standard Webhooks): whsec_ and Base64
        ("whsec_",),
        re.compile(r"(whsec_)[\w+/=%-]++", re.IGNORECASE),
        rf"\1{REDACTED}",
    ),
    _Rule(
        ("obmatjos2",),
        re.compile(r"\bobMatJos2[\w+/=-]*"),
        REDACTED,
    ),
)


_HARMLESS = re.compile(r"[\w/-]{0,25}|[\d.]{0,15}")
"""A word that is too short for a nonce, or an address: no rule can find anything in it."""


def is_secret(name: str, *, number: bool = False) -> bool:
    """Tell from the name of a field whether its value has to be taken out.

    Args:
        name: The name.
        number: Whether the value is one; `tokens_used` may be shown then, `token` not.
    """
    if number:
        return _SENSITIVE_NUMBER.fullmatch(name) is not None
    return _SENSITIVE.match(name) is not None


def redact(text: str) -> str:
    """Take out what no log may hold; a second time changes nothing."""
    if _HARMLESS.fullmatch(text):
        return text
    lowered = text.lower()
    for rule in _RULES:
        for word in rule.words:
            if word in lowered:
                text = rule.pattern.sub(rule.replacement, text)
                break
    return text


def bounded(text: str, limit: int = MAX_TEXT) -> str:
    """Cut a text that is too long, and say so.

    Args:
        text: Any text.
        limit: Characters; the result has no more.
    """
    if len(text) <= limit:
        return text
    note = f"… [{len(text) - limit} characters more]"
    return text[: max(0, limit - len(note))] + note[:limit]


def clean(text: str, limit: int = MAX_TEXT) -> str:
    """`redact` and cut.

    What is far too long is cut before it is looked at, at a space: half a secret
    may not look like one.
    """
    if len(text) > _MAX_EXAMINED:
        text = text[:_MAX_EXAMINED].rsplit(None, 1)[0]
    return bounded(redact(text), limit)


# --- addresses ------------------------------------------------------------------------

_IPV4 = re.compile(r"(?<!\d)((?:\d{1,3}\.){3})\d{1,3}(?!\d)")
_IPV6 = re.compile(
    r"(?<![0-9A-Za-z])[0-9A-Fa-f]{0,4}(?::[0-9A-Fa-f]{0,4}){2,8}(?:(?:\.\d{1,3}){3})?(?![0-9A-Za-z])"
)
_NAMELESS = ("127.", "0.0.0.0")
"""Loopback and "any" belong to nobody."""


def anonymize(text: str) -> str:
    """Take the last part out of every network address: IPv4 to /24, IPv6 to /48.

    Loopback addresses, 0.0.0.0 and :: stay. Something else that looks like an
    address, such as a version with four numbers, is changed as well.
    """
    if text.count(":") > 1:
        text = _IPV6.sub(_network_of_ipv6, text)
    if text.count(".") > 2:  # noqa: PLR2004 - an IPv4 address has three
        text = _IPV4.sub(_network_of_ipv4, text)
    return text


def _network_of_ipv4(found: re.Match[str]) -> str:
    return found[0] if found[0].startswith(_NAMELESS) else f"{found[1]}0"


def _network_of_ipv6(found: re.Match[str]) -> str:
    before, address, after = _parted(found[0])
    try:
        parsed = ipaddress.IPv6Address(address)
    except ValueError:
        return found[0]
    if parsed.is_loopback or parsed.is_unspecified or parsed.ipv4_mapped is not None:
        return found[0]
    network = ipaddress.IPv6Network((parsed, IPV6_KEPT_BITS), strict=False)
    return f"{before}{network.network_address}{after}"


def _parted(found: str) -> tuple[str, str, str]:
    """An address, and the colons of the sentence around it: ``from 2001:db8::1: hello``."""
    before = ":" if found.startswith(":") and not found.startswith("::") else ""
    after = ":" if found.endswith(":") and not found.endswith("::") else ""
    return before, found[len(before) : len(found) - len(after)], after


# --- the console ----------------------------------------------------------------------


@dataclass(slots=True)
class Redaction:
    """How texts are made fit for a log.

    Attributes:
        anonymous: Whether network addresses are shortened, too.
    """

    anonymous: bool = False

    def __call__(self, text: str, limit: int = MAX_TEXT) -> str:
        """Take out what must not be there, and cut what is too long."""
        text = clean(text, limit)
        return anonymize(text) if self.anonymous else text


class RedactingFormatter(logging.Formatter):
    """Formats records as usual, tracebacks included, and redacts what comes out.

    Attributes:
        redaction: May be changed while it is in use.
    """

    def __init__(self, format_text: str) -> None:
        super().__init__(format_text)
        self.redaction = Redaction()

    def format(self, record: logging.LogRecord) -> str:
        """Format a record; one that does not fit its arguments is shown without them."""
        try:
            text = super().format(record)
        except Exception as error:  # logging would print the arguments
            text = f"{record.levelname} {record.name}: {unformatted(record, error)}"
        return self.redaction(text)


def message_of(record: logging.LogRecord) -> str:
    """A record's message; if text and arguments do not fit, the text and what is wrong."""
    try:
        return record.getMessage()
    except Exception as error:  # whatever an argument's __str__ raises
        return unformatted(record, error)


def unformatted(record: logging.LogRecord, error: Exception) -> str:
    """What is said instead of a message that cannot be formatted."""
    text = record.msg if isinstance(record.msg, str) else type(record.msg).__name__
    place = f"{record.pathname}:{record.lineno}"
    return f"{text} [{type(error).__name__}: the arguments do not fit, at {place}]"
