"""What is allowed, but probably not meant: in a configuration, in a certificate; what of it is new.

doubts(config, hooks)                what values that are right by themselves make together
certificate_doubts(config, store)    what clients, and other users of the machine, can do
Doubts(config)                       tells what a reload has to say from what was said before
"""

from __future__ import annotations

import logging
import re
from collections.abc import Sequence
from datetime import UTC, datetime

from tornado_webrtc.certificate import CertificateStore
from tornado_webrtc.chain import DAYS_TO_RENEW, Chain
from tornado_webrtc.config import Config
from tornado_webrtc.errors import Problem
from tornado_webrtc.hooks import Hooks
from tornado_webrtc.machine import machine_addresses
from tornado_webrtc.regularfile import exposure

__all__ = ["Doubts", "certificate_doubts", "doubts"]

log = logging.getLogger("tornado_webrtc.doubt")

SAID_AGAIN = ("turn.secret", "turn.secret_file", "turn.users_file")
"""Settings whose warnings every reload repeats: whoever changes a secret has to hear them."""

_KEY_MODE = 0o640
"""A certificate's key may belong to a group that several servers are in."""

_LINE = re.compile(r", line \d+(?=,)")

_Key = tuple[str, str]


class Doubts:
    """Remembers what was doubtful in a running server, so that a reload says what is new.

    Args:
        config: What it was started with; its warnings are in the log by then.
    """

    def __init__(self, config: Config) -> None:
        self._config = config
        self._known = _keys(config.warnings)

    def begin(self, of_plugins: Sequence[Problem]) -> None:
        """Log what plugins find doubtful at the start, unless the log has it already.

        Args:
            of_plugins: What they find.
        """
        for each in of_plugins:
            if _key(each) not in self._known:
                self._known.add(_key(each))
                log.warning("%s", each)

    def review(
        self,
        config: Config,
        hooks: Hooks,
        of_plugins: Sequence[Problem] = (),
        of_certificate: Sequence[Problem] = (),
    ) -> tuple[str, ...]:
        """Say what there is to be said after a reload, and log what was not there before.

        Args:
            config: What holds from now on.
            hooks: The plugins that run.
            of_plugins: What they find doubtful.
            of_certificate: See `certificate_doubts`; said again each time.

        Returns:
            What is new, and what is said each time.
        """
        known = self._known | _keys(doubts(self._config, hooks))
        found = [*config.warnings, *of_certificate, *doubts(config, hooks), *of_plugins]
        self._config, self._known = config, _keys(found)
        places = {config.where(key) for key in SAID_AGAIN}
        again = [*of_certificate, *(each for each in config.warnings if each.where in places)]
        said = []
        for each in dict.fromkeys(found):
            is_new = _key(each) not in known
            if is_new:
                log.warning("%s", each)
            if is_new or each in again:
                said.append(str(each))
        return tuple(said)


def _keys(problems: Sequence[Problem]) -> set[_Key]:
    return {_key(each) for each in problems}


def _key(problem: Problem) -> _Key:
    """What a doubt is known by: another line of the same key makes no other one of it."""
    return _LINE.sub("", problem.where), problem.message


def certificate_doubts(config: Config, store: CertificateStore | None) -> list[Problem]:
    """What is doubtful about the certificate in use, and about the file of its key."""
    if store is None:
        return []
    cert, key = config.where("general.cert"), config.where("general.key")
    chain = Chain((store.certificate,), (), datetime.now(UTC))
    found = []
    if words := _validity(chain):
        found.append(Problem(cert, f"the certificate in use {words}", "Renew it."))
    domain = config.general.domain
    if domain and not chain.covers(domain):
        names = ", ".join(chain.names) or "none"
        message = f"{domain} is not among the names of the certificate in use: {names}"
        found.append(Problem(cert, message, f"Have one made for {domain}."))
    if open_to := exposure(store.key, _KEY_MODE):
        found.append(Problem(key, open_to.message, open_to.advice))
    return found


def _validity(chain: Chain) -> str:
    begins, ends = chain.leaf.not_valid_before_utc, chain.leaf.not_valid_after_utc
    if chain.now > ends:
        return f"expired on {ends.date()}: clients refuse it"
    if chain.now < begins:
        return f"is not valid before {begins:%Y-%m-%d %H:%M} UTC: clients refuse it"
    if chain.days_left < DAYS_TO_RENEW:
        return f"expires on {ends.date()}"
    return ""


def doubts(config: Config, hooks: Hooks) -> list[Problem]:
    """What is allowed, but probably not meant."""
    found = []
    if config.turn.api_access == "auth" and not hooks.implemented("authenticate"):
        found.append(
            Problem(
                config.where("turn.api_access"),
                "is auth, but no plugin authenticates anybody: nobody gets a TURN credential",
                "Enable a plugin such as auth_token.",
            )
        )
    public = _public_addresses(config)
    if public and config.turn.api_access == "open":
        found.append(
            Problem(
                config.where("turn.api_access"),
                f"is open, and this server can be reached at {', '.join(public)}: "
                "anyone may ask for TURN credentials",
                "Set it to peer, or to auth with a plugin that authenticates.",
            )
        )
    if public and config.general.cert is None and not config.general.trusted_proxies:
        found.append(
            Problem(
                config.where("general.cert"),
                f"is empty, and this server can be reached at {', '.join(public)}: "
                "browsers give a page camera and microphone only over HTTPS",
                "Set cert and key, or name the TLS proxy in trusted_proxies.",
            )
        )
    return found


def _public_addresses(config: Config) -> list[str]:
    """The public addresses at which the server is reached; none if nobody can tell.

    Behind a 1:1 NAT the machine has none of its own: `turn.public_ip` says them.
    """
    try:
        addresses = machine_addresses()
    except OSError:  # no file is left to be opened: a reload must not stop halfway for that
        return []
    bound = config.general.bind
    anywhere = {4: "0.0.0.0" in bound, 6: "::" in bound}
    reached = [
        address for address in addresses if anywhere[address.version] or str(address) in bound
    ]
    if any(not address.is_loopback for address in reached):
        told = (each.public for each in config.turn.public_ip)
        reached += [address for address in told if not isinstance(address, str)]
    return list(dict.fromkeys(str(address) for address in reached if address.is_global))
