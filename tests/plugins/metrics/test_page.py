"""The page: the format that was asked for, compressed if wanted, whatever a client sends."""

import gzip

import pytest
from prometheus_client import CollectorRegistry, Gauge

from tests.plugins.metrics.site import BASIS, OPENMETRICS, TEXT, get, parsed, port_of, scrape
from tests.reloading import ReloadSite, site
from tests.web.rawhttp import fetch
from tornado_webrtc.plugins.metrics.page import encode

__all__ = ["site"]

PROMETHEUS = (
    "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,"
    "application/openmetrics-text;version=0.0.1;q=0.5,"
    "text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.2"
)
"""What Prometheus 3 sends."""


def registry() -> CollectorRegistry:
    made = CollectorRegistry()
    Gauge("depth", "How deep.", registry=made).set(2)
    return made


@pytest.mark.parametrize(
    ("accept", "content_type"),
    [
        ("", "text/plain; version=0.0.4"),
        ("*/*", "text/plain; version=0.0.4"),
        (TEXT, "text/plain; version=0.0.4"),
        ("text/html,application/xhtml+xml,*/*;q=0.8", "text/plain; version=0.0.4"),
        (OPENMETRICS, "application/openmetrics-text; version=1.0.0"),
        ("application/openmetrics-text", "application/openmetrics-text; version=1.0.0"),
        (PROMETHEUS, "application/openmetrics-text; version=1.0.0"),
        ("application/openmetrics-text; version=9.9", "text/plain; version=0.0.4"),
        ("application/openmetrics-text; version=x.y,text/plain", "text/plain; version=0.0.4"),
        ("text/plain; version=abc", "text/plain; version=0.0.4"),
        ("text/plain; version", "text/plain; version=0.0.4"),
        (";;;,,,=,;=", "text/plain; version=0.0.4"),
    ],
)
def test_formats(accept: str, content_type: str) -> None:
    text, named = encode(registry(), accept)
    assert named.startswith(content_type)
    assert parsed(text.decode(), named).families["depth"].samples[0].value == 2
    assert text.endswith(b"# EOF\n") == ("openmetrics" in content_type)


async def test_both_formats_say_the_same(site: ReloadSite) -> None:
    server = await site.start(BASIS)
    await site.connect("1")
    strict, text = await scrape(server, OPENMETRICS), await scrape(server, TEXT)
    assert strict.samples().keys() == text.samples().keys()


async def test_compression(site: ReloadSite) -> None:
    server = await site.start(BASIS)
    plain = await get(server, {"Accept": TEXT, "Accept-Encoding": "identity"})
    packed = await get(server, {"Accept": TEXT, "Accept-Encoding": "gzip;q=0.5, br"})
    assert "Content-Encoding" not in plain.headers
    assert packed.headers["Content-Encoding"] == "gzip"
    assert packed.headers["Vary"] == "Accept, Accept-Encoding"
    assert packed.headers["Cache-Control"] == "no-store"
    assert len(packed.body) < len(plain.body) / 3
    found = parsed(gzip.decompress(packed.body).decode(), packed.headers["Content-Type"])
    assert found.value("server_state", state="running") == 1


async def test_other_methods_and_paths(site: ReloadSite) -> None:
    server = await site.start(BASIS)
    head = await get(server, method="HEAD")
    assert (head.status, head.body) == (200, b"")
    assert int(head.headers["Content-Length"]) > 1000
    posted = await get(server, method="POST")
    assert (posted.status, posted.headers["Allow"]) == (405, "GET, HEAD")
    for path in ("/", "/metrics/", "/api/turn", "/ws", "/healthz"):
        assert (await fetch(port_of(server), path)).status == 404


@pytest.mark.parametrize("name", ["Accept", "Accept-Encoding", "Authorization"])
@pytest.mark.parametrize("value", ["\xff\xfe", "text/plain; version=1" + "." * 5000, ",;=" * 900])
async def test_odd_headers_are_answered(site: ReloadSite, name: str, value: str) -> None:
    server = await site.start(BASIS)
    assert (await get(server, {name: value})).status == 200
