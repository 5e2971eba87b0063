"""What a scrape collects: everything in the table, nothing else, and quickly."""

from prometheus_client import generate_latest

from tests.plugins.conftest import start_turn
from tests.plugins.metrics.site import parsed
from tests.plugins.turn.site import StartTurn
from tests.processortime import shortest_s
from tests.web.conftest import Serve, serve
from tornado_webrtc import hookimpl
from tornado_webrtc.hooks import Collection
from tornado_webrtc.plugins.metrics.collector import make_registry
from tornado_webrtc.plugins.metrics.lag import LoopLag
from tornado_webrtc.plugins.metrics.metric import METRICS, PREFIX
from tornado_webrtc.plugins.metrics.tally import Tally
from tornado_webrtc.server import Server
from tornado_webrtc.signaling import Peer, PeerAddress

__all__ = ["serve", "start_turn"]

TEXT = "text/plain"

PEERS = 5000
SCRAPE_S = 0.5
"""Ten times what it may take, for machines that are busy with other tests."""


class Odd:
    """A plugin whose collection cannot be counted."""

    @hookimpl
    def collections(self) -> dict[str, Collection]:
        return {"odd": Collection(count=lambda: 1 // 0, entries=list, get=lambda _id: None)}


def exposed(server: Server, tally: Tally | None = None) -> str:
    registry = make_registry(server, tally or Tally(), LoopLag())
    return generate_latest(registry).decode()


async def test_what_is_in_the_table_is_exposed(start_turn: StartTurn) -> None:
    site = await start_turn()
    found = parsed(exposed(site.server), TEXT).families
    own = {name for name in found if name.startswith(PREFIX)}
    optional = {"certificate_not_after_timestamp_seconds", "certificate_days_left", "events"}
    optional |= {"values", "turn_ignored_messages"}
    table = {metric.exposed.removesuffix("_total") for metric in METRICS.values()}
    assert own <= table
    assert table - own == {PREFIX + name for name in optional}


async def test_every_value_is_there_from_the_start(serve: Serve) -> None:
    """Or nobody could tell a counter that began from one that always was there."""
    server = await serve()
    found = parsed(exposed(server), TEXT)
    for metric in METRICS.values():
        for labels in metric.initial:
            name = metric.exposed.removeprefix(PREFIX)
            found.value(name, **dict(zip(metric.labels, labels, strict=True)))


async def test_a_collection_that_cannot_be_counted_is_left_out(
    serve: Serve, expect_log: object
) -> None:
    assert callable(expect_log)
    expect_log("the odd cannot be counted")
    server = await serve(plugins=[Odd()])
    collections = parsed(exposed(server), TEXT).labelled("collection_entries")
    assert set(collections) == {(("collection", "peers"),), (("collection", "sessions"),)}


async def test_help_and_kinds(serve: Serve) -> None:
    text = exposed(await serve())
    assert f"# HELP {PREFIX}sign_ins_total Peers that signed in.\n" in text
    assert f"# TYPE {PREFIX}sign_ins_total counter\n" in text
    assert f"# TYPE {PREFIX}peers gauge\n" in text
    assert f"# TYPE {PREFIX}call_setup_seconds histogram\n" in text
    assert "_created" not in text


async def test_a_crowd_does_not_make_it_slow(serve: Serve) -> None:
    server = await serve()
    empty = len(exposed(server))
    for number in range(PEERS):
        address = PeerAddress("elsewhere", number)
        server.hub.signaling.join(Peer(f"p{number}", "", "", f"s{number}", address))
    assert shortest_s(lambda: exposed(server)) < SCRAPE_S
    text = exposed(server)
    assert parsed(text, TEXT).value("scopes") == PEERS
    assert len(text) < 1.1 * empty
