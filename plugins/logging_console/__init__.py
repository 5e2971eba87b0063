"""Logs who comes and goes, who calls whom and what is relayed: a readable line for each event.

Lines are INFO of the logger ``tornado_webrtc.plugins.logging_console``. They hold
neither session descriptions nor candidates nor tokens, and nothing that a client
chose can move a terminal's cursor or fake a line.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tornado_webrtc import hookimpl

if TYPE_CHECKING:
    from tornado_webrtc.config import Config
    from tornado_webrtc.hooks import PluginContext, TurnAllocation, TurnTraffic
    from tornado_webrtc.signaling import Peer, Session

ENABLED_BY_DEFAULT = True

SETTINGS = """
# Whether the lines show the network addresses of clients.
# live
addresses = boolean(default=True)
"""

MAX_SHOWN = 64


class Plugin:
    """Turns notifications into log lines."""

    def __init__(self, context: PluginContext) -> None:
        self._name = context.name
        self._log = context.log
        self._addresses: bool = context.settings["addresses"]

    @hookimpl
    def settings_changed(self, new: Config) -> None:
        """Go by the settings as they are now."""
        self._addresses = new.plugin_settings[self._name]["addresses"]

    @hookimpl
    def peer_joined(self, peer: Peer) -> None:
        """Log who came, with which software and from where."""
        address = f" from {shown(peer.remote_ip)}" if self._addresses else ""
        who = f"name {shown(peer.name)}, user agent {shown(peer.user_agent)}"
        self._log.info("peer %s joined%s%s: %s", shown(peer.id), _room(peer), address, who)

    @hookimpl
    def peer_left(self, peer: Peer, reason: str) -> None:
        """Log who is gone and why."""
        self._log.info("peer %s%s left: %s", shown(peer.id), _room(peer), shown(reason))

    @hookimpl
    def session_offered(self, session: Session) -> None:
        """Log who calls whom."""
        legs = f"{shown(session.caller.id)} calls {shown(session.callee.id)}"
        self._log.info("call %s%s offered: %s", shown(session.id), _room(session.caller), legs)

    @hookimpl
    def session_answered(self, session: Session) -> None:
        """Log that a call was answered, and how long it rang."""
        rang = _seconds(session.offered_at, session.answered_at)
        where = _room(session.caller)
        self._log.info("call %s%s answered after %s", shown(session.id), where, rang)

    @hookimpl
    def session_ended(self, session: Session, reason: str) -> None:
        """Log that a call is over, how long it lasted and why."""
        if session.answered_at is None:
            rang = _seconds(session.offered_at, session.ended_at)
            lasted = f"unanswered after {rang}"
        else:
            lasted = f"after {_seconds(session.answered_at, session.ended_at)}"
        named = shown(session.id), _room(session.caller)
        self._log.info("call %s%s ended %s: %s", *named, lasted, shown(reason))

    @hookimpl
    def allocation_created(self, allocation: TurnAllocation) -> None:
        """Log who may relay, and the address that peers see."""
        where = f"{allocation.relayed} over {allocation.transport}"
        self._log.info("%s created: relays at %s", self._named(allocation), where)

    @hookimpl
    def allocation_deleted(
        self, allocation: TurnAllocation, traffic: TurnTraffic, reason: str
    ) -> None:
        """Log what was relayed until the end, and why it came."""
        self._log.info(
            "%s at %s ended: %s, %d bytes to peers, %d bytes from peers, datagrams dropped: %d",
            self._named(allocation),
            allocation.relayed,
            shown(reason),
            traffic.bytes_to_peer,
            traffic.bytes_from_peer,
            traffic.dropped,
        )

    def _named(self, allocation: TurnAllocation) -> str:
        address = f" from {allocation.client}" if self._addresses else ""
        return f"allocation {allocation.id} of {shown(allocation.user)}{address}"


def shown(text: str) -> str:
    """Quote what a client chose: escaped, on one line, at most 64 characters and quotes."""
    quoted = repr(text)
    if len(quoted) <= MAX_SHOWN + 2:
        return quoted
    return f"{quoted[:MAX_SHOWN]}…{quoted[0]}"


def _room(peer: Peer) -> str:
    """Where a peer and its calls are: ids repeat from room to room. Empty for the lobby."""
    return f" in {shown(peer.scope)}" if peer.scope else ""


def _seconds(since: float, until: float | None) -> str:
    return "an unknown time" if until is None else f"{until - since:.1f} s"
