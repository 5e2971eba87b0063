"""Says who may call whom, by rules of the operator's.

    __init__.py    the plugin: objects to calls, and to what comes without one
    rule.py        one rule
    rule_list.py   all of them, in order, from the section and from a file
    command.py     ``tornado-webrtc routing-rules test``

The server does not start without it where it is wanted: everything would be allowed.
docs/routing-rules.md says how to use it.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import click

from tornado_webrtc import hookimpl
from tornado_webrtc.errors import PluginError
from tornado_webrtc.hooks import CallRequest, Denied, Doubt, Message, PluginContext, at_key

from .command import make_command
from .rule import Party
from .rule_list import BadRulesError, Decision, RuleList

if TYPE_CHECKING:
    from tornado_webrtc.config import Config
    from tornado_webrtc.signaling import Peer

SETTINGS = """\
# Rules, in order: the first that fits a call decides about it. Those of the file follow.
# live
rules = force_list(default=list())
# A file with rules, one on each line.
# live
file = string(default="")
# What holds for calls that no rule fits.
# live
default = option("allow", "deny", default="allow")
# What a caller is told who may not call.
# live
reason = string(min=1, max=200, default="You may not call this peer.")
"""
REQUIRED = True

ASKED = frozenset({"answer", "candidate"})
"""Messages that need a rule's permission if they belong to no call; an offer begins one."""


class Plugin:
    """Objects to calls."""

    def __init__(self, context: PluginContext) -> None:
        self._name = context.name
        self._log = context.log
        self._context = context
        self._reason: str = context.settings["reason"]
        self._rules = RuleList()
        self._peers: dict[tuple[str, str], Peer] = {}
        self._counters: Counter[str] = Counter()

    # --- life -------------------------------------------------------------------------

    @hookimpl
    async def check(self) -> list[str]:
        """Say which rules are wrong, and which never decide; a long list takes a second."""
        try:
            rules = await asyncio.to_thread(self._written)
        except BadRulesError as error:
            return [at_key(self._name, error.key, each) for each in error.faults]
        return [Doubt(sentence) for sentence in rules.doubts()]

    @hookimpl
    def start(self) -> None:
        """Read the rules."""
        self._take_over(self._context.settings, self._context.config)

    @hookimpl
    def settings_changed(self, new: Config) -> None:
        """Go by the rules as they are now; calls that go on are not touched."""
        self._take_over(new.plugin_settings[self._name], new)

    def _take_over(self, settings: Mapping[str, Any], config: Config) -> None:
        try:
            self._rules = RuleList.read(settings, config)
        except BadRulesError as error:
            raise PluginError(self._name, f"{error.key}: {error}") from error
        self._reason = settings["reason"]

    def _written(self) -> RuleList:
        return RuleList.read(self._context.settings, self._context.config)

    # --- questions --------------------------------------------------------------------

    @hookimpl
    def permit_call(self, request: CallRequest) -> Denied | None:
        """Let the rules decide about a call."""
        decision = self._rules.decide(_party(request.caller), _party(request.callee))
        if decision.allowed:
            self._counters["calls.allowed"] += 1
            return None
        self._counters["calls.denied"] += 1
        return self._denial(request.caller, request.callee, decision)

    @hookimpl
    def permit_message(self, message: Message) -> Denied | None:
        """Let nobody reach with answers or candidates whom he may not call.

        Those of a call that goes on pass, whatever the rules say by now.
        """
        if message.type not in ASKED or message.to is None:
            return None
        sender = message.peer
        target = self._peers.get((sender.scope, message.to))
        if target is None:
            return None
        decision = self._rules.decide(_party(sender), _party(target))
        if decision.allowed or message.data.get("session_id") in sender.sessions:
            return None
        self._counters["messages.denied"] += 1
        return self._denial(sender, target, decision)

    def _denial(self, caller: Peer, callee: Peer, decision: Decision) -> Denied:
        self._log.debug("%r may not call %r: %s", caller.id, callee.id, decision)
        return Denied(self._reason, "call-not-allowed")

    @hookimpl
    def peer_joined(self, peer: Peer) -> None:
        """Somebody can be called."""
        self._peers[peer.scope, peer.id] = peer

    @hookimpl
    def peer_left(self, peer: Peer) -> None:
        """Somebody cannot be called any more."""
        self._peers.pop((peer.scope, peer.id), None)

    # --- for the operator -------------------------------------------------------------

    @hookimpl
    def counters(self) -> Mapping[str, int]:
        """How many calls were allowed and denied, and how many messages without a call."""
        return dict(self._counters)

    @hookimpl
    def cli_commands(self) -> list[click.Command]:
        """The command that says which rule decides."""
        return [make_command(self._written)]


def _party(peer: Peer) -> Party:
    return Party(peer.id, peer.scope, peer.subject, peer.remote_ip)
