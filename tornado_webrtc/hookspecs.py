"""Every hook that a plugin can implement.

A hook's kind decides how it is asked (`tornado_webrtc.hooks`): *register* hooks
once while the server is built, *lookup* hooks until one plugin has an answer,
*permit* hooks until one plugin objects, *notify* hooks all (results are ignored and
failures logged), *life cycle* hooks one plugin at a time. Those about the TURN server stand
in `tornado_webrtc.turnspecs`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import pluggy

from tornado_webrtc.turnspecs import (
    allocation_created,
    allocation_deleted,
    allocation_refreshed,
    channel_bound,
    permission_created,
    permit_allocation,
    permit_relay,
    turn_credential,
)

if TYPE_CHECKING:
    import click

    from tornado_webrtc import hooks
    from tornado_webrtc.config import Config
    from tornado_webrtc.listener import StreamProtocol
    from tornado_webrtc.server import Server
    from tornado_webrtc.signaling import Peer, Session

__all__ = [
    "KINDS",
    "allocation_created",
    "allocation_deleted",
    "allocation_refreshed",
    "authenticate",
    "channel_bound",
    "check",
    "cli_commands",
    "collections",
    "counters",
    "gauges",
    "http_handlers",
    "ice_servers",
    "join_abandoned",
    "message_types",
    "peer_joined",
    "peer_left",
    "permission_created",
    "permit_allocation",
    "permit_call",
    "permit_join",
    "permit_message",
    "permit_relay",
    "scope_for",
    "server_draining",
    "server_started",
    "server_stopped",
    "session_answered",
    "session_ended",
    "session_offered",
    "settings_changed",
    "start",
    "stop",
    "stream_protocols",
    "turn_credential",
]

hookspec = pluggy.HookspecMarker("tornado_webrtc")

KINDS: Mapping[str, tuple[str, ...]] = {
    "life cycle": ("check", "start", "stop"),
    "register": (
        *("http_handlers", "stream_protocols", "message_types", "collections"),
        *("counters", "gauges", "cli_commands"),
    ),
    "lookup": ("authenticate", "scope_for", "ice_servers", "turn_credential"),
    "permit": (
        *("permit_join", "permit_message", "permit_call"),
        *("permit_allocation", "permit_relay"),
    ),
    "notify": (
        *("join_abandoned", "peer_joined", "peer_left"),
        *("session_offered", "session_answered", "session_ended"),
        *("allocation_created", "allocation_refreshed", "allocation_deleted"),
        *("permission_created", "channel_bound"),
        *("server_started", "settings_changed", "server_draining", "server_stopped"),
    ),
}
"""Every hook, by kind and in the order of a server's life."""


@hookspec
def check() -> Any:
    """Look at what the settings name: files, for example.

    Called before `start`: by ``tornado-webrtc check``, which then serves nothing, by a
    server that starts, and by one that reads its configuration again. Open and change
    nothing. May be asynchronous and then has 30 s. With a problem `check` fails, the
    server does not start (exit status 78), and a reload changes nothing; a `Doubt` is a
    warning. A plugin that fails at the start is left out; if it is required, the server
    does not start. Raise only if nobody can tell at the moment.

    Returns:
        A list of sentences about what is wrong or doubtful, without secrets. One that begins with
        a key, as in ``NAME.key: ...``, is listed with its line; at a reload it is a warning if
        that key needs a restart: what it names is in use. None if there is nothing to say.
    """


@hookspec
def start(server: Server) -> Any:
    """Open what the plugin needs: a database, a connection, a task.

    Called once, before anything is registered and before the server listens,
    one plugin after the other in the order in which they were found. May be
    asynchronous and then has 30 s. A plugin that fails is reported by name and
    left out; if it is named in ``plugins.required``, the server does not start.

    Args:
        server: The server that is being started.
    """


@hookspec
def stop(server: Server) -> Any:
    """Close what `start` opened.

    Called once, when nothing else will be asked of the plugin any more, in the
    reverse order of `start`; not if the plugin's own `start` failed. May be
    asynchronous and then has 10 s. A failure is logged.

    Args:
        server: The server that is being stopped.
    """


