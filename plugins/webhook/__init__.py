"""Sends events to an HTTP endpoint, as the Standard Webhooks specification says.

    __init__.py     the plugin: listens to hooks
    settings.py     its section, and what is wrong or doubtful in it
    event.py        the events, and what each says
    delivery.py     sends them, again if need be
    backlog.py      those that wait
    retry.py        when to try again
    endpoint.py     one request, and what its answer means
    signature.py    secrets and signatures

docs/webhook.md says how to use it, and how to check a signature.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tornado_webrtc import __version__, hookimpl
from tornado_webrtc.errors import PluginError
from tornado_webrtc.hooks import PluginContext, at_key
from tornado_webrtc.redaction import anonymize

from .delivery import Delivery
from .event import Data, Event, of_allocation, of_peer, of_session, of_traffic
from .settings import SPECIFICATION, Settings

if TYPE_CHECKING:
    from tornado_webrtc.clock import Clock
    from tornado_webrtc.config import Config
    from tornado_webrtc.hooks import TurnAllocation, TurnTraffic
    from tornado_webrtc.server import Server
    from tornado_webrtc.signaling import Peer, Session

SETTINGS = SPECIFICATION


class Plugin:
    """Makes events of notifications."""

    def __init__(self, context: PluginContext) -> None:
        self._name = context.name
        self._log = context.log
        self._settings = Settings.read(context.settings, context.config)
        self._delivery: Delivery | None = None
        self._clock: Clock | None = None
        self._joined_at: dict[int, float] = {}
        self._allocated_at: dict[int, float] = {}

    # --- life -------------------------------------------------------------------------

    @hookimpl
    def start(self, server: Server) -> None:
        """Take events from now on."""
        if faults := self._settings.faults:
            raise PluginError(self._name, "; ".join(f"{key}: {text}" for key, text in faults))
        self._clock = server.clock
        self._delivery = Delivery(self._settings, server.hub.node_id, self._log, server.clock)
        self._delivery.open()

    @hookimpl
    async def stop(self) -> None:
        """Send what waits, for a few seconds at most."""
        delivery, self._delivery = self._delivery, None
        if delivery is not None:
            await delivery.close()

    @hookimpl
    def check(self) -> list[str]:
        """Say what is wrong or doubtful with URL, secrets and files; nobody is called."""
        return [at_key(self._name, key, text) for key, text in self._settings.findings]

    @hookimpl
    def settings_changed(self, new: Config) -> None:
        """Go by the settings as they are now; what waits is sent to the new receiver."""
        settings = Settings.read(new.plugin_settings[self._name], new)
        if self._delivery is None:
            return
        if settings.faults:  # a reload asks `check` before
            self._log.error("the new settings cannot be used; the ones before hold")
            return
        self._settings = settings
        self._delivery.change(settings)

    @hookimpl
    def counters(self) -> dict[str, int]:
        """Events sent, refused and dropped; attempts that failed, and that were repetitions."""
        return dict(self._delivery.counters) if self._delivery else {}

    @hookimpl
    def gauges(self) -> dict[str, int]:
        """Events that are not delivered yet, those that are being sent among them."""
        return {"waiting": self._delivery.waiting} if self._delivery else {}

    # --- signaling --------------------------------------------------------------------

    @hookimpl
    def peer_joined(self, peer: Peer) -> None:
        """Somebody signed in."""
        self._joined_at[peer.address.connection_id] = self._now()
        more = {"name": peer.name, "user_agent": peer.user_agent}
        self._emit("peer.joined", f"peer {peer.id}", of_peer(peer, self._shown) | more)

    @hookimpl
    def peer_left(self, peer: Peer, reason: str) -> None:
        """Somebody is gone."""
        joined_at = self._joined_at.pop(peer.address.connection_id, None)
        end = {"connected_s": _duration(joined_at, self._now()), "reason": reason}
        self._emit("peer.left", f"peer {peer.id}", of_peer(peer, self._shown) | end)

    @hookimpl
    def session_offered(self, session: Session) -> None:
        """Somebody calls."""
        self._emit("session.offered", f"session {session.id}", of_session(session))

    @hookimpl
    def session_answered(self, session: Session) -> None:
        """A call was answered."""
        rang = {"rang_s": _duration(session.offered_at, session.answered_at)}
        self._emit("session.answered", f"session {session.id}", of_session(session) | rang)

    @hookimpl
    def session_ended(self, session: Session, reason: str) -> None:
        """A call is over."""
        answered = session.answered_at is not None
        end: Data = {
            "answered": answered,
            "rang_s": _duration(
                session.offered_at, session.answered_at if answered else session.ended_at
            ),
            "talked_s": _duration(session.answered_at, session.ended_at),
            "reason": reason,
        }
        self._emit("session.ended", f"session {session.id}", of_session(session) | end)

    # --- TURN -------------------------------------------------------------------------

    @hookimpl
    def allocation_created(self, allocation: TurnAllocation) -> None:
        """A TURN client may relay."""
        self._allocated_at[allocation.id] = self._now()
        data = of_allocation(allocation, self._shown)
        self._emit("allocation.created", f"allocation {allocation.id}", data)

    @hookimpl
    def allocation_deleted(
        self, allocation: TurnAllocation, traffic: TurnTraffic, reason: str
    ) -> None:
        """It is over."""
        lasted_s = _duration(self._allocated_at.pop(allocation.id, None), self._now())
        end: Data = {"lasted_s": lasted_s, **of_traffic(traffic), "reason": reason}
        data = of_allocation(allocation, self._shown) | end
        self._emit("allocation.deleted", f"allocation {allocation.id}", data)

    # --- server -----------------------------------------------------------------------

    @hookimpl
    def server_started(self, server: Server) -> None:
        """The ports are open."""
        addresses = [f"{server.scheme}://{address}" for address in server.addresses]
        self._emit("server.started", "server", {"version": __version__, "addresses": addresses})

    @hookimpl
    def server_draining(self) -> None:
        """Nothing new is taken."""
        self._emit("server.draining", "server", {})

    @hookimpl(trylast=True)
    def server_stopped(self) -> None:
        """Every connection is closed."""
        self._emit("server.stopped", "server", {})

    # --- events -----------------------------------------------------------------------

    def _emit(self, kind: str, key: str, data: Data) -> None:
        if self._delivery is None or self._clock is None or kind not in self._settings.types:
            return
        self._delivery.put(Event(kind, key, data, self._clock.now(), self._clock.wall()))

    def _now(self) -> float:
        return self._clock.now() if self._clock else 0.0

    def _shown(self, address: str) -> str:
        return anonymize(address) if self._settings.anonymous else address


def _duration(begin: float | None, end: float | None) -> float | None:
    """Seconds between two moments; None if one of them never came."""
    return None if begin is None or end is None else round(end - begin, 3)
