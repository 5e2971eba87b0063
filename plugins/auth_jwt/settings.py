"""The section `[auth_jwt]`: read, and looked over as a whole."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tornado_webrtc.hooks import Doubt

from . import algorithm
from .claim import SUBJECT, ClaimRules
from .key import UnusableKeyError, looks_guessable, secret_faults
from .remote_keys import Timing, url_fault

if TYPE_CHECKING:
    from tornado_webrtc.config import Config

__all__ = ["GUESSABLE", "SPECIFICATION", "Finding", "Settings", "secrets_of", "settings_doubts"]

SPECIFICATION = """\
# How tokens may be signed: with secrets (HS256, HS384, HS512), or with keys that have a public
# part (RS256, RS384, RS512, PS256, PS384, PS512, ES256, ES384, ES512, EdDSA). Never both kinds.
# live
algorithms = force_list(min=1)
# Secrets that are shared with the issuer, for HS256 and its kin; a token may be signed with any
# of them. At least as long as the hash: 32, 48 or 64 bytes.
# live
secret = secret_list(default=list())
# A file with such secrets, one a line and nothing else. Mode 0600, or 0640 for a group. Read
# again when it changes.
# live
secret_file = string(default="")
# A file with public keys in PEM form. Read again when it changes.
# live
key_file = string(default="")
# A key set (JWKS): the path of a file, which is read again when it changes, or an https URL.
# live
jwks = string(default="")
# The authorities that vouch for that URL's server, a PEM file. Empty: those of the system.
# live
jwks_ca_file = string(default="")
# How long a fetched key set is good. It is fetched again when four fifths of that are over.
# live
jwks_ttl_s = seconds(min=30, max=86400, default=600)
# How much longer it holds while it cannot be fetched. Then nobody gets in.
# live
jwks_max_stale_s = seconds(max=2592000, default=86400)
# How long a fetch may take. A client whose token needs it waits that long.
# live
jwks_timeout_s = seconds(min=0.1, max=4, default=3)
# Who may have issued a token: `iss` is exactly one of these; of several, each is trusted with
# the accounts of all. Empty: whoever has the key.
# live
issuer = force_list(default=list())
# What this service is called in tokens: `aud` is or holds one of these. Empty: only tokens
# without `aud` are taken.
# live
audience = force_list(default=list())
# By how much the clocks of the issuer and this server may differ.
# live
leeway_s = seconds(max=300, default=30)
# Whether a connection is closed when its token expires, and `leeway_s` have passed; the other
# side of its calls is sent `bye`. TURN credentials are good until then at most. With no, who is
# signed in stays.
# live
close_at_expiry = boolean(default=False)
# Claims that every token must have.
# live
require = force_list(default=list("exp"))
# The longest token. All headers of a request together have 16 kB.
# live
max_token_bytes = bytes(min=256, max=15000, default=8192)
# The claim that says whose token it is: a text or a whole number.
# live
subject_claim = string(min=1, default="sub")
# Patterns of the peer ids, and TURN names, that a subject may have.
# live
peer_ids = force_list(min=1, default=list("{subject}"))
# The claim that lists the peer ids instead, if a token has it. Empty: none does.
# live
peer_ids_claim = string(default="peer_ids")
# Whether clients without a token are welcome.
# live
allow_anonymous = boolean(default=False)
# Patterns of the peer ids that those may have: six digits, as old apps invent them.
# live
anonymous_peer_ids = force_list(min=1, default=list("[0-9][0-9][0-9][0-9][0-9][0-9]"))
"""

Finding = tuple[str, str]
"""A key of the section and what is wrong with it; a `Doubt` if it is only doubtful."""

GUESSABLE = Doubt(
    "a secret with so few different characters may be guessed; `openssl rand -base64 48` makes one"
)

_TIMING = Timing(600.0, 86400.0, 3.0)
_RULES = ClaimRules()
_SOURCES = ("secret", "secret_file", "key_file", "jwks")


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The section, with paths that were found and what belongs together in one place."""

    algorithms: tuple[str, ...]
    secrets: tuple[str, ...] = field(default=(), repr=False)
    secret_file: Path | None = None
    key_file: Path | None = None
    jwks_file: Path | None = None
    jwks_url: str = field(default="", repr=False)
    jwks_ca_file: Path | None = None
    jwks_timing: Timing = _TIMING
    max_token_bytes: int = 8192
    rules: ClaimRules = _RULES
    allow_anonymous: bool = False
    anonymous_peer_ids: tuple[str, ...] = ()

    @classmethod
    def read(cls, section: Mapping[str, Any], config: Config) -> Settings:
        """Take over a section that was checked against `SPECIFICATION`."""

        def path(written: str) -> Path | None:
            return config.resolve(written) if written else None

        is_url = "://" in section["jwks"]
        return cls(
            algorithms=tuple(section["algorithms"]),
            secrets=tuple(section["secret"]),
            secret_file=path(section["secret_file"]),
            key_file=path(section["key_file"]),
            jwks_file=None if is_url else path(section["jwks"]),
            jwks_url=section["jwks"] if is_url else "",
            jwks_ca_file=path(section["jwks_ca_file"]),
            jwks_timing=Timing(
                section["jwks_ttl_s"], section["jwks_max_stale_s"], section["jwks_timeout_s"]
            ),
            max_token_bytes=section["max_token_bytes"],
            rules=_rules(section),
            allow_anonymous=section["allow_anonymous"],
            anonymous_peer_ids=tuple(section["anonymous_peer_ids"]),
        )

    @property
    def sources(self) -> tuple[str, ...]:
        """The keys of the section that name where keys come from."""
        jwks = self.jwks_url or self.jwks_file
        values = (self.secrets, self.secret_file, self.key_file, jwks)
        return tuple(name for name, value in zip(_SOURCES, values, strict=True) if value)

    def faults(self) -> list[Finding]:
        """Say what is wrong, without a look at any file."""
        found: list[Finding] = [("algorithms", each) for each in algorithm.faults(self.algorithms)]
        if not found:
            found += self._source_faults()
        found += [("secret", each) for each in secret_faults(self.secrets, self.algorithms)]
        if self.jwks_url and (fault := url_fault(self.jwks_url)):
            found.append(("jwks", fault))
        return found

    def _source_faults(self) -> Iterator[Finding]:
        symmetric = algorithm.is_symmetric(self.algorithms[0])
        wanted = _SOURCES[:2] if symmetric else _SOURCES[2:]
        for name in self.sources:
            if name not in wanted:
                kind = "secrets" if symmetric else "public keys"
                yield name, f"algorithms names those for {kind}; leave this key out"
        if not any(name in wanted for name in self.sources):
            yield "algorithms", f"they need {' or '.join(wanted)}"
        elif {"key_file", "jwks"} <= {*self.sources} and not symmetric:
            yield "jwks", "key_file is set, too; leave one of them out"

    def same_keys(self, other: Settings) -> bool:
        """Whether the keys come from the same place and are used for the same."""
        return _key_settings(self) == _key_settings(other)

    def same_set(self, other: Settings) -> bool:
        """Whether the keys may differ in nothing but when they are fetched."""
        return replace(self, jwks_timing=other.jwks_timing).same_keys(other)