@hookspec
def http_handlers(server: Server) -> Sequence[Any]:
    """Add pages and endpoints to the web server.

    Called once, after every plugin's `start`, synchronously. The handlers of all
    plugins are added; the server's own paths come first.

    Args:
        server: The server that is being built.

    Returns:
        Tornado rules: ``(pattern, handler class)`` or ``(pattern, handler class,
        keyword arguments of initialize())``. None adds nothing.
    """


@hookspec
def stream_protocols(server: Server) -> Sequence[StreamProtocol]:
    """Share the server's ports with another protocol.

    Called once, after every plugin's `start`, synchronously. The protocols of all plugins are
    added after HTTP; the first that claims a connection's first bytes gets it.

    Args:
        server: The server that is being built.

    Returns:
        Protocols: a name, a function that recognises the first bytes, and a
        handler for the stream. None adds nothing.
    """


@hookspec
def message_types(server: Server) -> Mapping[str, hooks.MessageHandler]:
    """Handle signaling messages of the plugin's own types.

    Called once, after every plugin's `start`, synchronously. The server's own types cannot be
    taken; a type that two plugins want is refused to the second. The handler of a type is awaited
    before the sender's next message is read, has 5 s, and may answer through the message.

    Args:
        server: The server that is being built.

    Returns:
        A coroutine function for each type. None adds nothing. A message of a
        type that nobody handles is answered with ``error``.
    """


@hookspec
def collections(server: Server) -> Mapping[str, hooks.Collection]:
    """Show the operator what the plugin keeps for a while: allocations, games, recordings.

    Called once, after every plugin's `start`, synchronously. The collections of all plugins are
    added to the core's ``peers`` and ``sessions``; a name that is taken is refused to the second.
    While the server drains, it waits for those that say ``holds_drain``.

    Args:
        server: The server that is being built.

    Returns:
        A `Collection` for each name, in lower case. None adds nothing.
    """


@hookspec
def counters() -> Mapping[str, int]:
    """Say how often what happened since the start, by name; the names are a fixed few.

    Called whenever somebody looks (``tornado-webrtc status``), synchronously: be quick.
    """


@hookspec
def gauges() -> Mapping[str, float]:
    """Say how much there is of something at the moment, by name; otherwise as `counters`.

    Called whenever somebody looks, synchronously.
    """


@hookspec
def cli_commands() -> Sequence[click.Command]:
    """Add commands to ``tornado-webrtc``.

    Called once when the command line is read, synchronously and without `start`: no server runs
    then. The commands of all plugins are added; the server's own names cannot be taken.

    Returns:
        Click commands. None adds nothing.
    """


@hookspec
def authenticate(request: hooks.AuthRequest) -> hooks.Identity | hooks.Refused | None:
    """Say who somebody is.

    Called with kind ``upgrade`` when a WebSocket opens. If that finds an identity, the connection
    keeps it; if it finds none, the hook is called again with kind ``new`` and the peer id when
    the peer registers, because the token may come only then. Called with kind ``rest`` for HTTP
    requests that need an identity. A refusal at any time ends the connection or request.

    First result wins: `Identity` or `Refused`; None leaves it to the next
    plugin. A plugin that fails lets nobody in, whatever the others say. Without
    an answer, and without any implementation, the client is anonymous and
    welcome: a plugin that wants everybody to authenticate refuses at ``new``.

    Args:
        request: What is known about the client, with its token.

    Returns:
        Who it is and until when, a refusal, or None.
    """


@hookspec
def scope_for(request: hooks.ScopeRequest) -> str | None:
    """Choose the scope of a peer: it sees and reaches only peers of the same one.

    Called when a peer registers, after `authenticate`. First result wins; a plugin
    that fails lets nobody in. By default every peer is in the scope ``""``.

    Args:
        request: The peer's id, the room it asked for and who it is.

    Returns:
        The scope's name, or None.
    """


@hookspec
def ice_servers(request: hooks.IceRequest) -> Sequence[hooks.IceServer] | None:
    """Say which STUN and TURN servers a client shall use.

    Called for every request to ``/api/turn``. First result wins, an empty list
    included; a plugin that fails is skipped. Those in ``turn.uris`` are added.

    Args:
        request: Who asks, and by which name this server was reached.

    Returns:
        The servers in order of preference, or None.
    """


