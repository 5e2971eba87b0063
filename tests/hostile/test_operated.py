"""The installation under attack, and those in a relayed call, when nobody attacks."""

from tests.hostile.conftest import Figures, Install
from tests.hostile.relayed import all_undisturbed
from tests.hostile.site import until


async def test_everybody_talks_and_nothing_is_left(install: Install, figures: Figures) -> None:
    with install().run() as site:
        files = site.open_files()
        async with all_undisturbed(site) as call:
            await until(
                lambda: all(person.received > 20 for person in call.people), "they hear each other"
            )
            status = await site.admin("GET", "/status")
            assert status["state"] == "running"
            assert (await site.get("/healthz"))[0] == 200
        await until(lambda: site.open_files() <= files, "the server's files are closed again")
        tables = await site.until_tables(turn_allocations=0, turn_streams=0, turn_deadlines=0)
        assert tables["peers"] == 0
        figures(relayed_slowest_s=max(each.slowest_s for each in call.people), lost=call.lost)
