"""Which metric a counter or gauge belongs to, by rules: a new one appears by itself."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from .metric import METRICS, OTHER, Labels

__all__ = ["COUNTERS", "GAUGES", "MAX_VALUES", "Admission", "Samples", "assign"]

MAX_VALUES = 100
"""Values, or combinations of them, that a metric's labels take of one part or plugin."""

Samples = dict[str, dict[Labels, float]]
"""What is measured: by metric, then by the values of its labels."""

Rules = Mapping[str, tuple[tuple[re.Pattern[str], str], ...]]
"""By part or plugin: patterns of names, whose groups are labels, and the metric."""


def _rules(**parts: Iterable[tuple[str, str]]) -> Rules:
    return {
        part: tuple((re.compile(pattern), metric) for pattern, metric in rules)
        for part, rules in parts.items()
    }


COUNTERS = _rules(
    signaling=(
        ("connections", "connections_opened"),
        (r"message\.(?P<type>.+)", "messages_received"),
        ("lists.sent", "peer_lists_sent"),
        ("lists.bytes", "peer_list_bytes"),
        (r"error\.(?P<code>.+)", "errors"),
        (r"refused\.(?P<cause>.+)", "connections_refused"),
        (r"closed\.(?P<cause>.+)", "connections_closed"),
    ),
    listener=(
        ("accepted", "listener_accepted"),
        ("refused", "listener_refused"),
        (r"(?P<outcome>.+)", "listener_arrivals"),
    ),
    server=((r"reload\.(?P<outcome>.+)", "reloads"),),
    turn=(
        ("binding", "turn_binding_requests"),
        (r"error-(?P<code>\d{3})", "turn_errors"),
        (r"refused-peer-(?P<reason>.+)", "turn_refused_peers"),
        (r"dropped-(?P<cause>.+)", "turn_ignored_messages"),
        (r"relay-bytes-(?P<direction>.+)", "turn_relayed_bytes"),
        (r"relay-packets-(?P<direction>.+)", "turn_relayed_packets"),
        (r"relay-dropped-(?P<cause>.+)", "turn_relay_dropped_packets"),
    ),
)

GAUGES = _rules(
    signaling=(("connections", "connections"), ("peers", "peers"), ("scopes", "scopes")),
    listener=(("open", "listener_open"),),
    turn=(
        (r"relay-ports-(?P<family>ipv[46])", "turn_relay_ports"),
        (r"relay-ports-(?P<family>ipv[46])-used", "turn_relay_ports_used"),
    ),
)

_PLAIN = re.compile(r"[A-Za-z0-9_.:-]{1,64}")


class Admission:
    """Keeps labels few: each part's first values are admitted, later ones are ``other``.

    What was admitted stays so, or a counter would shrink.
    """

    def __init__(self) -> None:
        self._admitted: dict[tuple[str, str], set[Labels]] = {}

    def admit(self, metric: str, part: str, labels: Labels) -> Labels:
        """Return the labels, or what stands in for them."""
        if not labels or labels in METRICS[metric].known:
            return labels
        admitted = self._admitted.setdefault((metric, part), set())
        if labels not in admitted:
            if len(admitted) >= MAX_VALUES or not all(map(_PLAIN.fullmatch, labels)):
                return tuple(value if value == part else OTHER for value in labels)
            admitted.add(labels)
        return labels


def assign(
    figures: Mapping[str, Mapping[str, float]],
    rules: Rules,
    rest: str,
    admission: Admission,
) -> Samples:
    """Turn counters or gauges into samples; what ends up with the same labels is added up.

    Args:
        figures: By part or plugin, then by name.
        rules: Those that hold.
        rest: The metric of what no rule is about; its labels are the part and the name.
        admission: Which values labels may have.
    """
    samples: Samples = {}
    for part, named in figures.items():
        for name, number in named.items():
            metric, labels = _place(part, name, rules) or (rest, (part, name))
            found = samples.setdefault(metric, {})
            admitted = admission.admit(metric, part, labels)
            found[admitted] = found.get(admitted, 0) + number
    return samples


def _place(part: str, name: str, rules: Rules) -> tuple[str, Labels] | None:
    for pattern, metric in rules.get(part, ()):
        if match := pattern.fullmatch(name):
            return metric, match.groups()
    return None