def _key_settings(settings: Settings) -> tuple[object, ...]:
    return (
        *(settings.algorithms, settings.secrets, settings.secret_file, settings.key_file),
        *(settings.jwks_file, settings.jwks_url, settings.jwks_ca_file, settings.jwks_timing),
    )


def _rules(section: Mapping[str, Any]) -> ClaimRules:
    return ClaimRules(
        issuers=tuple(section["issuer"]),
        audiences=tuple(section["audience"]),
        leeway_s=section["leeway_s"],
        required=tuple(section["require"]),
        subject_claim=section["subject_claim"],
        peer_ids=tuple(section["peer_ids"]),
        peer_ids_claim=section["peer_ids_claim"],
        close_at_expiry=section["close_at_expiry"],
    )


def settings_doubts(settings: Settings) -> Iterator[Finding]:
    """Say what is allowed, but probably not meant."""
    rules = settings.rules
    if not rules.issuers:
        yield "issuer", Doubt("is empty: whoever has the key may be the issuer")
    elif len({*rules.issuers}) > 1:
        text = (
            "names several: each key is believed for all of them, and a subject of one is the same"
            " account as that of another"
        )
        yield "issuer", Doubt(text)
    if not rules.audiences:
        text = (
            "is empty: tokens that the issuer made for another service get in, if they have no aud"
        )
        yield "audience", Doubt(text)
    if "exp" not in rules.required:
        yield "require", Doubt("does not name exp: a token without it is good for ever")
    if any(SUBJECT not in each for each in rules.peer_ids):
        text = f"has a pattern without {SUBJECT}: every subject may sign in under others' ids"
        yield "peer_ids", Doubt(text)
    anonymous = settings.anonymous_peer_ids if settings.allow_anonymous else ()
    if wide := [each for each in anonymous if "*" in each and not each.strip("*?")]:
        text = (
            f"has {wide[0]}: clients without a token may sign in under any id, "
            "those of accounts, too"
        )
        yield "anonymous_peer_ids", Doubt(text)
    if any(map(looks_guessable, settings.secrets)):
        yield "secret", GUESSABLE


def secrets_of(content: bytes) -> tuple[str, ...]:
    """Read a file with secrets, one a line.

    Raises:
        UnusableKeyError: There is none, or it is no text.
    """
    try:
        lines = content.decode("utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise UnusableKeyError(f"it is not UTF-8 (byte {error.start})") from error
    if not (found := tuple(line.strip() for line in lines if line.strip())):
        raise UnusableKeyError("it is empty; it has to hold a secret a line")
    return found
