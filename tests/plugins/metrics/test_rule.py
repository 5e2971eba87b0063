"""Counters become metrics by rules, and labels stay few."""

import pytest

from tests.web.conftest import Serve, serve
from tornado_webrtc.plugins.metrics.metric import METRICS, OTHER
from tornado_webrtc.plugins.metrics.rule import (
    COUNTERS,
    GAUGES,
    MAX_VALUES,
    Admission,
    assign,
)

__all__ = ["serve"]


@pytest.mark.parametrize("rules", [COUNTERS, GAUGES], ids=["counters", "gauges"])
def test_rules_fit_their_metrics(rules: object) -> None:
    kind = "counter" if rules is COUNTERS else "gauge"
    for found in (COUNTERS if rules is COUNTERS else GAUGES).values():
        for pattern, metric in found:
            assert METRICS[metric].kind == kind
            assert tuple(pattern.groupindex) == METRICS[metric].labels


@pytest.mark.parametrize(
    ("part", "name", "metric", "labels"),
    [
        ("signaling", "connections", "connections_opened", ()),
        ("signaling", "message.offer", "messages_received", ("offer",)),
        ("signaling", "lists.sent", "peer_lists_sent", ()),
        ("signaling", "lists.bytes", "peer_list_bytes", ()),
        ("signaling", "error.not-found", "errors", ("not-found",)),
        ("signaling", "closed.no-pong", "connections_closed", ("no-pong",)),
        ("signaling", "new.thing", "events", ("signaling", "new.thing")),
        ("listener", "accepted", "listener_accepted", ()),
        ("listener", "new_thing", "listener_arrivals", ("new_thing",)),
        ("server", "reload.applied", "reloads", ("applied",)),
        ("turn", "binding", "turn_binding_requests", ()),
        ("turn", "error-437", "turn_errors", ("437",)),
        ("turn", "error-odd", "events", ("turn", "error-odd")),
        ("turn", "refused-peer-built_in", "turn_refused_peers", ("built_in",)),
        ("turn", "dropped-malformed", "turn_ignored_messages", ("malformed",)),
        ("turn", "relay-bytes-to-peer", "turn_relayed_bytes", ("to-peer",)),
        ("turn", "relay-dropped-quota", "turn_relay_dropped_packets", ("quota",)),
        ("rooms", "message.offer", "events", ("rooms", "message.offer")),
    ],
)
def test_counters(part: str, name: str, metric: str, labels: tuple[str, ...]) -> None:
    found = assign({part: {name: 7}}, COUNTERS, "events", Admission())
    assert found == {metric: {labels: 7}}


@pytest.mark.parametrize(
    ("part", "name", "metric", "labels"),
    [
        ("signaling", "scopes", "scopes", ()),
        ("listener", "open", "listener_open", ()),
        ("turn", "relay-ports-ipv4", "turn_relay_ports", ("ipv4",)),
        ("turn", "relay-ports-ipv6-used", "turn_relay_ports_used", ("ipv6",)),
        ("rooms", "depth", "values", ("rooms", "depth")),
    ],
)
def test_gauges(part: str, name: str, metric: str, labels: tuple[str, ...]) -> None:
    assert assign({part: {name: 0.5}}, GAUGES, "values", Admission()) == {metric: {labels: 0.5}}


async def test_everything_of_the_core_has_a_metric_of_its_own(serve: Serve) -> None:
    server = await serve()
    found = assign(server.figures.counters(), COUNTERS, "events", Admission())
    found |= assign(server.figures.gauges(), GAUGES, "values", Admission())
    assert not {"events", "values"} & found.keys()


def test_too_many_values_are_added_up() -> None:
    admission = Admission()
    named = {f"event-{number}": 1 for number in range(MAX_VALUES + 5)}
    found = assign({"a": named, "b": {"x": 2}}, COUNTERS, "events", admission)["events"]
    assert len(found) == MAX_VALUES + 2
    assert found["a", OTHER] == 5
    assert found["b", "x"] == 2, "each part has its own"


def test_what_was_admitted_stays_so() -> None:
    admission = Admission()
    one, two = ({f"{letter}-{number}": 1 for number in range(MAX_VALUES)} for letter in "ab")
    assign({"a": one}, COUNTERS, "events", admission)
    found = assign({"a": two | one}, COUNTERS, "events", admission)["events"]
    assert found["a", "a-0"] == 1
    assert found["a", OTHER] == MAX_VALUES


@pytest.mark.parametrize("value", ["", "x" * 65, 'a"b', "a\nb", "ä", "a b", "{}"])
def test_odd_values_are_others(value: str) -> None:
    assert Admission().admit("events", "a", ("a", value)) == ("a", OTHER)


def test_known_values_are_never_crowded_out() -> None:
    admission = Admission()
    for number in range(2 * MAX_VALUES):
        admission.admit("errors", "signaling", (f"code-{number}",))
    assert admission.admit("errors", "signaling", ("not-found",)) == ("not-found",)
    assert admission.admit("errors", "signaling", ("new",)) == (OTHER,)
