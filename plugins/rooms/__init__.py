"""Rooms: peers of different ones neither see nor reach each other.

    __init__.py     the plugin: chooses a peer's scope, refuses, shows rooms to the operator
    settings.py     its section
    room_file.py    the rooms that the operator lists
    name.py         what a room may be called
    password.py     passwords, as text and hashed
    doorkeeper.py   judges passwords
    guess.py        how often somebody may guess
    turnstile.py    whose password is hashed next
    table.py        which rooms there are, and who is in them
    command.py      ``tornado-webrtc rooms hash``

The room is the scope, so that the core keeps rooms apart; the lobby is the scope "". The
server does not start without this plugin where it is wanted: locked rooms would be open.
docs/rooms.md says how to use it.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Mapping
from typing import TYPE_CHECKING

import click

from tornado_webrtc import hookimpl
from tornado_webrtc.bucket import client_prefix
from tornado_webrtc.errors import PluginError
from tornado_webrtc.followedfile import BadContentError
from tornado_webrtc.hooks import (
    Collection,
    Denied,
    JoinRequest,
    PluginContext,
    ScopeRequest,
    at_key,
)
from tornado_webrtc.repeats import Repeats

from .command import rooms
from .doorkeeper import Doorkeeper, Verdict
from .name import BadNameError, room_name
from .password import KnownPassword
from .settings import SPECIFICATION, Settings
from .table import Room, RoomTable

if TYPE_CHECKING:
    from tornado_webrtc.config import Config
    from tornado_webrtc.server import Server
    from tornado_webrtc.signaling import Peer

SETTINGS = SPECIFICATION
REQUIRED = True

CLOSED = "the operator has closed this room"


class Plugin:
    """Keeps rooms."""

    def __init__(self, context: PluginContext) -> None:
        self._name = context.name
        self._log = context.log
        self._context = context
        self._settings = Settings()
        self._server: Server | None = None
        self._counters: Counter[str] = Counter()
        self._repeats = Repeats()

    # --- life -------------------------------------------------------------------------

    @hookimpl
    async def check(self) -> list[str]:
        """Say what is wrong with the file, and what is probably not meant."""
        own, config = self._context.settings, self._context.config
        try:
            settings = await asyncio.to_thread(Settings.read, own, config)  # it may be long
        except BadContentError as error:
            return [at_key(self._name, "file", each) for each in error.faults]
        return settings.sentences(self._name)

    @hookimpl
    def start(self, server: Server) -> None:
        """Read the file."""
        self._settings = self._read(self._context.settings, self._context.config)
        clock = server.clock.now
        self._table = RoomTable(clock)
        self._doorkeeper = Doorkeeper(clock, self._settings.wrong_passwords_per_minute)
        self._server = server

    @hookimpl
    async def stop(self) -> None:
        """End the thread that hashes passwords."""
        await self._doorkeeper.close()

    @hookimpl
    def settings_changed(self, new: Config) -> None:
        """Go by the settings and the file as they are now; who is in a room stays."""
        self._settings = self._read(new.plugin_settings[self._name], new)
        self._doorkeeper.guesses.limit = self._settings.wrong_passwords_per_minute
        self._doorkeeper.keep_only({each.password for each in self._settings.listed.values()})

    def _read(self, values: Mapping[str, object], config: Config) -> Settings:
        try:
            return Settings.read(values, config)
        except BadContentError as error:
            raise PluginError(self._name, str(error)) from error

    # --- questions --------------------------------------------------------------------

    @hookimpl
    def scope_for(self, request: ScopeRequest) -> str | None:
        """Put a peer into the room that it asks for; `permit_join` says if that cannot be."""
        try:
            return room_name(request.room) if request.room else None
        except BadNameError:
            return None

    @hookimpl(trylast=True)
    async def permit_join(self, request: JoinRequest) -> Denied | None:
        """Let a peer into its room, and keep a place for it; asked after all others."""
        if request.update:  # it is in, whatever its room asks of newcomers by now
            return None
        denied = await self._objection(request)
        if denied is not None:
            self._counters[f"refused.{denied.code}"] += 1
        return denied

    async def _objection(self, request: JoinRequest) -> Denied | None:
        if not request.scope:
            return self._lobby_objection(request)
        if self._settings.only_listed and request.scope not in self._settings.listed:
            return Denied(f"There is no room [{request.scope}].", "room-unknown")
        return await self._locked(request) or self._enter(request)

    def _lobby_objection(self, request: JoinRequest) -> Denied | None:
        try:
            room_name(request.room) if request.room else ""
        except BadNameError as error:
            return Denied(str(error), "room-name")
        if not self._settings.lobby:
            return Denied("Say in `room` which room you want to join.", "room-needed")
        if request.password:
            return Denied("The password is for no room: name one.", "room-password")
        return None

    async def _locked(self, request: JoinRequest) -> Denied | None:
        name, password = request.scope, request.password
        listed, room = self._settings.listed.get(name), self._table.find(name)
        expected = listed.password if listed else room.password if room else None
        if expected is None:
            begins = listed is None and room is None and self._settings.adhoc_passwords
            if password and not begins:
                text = f"The room [{name}] has no password: join without one."
                return Denied(text, "room-password")
            return None
        if not password:
            return Denied(f"The room [{name}] needs a password.", "room-password")
        client = client_prefix(request.remote_ip)
        verdict = await self._doorkeeper.judge(expected, password, client)
        return self._judged(verdict, name, request.remote_ip)

    def _judged(self, verdict: Verdict, name: str, remote_ip: str) -> Denied | None:
        if verdict is Verdict.RIGHT:
            return None
        if verdict is Verdict.WRONG:
            return Denied(f"This is not the password of the room [{name}].", "room-password")
        if verdict is Verdict.BUSY:
            return Denied("Too many passwords are tried: try again later.", "room-password")
        if count := self._repeats.add(verdict):
            text = "%d passwords were not looked at, after too many wrong ones; the last from %s"
            self._log.info(text, count, remote_ip)
        text = "Too many wrong passwords from your address: try again in a minute."
        return Denied(text, "room-password")

    def _enter(self, request: JoinRequest) -> Denied | None:
        """Keep a place, if there is one; nothing is awaited from here to there."""
        name, settings = request.scope, self._settings
        room = self._table.find(name)
        limit = settings.max_peers_of(name)
        if limit and room is not None and room.others(request.peer_id) >= limit:
            return Denied(f"The room [{name}] is full.", "room-full")
        password = None
        if room is None and name not in settings.listed:
            if 0 < settings.max_rooms <= self._table.count_besides(settings.listed):
                return Denied("There cannot be more rooms at the moment.", "room-full")
            if settings.adhoc_passwords and request.password:
                password = KnownPassword.of(request.password)
        self._table.keep(request, password)
        return None

    # --- who is where -----------------------------------------------------------------

    @hookimpl
    def join_abandoned(self, request: JoinRequest) -> None:
        """Nobody comes to the place that was kept."""
        self._table.give_up(request)

    @hookimpl
    def peer_joined(self, peer: Peer) -> None:
        """Somebody is in a room."""
        if peer.scope:
            self._table.join(peer)
            self._counters["joined"] += 1

    @hookimpl
    def peer_left(self, peer: Peer) -> None:
        """Somebody is gone."""
        if peer.scope:
            self._table.leave(peer)

    # --- for the operator -------------------------------------------------------------

    @hookimpl
    def counters(self) -> Mapping[str, int]:
        """How many joined a room, and how many were refused, by cause."""
        return dict(self._counters)

    @hookimpl
    def collections(self) -> Mapping[str, Collection]:
        """The rooms that somebody is in; by name those that are listed, too."""
        shown = Collection(
            count=lambda: len(self._table),
            entries=lambda: [self._shown(room) for room in self._table],
            get=self._entry,
            end=self._end,
        )
        return {"rooms": shown}

    @hookimpl
    def cli_commands(self) -> list[click.Command]:
        """The command that hashes passwords."""
        return [rooms]

    def _occupied(self, name: str) -> Room | None:
        room = self._table.find(name)
        return room if room is not None and room.peers else None

    def _entry(self, name: str) -> Mapping[str, object] | None:
        room = self._occupied(name)
        if room is None and name in self._settings.listed:
            room = Room(name, since=0.0)
        return self._shown(room) if room else None

    def _shown(self, room: Room) -> dict[str, object]:
        listed = self._settings.listed.get(room.name)
        now = self._server.clock.now() if self._server else room.since
        return {
            "id": room.name,
            "peers": len(room.peers),
            "max_peers": self._settings.max_peers_of(room.name) or None,
            "locked": bool(listed.password if listed else room.password),
            "listed": listed is not None,
            "occupied_s": round(max(0.0, now - room.since), 3) if room.peers else None,
        }

    def _end(self, name: str, reason: str) -> bool:
        """Close the connections of all who are in a room."""
        room = self._occupied(name)
        if room is None or self._server is None:
            return False
        for peer in tuple(room.peers.values()):
            self._server.hub.kick(peer, reason or CLOSED)
        return True
