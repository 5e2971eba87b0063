"""Reads the metrics of a real server, as Prometheus does."""

import re
import socket
from collections.abc import Iterable, Mapping
from typing import Any

from prometheus_client import parser
from prometheus_client.metrics_core import Metric as Family
from prometheus_client.openmetrics import parser as openmetrics

from tests.web.rawhttp import Answer, fetch
from tornado_webrtc.plugins import metrics
from tornado_webrtc.plugins.metrics.metric import PREFIX
from tornado_webrtc.server import Server

OPENMETRICS = "application/openmetrics-text; version=1.0.0"
TEXT = "text/plain; version=0.0.4"

BASIS = {"metrics.port": "0"}


class Scraped:
    """What one answer says.

    Attributes:
        families: By their full names.
    """

    def __init__(self, families: Iterable[Family]) -> None:
        self.families = {family.name: family for family in families}

    def value(self, name: str, /, **labels: str) -> float:
        """The value of a sample, named without the prefix."""
        found = self.labelled(name)
        key = tuple(sorted(labels.items()))
        assert key in found, f"{name} has {sorted(found)}"
        return found[key]

    def labelled(self, name: str) -> dict[tuple[tuple[str, str], ...], float]:
        """All samples of a name by their labels."""
        return {
            tuple(sorted(sample.labels.items())): sample.value
            for family in self.families.values()
            for sample in family.samples
            if sample.name == PREFIX + name
        }

    def samples(self) -> dict[tuple[Any, ...], float]:
        """All samples by name and labels."""
        return {
            (sample.name, *sorted(sample.labels.items())): sample.value
            for family in self.families.values()
            for sample in family.samples
        }

    def counters(self) -> dict[tuple[Any, ...], float]:
        """Everything that must not shrink."""
        growing = re.compile(r".*_(total|bucket|count)")
        return {key: value for key, value in self.samples().items() if growing.fullmatch(key[0])}


def plugin_of(server: Server) -> metrics.Plugin:
    """The plugin of a server."""
    plugin = server.plugins._pluggy.get_plugin("metrics")
    assert isinstance(plugin, metrics.Plugin)
    return plugin


def port_of(server: Server) -> int:
    """Where a server's metrics are read."""
    endpoint = plugin_of(server)._endpoint
    assert endpoint is not None
    port: int = endpoint._sockets[0].getsockname()[1]
    return port


async def get(
    server: Server, headers: Mapping[str, str] | None = None, *, method: str = "GET"
) -> Answer:
    """Ask for the metrics."""
    return await fetch(port_of(server), "/metrics", method=method, headers=headers)


async def scrape(server: Server, accept: str = OPENMETRICS, **headers: str) -> Scraped:
    """Read the metrics; the strict parser of OpenMetrics has no complaints."""
    answer = await get(server, {"Accept": accept, **headers})
    assert answer.status == 200
    return parsed(answer.body.decode(), answer.headers["Content-Type"])


def parsed(text: str, content_type: str) -> Scraped:
    """Read an answer's body."""
    if content_type.startswith("application/openmetrics-text"):
        strict: Any = openmetrics.text_string_to_metric_families  # it has no annotations
        return Scraped(strict(text))
    assert content_type.startswith("text/plain")
    return Scraped(parser.text_string_to_metric_families(text))


def taken_port() -> socket.socket:
    """A socket that listens on a port of 127.0.0.1."""
    taken = socket.create_server(("127.0.0.1", 0))
    taken.listen()
    return taken
