"""Every metric by name: what it measures, and which labels it has.

Names follow the conventions of Prometheus: base units, a counter ends in ``_total`` where
it is exposed. No label ever holds what clients choose; see `rule.Admission`.
docs/metrics.md has the table that is made from this one.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from typing import Literal

__all__ = ["METRICS", "OTHER", "PREFIX", "Kind", "Labels", "Metric"]

PREFIX = "tornado_webrtc_"

OTHER = "other"
"""What stands in for values that are not known, or too many."""

Kind = Literal["counter", "gauge", "histogram", "info"]
Labels = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric.

    Attributes:
        name: Without `PREFIX`, and without what its kind adds where it is exposed.
        kind: Counters only grow.
        help: What it measures, in a sentence.
        labels: The names of its labels.
        known: Values of the labels that are exposed from the start, be it with 0.
    """

    name: str
    kind: Kind
    help: str
    labels: Labels = ()
    known: tuple[Labels, ...] = ()

    @property
    def exposed(self) -> str:
        """The name as queries have it; a histogram adds ``_bucket``, ``_sum`` and ``_count``."""
        return f"{PREFIX}{self.name}{_SUFFIXES.get(self.kind, '')}"

    @property
    def initial(self) -> tuple[Labels, ...]:
        """What is exposed with 0 before anything has happened."""
        return ((),) if self.kind == "counter" and not self.labels else self.known


_SUFFIXES: dict[Kind, str] = {"counter": "_total", "info": "_info"}


def _words(text: str) -> tuple[Labels, ...]:
    return tuple((word,) for word in text.split())


def _pairs(ones: str, others: str) -> tuple[Labels, ...]:
    return tuple(product(ones.split(), others.split()))


_TYPES = "new offer answer candidate bye leave keepalive other"
_CODES = (
    "bad-message not-registered already-registered id-in-use id-not-allowed banned"
    " not-authenticated wrong-sender not-found not-in-session invalid-session too-many-sessions"
    " server-draining identity-expired unknown-type denied plugin-failed other"
)
_LEFT = (
    "left disconnected no-pong too-slow too-many-messages bad-frame replaced kicked banned"
    " identity-expired refused server-stopped internal-error other"
)
_TRANSPORTS = "udp tcp tls other"
_ENDS = "refreshed-to-0 expired disconnected server-stopped ended-by-the-operator banned other"
_ARRIVALS = "claimed unclaimed failed_handshakes timed_out lost"
_CLOSED = (
    "banned binary identity-expired internal-error kicked no-hello no-pong too-many-messages"
    " too-slow"
)
_STATES = "starting running draining stopped"

