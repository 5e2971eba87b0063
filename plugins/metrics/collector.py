"""What is exposed: read from the server at the moment somebody asks."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from prometheus_client import (
    CollectorRegistry,
    GCCollector,
    PlatformCollector,
    ProcessCollector,
)
from prometheus_client.metrics_core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
)
from prometheus_client.metrics_core import Metric as Family
from prometheus_client.registry import Collector

from tornado_webrtc import __version__

from .metric import METRICS, PREFIX, Labels, Metric
from .rule import COUNTERS, GAUGES, Admission, Samples, assign

if TYPE_CHECKING:
    from tornado_webrtc.server import Server

    from .histogram import Histogram
    from .lag import LoopLag
    from .tally import Tally

__all__ = ["ServerCollector", "make_registry"]

DAY_S = 86400.0


def make_registry(server: Server, tally: Tally, lag: LoopLag) -> CollectorRegistry:
    """All that is exposed of one server and the process that it runs in.

    Args:
        server: Has counters, gauges and collections.
        tally: What hooks told.
        lag: How late the event loop is.
    """
    registry = CollectorRegistry()
    registry.register(ServerCollector(server, tally, lag))
    ProcessCollector(registry=registry)
    PlatformCollector(registry=registry)
    GCCollector(registry=registry)
    return registry


class ServerCollector(Collector):
    """The metrics of one server; see `make_registry`."""

    def __init__(self, server: Server, tally: Tally, lag: LoopLag) -> None:
        self._server = server
        self._tally = tally
        self._lag = lag
        self._admission = Admission()
        self._histograms: dict[str, Histogram] = {
            "event_loop_lag_seconds": lag.histogram,
            "call_setup_seconds": tally.setup,
            "call_duration_seconds": tally.duration,
        }

    def collect(self) -> Iterator[Family]:
        """Every metric that has a value, in the order of the table."""
        samples = self._samples()
        for metric in METRICS.values():
            if metric.kind == "histogram":
                yield _histogram(metric, self._histograms[metric.name])
            elif metric.kind == "info":
                yield self._build(metric)
            elif found := dict.fromkeys(metric.initial, 0.0) | samples.get(metric.name, {}):
                family = _family(metric)
                for labels, value in found.items():
                    family.add_metric(labels, value)
                yield family

    def _samples(self) -> Samples:
        figures = self._server.figures
        samples = self._tally.samples()
        samples |= assign(figures.counters(), COUNTERS, "events", self._admission)
        samples |= assign(figures.gauges(), GAUGES, "values", self._admission)
        return samples | self._collections() | self._state()

    def _collections(self) -> Samples:
        server = self._server
        counts = {(name,): server.count(name) for name in server.collections}
        found: dict[Labels, float] = {
            labels: float(count) for labels, count in counts.items() if count is not None
        }
        return {"collection_entries": found}

    def _state(self) -> Samples:
        server = self._server
        plain = {
            "plugins": len(server.plugins.names),
            "plugins_left_out": len(server.plugins.left_out),
            "bans": len(server.bans),
            "bans_stored": int(server.bans.stored),
            "event_loop_lag_max_seconds": self._lag.largest(),
        }
        if server.certificates is not None:
            ends = server.certificates.certificate.not_valid_after_utc.timestamp()
            plain["certificate_not_after_timestamp_seconds"] = ends
            plain["certificate_days_left"] = (ends - server.clock.wall()) / DAY_S
        samples: Samples = {name: {(): float(value)} for name, value in plain.items()}
        samples["server_state"] = {(str(server.state),): 1.0}
        return samples

    def _build(self, metric: Metric) -> Family:
        family = InfoMetricFamily(PREFIX + metric.name, metric.help)
        family.add_metric((), {"version": __version__, "node_id": self._server.hub.node_id})
        return family


def _family(metric: Metric) -> CounterMetricFamily | GaugeMetricFamily:
    make = CounterMetricFamily if metric.kind == "counter" else GaugeMetricFamily
    return make(PREFIX + metric.name, metric.help, labels=metric.labels)


def _histogram(metric: Metric, histogram: Histogram) -> Family:
    family = HistogramMetricFamily(PREFIX + metric.name, metric.help)
    family.add_metric((), histogram.buckets(), histogram.total)
    return family