@hookspec
def permit_join(request: hooks.JoinRequest) -> hooks.Denied | bool | None:
    """Object to a peer that wants to register.

    Called when a peer registers, after `authenticate` and `scope_for`, before anybody sees it.
    All plugins are asked until one denies; without objection the peer joins, unless its id is
    taken or it goes meanwhile: then `join_abandoned` is called. Also called, with `update`,
    when a registered peer wants to show another name or user agent; one that may not keeps
    both, its connection and its place.

    Args:
        request: The peer as it would be registered.

    Returns:
        None or True to permit; False, `Denied`, anything else, a failure or a time-out denies.
    """


@hookspec
def permit_message(message: hooks.Message) -> hooks.Denied | bool | None:
    """Object to a signaling message.

    Called for every ``offer``, ``answer`` and ``candidate`` and for messages of
    plugins' own types, before anything is done with them; never for ``new``,
    ``bye``, ``leave`` and ``keepalive``, nor for what comes after its call has ended
    and is dropped. This is the most frequent hook: be quick.
    All plugins are asked until one denies; without objection the message goes on.

    Args:
        message: The message, with its data decoded.

    Returns:
        None or True to permit; False, `Denied`, anything else, a failure or a time-out denies.
    """


@hookspec
def permit_call(request: hooks.CallRequest) -> hooks.Denied | bool | None:
    """Object to a call.

    Called for the offer that begins a session, after `permit_message`, before the callee learns
    of it. All plugins are asked until one denies; without objection the offer is forwarded. The
    caller of a denied call gets ``error`` and ``bye``.

    Args:
        request: Caller, callee and session id.

    Returns:
        None or True to permit; False, `Denied`, anything else, a failure or a time-out denies.
    """


@hookspec
def join_abandoned(request: hooks.JoinRequest) -> Any:
    """Learn that nothing came of a request to join.

    Called once for each request that `permit_join` was asked about, if `peer_joined` does not
    follow: it was denied, the id is taken, or the client went. Never for an update. The plugin's
    own `permit_join` has ended by then, if that takes no longer than 5 s. Give up here what
    was kept for the peer there.

    Args:
        request: The same object that `permit_join` got.
    """


@hookspec
def peer_joined(peer: Peer) -> Any:
    """Learn that a peer has registered.

    Called when a peer has registered, not when it registers again to change its name.

    Args:
        peer: The peer.
    """


@hookspec
def peer_left(peer: Peer, reason: str) -> Any:
    """Learn that a peer is gone.

    Called after the peer was removed and its sessions have ended.

    Args:
        peer: The peer.
        reason: Why, in a word or a few.
    """


@hookspec
def session_offered(session: Session) -> Any:
    """Learn that a call was offered.

    Called after the first offer of a session was forwarded.

    Args:
        session: The session, with caller and callee.
    """


@hookspec
def session_answered(session: Session) -> Any:
    """Learn that a call was answered.

    Called after the first answer of a session was forwarded.

    Args:
        session: The session, with its times.
    """


@hookspec
def session_ended(session: Session, reason: str) -> Any:
    """Learn that a call is over.

    Called when a leg said ``bye`` or went away.

    Args:
        session: The session; without `answered_at` it was never answered.
        reason: Why, in a word or a few.
    """


@hookspec
def server_started(server: Server) -> Any:
    """Learn that the server listens.

    Called once, when every port is open.

    Args:
        server: The server, whose `listener` now knows its addresses.
    """


@hookspec
def settings_changed(old: Config, new: Config) -> Any:
    """Learn that the configuration was read again, and take over what is one's own.

    Called after every reload, also if nothing was changed: files that the settings
    name may hold something new. A synchronous implementation that raises
    `PluginError` keeps what it had. What needs a restart is the same in both.

    Args:
        old: What held until now.
        new: What holds from now on; the plugin's own section is in
            `new.plugin_settings` under its name.
    """


@hookspec
def server_draining(server: Server) -> Any:
    """Learn that the server is going to stop, and takes nothing new.

    Called once, before it waits for calls and allocations to end. Not called when
    the server stops at once.

    Args:
        server: The server.
    """


@hookspec
def server_stopped(server: Server) -> Any:
    """Learn that the server no longer serves.

    Called once, when every connection is closed and before the plugins' `stop`.

    Args:
        server: The server.
    """