_ALL: tuple[Metric, ...] = (
    Metric("build", "info", "The version of the server, and the id of its node."),
    Metric("server_state", "gauge", "1 for the state it is in.", ("state",), _words(_STATES)),
    Metric("plugins", "gauge", "Plugins that run."),
    Metric("plugins_left_out", "gauge", "Plugins that failed, so that it runs without them."),
    Metric(
        *("reloads", "counter", "Times the configuration was read again."),
        *(("outcome",), _words("applied refused")),
    ),
    Metric("bans", "gauge", "Bans that hold."),
    Metric("bans_stored", "gauge", "1 if a restart keeps all bans, 0 if they cannot be written."),
    Metric("certificate_not_after_timestamp_seconds", "gauge", "When the certificate expires."),
    Metric("certificate_days_left", "gauge", "Days until then; negative once it has expired."),
    Metric(
        *("event_loop_lag_seconds", "histogram"),
        "How late a timer was that fires four times a second.",
    ),
    Metric(
        "event_loop_lag_max_seconds", "gauge", "The most of that in the last one or two minutes."
    ),
    # Signaling.
    Metric("connections", "gauge", "WebSocket connections that are open."),
    Metric("connections_opened", "counter", "WebSocket connections that were taken."),
    Metric(
        *("connections_refused", "counter", "WebSocket connections that were refused."),
        *(("cause",), _words("banned limit origin request")),
    ),
    Metric(
        *("connections_closed", "counter", "WebSocket connections that the server closed."),
        *(("cause",), _words(_CLOSED)),
    ),
    Metric("peers", "gauge", "Peers that are signed in."),
    Metric("scopes", "gauge", "Scopes that have at least one peer."),
    Metric("sign_ins", "counter", "Peers that signed in."),
    Metric("sign_outs", "counter", "Peers that are gone.", ("reason",), _words(_LEFT)),
    Metric(
        *("messages_received", "counter", "Messages from clients; other: not of the core's types."),
        *(("type",), _words(_TYPES)),
    ),
    Metric("peer_lists_sent", "counter", "Lists of peers sent, each to one peer."),
    Metric("peer_list_bytes", "counter", "Size of these lists."),
    Metric("errors", "counter", "Messages that were refused.", ("code",), _words(_CODES)),
    Metric("calls", "gauge", "Calls that are not over.", ("state",), _words("offered answered")),
    Metric("calls_offered", "counter", "Calls that were offered."),
    Metric("calls_answered", "counter", "Calls that were answered."),
    Metric(
        *("calls_ended", "counter", "Calls that are over, and whether they had been answered."),
        *(("reason", "answered"), _pairs(f"bye ended-by-the-operator {_LEFT}", "yes no")),
    ),
    Metric("call_setup_seconds", "histogram", "From a call's offer to its answer."),
    Metric("call_duration_seconds", "histogram", "From a call's answer to its end."),
    # TURN.
    Metric(
        *("turn_allocations", "gauge", "Allocations that there are."),
        *(("transport",), _words(_TRANSPORTS)),
    ),
    Metric(
        *("turn_allocations_opened", "counter", "Allocations that were made."),
        *(("transport",), _words(_TRANSPORTS)),
    ),
    Metric(
        *("turn_allocations_ended", "counter", "Allocations that are over."),
        *(("transport", "cause"), _pairs(_TRANSPORTS, _ENDS)),
    ),
    Metric("turn_relay_ports", "gauge", "Size of the range of relay ports.", ("family",)),
    Metric("turn_relay_ports_used", "gauge", "Relay ports that are taken.", ("family",)),
    Metric(
        *("turn_relayed_bytes", "counter", "Bytes of data that were relayed."),
        *(("direction",), _words("to-peer from-peer")),
    ),
    Metric(
        *("turn_relayed_packets", "counter", "Datagrams that were relayed."),
        *(("direction",), _words("to-peer from-peer")),
    ),
    Metric(
        *("turn_relay_dropped_packets", "counter"),
        *("Datagrams that were not relayed; quota: beyond a limit of bandwidth.", ("cause",)),
        _words("permission channel own quota sink send"),
    ),
    Metric("turn_binding_requests", "counter", "STUN binding requests that were answered."),
    Metric(
        *("turn_errors", "counter", "STUN and TURN requests that were refused."),
        *(("code",), _words("400 401 403 437 438 442 486 500 508")),
    ),
    Metric(
        *("turn_refused_peers", "counter", "Peers that a client may not reach, by what decided."),
        *(("reason",), _words("built_in deny_peers own_address no-relay plugin")),
    ),
    Metric(
        *("turn_ignored_messages", "counter", "What TURN neither answered nor relayed."),
        *(("cause",),),
    ),
    # Listeners.
    Metric("listener_open", "gauge", "TCP connections that are open, on all ports for clients."),
    Metric("listener_accepted", "counter", "TCP connections that were accepted."),
    Metric("listener_refused", "counter", "TCP connections closed at once: too many were open."),
    Metric(
        *("listener_arrivals", "counter"),
        *("What became of them; claimed: turned out to speak HTTP or TURN.", ("outcome",)),
        _words(_ARRIVALS),
    ),
    # Whatever else the core and plugins count and measure.
    Metric("collection_entries", "gauge", "What lives for a while.", ("collection",)),
    Metric("events", "counter", "How often what happened, by part or plugin.", ("part", "event")),
    Metric("values", "gauge", "How much there is of what, by part or plugin.", ("part", "name")),
)

METRICS: dict[str, Metric] = {metric.name: metric for metric in _ALL}
